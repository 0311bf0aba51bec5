"""The manifest: what one partition has on disk, one row per file. This module is only its format.

```
<destination>/.roboto/<asset key>/<partition key>.parquet
```

It is written under a temporary name and renamed, after every run, failed or not. The folder of one
asset reads as one `pyarrow.dataset`. A row's status, from run to run:

```
              ┌──────────────── the record or the local file changed ───────────────┐
              ▼                                                                     │
listed ─► fetched ─► unchanged ─► unchanged … ──────────────────────────────────────┤
   │          │            │                                                        │
   │          └────────────┴─► not_listed ─► removed ─► (no row)                    │
   │                             on disk; left out by the platform or the patterns  │
   ├─► failed    with an `mtime_ns`: an older complete version is on disk ──────────┤
   └─► skipped   refused and on_refused="skip" (see `error_code`), or an empty directory marker
```

`fetched`, `unchanged` and `failed` rows are the partition's files. A row with an `mtime_ns` is on disk.
"""

import contextlib
import errno
import functools
import os
import pathlib
import urllib.parse
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.disk.folder import Durability
from roboto_dagster.disk.parquet_file import (
    ROWS_PER_BATCH,
    open_parquet,
    row_groups,
    table_of,
    write_parquet,
)
from roboto_dagster.errors import ManifestError, MissingPartitionError

if TYPE_CHECKING:  # pyarrow would cost every import of the package, and only a run needs it
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA_VERSION = 2
"""Version 2 has the statuses `skipped` and `not_listed`; its columns are those of version 1."""

_READABLE_VERSIONS = frozenset({b"1", b"2"})
_VERSION_KEY = b"roboto_dagster.manifest_version"


@functools.cache
def schema() -> "pa.Schema":
    """Return the columns of a manifest."""
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
    """Return the path of the manifest of one partition.

    Args:
        destination: The folder the asset was given.
        asset_key: The asset's key, its parts joined by `/`.
        partition_key: The partition's key, or the dataset's id where there are no partitions.
    """
    return destination / ".roboto" / file_name(asset_key) / f"{file_name(partition_key)}.parquet"


def file_name(key: str) -> str:
    """Turn any key into one file name, reversibly: `urllib.parse.unquote` gives the key back."""
    quoted = urllib.parse.quote(key, safe="")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def write_manifest(
    path: pathlib.Path,
    batches: Iterable[Sequence[Sequence[Any]]],
    *,
    within: pathlib.Path | None = None,
    durability: Durability = "none",
    metadata: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write a manifest in place of the last one, in one step.

    Args:
        path: From `manifest_path`.
        batches: Rows in the order of `schema`, many at a time, so that memory stays flat.
        within: A parent of `path` below which no link is followed; None trusts all of the path.
        durability: What is forced to the disk before it counts as written.
        metadata: Kept in the file besides its version. Default: none.

    Raises:
        ManifestError: It cannot be written; the last manifest is then untouched.
    """
    columns = schema().with_metadata({**(schema().metadata or {}), **(metadata or {})})
    try:
        write_parquet(
            path,
            columns,
            (table_of(rows, columns) for rows in batches),
            within=within,
            durability=durability,
        )
    except OSError as error:
        code = "NO_SPACE: " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise ManifestError(
            f"{code}The manifest {path} cannot be written: {error.strerror or error}. Completed files are on disk, and "
            "the last manifest is unchanged. Make room or correct the permissions, then run it again."
        ) from error


def read_manifest(path: str | os.PathLike[str]) -> "pa.Table":
    """Read a complete manifest.

    Args:
        path: From `manifest_path`, or the metadata `roboto/manifest`.

    Returns:
        A table with the columns of `schema`.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _open(path) as file:
        return file.read(use_threads=False)


def read_file_metadata(
    path: str | os.PathLike[str], within: pathlib.Path | None = None
) -> dict[bytes, bytes]:
    """Return the metadata of the file as such.

    Args:
        path: From `manifest_path`.
        within: A parent of `path` below which no link is followed; None trusts its folder.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _open(path, within) as file:
        return dict(file.schema_arrow.metadata or {})


def iterate_manifest(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    *,
    within: pathlib.Path | None = None,
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows of some columns, many at a time, so that memory stays flat.

    Args:
        path: From `manifest_path`.
        columns: Names of columns of `schema`.
        within: A parent of `path` below which no link is followed; None trusts its folder.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    for values in iterate_columns(path, columns, within=within):
        yield list(zip(*values, strict=True))


def iterate_columns(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    *,
    within: pathlib.Path | None = None,
    dataset_ids: Collection[str] | None = None,
) -> Iterator[list[list[Any]]]:
    """Yield the values of some columns, for many rows at a time.

    Times come as microseconds since the epoch: to make an object of each would take longer than all else.

    Args:
        path: From `manifest_path`.
        columns: Names of columns of `schema`.
        within: A parent of `path` below which no link is followed; None trusts its folder.
        dataset_ids: Only rows of such datasets are wanted: parts of the file that have none are left out.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _open(path, within) as file:
        groups = list(range(file.num_row_groups))
        if dataset_ids is not None:
            groups = row_groups(
                file,
                "dataset_id",
                lambda low, high: any(low <= each <= high for each in dataset_ids),
            )
        batches = file.iter_batches(ROWS_PER_BATCH, groups, list(columns), use_threads=False)
        for batch in batches:
            yield [_plain_values(batch.column(name)) for name in columns]


def _plain_values(column: "pa.Array[Any]") -> list[Any]:
    import pyarrow as pa

    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Translate what reading a broken file raises, wherever it is broken."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        msg = f"There is no manifest at {os.fspath(path)}: materialize the partition first."
        raise MissingPartitionError(msg) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ManifestError(
            f"The manifest {os.fspath(path)} cannot be read: {reason}. {_ADVICE}"
        ) from error


_ADVICE = "The next materialization sets it aside and writes a new one."


@contextlib.contextmanager
def _open(
    path: str | os.PathLike[str], within: pathlib.Path | None = None
) -> Iterator["pq.ParquetFile"]:
    with _reading(path), open_parquet(path, within) as file:
        _check_schema(path, file)
        yield file


def _check_schema(path: str | os.PathLike[str], file: "pq.ParquetFile") -> None:
    found = file.schema_arrow
    version = (found.metadata or {}).get(_VERSION_KEY)
    if version not in _READABLE_VERSIONS:
        msg = f"The file {os.fspath(path)} is no manifest of a version that this release reads (1 to {SCHEMA_VERSION})."
        raise ManifestError(f"{msg} {_ADVICE}")
    for field in schema():
        index = found.get_field_index(field.name)
        if index < 0 or found.field(index).type != field.type:
            raise ManifestError(
                f"The manifest {os.fspath(path)} has no column {field.name} of type {field.type}. {_ADVICE}"
            )
