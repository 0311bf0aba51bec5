"""One file on its way: what is requested, what has arrived, what is missing. No network.

```
            first_request          validate_response            write … write
 waiting ───────────────► requested ───────────────► open, sized ───────────► arriving
    ▲                                                                            │ request_ended
    │ restart: generation + 1, progress taken back                              ▼
    ├──────────────── replaced, or wrong bytes ◄──────────────────── complete: `finish`
    └ over: published, or discarded (its parts are left to a later run where that helps)
```

Not thread-safe: a driver with several threads holds a lock for each file.
"""

import logging
import os
import pathlib
import sys
from collections.abc import Callable, Mapping

from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.resume_log import Identity, Part
from roboto_dagster.disk.temp_file import PartialFile
from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.checksums import CrcDigest, HashDigest, is_combinable, new_digest
from roboto_dagster.fs.core.digests import PART_ALGORITHM, RangeDigests
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.progress import ProgressReport
from roboto_dagster.fs.core.ranges import RangePlan
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.settings import Verify
from roboto_dagster.fs.core.validate import (
    EMPTY_ANSWER,
    ObjectFacts,
    read_facts,
    validate_range,
    validate_same_object,
    wrong_size,
)
from roboto_dagster.fs.credentials import LiveCredentials
from roboto_dagster.fs.object_store import BeforePublish, OnProgress, Receipt, Transfer
from roboto_dagster.types import DownloadableFile

logger = logging.getLogger(__name__)

UNKNOWN = sys.maxsize
"""The end of a stream of unknown length."""

_NO_FACTS = ObjectFacts(None, None, None)


