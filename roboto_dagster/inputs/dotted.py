"""Nested messages as dotted columns: `pose.position.x` in place of a struct in a struct."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.inputs.frames import imported

if TYPE_CHECKING:  # pyarrow would cost every import of the package
    import pyarrow as pa
    import pyarrow.compute as pc


def dotted_columns(data: Any) -> Any:
    """Return the columns of nested messages as columns of their own, with dotted names.

    Structs become their fields, at any depth; lists and maps stay as they are. Of a schema it returns what
    `pyarrow.dataset.Dataset.to_table(columns=…)` and `scanner(columns=…)` take, so that only what is wanted is read:

    ```python
    columns = dotted_columns(dataset.schema)
    poses = dataset.to_table(columns={"x": columns["pose.position.x"]})
    ```

    Args:
        data: A pyarrow schema, table or dataset, a polars frame or lazy frame, or a duckdb relation.

    Returns:
        Of a schema, expressions by name; of a table or a dataset a table; of anything else the same type.

    Raises:
        ConfigurationError: It is something else.
    """
    import pyarrow as pa
    import pyarrow.dataset as pad

    if isinstance(data, pa.Schema):
        return _expressions(data)
    if isinstance(data, pa.Table):
        return pad.dataset(data).to_table(columns=_expressions(data.schema))
    if isinstance(data, pad.Dataset):
        return data.to_table(columns=_expressions(data.schema))
    module = type(data).__module__.partition(".")[0].lstrip("_")
    if module == "polars":
        return _of_polars(data)
    if module == "duckdb" or hasattr(data, "fetch_arrow_table"):
        return _of_duckdb(data)
    raise ConfigurationError(
        f"dotted_columns() takes a pyarrow schema, table or dataset, a polars frame or a duckdb relation, not {data!r}."
    )


def _leaves(fields: "Any", parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every column that is no struct."""
    import pyarrow as pa

    for field in fields:
        path = (*parents, field.name)
        if isinstance(field.type, pa.StructType):
            yield from _leaves([field.type.field(n) for n in range(field.type.num_fields)], path)
        else:
            yield path


def _expressions(schema: "pa.Schema") -> "dict[str, pc.Expression]":
    import pyarrow.compute as pc

    return {".".join(path): pc.field(*path) for path in _leaves(schema)}


def _of_polars(frame: Any) -> Any:
    pl = imported("polars")

    def leaves(expression: Any, kind: Any, name: str) -> Iterator[Any]:
        if isinstance(kind, pl.Struct):
            for field in kind.fields:
                inner = expression.struct.field(field.name)
                yield from leaves(inner, field.dtype, f"{name}.{field.name}")
        else:
            yield expression.alias(name)

    schema = frame.collect_schema()
    return frame.select(
        [leaf for name, kind in schema.items() for leaf in leaves(pl.col(name), kind, name)]
    )


def _of_duckdb(relation: Any) -> Any:
    columns: list[str] = []

    def add(expression: str, kind: Any, name: str) -> None:
        if kind.id == "struct":
            for child, child_kind in kind.children:
                add(f"{expression}.{_quoted(child)}", child_kind, f"{name}.{child}")
        else:
            columns.append(f"{expression} AS {_quoted(name)}")

    for name, kind in zip(relation.columns, relation.types, strict=True):
        add(_quoted(name), kind, name)
    return relation.project(", ".join(columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
