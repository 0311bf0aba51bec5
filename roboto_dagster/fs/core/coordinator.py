"""Moves files from their first request to their end: all that is the same for every driver.

A driver sends requests and reads answers. It asks `next` what to send, has heads judged by
`validate_response`, gives bytes to `RangeRequest.write`, and reports how each request ended:

```
 driver                                   coordinator
 next(now) ─────────────────────────────► scheduler, credentials, throttle ─► RangeRequest
 validate_response(request, head) ──────► facts, temporary file, parts of a killed run
 request.write(bytes)
 released(request); completed(request) ─► finish: verdict
 publish_waiting() ─────────────────────► verified files renamed into place, those of a turn together
 released(request); failed(request, …) ─► recovery: again, later, elsewhere, or the file has failed
```

No socket and no thread. Everything is called in the driver's thread, or under the driver's lock.
"""

import concurrent.futures

from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.folder_cache import FolderCache
from roboto_dagster.disk.resume_log import Part
from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import PlatformError
from roboto_dagster.fs.core.answers import validate_response
from roboto_dagster.fs.core.checksums import CrcDigest
from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure, credentials_failure
from roboto_dagster.fs.core.files import Driver, Files
from roboto_dagster.fs.core.finish import Finisher
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.resume import check_parts, resume_with
from roboto_dagster.fs.core.retries import Retries
from roboto_dagster.fs.core.scheduler import Scheduler
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credentials import LiveCredentials


