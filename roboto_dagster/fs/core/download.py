"""One file on its way through the curl engine: what is asked, has arrived, and is missing.

```
plain GET   0 ├──────── front ────────┤ cut where the next range was given to another connection
ranges                                ├── piece ──┤├── piece ──┤ … If-Match: the front's ETag
```

The front is a GET without a range: it tells size, ETag and checksum, needs no HEAD before it, and
is all there is of a file up to one part. It runs on while the part after it is not taken, so that
a single connection fetches a whole file in one request. Touches the disk, but no network.
"""

import logging
import os
import pathlib
import sys
from collections.abc import Callable, Mapping

from roboto_dagster.disk.resume_log import Identity, Part
from roboto_dagster.disk.temp_file import PartialFile
from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.checksums import (
    NO_CHECKSUM,
    Algorithm,
    CrcDigest,
    HashDigest,
    StoredChecksum,
    etag_of,
    is_combinable,
    new_digest,
    stored_checksum,
)
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.settings import Verify
from roboto_dagster.fs.curl.errors import Failure, Remedy
from roboto_dagster.fs.object_store import BeforePublish, OnProgress, Receipt, Transfer

logger = logging.getLogger(__name__)

PART_ALGORITHM: Algorithm = "crc32c" if is_combinable("crc32c") else "crc32"
"""By which parts are checked that a later run goes on with, where the object's checksum is no CRC."""

UNKNOWN = sys.maxsize
"""The end of a stream whose length nobody told."""


class Piece:
    """A range of a file that one request fetches, and what became of it.

    Attributes:
        download: The file.
        position: Where the next byte goes.
        stop: Where the piece ends; `UNKNOWN` until an answer tells.
        is_plain: Whether it is the front, asked without a range.
        tries: How often it was tried and counted.
        first_try_at: When it was tried first, by the loop's clock.
        replays: How often it was repeated with fresh credentials, or elsewhere.
        cost_bytes: What it takes of the budget of bytes in flight.
    """

    __slots__ = (
        "cost_bytes",
        "digest",
        "download",
        "epoch",
        "first_try_at",
        "is_plain",
        "position",
        "replays",
        "start",
        "stop",
        "tries",
    )

    def __init__(self, download: "Download", start: int, stop: int, *, is_plain: bool) -> None:
        self.download = download
        self.epoch = download.epoch
        self.start = start
        self.position = start
        self.stop = stop
        self.is_plain = is_plain
        self.digest: CrcDigest | HashDigest | None = None
        self.tries = 1
        self.first_try_at = -1.0
        self.replays = 0
        self.cost_bytes = 0

    @property
    def is_stale(self) -> bool:
        """Whether the file was begun anew, or ended, since."""
        return self.epoch != self.download.epoch

    @property
    def is_whole(self) -> bool:
        """Whether all its bytes are there."""
        return self.position == self.stop

    def write(self, data: bytes | memoryview) -> bool:
        """Takes bytes in; False if no more are wanted.

        Raises:
            OSError: They cannot be written.
        """
        download = self.download
        end = self.position + len(data)
        if end >= self.stop and not download.extend(self, end):
            data = data[: self.stop - self.position]
            end = self.stop
        download.write(data, self.position)
        if self.digest is not None:
            self.digest.update(data)
        self.position = end
        return end < self.stop or end == download.size


