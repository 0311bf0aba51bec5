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

import functools
import os
import pathlib
import urllib.parse
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.disk.parquet_file import ROWS_PER_BATCH, row_groups
from roboto_dagster.sync.manifest_format import ManifestFormat, plain_values

if TYPE_CHECKING:  # pyarrow would cost every import of the package, and only a run needs it
    import pyarrow as pa

SCHEMA_VERSION = 2
"""Version 2 has the statuses `skipped` and `not_listed`; its columns are those of version 1."""


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
    return pa.schema(fields)


_FORMAT = ManifestFormat(
    schema=schema,
    version_key=b"roboto_dagster.manifest_version",
    version=SCHEMA_VERSION,
    readable=(1, 2),
)


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


write_manifest = _FORMAT.write
"""Writes a manifest in place of the last one, in one step; see `ManifestFormat.write`."""


def read_manifest(path: str | os.PathLike[str]) -> "pa.Table":
    """Read a complete manifest.

    Args:
        path: From `manifest_path`, or the metadata `roboto/manifest`.

    Returns:
        A table with the columns of `schema`.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _FORMAT.open(path) as file:
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
    with _FORMAT.open(path, within) as file:
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
    with _FORMAT.open(path, within) as file:
        groups = list(range(file.num_row_groups))
        if dataset_ids is not None:
            groups = row_groups(
                file,
                "dataset_id",
                lambda low, high: any(low <= each <= high for each in dataset_ids),
            )
        batches = file.iter_batches(ROWS_PER_BATCH, groups, list(columns), use_threads=False)
        for batch in batches:
            yield [plain_values(batch.column(name)) for name in columns]