class Coordinator:
    """The files of one store in one driver.

    Args:
        state: What all drivers of the store share.
        driver: Sends the requests.
        bytes_in_flight: The budget of bytes requested at once in large ranges.

    Attributes:
        scheduler: What waits to be requested.
        files: The files that have not ended; takes new ones in.
        connections: How many requests are under way.
        publish_waiting: Renames the verified files that wait into place; to be called at the end of each turn.
    """

    def __init__(
        self, state: StoreState, driver: Driver, *, bytes_in_flight: BytesInFlight
    ) -> None:
        self._state = state
        self.connections = 0
        self._folders = FolderCache(state.folders_kept)
        self.scheduler = Scheduler(bytes_in_flight, state.settings.part_size_bytes)
        self.files = Files(state, self.scheduler, driver)
        self._retries = Retries(state, self.scheduler, driver, self.files)
        self._finisher = Finisher(
            self.files.in_worker,
            state,
            restart=self._retries.restart,
            fail=self.files.fail,
            published=self.files.published,
        )
        self.publish_waiting = self._finisher.queue.publish_all

    # What to send

    def next(self, now: float) -> RangeRequest | None:
        """Return what to send next, or None if nothing may be sent now.

        Args:
            now: The driver's clock, in seconds.
        """
        state = self._state
        if now < state.throttle.not_before:
            return None
        if state.outage.failure is not None:
            state.outage.end_if_due(now)
            if state.outage.failure is not None:
                self.files.fail_waiting(state.outage.failure)
        request = self._next_missing(now)
        if request is None:
            return None
        credentials = self._credentials_for(request, now)
        if credentials is None:
            return None
        request.credentials = credentials
        if request.first_attempt_at < 0:
            request.first_attempt_at = now
        if request.download.started_at < 0:
            request.download.started_at = now
        self.connections += 1
        return request

    def _next_missing(self, now: float) -> RangeRequest | None:
        """Return the next request of which bytes are missing."""
        only_started = not self._state.outage.may_start(now)
        request = self.scheduler.next(now, only_started=only_started)
        while request is not None and request.is_complete:
            # It was put off, and meanwhile its bytes were found on the disk.
            self.scheduler.ended(request)
            self._count_in(request)
            request = self.scheduler.next(now, only_started=only_started)
        return request

    @property
    def has_waiting(self) -> bool:
        """Whether there is something to send at once."""
        scheduler = self.scheduler
        return scheduler.has_again if self._state.outage.is_suspected else scheduler.has_waiting

    @property
    def due(self) -> float:
        """When something is to be sent that is not sent now, by the driver's clock, in seconds."""
        outage, scheduler = self._state.outage, self.scheduler
        if outage.is_suspected and scheduler.has_waiting:
            return min(scheduler.next_due, outage.probe_at)
        return scheduler.next_due

    def _credentials_for(self, request: RangeRequest, now: float) -> LiveCredentials | None:
        """Read the credentials; without any, nothing is sent before the cache has some."""
        try:
            credentials = self._state.credentials.get_nowait()
        except PlatformError as error:
            self._fail_without_credentials(request, credentials_failure(error), now)
            return None
        if credentials is None:
            self.scheduler.ended(request)
            self.scheduler.again(request)
        return credentials

    def _fail_without_credentials(
        self, request: RangeRequest | None, failure: Failure, now: float
    ) -> None:
        while request is not None:
            self.scheduler.ended(request)
            self.files.fail(request.download, failure)
            request = self.scheduler.next(now)

    # What was answered

    def validate_response(self, request: RangeRequest, head: Head) -> Failure | None:
        """Judge the head of an answer of status 2xx, and make the file ready for its body.

        Args:
            request: What was requested.
            head: Status and headers.

        Returns:
            Why its body is not wanted; None if it is.

        Raises:
            OSError: The temporary file cannot be made.
        """
        download = request.download
        is_first = download.content.ranges.size_bytes is None
        if is_first and self._state.one_stream:
            download.one_stream = True
        failure = validate_response(download, request, head)
        if failure is not None:
            return failure
        if download.refused_ranges_of == download.facts:
            self._state.one_stream = True
        left = self._open(download) if download.content.partial is None else None
        if left is not None:
            self._check_parts(download, left)
        elif is_first and download.content.ranges.has_more:
            self.scheduler.add_ranges(download)
        return None

    def _open(self, download: Download) -> LeftParts | None:
        """Open the temporary file; return what a killed run left of this version."""
        return download.open(
            open_partial(
                download.destination,
                download.within,
                self._folders,
                self._state.settings.durability,
            )
        )

    def _check_parts(self, download: Download, left: LeftParts) -> None:
        """Read back what a killed run left, in a worker; meanwhile the initial stream continues."""
        generation = download.generation

        def resume(checking: "concurrent.futures.Future[dict[Part, CrcDigest]]") -> None:
            if download.generation != generation:
                return
            if checking.exception() is None and resume_with(download, checking.result()):
                self._finisher.finish(download)
            else:
                download.content.is_checking = False
                self.scheduler.add_ranges(download)

        digest = download.content.new_digest()
        algorithm = digest.algorithm if isinstance(digest, CrcDigest) else None
        self.files.in_worker(download, lambda: check_parts(left, algorithm), resume)

    # How requests end

    def released(self, request: RangeRequest) -> None:
        """Count out a request that is not under way any more, however it ended."""
        self.connections -= 1
        self.scheduler.ended(request)

    def completed(self, request: RangeRequest, now: float) -> None:
        """Take a request all of whose bytes have come.

        Args:
            request: The request, released.
            now: The driver's clock, in seconds.
        """
        state = self._state
        state.outage.succeeded(now)
        if state.throttle.limit < state.throttle.most:
            state.throttle.succeeded(now)
        if state.shared is not None:
            state.shared.answered(now)
        if request.credentials is not None:
            state.credentials.mark_accepted(request.credentials.generation)
        self._count_in(request)

    def _count_in(self, request: RangeRequest) -> None:
        """Take the bytes of a complete request; end the file if they were the last."""
        if not request.is_stale and request.download.content.add(
            request.start, request.stop, request.digest
        ):
            self._finisher.finish(request.download)

    def failed(self, request: RangeRequest, failure: Failure, now: float) -> None:
        """Take a request that failed.

        Args:
            request: The request, released.
            failure: Why it failed.
            now: The driver's clock, in seconds.
        """
        if not request.is_stale:
            self._retries.failed(request, failure, connections=self.connections, now=now)

    def close(self) -> None:
        """Close the folders that are kept open."""
        self._folders.close()
