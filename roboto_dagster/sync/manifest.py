"""The manifest: what one partition holds on disk, one row a file. This module is only its format.

```
<destination>/.roboto/<asset key>/<partition key>.parquet
```

It is written under a temporary name and renamed, after every run, failed or not. The folder of one
asset reads as one
`pyarrow.dataset`.
"""

import contextlib
import errno
import functools
import os
import pathlib
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import ManifestError

if TYPE_CHECKING:  # pyarrow would cost every import of the package, and only a run needs it
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA_VERSION = 1
_VERSION_KEY = b"roboto_dagster.manifest_version"
_ROWS_PER_GROUP = 50_000


@functools.cache
def schema() -> "pa.Schema":
    """Returns the columns of a manifest.

    `status` is fetched, unchanged, failed or removed. A row with an `mtime_ns` is on disk: a failed
    one with it tells of the last version that was whole.
    """
    import pyarrow as pa

    fields: list[pa.Field[Any]] = [
        pa.field("file_id", pa.string()),
        pa.field("version", pa.int64()),
        pa.field("relative_path", pa.string()),
        pa.field("path", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("uri", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("checksum", pa.string()),
        pa.field("verified", pa.string()),
        pa.field("status", pa.string()),
        pa.field("attempts", pa.int32()),
        pa.field("duration_seconds", pa.float64()),
        pa.field("error_code", pa.string()),
        pa.field("error", pa.string()),
        pa.field("fetched_at", pa.timestamp("us", tz="UTC")),
        pa.field("dataset_id", pa.string()),
    ]
    return pa.schema(fields, metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()})


def manifest_path(destination: pathlib.Path, asset_key: str, partition_key: str) -> pathlib.Path:
    """Returns where the manifest of one partition lies.

    Args:
        destination: The folder the asset was given.
        asset_key: The asset's key, its parts joined by `/`.
        partition_key: The partition's key, or the dataset's id where there are no partitions.
    """
    return destination / ".roboto" / file_name(asset_key) / f"{file_name(partition_key)}.parquet"


def file_name(key: str) -> str:
    """Turns any key into one file name, reversibly: `urllib.parse.unquote` gives the key back."""
    quoted = urllib.parse.quote(key, safe="")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def write_manifest(
    path: pathlib.Path,
    batches: Iterable[Sequence[Sequence[Any]]],
    *,
    within: pathlib.Path | None = None,
) -> None:
    """Writes a manifest in place of the last one, in one step.

    Args:
        path: From `manifest_path`.
        batches: Rows in the order of `schema`, many at a time, so that memory stays flat.
        within: A parent of `path` below which no link is followed; None trusts the whole path.

    Raises:
        ManifestError: It cannot be written; the last manifest is then untouched.
    """
    import pyarrow.parquet as pq

    try:
        partial = open_partial(path, within)
        try:
            with (
                os.fdopen(os.dup(partial.fd), "wb") as file,
                pq.ParquetWriter(
                    file, schema(), compression="zstd", write_page_checksum=True
                ) as writer,
            ):
                for rows in batches:
                    writer.write_table(_table(rows), row_group_size=_ROWS_PER_GROUP)
            partial.publish()
        finally:
            partial.discard()
    except OSError as error:
        code = "NO_SPACE: " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise ManifestError(
            f"{code}The manifest {path} cannot be written: {error.strerror or error}. What was delivered is whole on disk, "
            "and the last manifest is untouched; make room or correct the permissions, then run it again."
        ) from error


def _table(rows: Sequence[Sequence[Any]]) -> "pa.Table":
    import pyarrow as pa

    fields = list(schema())
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    return pa.Table.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)],
        schema=schema(),
    )


def read_manifest(path: str | os.PathLike[str]) -> "pa.Table":
    """Reads a manifest whole.

    Args:
        path: From `manifest_path`, or the metadata `roboto/manifest`.

    Returns:
        A table with the columns of `schema`.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _open(path) as file, _reading(path):
        return file.read()


def iterate_manifest(
    path: str | os.PathLike[str], columns: Sequence[str]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yields rows of some columns, many at a time, so that memory stays flat.

    Times come as microseconds since the epoch: to make an object of each would take longer than all else.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _open(path) as file, _reading(path):
        for batch in file.iter_batches(batch_size=_ROWS_PER_GROUP // 5, columns=list(columns)):
            yield list(zip(*(_plain_values(batch.column(name)) for name in columns), strict=True))


def _plain_values(column: "pa.Array[Any]") -> list[Any]:
    import pyarrow as pa

    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Translates what reading a broken file raises, wherever it is broken."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        msg = f"There is no manifest at {os.fspath(path)}: materialize the partition first."
        raise ManifestError(msg) from error
    except (pa.ArrowException, OSError) as error:
        msg = f"The manifest {os.fspath(path)} cannot be read: {str(error).splitlines()[0]}. Delete it to begin anew."
        raise ManifestError(msg) from error


def _open(path: str | os.PathLike[str]) -> "pq.ParquetFile":
    import pyarrow.parquet as pq

    with _reading(path):
        file = pq.ParquetFile(os.fspath(path), page_checksum_verification=True)
    version = (file.schema_arrow.metadata or {}).get(_VERSION_KEY)
    if version != str(SCHEMA_VERSION).encode():
        file.close()
        msg = f"The file {os.fspath(path)} is no manifest of version {SCHEMA_VERSION}. Delete it to begin anew."
        raise ManifestError(msg)
    return file