class Download:
    """One file: decides what is asked next, and what an answer means for it.

    Attributes:
        transfer: What the caller waits for.
        size: The object's size, or None before the first answer.
        epoch: Counts the times it was begun anew; pieces of another epoch are void.
        must_be_read_back: Whether its checksum goes by order, while its ranges come in any.
    """

    __slots__ = (
        "_digests",
        "_done",
        "_fd",
        "_fetched",
        "_first_stop",
        "_front",
        "_next_start",
        "_on_progress",
        "_part_size",
        "_progress_failed",
        "_reported",
        "_verify",
        "before_publish",
        "began_at",
        "bucket",
        "changes",
        "destination",
        "epoch",
        "etag",
        "expected_size",
        "is_checking",
        "is_over",
        "key",
        "mismatches",
        "most_tries",
        "must_be_read_back",
        "one_stream",
        "partial",
        "request_id",
        "restarts",
        "size",
        "size_doubted",
        "source_uri",
        "stored",
        "transfer",
        "within",
    )

    def __init__(
        self,
        transfer: Transfer,
        source_uri: str,
        bucket: str,
        key: str,
        destination: pathlib.Path,
        *,
        within: pathlib.Path | None,
        before_publish: BeforePublish | None,
        expected_size: int | None,
        on_progress: OnProgress | None,
        part_size: int,
        verify: Verify,
    ) -> None:
        self.transfer = transfer
        self.source_uri = source_uri
        self.bucket = bucket
        self.key = key
        self.destination = destination
        self.within = within
        self.before_publish = before_publish
        self.expected_size = expected_size
        self._on_progress = on_progress
        self._part_size = part_size
        self._verify = verify
        self.partial: PartialFile | None = None
        self._fd = -1
        self.request_id: str | None = None
        self.began_at = -1.0
        self.epoch = 0
        self.is_over = False
        self.one_stream = False
        self.size_doubted = False
        self.restarts = 0
        self.changes = 0
        self.mismatches = 0
        self.most_tries = 1
        self._reported = 0
        self._progress_failed = False
        self._forget()

    def _forget(self) -> None:
        self.size: int | None = None
        self.etag: str | None = None
        self.stored: StoredChecksum | None = None
        self._fetched = 0
        self._next_start = 0
        self._first_stop = 0
        self._front: Piece | None = None
        self._done: dict[int, int] = {}
        self._digests: dict[int, CrcDigest | HashDigest] = {}
        self.is_checking = False
        self.must_be_read_back = False

    # What to ask

    def first_piece(self) -> Piece:
        """Begins the file, or begins it anew: a plain GET of all of it."""
        return Piece(self, 0, UNKNOWN, is_plain=True)

    def next_piece(self) -> Piece | None:
        """Takes the next range that nobody fetches, or None."""
        while self._next_start in self._done:
            self._next_start = self._done.pop(self._next_start)
        size, start = self.size, self._next_start
        if self.is_over or size is None or start >= size or start == 0:
            return None
        stop = min(start + self._part_size, size, *self._done)
        self._next_start = stop
        piece = Piece(self, start, stop, is_plain=False)
        piece.digest = self._new_digest()
        return piece

    @property
    def has_more(self) -> bool:
        """Whether `next_piece` has something to give."""
        return self.size is not None and 0 < self._next_start < self.size

    def extend(self, piece: Piece, end: int) -> bool:
        """Lets the front run on if the part after it is not taken; False if `end` is too far."""
        size = self.size
        if size is None:
            return True
        if self.is_checking or self._done:  # what follows may be there already
            return end < piece.stop
        self._note(piece)
        while piece.is_plain and end >= piece.stop == self._next_start < size:
            piece.stop = self._next_start = min(piece.stop + self._part_size, size)
        return end < piece.stop

    # What an answer means

    def refuse(self, piece: Piece, head: Head) -> Failure | None:
        """Judges the head of an answer of status 2xx; None accepts its body."""
        self.request_id = head.request_id
        if piece.is_plain:
            return self._judge_whole(piece, head)
        return self._judge_range(piece, head)

    def _judge_whole(self, piece: Piece, head: Head) -> Failure | None:
        if head.status != 200:
            return _wrong_answer(head, f"HTTP {head.status} to a request for the whole object")
        if self.size is None:
            return self._learn(piece, head)
        if (etag_of(head.headers), head.content_length) != (self.etag, self.size):
            return _replaced(head, "the object was replaced between two requests")
        return None

    def _learn(self, piece: Piece, head: Head) -> Failure | None:
        size = head.content_length
        if size is not None and self.expected_size not in (None, size):
            return self._wrong_size(size, head)
        stored = None if self._verify == "size" else stored_checksum(head.headers)
        if stored is None and self._verify == "checksum":
            return Failure(code="CHECKSUM_MISMATCH", reason=NO_CHECKSUM, remedy="fail")
        if self.expected_size is None and stored is None:
            if size is None and not _is_chunked(head):
                return _wrong_answer(head, "an answer without a length")
            if _looks_like_a_page(head):
                return _wrong_answer(head, "a page or an error document instead of the object")
        self.size, self.stored, self.etag = size, stored, etag_of(head.headers)
        self._divide(piece)
        piece.digest = self._new_digest()
        return None

    def _divide(self, front: Piece) -> None:
        size = UNKNOWN if self.size is None else self.size
        can_be_ranged = self.etag is not None and size != UNKNOWN and not self.one_stream
        front.stop = self._next_start = min(self._part_size, size) if can_be_ranged else size
        self._first_stop = front.stop
        self._front = front
        in_order = front.stop == size or self.stored is None or is_combinable(self.stored.algorithm)
        self.must_be_read_back = not in_order

    def _wrong_size(self, size: int, head: Head) -> Failure:
        reason = f"the object has {size} bytes, its record says {self.expected_size}"
        # Asked once more, since a proxy may have cut this answer; twice the same is the truth.
        remedy: Remedy = "fail" if self.size_doubted else "retry"
        self.size_doubted = True
        return Failure(
            code="SIZE_MISMATCH", reason=reason, remedy=remedy, request_id=head.request_id
        )

    def _judge_range(self, piece: Piece, head: Head) -> Failure | None:
        told = head.content_range
        if head.status == 200 and told is None:
            return _no_ranges(head, "the store ignores ranges")
        # Some servers send 200 with ranges that are right (rclone): what is told of the range counts.
        if head.status not in (200, 206) or told is None:
            return _wrong_answer(head, f"HTTP {head.status} without a range to a request for one")
        etag = etag_of(head.headers)
        if etag is None:
            return _no_ranges(head, "the store tells no ETag for a range")
        if etag != self.etag or told[2] != self.size:
            return _replaced(head, "the object was replaced between two ranges")
        asked = (piece.position, piece.stop)
        lengths = (asked[1] - asked[0],) if head.status == 200 else (None, asked[1] - asked[0])
        if told[:2] != asked or head.content_length not in lengths:
            return _wrong_answer(head, f"bytes {told[0]}-{told[1] - 1} came, not those asked")
        return None

    def can_continue(self, piece: Piece) -> bool:
        """Tells whether a broken piece may go on where it stopped, on the same version for sure."""
        return self.etag is not None and piece.stop != UNKNOWN and not self.one_stream

    def shortfall(self, piece: Piece) -> Failure | None:
        """Judges a body that ended without an error; None if it is all there."""
        if piece.stop == UNKNOWN:
            if self.expected_size in (None, piece.position):
                piece.stop = self.size = piece.position
                return None
            reason = f"{piece.position} bytes came, the record says {self.expected_size}"
            return Failure(code="SIZE_MISMATCH", reason=reason, transient=False)
        if piece.is_whole:
            return None
        reason = f"the body ended {piece.stop - piece.position} bytes early"
        return Failure(code="CONNECTION", reason=reason)

    # What has arrived

    def open(self, partial: PartialFile) -> list[Part]:
        """Takes the temporary file that the bytes go to.

        Returns:
            What a dead run has left of this version, to be checked before `go_on_with`.

        Raises:
            OSError: The journal of its parts cannot be made.
        """
        self.partial = partial
        left = partial.keep_parts(self._identity) if self.is_ranged else []
        self._fd = partial.fd
        self.is_checking = bool(left)
        return left

    @property
    def _identity(self) -> Identity:
        return Identity(self.source_uri, self.size or 0, self.etag or "")

    def go_on_with(self, parts: Mapping[Part, CrcDigest]) -> bool:
        """Counts in the parts of a dead run that still hold; True if nothing is left to fetch."""
        self.is_checking = False
        front = self._front
        for part, digest in parts.items():
            if part.start == 0 and front is not None:
                self._report(part.stop - front.position)
                if 0 in self._digests:  # it has ended
                    self._fetched += part.stop - front.stop
                    self._digests[0] = digest
                front.position = front.stop = self._next_start = part.stop  # its stream is cut
                front.digest = digest
            elif part.start >= self._next_start:  # what lies before is being fetched already
                self._done[part.start] = part.stop
                self._fetched += part.stop - part.start
                self._digests[part.start] = digest
                self._report(part.stop - part.start)
        self._combine()
        return self._fetched == self.size

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Writes bytes where they belong, and tells the caller.

        Raises:
            OSError: They cannot be written.
        """
        written = _pwrite(self._fd, data, offset)
        while written < len(data):  # a disk that fills up takes a part of what it is given
            written += _pwrite(self._fd, data[written:], offset + written)
        if self._on_progress is not None:
            self._report(len(data))

    def piece_ended(self, piece: Piece) -> bool:
        """Counts a whole piece in; True if it was the last."""
        self._fetched += piece.stop - piece.start
        self._note(piece)
        if piece.digest is not None:
            self._digests[piece.start] = piece.digest
            self._combine()
        return self._fetched == self.size

    def _note(self, piece: Piece) -> None:
        """Notes what a piece has brought, for a later run in case this one dies."""
        if self.is_ranged and self.partial is not None and isinstance(piece.digest, CrcDigest):
            digest = piece.digest
            part = Part(piece.start, piece.position, digest.algorithm, digest.text())
            self.partial.note_part(part)

    def _combine(self) -> None:
        """Takes neighbouring digests together, so that a file of any size keeps a few."""
        front = self._digests.get(0)
        if not isinstance(front, CrcDigest):
            return
        while front.size_bytes in self._digests and front.size_bytes:
            following = self._digests.pop(front.size_bytes)
            if isinstance(following, CrcDigest):
                front.append(following)

    def _new_digest(self) -> CrcDigest | HashDigest | None:
        if self.stored is not None and not self.must_be_read_back:
            return new_digest(self.stored.algorithm)
        return new_digest(PART_ALGORITHM) if self.is_ranged else None

    @property
    def is_ranged(self) -> bool:
        """Whether it is fetched in several parts, which a later run can go on with."""
        return self.size is not None and 0 < self._first_stop < self.size

    @property
    def digest(self) -> CrcDigest | HashDigest | None:
        """The checksum of all bytes, once the last piece has ended."""
        return self._digests.get(0)

    def _report(self, count: int) -> None:
        self._reported += count
        try:
            if self._on_progress is not None and count:
                self._on_progress(count)
        except Exception:  # the border to the caller's code, which must not break a transfer
            if not self._progress_failed:
                logger.exception("on_progress failed for %s", self.source_uri)
            self._progress_failed = True

    # How it ends, or begins anew

    def begin_anew(self) -> Piece:
        """Forgets what arrived, and takes the progress back.

        Raises:
            OSError: The temporary file cannot be emptied.
        """
        self.epoch += 1
        self.restarts += 1
        self._report(-self._reported)
        self._forget()
        if self.partial is not None:
            self.partial.forget_parts()
        return self.first_piece()

    @property
    def attempts(self) -> int:
        """How often it was tried, by its most tried range."""
        return self.most_tries + self.restarts

    def publish(self, verified: str, now: float) -> Receipt:
        """Renames the file into place; returns what is known of it.

        Raises:
            OSError: It cannot be published.
        """
        if self.partial is None:
            raise ValueError("publish before open")
        receipt = Receipt(
            size_bytes=self.size or 0,
            etag=self.etag,
            checksum=self.stored.text if self.stored else None,
            verified=verified,
            attempts=self.attempts,
            duration_seconds=max(now - self.began_at, 0.0) if self.began_at >= 0 else 0.0,
            request_id=self.request_id,
        )
        if self.before_publish is not None:
            self.before_publish(receipt, os.fstat(self.partial.fd))
        self.partial.publish()
        return receipt

    def discard(self, *, leave_parts: bool = False) -> None:
        """Removes what was written, or leaves it to the next run of a sync, which looks for it."""
        self.is_over = True
        self.epoch += 1
        if self.partial is not None:
            try:
                if leave_parts and self.within is not None:
                    self.partial.release()
                else:
                    self.partial.discard()
            except OSError as error:
                logger.warning("Could not remove a temporary file: %s", error.strerror)
        self._fd = -1

    def error(self, failure: Failure) -> DownloadError:
        """Makes the error for the caller."""
        error = DownloadError(
            {
                "bucket_name": self.bucket,
                "source_uri": self.source_uri,
                "destination_path": self.destination,
            },
            failure.code,
            failure.reason,
            failure.transient,
            self.attempts,
            failure.request_id,
        )
        error.__cause__ = failure.cause
        return error


def _seek_and_write(
    fd: int, data: bytes | memoryview, offset: int
) -> int:  # pragma: no cover - Windows
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)


_pwrite: Callable[[int, bytes | memoryview, int], int] = getattr(os, "pwrite", _seek_and_write)


def _is_chunked(head: Head) -> bool:
    return "chunked" in head.headers.get("transfer-encoding", "").lower()


def _looks_like_a_page(head: Head) -> bool:
    """Stores may answer 200 and then fail, and portals answer anything; objects have an ETag."""
    content_type = head.headers.get("content-type", "").lower()
    return "etag" not in head.headers and ("xml" in content_type or "html" in content_type)


def _wrong_answer(head: Head, reason: str) -> Failure:
    return Failure(code="SERVER_ERROR", reason=reason, request_id=head.request_id)


def _no_ranges(head: Head, reason: str) -> Failure:
    return Failure(
        code="SERVER_ERROR", reason=reason, remedy="one_stream", request_id=head.request_id
    )


def _replaced(head: Head, reason: str) -> Failure:
    return Failure(code="CHANGED", reason=reason, remedy="restart", request_id=head.request_id)
