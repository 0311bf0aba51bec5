"""Turns listed files into rows of the inventory's table `file`.

```
files ─┬─ all as most are ──► column by column, at a glance
       └─ otherwise ────────► one by one: refused with a reason, a directory marker, or a file
```
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from roboto_dagster.disk.paths import are_plain, unsafe_reason
from roboto_dagster.platform.records import RemoteFile
from roboto_dagster.sync.inventory_sql import FACTS
from roboto_dagster.sync.known import KnownRow
from roboto_dagster.sync.plan import is_directory_marker, place_of

MARKER_REASON = "it is an empty directory marker, not a file"

PLACE = 8
"""Where a row has its place; None if it is not to be on the disk."""

_PLAIN = (
    "dataset_id, version, size_bytes, file_id, relative_path, uri, association_id, bucket, place"
)
_JUDGED = f"{_PLAIN}, action, status, error_code, error"

Row = tuple[Any, ...]

Facts = tuple[Any, ...]
"""What is recorded of a file on disk: the values of `inventory_sql.FACTS`."""

_NO_FACTS: Facts = (None,) * 6

FactsOf = Callable[[str, Sequence[RemoteFile]], Sequence[KnownRow | None]]
"""Returns what is recorded of the very records that are listed, given their dataset; None for those of which nothing is."""


def nothing_recorded(dataset_id: str, files: Sequence[RemoteFile]) -> Sequence[None]:  # noqa: ARG001 -- a `FactsOf`
    """Return that nothing is recorded of any file.

    Args:
        dataset_id: Their dataset.
        files: The files.
    """
    return [None] * len(files)


class ListedRows(NamedTuple):
    """Rows of the inventory's table `file`.

    Attributes:
        columns: Of the table; all others have their defaults.
        rows: Values of these columns.
    """

    columns: str
    rows: list[Row]


def listed_rows(
    dataset_id: str, files: Sequence[RemoteFile], recorded: FactsOf = nothing_recorded
) -> ListedRows:
    """Return the rows of many files of a dataset.

    Args:
        dataset_id: The dataset.
        files: As `platform.files.FileListing` yields them.
        recorded: Returns what is recorded of them. Default: nothing.
    """
    columns = _plain_columns(dataset_id, files)
    if columns is None:
        return _judged_rows(dataset_id, files, recorded)
    facts = recorded(dataset_id, files)
    if not any(facts):  # as in a first sync
        return ListedRows(_PLAIN, list(zip(*columns, strict=False)))
    rows = zip(*columns, *zip(*map(_facts, facts), strict=True), strict=False)
    return ListedRows(f"{_PLAIN}, {FACTS}", list(rows))


def _judged_rows(dataset_id: str, files: Sequence[RemoteFile], recorded: FactsOf) -> ListedRows:
    rows = [_row(dataset_id, file) for file in files]
    usable = [file for file, row in zip(files, rows, strict=True) if row[PLACE] is not None]
    facts = map(_facts, recorded(dataset_id, usable))
    return ListedRows(
        f"{_JUDGED}, {FACTS}",
        [(*row, *(_NO_FACTS if row[PLACE] is None else next(facts))) for row in rows],
    )


def _facts(row: KnownRow | None) -> Facts:
    return _NO_FACTS if row is None else row[4:6] + row[7:]


def _plain_columns(dataset_id: str, files: Sequence[RemoteFile]) -> list[Iterable[Any]] | None:
    """Return columns of files that can only be fetched or kept; None if one of them has to be looked at by itself."""
    ids, versions, paths, sizes, uris, associations, codes, _ = zip(*files, strict=True)
    if any(codes) or not are_plain(paths) or not "".join((*ids, *uris, *associations)).isascii():
        return None
    bucket = files[0].bucket_name
    is_one_bucket = all(uri.startswith(f"s3://{bucket}/") for uri in uris)
    return [
        itertools.repeat(dataset_id),
        versions,
        sizes,
        ids,
        paths,
        uris,
        associations,
        itertools.repeat(bucket) if is_one_bucket else [file.bucket_name for file in files],
        [f"{dataset_id}/{path.lower()}" for path in paths],  # `place_of`: they are ASCII
    ]


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
