"""Facts about files that earlier runs published, as read from manifests and publish logs.

Both are on a disk that others write to as well: each row is checked before it is used. A row whose path
would leave the destination, or with a value of the wrong type, is left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.platform.scope import is_dataset_id

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

_TEXTS = ("dataset_id", "relative_path", "file_id", "uri")
_OPTIONAL_TEXTS = ("etag", "checksum", "verified")
_NUMBERS = ("version", "size_bytes", "mtime_ns")
_INDEX = {name: index for index, name in enumerate(KNOWN_COLUMNS)}


def known_rows(rows: Iterable[Sequence[Any]]) -> Iterator[KnownRow]:
    """Yield the rows that are facts about a file on disk.

    Args:
        rows: Values in the order of `KNOWN_COLUMNS`, of any type.
    """
    return filter(None, map(known_row, rows))


def known_row(values: Sequence[Any]) -> KnownRow | None:
    """Check one row.

    Args:
        values: In the order of `KNOWN_COLUMNS`, of any type.

    Returns:
        The row, or None if it is not usable.
    """
    if len(values) != len(KNOWN_COLUMNS) or not all(map(_is_text, _pick(values, _TEXTS))):
        return None
    if not all(map(_is_number, _pick(values, _NUMBERS))):
        return None
    if not all(value is None or _is_text(value) for value in _pick(values, _OPTIONAL_TEXTS)):
        return None
    row = KnownRow(*values)
    is_ours = is_dataset_id(row.dataset_id) and unsafe_reason(row.relative_path) is None
    return row if is_ours and (row.fetched_at is None or _is_number(row.fetched_at)) else None


def _pick(values: Sequence[Any], names: Iterable[str]) -> Iterator[Any]:
    return (values[_INDEX[name]] for name in names)


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry and no database can store
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INT
