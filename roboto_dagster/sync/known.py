"""Facts about files that earlier runs published, as read from manifests and publish logs.

Both are on a disk that others write to as well: each row is checked before it is used. A row whose path
would leave the destination, or with a value of the wrong type, is left out.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from roboto_dagster.disk.paths import are_plain, unsafe_reason
from roboto_dagster.platform.scope import is_dataset_id
from roboto_dagster.text import is_unicode

_MAX_INT = 2**63 - 1  # of SQLite and Parquet


class KnownRow(NamedTuple):
    """Facts about one published file.

    Attributes:
        dataset_id: Its dataset.
        relative_path: Its path there.
        file_id: The platform's id.
        version: Revision of the record that was fetched.
        size_bytes: Size when it was published.
        mtime_ns: Modification time when it was published, in ns since the epoch.
        uri: Where it was fetched from.
        etag: The store's ETag without quotes, or None.
        checksum: The object's checksum, `<algorithm>:<value>`, or None.
        verified: The algorithm that matched, or `size`.
        fetched_at: When, in µs since the epoch.
    """

    dataset_id: str
    relative_path: str
    file_id: str
    version: int
    size_bytes: int
    mtime_ns: int
    uri: str
    etag: str | None
    checksum: str | None
    verified: str | None
    fetched_at: int | None

    @property
    def path(self) -> str:
        """Its path below the destination."""
        return f"{self.dataset_id}/{self.relative_path}"


KNOWN_COLUMNS = KnownRow._fields
"""The manifest's columns that are facts about a published file."""

_NEVER_NONE = 7
"""So many columns have a value in every row of a file on disk."""

# The types of a row, with None for each combination of values that may be missing.
_SHAPES = frozenset(
    itertools.product(
        *[(str,)] * 3, *[(int,)] * 3, (str,), *[(str, type(None))] * 3, (int, type(None))
    )
)


def known_rows(columns: Sequence[Sequence[Any]]) -> Iterator[KnownRow]:
    """Yield the rows of a manifest that are facts about a file on disk.

    Args:
        columns: Values of `KNOWN_COLUMNS`, in that order. Their types are those of the manifest's schema.
    """
    rows = zip(*columns, strict=True)
    return map(KnownRow._make, rows) if _are_plain(columns) else filter(None, map(known_row, rows))


def _are_plain(columns: Sequence[Sequence[Any]]) -> bool:
    """Return whether every row is usable, at a glance: most manifests have no other ones."""
    if any(None in column for column in columns[:_NEVER_NONE]):
        return False
    dataset_ids, paths, _, *numbers = columns[:6]
    times = [0 if value is None else value for value in columns[-1]]
    return (
        all(map(is_dataset_id, set(dataset_ids)))
        and are_plain(paths)
        and min((min(column, default=0) for column in (*numbers, times)), default=0) >= 0
    )


def known_row(values: Sequence[Any]) -> KnownRow | None:
    """Check one row.

    Args:
        values: In the order of `KNOWN_COLUMNS`, of any type.

    Returns:
        The row, or None if it is not usable.
    """
    if tuple(map(type, values)) not in _SHAPES:
        return None
    row = KnownRow._make(values)
    texts = "".join(value for value in values if type(value) is str)
    numbers = (row.version, row.size_bytes, row.mtime_ns, row.fetched_at or 0)
    if min(numbers) < 0 or max(numbers) > _MAX_INT or not is_unicode(texts):
        return None
    is_ours = is_dataset_id(row.dataset_id) and unsafe_reason(row.relative_path) is None
    return row if is_ours else None