class RangeRequest:
    """A range of a file that one request fetches.

    Attributes:
        download: The file.
        credentials: What it is signed with; None before it is sent.
        position: Where the next byte goes.
        stop: Where the range ends; `UNKNOWN` until an answer reports it.
        is_initial: Whether it is the initial stream, requested without a range.
        attempts: How often it was tried and counted.
        first_attempt_at: When it was sent first, by the driver's clock; negative before.
        replays: How often it was sent again uncounted.
        cost_bytes: What it takes of the budget of bytes in flight.
    """

    __slots__ = (
        "attempts",
        "cost_bytes",
        "credentials",
        "digest",
        "download",
        "first_attempt_at",
        "generation",
        "is_initial",
        "position",
        "replays",
        "start",
        "stop",
    )

    def __init__(self, download: "Download", start: int, stop: int, *, is_initial: bool) -> None:
        self.download = download
        self.generation = download.generation
        self.start = start
        self.position = start
        self.stop = stop
        self.is_initial = is_initial
        self.credentials: LiveCredentials | None = None
        self.digest: CrcDigest | HashDigest | None = None
        self.attempts = 1
        self.first_attempt_at = -1.0
        self.replays = 0
        self.cost_bytes = 0

    @property
    def is_stale(self) -> bool:
        """Whether the file was started again, or ended, since."""
        return self.generation != self.download.generation

    @property
    def is_complete(self) -> bool:
        """Whether all its bytes are there."""
        return self.position == self.stop and self.download.size is not None

    def write(self, data: bytes | memoryview) -> bool:
        """Takes bytes in.

        Returns:
            False if no more are wanted.

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
    """One file: decides what is requested next, and what an answer means for it.

    Args:
        transfer: What the caller waits for.
        source_uri: The object.
        bucket: Its bucket.
        key: Its key.
        destination: Where the file is published.
        within: A parent of the destination below which no link is followed, or None.
        before_publish: Called just before the file is renamed into place, or None.
        expected_size: The size in the file's record, in bytes, or None.
        on_progress: Called with byte counts, or None.
        part_size: How many bytes one range has at most.
        verify: How the content is checked.

    Attributes:
        facts: What the first answer reported of the object.
        generation: Counts the starts of the file; requests of another generation are void.
        one_stream: Whether no ranges may be requested.
        refused_ranges_of: The version of which a range was refused, to see if it changed; or None.
        mismatched: The checksum of bytes that were not those stored; None while none came.
        must_be_read_back: Whether its checksum goes by order, while its ranges come in any.
        is_checking: Whether the parts that a killed run left are being checked.
    """

    __slots__ = (
        "_digests",
        "_fd",
        "_initial",
        "_part_size",
        "_progress",
        "_ranges",
        "_verify",
        "before_publish",
        "bucket",
        "changes",
        "destination",
        "expected_size",
        "facts",
        "generation",
        "is_checking",
        "is_over",
        "is_publishing",
        "key",
        "leaves_parts",
        "mismatched",
        "most_attempts",
        "must_be_read_back",
        "one_stream",
        "partial",
        "refused_ranges_of",
        "request_id",
        "restarts",
        "size_doubted",
        "source_uri",
        "started_at",
        "transfer",
        "within",
        "workers",
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
        self._progress = ProgressReport(on_progress, source_uri)
        self._part_size = part_size
        self._verify: Verify = verify
        self.partial: PartialFile | None = None
        self._fd = -1
        self.request_id: str | None = None
        self.started_at = -1.0
        self.generation = 0
        self.is_over = False
        self.is_publishing = False
        self.leaves_parts = False
        self.workers = 0
        self.one_stream = False
        self.size_doubted = False
        self.refused_ranges_of: ObjectFacts | None = None
        self.restarts = 0
        self.changes = 0
        self.mismatched: str | None = None
        self.most_attempts = 1
        self._forget()

    def _forget(self) -> None:
        self.facts = _NO_FACTS
        self._ranges = RangePlan(self._part_size)
        self._initial: RangeRequest | None = None
        self._digests = RangeDigests()
        self.is_checking = False
        self.must_be_read_back = False

    @property
    def file(self) -> DownloadableFile:
        """The file as errors name it."""
        return {
            "bucket_name": self.bucket,
            "source_uri": self.source_uri,
            "destination_path": self.destination,
        }

    @property
    def size(self) -> int | None:
        """The object's size in bytes, or None while it is not known."""
        return self._ranges.size_bytes

    # What to request

    def first_request(self) -> RangeRequest:
        """Returns the initial stream: a GET of the whole object."""
        return RangeRequest(self, 0, UNKNOWN, is_initial=True)

    def next_request(self) -> RangeRequest | None:
        """Takes the next range that nobody has requested, or None."""
        taken = None if self.is_over else self._ranges.take()
        if taken is None:
            return None
        request = RangeRequest(self, *taken, is_initial=False)
        request.digest = self._new_digest()
        return request

    @property
    def has_more(self) -> bool:
        """Whether `next_request` has something to give."""
        return self._ranges.has_more

    def extend(self, request: RangeRequest, end: int) -> bool:
        """Lets the initial stream continue if the part after it is not taken.

        Args:
            request: The initial stream, or any other request.
            end: How far its next bytes reach.

        Returns:
            False if it may not reach so far.
        """
        if self.size is None:
            return False  # longer than the record allows
        if not self.is_checking and not self._ranges.has_parts_ahead:
            self._log_part(request)
            if request.is_initial:
                request.stop = self._ranges.extend(request.stop, end)
        return end < request.stop

    # What an answer means

    def validate_response(self, request: RangeRequest, head: Head) -> Failure | None:
        """Judges the head of an answer of status 2xx.

        Args:
            request: What was requested.
            head: Status and headers.

        Returns:
            Why its body is not wanted; None if it is.
        """
        self.request_id = head.request_id
        if not request.is_initial:
            return validate_range(head, self.facts, request.position, request.stop)
        if self.facts is not _NO_FACTS:
            return validate_same_object(head, self.facts)
        facts = read_facts(head, expected_size=self.expected_size, verify=self._verify)
        if isinstance(facts, Failure):
            return self._doubt_size(facts) if facts.code == "SIZE_MISMATCH" else facts
        self._learn(request, facts)
        return None

    def _learn(self, initial: RangeRequest, facts: ObjectFacts) -> None:
        self.facts = facts
        if self.refused_ranges_of == facts:  # not replaced: it is ranges that the store refuses
            self.one_stream = True
        stored, size = facts.stored, facts.size_bytes
        if size is None:
            # One byte more than the record allows is seen, and ends the body.
            initial.stop = UNKNOWN if self.expected_size is None else self.expected_size + 1
        else:
            in_ranges = facts.etag is not None and not self.one_stream
            initial.stop = self._ranges.divide(size, in_ranges=in_ranges)
            self._initial = initial
            by_order = stored is not None and not is_combinable(stored.algorithm)
            self.must_be_read_back = self.is_divided and by_order
        initial.digest = self._new_digest()

    def _doubt_size(self, failure: Failure) -> Failure:
        """Has the object requested once more, since a proxy may have cut the answer."""
        if self.size_doubted:  # twice the same is the truth
            return Failure(
                code=failure.code,
                reason=failure.reason,
                remedy="fail",
                transient=False,
                request_id=failure.request_id,
            )
        self.size_doubted = True
        return failure

    def can_continue(self, request: RangeRequest) -> bool:
        """Reports whether a broken request may continue where it stopped, on the same version."""
        is_sized = self.size is not None and request.stop != UNKNOWN
        return self.facts.etag is not None and is_sized and not self.one_stream

    def shortfall(self, request: RangeRequest) -> Failure | None:
        """Judges a body that ended without an error; None if it is all there."""
        position = request.position
        if self.size is None:
            if not position and self.expected_size is None and not self.facts.is_identified:
                return Failure(code="SERVER_ERROR", reason=EMPTY_ANSWER)
            if self.expected_size in (None, position):
                request.stop = self._ranges.divide(position, in_ranges=False)
                return None
            longer = "more than " if position > (self.expected_size or 0) else ""
            counted = self.expected_size if longer else position
            reason = f"{longer}{counted} bytes came, the record says {self.expected_size}"
            return self._doubt_size(wrong_size(reason))
        if request.is_complete:
            return None
        reason = f"the body ended {request.stop - position} bytes early"
        return Failure(code="CONNECTION", reason=reason)

    # What has arrived

    def open(self, partial: PartialFile) -> LeftParts | None:
        """Takes the temporary file that the bytes go to.

        Args:
            partial: The file, open and empty.

        Returns:
            What a killed run has left of this version, to be checked before `resume_with`.

        Raises:
            OSError: The log of its parts cannot be made.
        """
        self.partial = partial
        left = partial.keep_parts(self._identity) if self.is_divided else None
        self._fd = partial.fd
        self.is_checking = left is not None
        return left

    @property
    def _identity(self) -> Identity:
        return Identity(self.source_uri, self.size or 0, self.facts.etag or "")

    def resume_with(self, parts: Mapping[Part, CrcDigest]) -> bool:
        """Counts in the parts of a killed run that still hold.

        Args:
            parts: The parts, each with the checksum that was read back.

        Returns:
            True if nothing is left to fetch.
        """
        self.is_checking = False
        initial, ranges = self._initial, self._ranges
        for part, digest in parts.items():
            if part.start == 0 and initial is not None:
                self._progress.add(part.stop - initial.position)
                if 0 in self._digests:  # it has ended
                    ranges.fetched_bytes += part.stop - initial.stop
                    self._digests.put(0, digest)
                initial.position = initial.stop = part.stop  # its stream is cut
                ranges.continue_after(part.stop)
                initial.digest = digest
            elif part.start >= ranges.next_start:  # what lies before is being fetched already
                ranges.add_done(part.start, part.stop)
                self._digests.put(part.start, digest)
                self._progress.add(part.stop - part.start)
        self._digests.combine()
        return ranges.is_complete

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Writes bytes where they belong, and reports them.

        Args:
            data: The bytes.
            offset: Where they go in the file.

        Raises:
            OSError: They cannot be written.
        """
        written = _pwrite(self._fd, data, offset)
        while written < len(data):  # a disk that fills up takes a part of what it is given
            written += _pwrite(self._fd, data[written:], offset + written)
        self._progress.add(len(data))

    def request_ended(self, request: RangeRequest) -> bool:
        """Counts a complete request in; True if it was the last."""
        self._ranges.fetched_bytes += request.stop - request.start
        self._log_part(request)
        if request.digest is not None:
            self._digests.put(request.start, request.digest)
            self._digests.combine()
        return self._ranges.is_complete

    def _log_part(self, request: RangeRequest) -> None:
        """Logs what a request has brought, for a later run in case this one is killed."""
        if self.is_divided and self.partial is not None and isinstance(request.digest, CrcDigest):
            digest = request.digest
            part = Part(request.start, request.position, digest.algorithm, digest.text())
            self.partial.note_part(part)

    def _new_digest(self) -> CrcDigest | HashDigest | None:
        if self.facts.stored is not None and not self.must_be_read_back:
            return new_digest(self.facts.stored.algorithm)
        return new_digest(PART_ALGORITHM) if self.is_divided else None

    @property
    def is_divided(self) -> bool:
        """Whether it is fetched in several parts, which a later run can resume."""
        return self._ranges.is_divided

    @property
    def digest(self) -> CrcDigest | HashDigest | None:
        """The checksum of all bytes, once the last request has ended."""
        return self._digests.whole

    # How it ends, or starts again

    def restart(self) -> RangeRequest:
        """Forgets what arrived, and takes the progress back.

        Raises:
            OSError: The temporary file cannot be emptied.
        """
        self.generation += 1
        self.restarts += 1
        self._progress.take_back()
        self._forget()
        if self.partial is not None:
            self.partial.forget_parts()
        return self.first_request()

    @property
    def attempts(self) -> int:
        """How often it was tried, by its most tried range."""
        return self.most_attempts + self.restarts

    def publish(self, verified: str, now: float) -> Receipt:
        """Renames the file into place.

        Args:
            verified: The verdict on its content.
            now: The driver's clock, in seconds.

        Returns:
            What is known of the file.

        Raises:
            OSError: It cannot be published.
        """
        if self.partial is None:
            raise ValueError("publish before open")
        stored = self.facts.stored
        receipt = Receipt(
            size_bytes=self.size or 0,
            etag=self.facts.etag,
            checksum=stored.text if stored else None,
            verified=verified,
            attempts=self.attempts,
            duration_seconds=max(now - self.started_at, 0.0) if self.started_at >= 0 else 0.0,
            request_id=self.request_id,
        )
        if self.before_publish is not None:
            self.before_publish(receipt, os.fstat(self.partial.fd))
        self.partial.publish()
        return receipt

    def discard(self, *, leave_parts: bool = False) -> None:
        """Removes what was written, once no worker uses it.

        Args:
            leave_parts: Whether to leave it to the next run of a sync, which looks for it.
        """
        self.is_over = True
        self.generation += 1
        self.leaves_parts = leave_parts and self.within is not None
        self._fd = -1
        if not self.workers:
            self._close()

    def worker_ended(self) -> None:
        """Counts the end of work on the temporary file in another thread."""
        self.workers -= 1
        if self.is_over and not self.workers:
            self._close()

    def _close(self) -> None:
        partial, self.partial = self.partial, None
        if partial is None:
            return
        try:
            if self.leaves_parts:
                partial.release()
            else:
                partial.discard()
        except OSError as error:
            logger.warning("Could not remove a temporary file: %s", error.strerror)

    def error(self, failure: Failure) -> DownloadError:
        """Returns the error for the caller."""
        error = DownloadError(
            self.file,
            failure.code,
            failure.reason,
            failure.transient,
            max(self.attempts, failure.attempts),
            failure.request_id,
            failure.advice,
        )
        error.__cause__ = failure.cause
        return error


def _seek_and_write(
    fd: int, data: bytes | memoryview, offset: int
) -> int:  # pragma: no cover - Windows
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)


_pwrite: Callable[[int, bytes | memoryview, int], int] = getattr(os, "pwrite", _seek_and_write)
