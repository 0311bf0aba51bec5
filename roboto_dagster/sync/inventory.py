"""The inventory of one sync: what is listed, what earlier runs published, and what is planned.

Kept in a private temporary SQLite database, which stays in memory while it is small and spills to
disk by itself, so that a dataset of a million files costs no more memory than one of a thousand.
For one thread. `known_files`, `refusals`, `unlisted` and `outcomes` work on the same database.
"""

import array
import itertools
import json
import pathlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from typing_extensions import Self

from roboto_dagster.errors import DiskSpaceError
from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.insertion import insert_rows
from roboto_dagster.sync.listed_rows import PLACE, FactsOf, listed_rows, nothing_recorded
from roboto_dagster.sync.plan import KnownFile, LocalFile, Undecided

BATCH = 5_000
_LISTED_TOGETHER = 500  # of more, what was just made leaves the processor's cache: measured, a tenth of a listing's time
FILE_WIDTH = 8
"""Number of the columns `inventory_sql.FILE_COLUMNS`."""


class PlannedFile(NamedTuple):
    """One listed file.

    Attributes:
        seq: Its number in the inventory.
        dataset_id: The dataset it belongs to.
        remote: As the platform lists it.
        on_disk: Size, modification time and inode of the file in its place when the plan was made; None if there was
            none. Only `files` fills it in.
    """

    seq: int
    dataset_id: str
    remote: RemoteFile
    on_disk: tuple[int, int, int] | None = None

    @property
    def path(self) -> str:
        """Its path below the destination."""
        return f"{self.dataset_id}/{self.remote.relative_path}"


class Source(NamedTuple):
    """Where files are read from: whose credentials are used, and the bucket."""

    association_id: str
    bucket_name: str


class Totals(NamedTuple):
    """Files and bytes."""

    files: int
    size_bytes: int


