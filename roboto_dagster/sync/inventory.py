"""The working set of one sync: what is listed, what the last manifest says, what is decided and
what came of it.

Kept in a private temporary SQLite database, which lives in memory while it is small and spills to
disk by itself, so that a dataset of a million files costs no more memory than one of a thousand.
For one thread.
"""

import array
import itertools
import pathlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from typing_extensions import Self

from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.errors import ErrorCode
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.plan import Action, KnownFile, place_of

_BATCH = 5_000

_TABLES = """
CREATE TABLE file (
    seq INTEGER PRIMARY KEY, dataset_id TEXT, file_id TEXT, version INTEGER, relative_path TEXT, place TEXT,
    size_bytes INTEGER, uri TEXT, association_id TEXT, bucket TEXT,
    action TEXT DEFAULT 'keep', status TEXT DEFAULT 'unchanged', attempts INTEGER DEFAULT 0,
    duration_seconds REAL DEFAULT 0, error_code TEXT, error TEXT,
    disk_bytes INTEGER, mtime_ns INTEGER, etag TEXT, checksum TEXT, verified TEXT, fetched_at INTEGER
);
CREATE TABLE known (
    dataset_id TEXT, relative_path TEXT, file_id TEXT, version INTEGER, size_bytes INTEGER, mtime_ns INTEGER, uri TEXT,
    etag TEXT, checksum TEXT, verified TEXT, fetched_at INTEGER, PRIMARY KEY (dataset_id, relative_path)
) WITHOUT ROWID;
CREATE TABLE folder (place TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE removed (dataset_id TEXT, relative_path TEXT);
"""

KNOWN_COLUMNS = (
    "dataset_id",
    "relative_path",
    "file_id",
    "version",
    "size_bytes",
    "mtime_ns",
    "uri",
    "etag",
    "checksum",
    "verified",
    "fetched_at",
)
"""The manifest columns that the next run needs, in the order in which `add_known` takes them."""

_MTIME = KNOWN_COLUMNS.index("mtime_ns")

_MANIFEST_ROWS = """
SELECT CASE WHEN file.status = 'failed' AND known.mtime_ns IS NOT NULL THEN known.file_id ELSE file.file_id END,
    CASE WHEN file.status = 'failed' AND known.mtime_ns IS NOT NULL THEN known.version ELSE file.version END,
    file.relative_path,
    CASE WHEN file.place IS NOT NULL THEN ? || file.dataset_id || '/' || file.relative_path END,
    CASE file.status WHEN 'fetched' THEN file.disk_bytes ELSE coalesce(known.size_bytes, file.size_bytes) END,
    CASE file.status WHEN 'fetched' THEN file.mtime_ns ELSE known.mtime_ns END,
    CASE WHEN file.status = 'failed' THEN coalesce(known.uri, file.uri) ELSE file.uri END,
    CASE file.status WHEN 'fetched' THEN file.etag ELSE known.etag END,
    CASE file.status WHEN 'fetched' THEN file.checksum ELSE known.checksum END,
    CASE file.status WHEN 'fetched' THEN file.verified ELSE known.verified END,
    file.status, file.attempts, file.duration_seconds, file.error_code, file.error,
    CASE file.status WHEN 'fetched' THEN file.fetched_at ELSE known.fetched_at END,
    file.dataset_id
FROM file LEFT JOIN known USING (dataset_id, relative_path)
UNION ALL
SELECT file_id, version, relative_path, ? || dataset_id || '/' || relative_path, size_bytes, NULL, uri, etag, checksum,
    verified, 'removed', 0, 0, NULL, NULL, fetched_at, dataset_id
FROM removed JOIN known USING (dataset_id, relative_path)
"""

# A file that is listed twice, since pages shift while files are added, counts once, as last listed.
# A prefix is compared by range, `a/` to `a0`, since LIKE would take `_` and `%` in names for
# wildcards.
_COLLISIONS = """
CREATE INDEX file_place ON file (place);
DELETE FROM file WHERE seq IN (
    SELECT one.seq FROM file AS one JOIN file AS later USING (place, file_id) WHERE later.seq > one.seq
);
CREATE TEMP TABLE disputed AS
    SELECT place FROM file WHERE place IS NOT NULL GROUP BY place HAVING count(*) > 1
    UNION SELECT file.place FROM file JOIN folder USING (place);
UPDATE file SET error_code = 'COLLISION', error = 'another file of the dataset claims the same place on disk'
    WHERE place IN (SELECT place FROM disputed);
"""
_BENEATH = """
UPDATE file SET error_code = 'COLLISION', error = 'one of its folders is also a file of the dataset'
    WHERE place >= ? || '/' AND place < ? || '0'
"""


