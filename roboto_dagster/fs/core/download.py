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

import pathlib
import sys

from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.resume_log import Identity
from roboto_dagster.disk.temp_file import PartialFile
from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.checksums import CrcDigest, HashDigest
from roboto_dagster.fs.core.content import Content
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.progress import progress_report
from roboto_dagster.fs.core.settings import Verify
from roboto_dagster.fs.core.validate import ObjectFacts
from roboto_dagster.fs.credentials import LiveCredentials
from roboto_dagster.fs.object_store import BeforePublish, BeforeRenames, OnProgress, Transfer
from roboto_dagster.redaction import safe_cause
from roboto_dagster.types import DownloadableFile

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
        is_at_end = self.position == self.stop
        return is_at_end and self.download.content.ranges.size_bytes is not None

    def write(self, data: bytes | memoryview) -> bool:
        """Take bytes in.

        Returns:
            False if no more are wanted.

        Raises:
            OSError: They cannot be written.
        """
        content = self.download.content
        end, size = self.position + len(data), content.ranges.size_bytes
        is_too_long = False
        if end == self.stop == size:
            pass  # the last bytes of the file: nothing is left that the stream could go on with
        elif end >= self.stop and not self.download.extend(self, end):
            is_too_long = end > self.stop
            data = data[: self.stop - self.position]
            end = self.stop
        content.write(data, self.position)
        if self.digest is not None:
            self.digest.update(data)
        self.position = end
        return end < self.stop or (end == size and not is_too_long)


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
        before_renames: Called between that and the rename, once for several files, or None. Default None.
        expected_size: The size in the file's record, in bytes, or None.
        on_progress: Called with byte counts, or None.
        part_size: How many bytes one range has at most.
        verify: How the content is checked.

    Attributes:
        content: What has arrived.
        facts: What the first answer reported of the object.
        generation: Counts the starts of the file; requests of another generation are void.
        initial: The initial stream, once it was answered.
        size_doubted: Whether an answer had another size than the record.
        one_stream: Whether no ranges may be requested.
        refused_ranges_of: The version of which a range was refused, to see if it changed; or None.
        changes: How often it was started again since the object seemed to be replaced.
        mismatched: The checksum of bytes that were not those stored; None while none came.
        most_attempts: The attempts of its most tried request.
        is_publishing: Whether it is being renamed into place, or waits for that.
        is_over: Whether it has ended.
    """

    __slots__ = (
        "_restarts",
        "before_publish",
        "before_renames",
        "bucket",
        "changes",
        "content",
        "destination",
        "expected_size",
        "facts",
        "generation",
        "initial",
        "is_over",
        "is_publishing",
        "key",
        "mismatched",
        "most_attempts",
        "one_stream",
        "refused_ranges_of",
        "request_id",
        "size_doubted",
        "source_uri",
        "started_at",
        "transfer",
        "verify",
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
        before_renames: BeforeRenames | None = None,
    ) -> None:
        self.transfer = transfer
        self.source_uri = source_uri
        self.bucket = bucket
        self.key = key
        self.destination = destination
        self.within = within
        self.before_publish = before_publish
        self.before_renames = before_renames
        self.expected_size = expected_size
        self.content = Content(part_size, progress_report(on_progress, source_uri))
        self.verify: Verify = verify
        self.facts = _NO_FACTS
        self.initial: RangeRequest | None = None
        self.request_id: str | None = None
        self.started_at = -1.0
        self.generation = 0
        self.is_over = False
        self.is_publishing = False
        self.one_stream = False
        self.size_doubted = False
        self.refused_ranges_of: ObjectFacts | None = None
        self._restarts = 0
        self.changes = 0
        self.mismatched: str | None = None
        self.most_attempts = 1

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
        return self.content.ranges.size_bytes

    # What to request

    def first_request(self) -> RangeRequest:
        """Return the initial stream: a GET of the complete object."""
        return RangeRequest(self, 0, UNKNOWN, is_initial=True)

    def next_request(self) -> RangeRequest | None:
        """Take the next range that nobody has requested, or None."""
        taken = None if self.is_over else self.content.ranges.take()
        if taken is None:
            return None
        request = RangeRequest(self, *taken, is_initial=False)
        request.digest = self.content.new_digest()
        return request

    def extend(self, request: RangeRequest, end: int) -> bool:
        """Let the initial stream continue if the part after it is not taken.

        Args:
            request: The initial stream, or any other request.
            end: How far its next bytes reach.

        Returns:
            False if it may not reach so far.
        """
        if self.size is None:
            return False  # longer than the record allows
        content = self.content
        if not content.is_checking and not content.ranges.has_parts_ahead:
            content.log_part(request.start, request.position, request.digest)
            if request.is_initial:
                request.stop = content.ranges.extend(request.stop, end)
        return end < request.stop

    # What has arrived

    def open(self, partial: PartialFile) -> LeftParts | None:
        """Take the temporary file that the bytes go to.

        Args:
            partial: The file, open and empty.

        Returns:
            What a killed run has left of this version, to be checked (`resume.check_parts`).

        Raises:
            OSError: The log of its parts cannot be made.
        """
        identity = Identity(self.source_uri, self.size or 0, self.facts.etag or "")
        return self.content.open(partial, identity)

    def check_name(self) -> Failure | None:
        """Look whether the temporary file is still there under its name.

        Returns:
            Why writing has to stop: it was removed or replaced; None if it is there.
        """
        partial = self.content.partial
        try:
            if partial is not None and not self.is_publishing:
                partial.check_name()
        except OSError as error:
            return local_failure(self.file, error)
        return None

    # How it ends, or starts again

    def restart(self, *, is_counted: bool = True) -> RangeRequest:
        """Forget what arrived.

        Args:
            is_counted: Whether this is an attempt of its own. Default True.

        Returns:
            The first request of the new generation.

        Raises:
            OSError: The temporary file cannot be emptied.
        """
        self.generation += 1
        self._restarts += is_counted
        self.facts = _NO_FACTS
        self.initial = None
        self.content.forget()
        return self.first_request()

    @property
    def attempts(self) -> int:
        """How often it was tried, by its most tried range."""
        return self.most_attempts + self._restarts

    def end(self) -> None:
        """Note that it has ended."""
        self.is_over = True
        self.initial = None  # which refers to this file: a cycle, left to the garbage collector

    def discard(self, *, leave_parts: bool = False, must_fit: bool = False) -> None:
        """End the file, and remove what was written, once no worker uses it.

        Args:
            leave_parts: Whether to leave it to the next run of a sync, which looks for it.
            must_fit: Whether to leave it only if there is room for what is missing.
        """
        self.end()
        self.generation += 1
        self.content.discard(leave_parts=leave_parts and self.within is not None, must_fit=must_fit)

    def error(self, failure: Failure) -> DownloadError:
        """Return the error for the caller."""
        error = failure.error(self.file, max(self.attempts, failure.attempts))
        error.__cause__ = safe_cause(failure.cause)
        return error