class Inventory:
    """See the module; use it in a `with`.

    Attributes:
        db: The database, for the modules that work on it too.
        recorded: Returns what is recorded of files while they are added. At first: nothing.
    """

    def __init__(self) -> None:
        self.recorded: FactsOf = nothing_recorded
        self.db = sqlite3.connect("", isolation_level=None)
        self.db.executescript(
            # Pages of 16 KiB: rows are added and read by the thousand, in order.
            "PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            + sql.TABLES
            + "BEGIN;"
        )
        self._folders_in_the_way: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.db.close()
        if isinstance(error, sqlite3.OperationalError):
            raise DiskSpaceError(
                f"NO_SPACE: the list of the files cannot be kept in the folder for temporary files, "
                f"{tempfile.gettempdir()} ({error}). Completed files are kept. Make room there, or set TMPDIR (and "
                "SQLITE_TMPDIR, if it is set) to a folder with more room, then run it again."
            ) from error

    def add_remote(self, dataset_id: str, files: Iterable[RemoteFile]) -> None:
        """Add the listed files of one dataset: check their paths, and note the folders that they need.

        Args:
            dataset_id: The dataset.
            files: As `platform.files.FileListing` yields them.
        """
        for batch in batched(files, _LISTED_TOGETHER):
            columns, rows = listed_rows(dataset_id, batch, self.recorded)
            self._note_folders(row[PLACE] for row in rows)
            insert_rows(self.db, f"INSERT INTO file ({columns})", rows)

    def _note_folders(self, places: Iterable[str | None]) -> None:
        last = ""
        for place in places:
            folder = place.rpartition("/")[0] if place else last
            if folder == last:  # most files are beside the one before
                continue
            last = folder
            parts = folder.split("/")
            folders = (("/".join(parts[: depth + 1]),) for depth in range(1, len(parts)))
            self.db.executemany("INSERT OR IGNORE INTO folder VALUES (?)", folders)

    def undecided(self) -> Iterator[Undecided]:
        """Yield every file that was neither refused nor skipped, with what is known of it."""
        return map(Undecided._make, self.pages(sql.UNDECIDED))

    def plan_fetches(self, found: Iterable[tuple[int, LocalFile | None, bool]]) -> None:
        """Plan to fetch files. Until its end is noted, each counts as not reached: an interrupted run must not claim it.

        Args:
            found: The number of each file, what is at its place now, and whether what is known of it may be kept.
        """
        for batch in batched(found):
            self.db.execute(sql.PLAN_FETCH, (json.dumps([seq for seq, _, _ in batch]),))
            wrong = [seq for seq, _, may_keep in batch if not may_keep]
            if wrong:
                self.db.execute(sql.FORGET, (json.dumps(wrong),))
                self.db.execute(sql.FORGET_RECORDED, (json.dumps(wrong),))
            self.db.executemany(
                sql.NOTE_ON_DISK,
                (
                    (local.size_bytes, local.mtime_ns, local.inode, seq)
                    for seq, local, _ in batch
                    if local is not None and local.is_regular
                ),
            )
            self._folders_in_the_way += [
                seq for seq, local, _ in batch if local is not None and local.is_folder
            ]

    def folders_in_the_way(self) -> Iterator[PlannedFile]:
        """Yield the files to be fetched in whose place a folder was when they were planned."""
        return self.files(self._folders_in_the_way)

    def plan_keeps(self, numbers: Iterable[int]) -> None:
        """Plan to keep files that were to be fetched: what is on disk turned out to be right."""
        self.db.executemany(sql.PLAN_KEEP, ((number,) for number in numbers))

    def totals(self, *actions: str) -> Totals:
        """Count the files with one of some actions, or all."""
        where = f"WHERE action IN ({', '.join('?' * len(actions))})" if actions else ""
        row = self.db.execute(
            f"SELECT count(*), coalesce(sum(size_bytes), 0) FROM file {where}", actions
        )
        return Totals(*row.fetchone())

    def sources(self) -> list[Source]:
        """Return every source from which something is to be fetched."""
        rows = self.db.execute(
            "SELECT DISTINCT association_id, bucket FROM file WHERE action = 'fetch' ORDER BY 1, 2"
        )
        return [Source(*row) for row in rows]

    def to_fetch(self, source: Source) -> "array.array[int]":
        """Return the numbers of what is to be fetched from one source, big files first: they must not be the tail."""
        rows = self.db.execute(
            "SELECT seq FROM file WHERE action = 'fetch' AND association_id = ? AND bucket = ?"
            " ORDER BY size_bytes DESC, seq",
            source,
        )
        return array.array("q", (seq for (seq,) in rows))

    def files(self, numbers: Iterable[int]) -> Iterator[PlannedFile]:
        """Yield files by their numbers, in that order."""
        for batch in batched(numbers, 500):
            (text,) = self.db.execute(sql.FILES, (json.dumps(batch),)).fetchone()
            by_number = {row[0]: row for row in json.loads(text)}
            for number in batch:
                row = by_number[number]
                found = row[FILE_WIDTH:]
                yield planned_file(row, None if found[0] is None else tuple(found))

    def folders_to_fill(self) -> Iterator[str]:
        """Yield every folder into which something is to be fetched, below the destination."""
        last = None
        rows = self.db.execute(
            "SELECT dataset_id, relative_path FROM file WHERE action = 'fetch' ORDER BY dataset_id, relative_path"
        )
        for dataset_id, relative_path in rows:
            folder = f"{dataset_id}/{relative_path}".rpartition("/")[0]
            if folder != last:
                last = folder
                yield folder

    def manifest_rows(self, destination: pathlib.Path) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of the new manifest in the order of its schema, many at a time."""
        cursor = self.db.execute(sql.MANIFEST_ROWS, {"root": f"{destination}/"})
        while rows := cursor.fetchmany(BATCH):
            yield rows

    def pages(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Run a query page by page, so that rows may be updated between two pages.

        Args:
            query: With `seq` as its first column, and `seq > ? … LIMIT ?` at its end.
            values: For the marks before these.
        """
        last = 0
        while rows := self.db.execute(query, (*values, last, BATCH)).fetchall():
            yield from rows
            last = rows[-1][0]


def planned_file(row: Sequence[Any], on_disk: tuple[int, int, int] | None = None) -> PlannedFile:
    """Make a file of a row that starts with `inventory_sql.FILE_COLUMNS`.

    Args:
        row: The row.
        on_disk: Size, modification time and inode of what is in its place. Default None: nothing is, or it is not known.
    """
    seq, dataset_id, *fields = row[:FILE_WIDTH]  # in the order of `RemoteFile`
    return PlannedFile(seq, dataset_id, RemoteFile(*fields), on_disk)


def known_file(columns: Sequence[Any]) -> KnownFile | None:
    """Make facts of the columns `file_id`, `version`, `size_bytes` and `mtime_ns`; None of an outer join's blanks."""
    file_id, version, size_bytes, mtime_ns = columns
    if mtime_ns is None:
        return None
    return KnownFile(file_id=file_id, version=version, size_bytes=size_bytes, mtime_ns=mtime_ns)


def batched(items: Iterable[Any], size: int = BATCH) -> Iterator[list[Any]]:
    """Yield lists of items; the last one may be shorter.

    Args:
        items: The items.
        size: How many items a list has. Default 5,000.
    """
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