class PlannedFile(NamedTuple):
    """One file of the working set.

    Attributes:
        seq: Its number in the set.
        dataset_id: The dataset it belongs to.
        remote: As the platform lists it.
    """

    seq: int
    dataset_id: str
    remote: RemoteFile


class MissingFile(NamedTuple):
    """A file that the last manifest has and the platform no longer lists.

    Attributes:
        dataset_id: The dataset it belonged to.
        relative_path: Where it was in the dataset.
        known: What the manifest says of it.
    """

    dataset_id: str
    relative_path: str
    known: KnownFile


class Source(NamedTuple):
    """Where files come from: whose credentials read them, and the bucket."""

    association_id: str
    bucket_name: str


class Totals(NamedTuple):
    """Files and bytes."""

    files: int
    size_bytes: int


class Inventory:
    """See the module; use it in a `with`."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES + "BEGIN;"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._db.close()

    def add_remote(self, dataset_id: str, files: Iterable[RemoteFile]) -> None:
        """Adds the files of one dataset, judging their paths and noting the folders that they
        need.
        """
        rows = (self._remote_row(dataset_id, file) for file in files)
        insert = (
            "INSERT INTO file (dataset_id, file_id, version, relative_path, place, size_bytes, uri, association_id, bucket,"
            " error_code, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._db.executemany(insert, rows)

    def _remote_row(self, dataset_id: str, file: RemoteFile) -> tuple[Any, ...]:
        code, reason = file.code, file.reason
        if code is None:
            reason = unsafe_reason(file.relative_path)
            code = "UNSAFE_PATH" if reason else None
        place = None if code else f"{dataset_id}/{place_of(file.relative_path)}"
        if place is not None:
            self._note_folders(place)
        return (
            dataset_id,
            _storable(file.file_id),
            file.version,
            _storable(file.relative_path),
            place,
            file.size_bytes,
            _storable(file.uri),
            _storable(file.association_id),
            _storable(file.bucket_name),
            code,
            reason,
        )

    def _note_folders(self, place: str) -> None:
        folder = place.rpartition("/")[0]
        if folder == self._last_folder:  # most files lie beside the one before
            return
        self._last_folder = folder
        parts = folder.split("/")
        folders = (("/".join(parts[: depth + 1]),) for depth in range(1, len(parts)))
        self._db.executemany("INSERT OR IGNORE INTO folder VALUES (?)", folders)

    _last_folder = ""

    def add_known(self, batches: Iterable[Sequence[Sequence[Any]]]) -> None:
        """Adds rows of the last manifest, in the order of `KNOWN_COLUMNS`; those without an
        `mtime_ns` tell nothing.
        """
        marks = ", ".join("?" * len(KNOWN_COLUMNS))
        for rows in batches:
            whole = (row for row in rows if row[_MTIME] is not None)
            self._db.executemany(f"INSERT OR REPLACE INTO known VALUES ({marks})", whole)

    def refuse_collisions(self) -> None:
        """Refuses all members of every collision: same place, case, Unicode form, or a file `a`
        beside `a/b`.
        """
        self._db.executescript(_COLLISIONS + "BEGIN;")
        folders = self._db.execute(
            "SELECT place FROM disputed JOIN folder USING (place)"
        ).fetchall()
        self._db.executemany(_BENEATH, ((place, place) for (place,) in folders))
        self._db.execute(
            "UPDATE file SET action = 'refuse', status = 'failed' WHERE error_code IS NOT NULL"
        )

    def undecided(self) -> Iterator[tuple[PlannedFile, KnownFile | None]]:
        """Yields every file that was not refused, with what the last manifest says of it."""
        query = (
            f"SELECT {_FILE_COLUMNS}, known.file_id, known.version, known.size_bytes, known.mtime_ns"
            " FROM file LEFT JOIN known USING (dataset_id, relative_path) WHERE action <> 'refuse' AND seq > ?"
            " ORDER BY seq LIMIT ?"
        )
        for row in self._pages(query):
            known = row[_FILE_WIDTH:]
            yield _planned(row), None if known[0] is None else _known_file(known)

    def set_actions(self, decisions: Iterable[tuple[Action, int]]) -> None:
        """Notes decisions, pairs of action and `seq`; what is not decided is kept.

        What is to be fetched counts as cancelled until its end is noted: an interrupted run must
        not claim it.
        """
        update = (
            "UPDATE file SET action = ?, status = 'failed', error_code = 'CANCELLED', error = 'it was not reached'"
            " WHERE seq = ?"
        )
        for batch in _batched(decision for decision in decisions if decision[0] != "keep"):
            self._db.executemany(update, batch)

    def totals(self, action: Action | None = None) -> Totals:
        """Counts the files with an action, or all."""
        where = "WHERE action = :action" if action else ""
        row = self._db.execute(
            f"SELECT count(*), coalesce(sum(size_bytes), 0) FROM file {where}", {"action": action}
        )
        return Totals(*row.fetchone())

    def sources(self) -> list[Source]:
        """Returns every source from which something is to be fetched."""
        rows = self._db.execute(
            "SELECT DISTINCT association_id, bucket FROM file WHERE action = 'fetch' ORDER BY 1, 2"
        )
        return [Source(*row) for row in rows]

    def to_fetch(self, association_id: str, bucket: str) -> "array.array[int]":
        """Returns the numbers of what is to be fetched from one source, big files first: they must
        not be the tail.
        """
        query = (
            "SELECT seq FROM file WHERE action = 'fetch' AND association_id = ? AND bucket = ?"
            " ORDER BY size_bytes DESC, seq"
        )
        return array.array(
            "q", (seq for (seq,) in self._db.execute(query, (association_id, bucket)))
        )

    def files(self, numbers: Iterable[int]) -> Iterator[PlannedFile]:
        """Yields files by their numbers, in that order."""
        for batch in _batched(numbers, 500):
            marks = ", ".join("?" * len(batch))
            rows = self._db.execute(
                f"SELECT {_FILE_COLUMNS} FROM file WHERE seq IN ({marks})", batch
            )
            by_number = {row[0]: row for row in rows}
            for number in batch:
                yield _planned(by_number[number])

    def note_fetched(self, seq: int, receipt: Receipt, mtime_ns: int, fetched_at_us: int) -> None:
        """Notes that a file was published."""
        self._db.execute(
            "UPDATE file SET status = 'fetched', error_code = NULL, error = NULL, attempts = attempts + ?,"
            " duration_seconds = ?, disk_bytes = ?, mtime_ns = ?, etag = ?, checksum = ?, verified = ?, fetched_at = ?"
            " WHERE seq = ?",
            (
                receipt.attempts,
                receipt.duration_seconds,
                receipt.size_bytes,
                mtime_ns,
                receipt.etag,
                receipt.checksum,
                receipt.verified,
                fetched_at_us,
                seq,
            ),
        )

    def note_failed(self, seq: int, code: ErrorCode, error: str, attempts: int) -> int:
        """Notes that a file could not be fetched; returns its attempts so far, these included."""
        update = "UPDATE file SET status = 'failed', error_code = ?, error = ?, attempts = attempts + ? WHERE seq = ?"
        self._db.execute(update, (code, error, attempts, seq))
        (total,) = self._db.execute("SELECT attempts FROM file WHERE seq = ?", (seq,)).fetchone()
        return int(total)

    def missing(self) -> list[MissingFile]:
        """Returns what the last manifest has and the platform no longer lists."""
        query = (
            "SELECT dataset_id, relative_path, known.file_id, known.version, known.size_bytes, known.mtime_ns"
            " FROM known LEFT JOIN file USING (dataset_id, relative_path) WHERE file.seq IS NULL"
        )
        return [
            MissingFile(row[0], row[1], _known_file(row[2:])) for row in self._db.execute(query)
        ]

    def note_removed(self, file: MissingFile) -> None:
        """Notes that a missing file was removed from the disk."""
        self._db.execute("INSERT INTO removed VALUES (?, ?)", (file.dataset_id, file.relative_path))

    def top_files(self, limit: int) -> list[tuple[Any, ...]]:
        """Returns path, status, size, seconds and attempts of a few whole files: the slowest that were
        fetched, then the largest of the others.
        """
        query = (
            "SELECT relative_path, status, coalesce(disk_bytes, size_bytes), duration_seconds, attempts FROM file"
            " WHERE status <> 'failed' ORDER BY duration_seconds DESC, size_bytes DESC, seq LIMIT ?"
        )
        return self._db.execute(query, (limit,)).fetchall()

    @property
    def removed_count(self) -> int:
        """How many files were removed."""
        return int(self._db.execute("SELECT count(*) FROM removed").fetchone()[0])

    def names_to_fetch(self, folder: str) -> Iterator[str]:
        """Yield the names of what is to be fetched into a folder.

        Args:
            folder: Relative to the destination, so that it starts with the dataset.
        """
        dataset_id, _, below = folder.partition("/")
        prefix = f"{below}/" if below else ""
        rows = self._db.execute(
            "SELECT relative_path FROM file WHERE action = 'fetch' AND dataset_id = ?"
            " AND substr(relative_path, 1, ?) = ?",
            (dataset_id, len(prefix), prefix),
        )
        names = (str(path)[len(prefix) :] for (path,) in rows)
        return (name for name in names if "/" not in name)

    def is_listed_or_known(self, path: str) -> bool:
        """Return whether the platform lists a file, or the last manifest has it.

        Args:
            path: Relative to the destination, so that it starts with the dataset.
        """
        dataset_id, _, relative_path = path.partition("/")
        query = (
            "SELECT EXISTS (SELECT 1 FROM file WHERE dataset_id = ?1 AND relative_path = ?2)"
            " OR EXISTS (SELECT 1 FROM known WHERE dataset_id = ?1 AND relative_path = ?2)"
        )
        (found,) = self._db.execute(query, (dataset_id, relative_path)).fetchone()
        return bool(found)

    def refused(self) -> Iterator[tuple[PlannedFile, ErrorCode, str]]:
        """Yields the files that the plan refused, with code and reason."""
        query = f"SELECT {_FILE_COLUMNS}, error_code, error FROM file WHERE action = 'refuse' AND seq > ? ORDER BY seq LIMIT ?"
        for row in self._pages(query):
            yield _planned(row), row[_FILE_WIDTH], row[_FILE_WIDTH + 1]

    def manifest_rows(self, destination: pathlib.Path) -> Iterator[list[tuple[Any, ...]]]:
        """Yields the rows of the new manifest in the order of its schema, many at a time."""
        cursor = self._db.execute(_MANIFEST_ROWS, (f"{destination}/", f"{destination}/"))
        while rows := cursor.fetchmany(_BATCH):
            yield rows

    def _pages(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Runs a query page by page, so that rows may be updated between two pages; `seq` is its
        first column.
        """
        last = 0
        while rows := self._db.execute(query, (last, _BATCH)).fetchall():
            yield from rows
            last = rows[-1][0]


_FILE_COLUMNS = "seq, dataset_id, file.file_id, file.version, relative_path, file.size_bytes, file.uri, association_id"
_FILE_WIDTH = 8


def _planned(row: Sequence[Any]) -> PlannedFile:
    seq, dataset_id, file_id, version, relative_path, size_bytes, uri, association_id = row[
        :_FILE_WIDTH
    ]
    remote = RemoteFile(
        file_id=file_id,
        version=version,
        relative_path=relative_path,
        size_bytes=size_bytes,
        uri=uri,
        association_id=association_id,
    )
    return PlannedFile(seq, dataset_id, remote)


def _known_file(columns: Sequence[Any]) -> KnownFile:
    file_id, version, size_bytes, mtime_ns = columns
    return KnownFile(file_id=file_id, version=version, size_bytes=size_bytes, mtime_ns=mtime_ns)


def _storable(text: str) -> str:
    """Lone surrogates, which no database or Parquet file can hold, become visible escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _batched(items: Iterable[Any], size: int = _BATCH) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
