"""Turns listed files into rows of the inventory's table `file`.

```
files ─┬─ all as most are ──► column by column, at a glance
       └─ otherwise ────────► one by one: refused with a reason, a directory marker, or a file
```
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from roboto_dagster.disk.paths import are_plain, unsafe_reason
from roboto_dagster.platform.records import RemoteFile
from roboto_dagster.sync.plan import is_directory_marker, place_of

MARKER_REASON = "it is an empty directory marker, not a file"

Row = tuple[Any, ...]
"""The values of `inventory_sql.INSERT_FILE`."""

PLACE = 8
"""Where a row has its place; None if it is not to be on the disk."""


def listed_rows(dataset_id: str, files: Sequence[RemoteFile]) -> Iterable[Row]:
    """Return the rows of many files of a dataset.

    Args:
        dataset_id: The dataset.
        files: As `platform.files.FileListing` yields them.
    """
    rows = _plain_rows(dataset_id, files)
    return [_row(dataset_id, file) for file in files] if rows is None else rows


def _plain_rows(dataset_id: str, files: Sequence[RemoteFile]) -> Iterable[Row] | None:
    """Return rows of files that can only be fetched or kept; None if one of them has to be looked at by itself."""
    ids, versions, paths, sizes, uris, associations, codes, _ = zip(*files, strict=True)
    if any(codes) or not are_plain(paths) or not "".join((*ids, *uris, *associations)).isascii():
        return None
    bucket = files[0].bucket_name
    is_one_bucket = all(uri.startswith(f"s3://{bucket}/") for uri in uris)
    return zip(
        itertools.repeat(dataset_id),
        versions,
        sizes,
        ids,
        paths,
        uris,
        associations,
        itertools.repeat(bucket) if is_one_bucket else [file.bucket_name for file in files],
        [f"{dataset_id}/{path.lower()}" for path in paths],  # `place_of`: they are ASCII
        itertools.repeat("keep"),
        itertools.repeat("unchanged"),
        itertools.repeat(None),
        itertools.repeat(None),
        strict=False,
    )


def _row(dataset_id: str, file: RemoteFile) -> Row:
    file_id, version, relative_path, size_bytes, uri, association_id, code, reason = file
    is_marker = code is None and size_bytes == 0 and is_directory_marker(file)
    if is_marker:
        reason = MARKER_REASON
    elif code is None:
        reason = unsafe_reason(relative_path)
        code = "UNSAFE_PATH" if reason else None
    place = None if reason else f"{dataset_id}/{place_of(relative_path)}"
    texts: tuple[str, ...] = (file_id, relative_path, uri, association_id, file.bucket_name)
    if not "".join(texts).isascii():
        texts = tuple(map(_storable, texts))
    return (
        dataset_id,
        version,
        size_bytes,
        *texts,
        place,
        "skip" if is_marker else "keep",
        "skipped" if is_marker else "unchanged",
        code,
        reason,
    )


def _storable(text: str) -> str:
    """Lone surrogates, which no database or Parquet file can store, become visible escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
