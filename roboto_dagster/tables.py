"""Delivered files as Arrow tables: the manifests' rows, and the data in Parquet, CSV, Arrow and Feather files."""

import concurrent.futures
import functools
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.sync.manifest import read_manifest, schema
from roboto_dagster.text import one_line, some

if TYPE_CHECKING:  # pyarrow would cost every import of the package
    import pyarrow as pa
    import pyarrow.dataset as pad

DataFormat = Literal["parquet", "csv", "ipc", "feather"]
"""What `pyarrow.dataset` reads here."""

FORMATS: dict[str, DataFormat] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "feather",
}
"""The same by the end of a file's name."""

_MAX_NAMED_FILES = 3
_READERS = 8  # of the files' schemas; the disk is what they wait for


def checked_format(data_format: object) -> DataFormat | None:
    """Return a format that can be read, or None for whichever is there.

    Args:
        data_format: What the metadata of an input has.

    Raises:
        ConfigurationError: It is another one.
    """
    for known in get_args(DataFormat):
        if data_format == known:
            found: DataFormat = known
            return found
    if data_format is None:
        return None
    raise ConfigurationError(
        f"The format {data_format!r} cannot be read: it is one of {', '.join(get_args(DataFormat))}."
    )


def delivered_table(manifests: Sequence[pathlib.Path]) -> "pa.Table":
    """Return the rows of delivered files of several manifests, with the paths where the files are now.

    Args:
        manifests: From `manifest_path`; a destination may have been moved since they were written.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = []
    for manifest in manifests:
        rows = read_manifest(manifest)
        rows = rows.filter(pc.is_in(rows["status"], pa.array(["fetched", "unchanged"])))
        destination = str(manifest.parents[2])
        paths = pc.binary_join_element_wise(  # type: ignore[call-overload]  # scalars and columns may be mixed
            destination, rows["dataset_id"], rows["relative_path"], "/"
        )
        position = rows.schema.get_field_index("path")
        tables.append(rows.set_column(position, rows.schema.field(position), paths))
    return pa.concat_tables(tables) if tables else schema().empty_table()


def empty_dataset() -> "pad.Dataset":
    """Return a dataset without rows and without columns: no file shows which it would have."""
    import pyarrow as pa
    import pyarrow.dataset as pad

    return pad.dataset(pa.schema([]).empty_table())


def open_dataset(
    paths: Sequence[pathlib.Path],
    data_format: DataFormat,
    constants: Sequence[Mapping[str, str]] | None = None,
    remedy: str = "narrow the asset's include_patterns",
) -> "pad.Dataset":
    """Return the data of files of one format, with the columns of all of them.

    Arrow alone takes the columns of the first file, and drops those that only others have.

    Args:
        paths: The files, one or more.
        data_format: Their format.
        constants: Of each file, columns that are added to its rows, the same ones for all. Default: none.
        remedy: What else to do about columns whose types do not go together. Default: to narrow the patterns.

    Raises:
        ConfigurationError: A file cannot be read, or a column has types that do not go together; the
            message names the files.
    """
    import pyarrow as pa
    import pyarrow.dataset as pad

    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
        schemas = list(pool.map(_schema_of, paths, itertools.repeat(data_format)))
    if len({str(each) for each in schemas}) > 1:
        schemas = [_without_dictionaries(each) for each in schemas]
    try:
        unified = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ConfigurationError(_conflict(paths, schemas, remedy)) from error
    if constants is None:
        return pad.dataset([str(path) for path in paths], schema=unified, format=data_format)
    return _with_constants(paths, unified, data_format, constants)


def _with_constants(
    paths: Sequence[pathlib.Path],
    schema: "pa.Schema",
    data_format: DataFormat,
    constants: Sequence[Mapping[str, str]],
) -> "pad.Dataset":
    """Add columns as Arrow adds those of a partition: they cost nothing, and filters on them choose files."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as pad
    from pyarrow import fs

    for name in constants[0]:
        schema = schema.append(pa.field(name, pa.string()))
    expressions = [
        functools.reduce(
            lambda left, right: left & right,
            [pc.field(name) == value for name, value in each.items()],
        )
        for each in constants
    ]
    return pad.FileSystemDataset.from_paths(
        [str(path) for path in paths],
        schema=schema,
        format={"parquet": pad.ParquetFileFormat, "csv": pad.CsvFileFormat}.get(
            data_format, pad.IpcFileFormat
        )(),
        filesystem=fs.LocalFileSystem(),
        partitions=expressions,
    )


def _schema_of(path: pathlib.Path, data_format: DataFormat) -> "pa.Schema":
    import pyarrow as pa
    import pyarrow.dataset as pad

    try:
        return pad.dataset(str(path), format=data_format).schema
    except (pa.ArrowException, OSError) as error:
        raise ConfigurationError(
            f"{one_line(path)} cannot be read as {data_format}: {one_line(str(error).splitlines()[0])}. Leave it out with "
            "the asset's exclude_patterns, or upload the file again."
        ) from error


def _without_dictionaries(schema: "pa.Schema") -> "pa.Schema":
    """Categories of one file, where another one has plain values, are read as plain values."""
    import pyarrow as pa

    for position, field in enumerate(schema):
        if isinstance(field.type, pa.DictionaryType):
            schema = schema.set(position, field.with_type(field.type.value_type))
    return schema


def _conflict(paths: Sequence[pathlib.Path], schemas: Sequence["pa.Schema"], remedy: str) -> str:
    """Name the first column whose types do not go together, and files that have each of them."""
    import pyarrow as pa

    for name in dict.fromkeys(name for each in schemas for name in each.names):
        by_type: dict[str, list[str]] = {}
        fields = []
        for path, each in zip(paths, schemas, strict=True):
            for position in each.get_all_field_indices(name):
                fields.append(pa.schema([each.field(position).with_name(name)]))
                by_type.setdefault(str(each.field(position).type), []).append(one_line(path))
        try:
            pa.unify_schemas(fields, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            types = "; ".join(
                f"{kind} in {some(files, _MAX_NAMED_FILES)}" for kind, files in by_type.items()
            )
            break
    else:
        name, types = "(one of them)", "types that do not go together"
    return (
        f"The files cannot be read as one dataset: the column {one_line(name)} is {types}. Load them as "
        f"list[pathlib.Path] and convert them, or {remedy}."
    )
