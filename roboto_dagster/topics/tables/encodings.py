"""How the columns of a table are written."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def dictionary_columns(schema: "pa.Schema") -> list[str]:
    """Return the columns that are written with a dictionary: texts, which repeat.

    Numbers of sensors do not, and building dictionaries of them takes most of the time of writing.

    Args:
        schema: Of the table.

    Returns:
        Paths of leaves, as Parquet names them: `header.frame_id`, `names.list.element`.
    """
    return [path for field in schema for path in _texts(field.name, field.type)]


def _texts(path: str, kind: "pa.DataType") -> Iterator[str]:
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield path
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _texts(f"{path}.{kind.field(index).name}", kind.field(index).type)
    elif pa.types.is_map(kind):
        yield from _texts(f"{path}.key_value.key", kind.key_type)
        yield from _texts(f"{path}.key_value.value", kind.item_type)
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _texts(f"{path}.list.element", kind.value_type)


def value_bytes(rows: "pa.RecordBatch") -> int:
    """Return how large the values are, on average, of the column with the largest ones; lists have many small ones.

    Args:
        rows: Of a table.
    """
    import pyarrow as pa

    sizes = [column.nbytes for column in rows.columns if not pa.types.is_list(column.type)]
    return max(sizes, default=0) // max(rows.num_rows, 1)


def column_types(schema: "pa.Schema") -> dict[str, str]:
    """Return the columns of a table: their names, those inside structs with dots, and Arrow types.

    Args:
        schema: Of the table.
    """
    return dict(pair for field in schema for pair in _leaves(field.name, field.type))


def _leaves(path: str, kind: "pa.DataType") -> Iterator[tuple[str, str]]:
    import pyarrow as pa

    if pa.types.is_struct(kind) and kind.num_fields:
        for index in range(kind.num_fields):
            yield from _leaves(f"{path}.{kind.field(index).name}", kind.field(index).type)
    else:
        yield path, str(kind)
