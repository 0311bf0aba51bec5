"""The results of a sync, file by file: kept in the inventory, so that a million failures cost no memory."""

import array
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from typing_extensions import Self

from roboto_dagster.errors import ADVICE, DownloadError, ErrorCode
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.insertion import insert_rows
from roboto_dagster.sync.inventory import (
    FILE_WIDTH,
    Inventory,
    PlannedFile,
    Source,
    batched,
    planned_file,
)


class FetchedFile(NamedTuple):
    """One file that was published.

    Attributes:
        seq: Its number in the inventory.
        attempts: How often it was tried; added to those before.
        duration_seconds: From the first request to the publishing rename.
        size_bytes: Its size on disk.
        mtime_ns: Its modification time just before it was published, in ns since the epoch.
        etag: The store's ETag, or None.
        checksum: The object's checksum as the store sent it, or None.
        verified: The algorithm that matched, or `size`.
        fetched_at_us: When, in µs since the epoch.
    """

    seq: int
    attempts: int
    duration_seconds: float
    size_bytes: int
    mtime_ns: int
    etag: str | None
    checksum: str | None
    verified: str
    fetched_at_us: int

    @classmethod
    def of(cls, seq: int, receipt: Receipt, mtime_ns: int, fetched_at_us: int) -> Self:
        """Take what a store knows of it.

        Args:
            seq: The file.
            receipt: The store's.
            mtime_ns: Its modification time just before it was published, in ns since the epoch.
            fetched_at_us: When, in µs since the epoch.
        """
        return cls(
            seq,
            receipt.attempts,
            receipt.duration_seconds,
            receipt.size_bytes,
            mtime_ns,
            receipt.etag,
            receipt.checksum,
            receipt.verified,
            fetched_at_us,
        )


class FailureRow(NamedTuple):
    """One file that is not complete, or was skipped.

    Attributes:
        planned: The file.
        code: Why; None for a directory marker.
        reason: Why, in words.
        is_transient: Whether a retry may help.
        attempts: How often it was tried.
        request_id: The store's id of the last failing request, or None.
        advice: What to do next, where that is not the code's; None where it is.
    """

    planned: PlannedFile
    code: ErrorCode | None
    reason: str
    is_transient: bool
    attempts: int
    request_id: str | None
    advice: str | None


class Outcomes:
    """Notes the result of every file, and counts them. For one thread.

    Args:
        inventory: The files.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._db: sqlite3.Connection = inventory.db
        self._pages = inventory.pages

    def note_fetched(self, files: Sequence[FetchedFile]) -> None:
        """Note that files were published.

        Args:
            files: The files, some hundreds at a time.
        """
        insert_rows(self._db, "INSERT OR REPLACE INTO fetched", files)
        self._db.execute(sql.NOTE_FETCHED)
        self._db.execute("DELETE FROM fetched")

    def note_failed(self, numbers: Sequence[int], failure: DownloadError) -> None:
        """Note that files could not be fetched, all for one reason.

        Args:
            numbers: The files.
            failure: Why; its attempts are added to those before.
        """
        for batch in batched(numbers):
            self._db.execute(
                sql.NOTE_FAILED,
                (
                    failure.code,
                    failure.reason,
                    failure.transient,
                    failure.request_id,
                    None if failure.advice == ADVICE[failure.code] else failure.advice,
                    failure.attempts,
                    json.dumps(batch),
                ),
            )

    def note_changed(self, seq: int, reason: str, *, may_retry: bool) -> None:
        """Note that a file was not published because another run had changed its place.

        Args:
            seq: The file.
            reason: What happened.
            may_retry: Whether this run may fetch it again. If not, only a run with a fresh listing can.
        """
        self._db.execute(
            "UPDATE file SET status = 'failed', error_code = 'CHANGED', error = ?, transient = 1, is_final = ?"
            " WHERE seq = ?",
            (reason, not may_retry, seq),
        )

    def to_retry(self, source: Source, max_attempts: int) -> "array.array[int]":
        """Return the numbers of the files of a source that deserve another attempt.

        Args:
            source: Where they are read from.
            max_attempts: How often a file is tried at most; engines use up some of the attempts themselves.
        """
        rows = self._db.execute(
            "SELECT seq FROM file WHERE action = 'fetch' AND status = 'failed' AND transient AND NOT is_final AND attempts < ?"
            " AND association_id = ? AND bucket = ? ORDER BY size_bytes DESC, seq",
            (max_attempts, *source),
        )
        return array.array("q", (seq for (seq,) in rows))

    def count(self, *statuses: str) -> int:
        """Count the files with one of some statuses."""
        row = self._db.execute(
            "SELECT count(*) FROM file WHERE status IN (SELECT value FROM json_each(?))",
            (json.dumps(statuses),),
        )
        return int(row.fetchone()[0])

    @property
    def retried_count(self) -> int:
        """How many files were delivered after more than one attempt."""
        row = self._db.execute(
            "SELECT count(*) FROM file WHERE status = 'fetched' AND attempts > 1"
        )
        return int(row.fetchone()[0])

    @property
    def is_retryable(self) -> bool:
        """Whether a transient failure is left."""
        query = "SELECT 1 FROM file WHERE status = 'failed' AND transient LIMIT 1"
        return self._db.execute(query).fetchone() is not None

    def error_codes(self) -> dict[str, int]:
        """Count the failures by code, most frequent first."""
        rows = self._db.execute(
            "SELECT error_code, count(*) FROM file WHERE status = 'failed' GROUP BY error_code ORDER BY 2 DESC, 1"
        )
        return {str(code): int(number) for code, number in rows}

    def failures(self, status: str, limit: int) -> Iterator[FailureRow]:
        """Yield some failed or skipped files: those that the plan refused first, then in the order of the listing.

        Args:
            status: `failed` or `skipped`.
            limit: How many at most.
        """
        for row in self._db.execute(sql.FAILURES, (status, limit)).fetchall():
            code, reason, is_transient, *others = row[FILE_WIDTH:]
            yield FailureRow(planned_file(row), code, reason or "", bool(is_transient), *others)

    def top_files(self, limit: int) -> list[tuple[Any, ...]]:
        """Return path, status, size, seconds and attempts of a few complete files.

        Args:
            limit: How many at most: the slowest that were fetched, then the largest of the others.
        """
        query = (
            "SELECT relative_path, status, coalesce(disk_bytes, size_bytes), duration_seconds, attempts FROM file"
            " WHERE status IN ('fetched', 'unchanged') ORDER BY duration_seconds DESC, size_bytes DESC, seq LIMIT ?"
        )
        return self._db.execute(query, (limit,)).fetchall()
