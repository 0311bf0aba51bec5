"""Moves files from their first request to their end: all that is the same for every driver.

A driver sends requests and reads answers. It asks `next` what to send, has heads judged by
`validate_response`, gives bytes to `RangeRequest.write`, and reports how each request ended:

```
 driver                                   coordinator
 next(now) ─────────────────────────────► scheduler, credentials, throttle ─► RangeRequest
 validate_response(request, head) ──────► facts, temporary file, parts of a killed run
 request.write(bytes)
 released(request); completed(request) ─► finish: verdict, publish
 released(request); failed(request, …) ─► recovery: again, later, elsewhere, or the file has failed
```

No socket and no thread. Everything is called in the driver's thread, or under the driver's lock.
"""

import concurrent.futures
import dataclasses
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.folder import FolderCache
from roboto_dagster.disk.resume_log import Part
from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import PlatformError
from roboto_dagster.fs.core.checksums import CrcDigest
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import CANCELLED, Failure, credentials_failure, local_failure
from roboto_dagster.fs.core.finish import Finisher
from roboto_dagster.fs.core.recovery import (
    MAX_REPLAYS,
    AdjustClock,
    GiveUp,
    RefreshCredentials,
    Relocate,
    Restart,
    RestartAsOneStream,
    Retry,
    next_action,
)
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.resume import check_parts, resume_with
from roboto_dagster.fs.core.scheduler import Scheduler
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credentials import LiveCredentials
from roboto_dagster.fs.object_store import Receipt

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OUTAGE_CODES = frozenset({"CONNECTION", "STALLED", "THROTTLED", "SERVER_ERROR"})
# After these, the next run continues with the parts that came.
_RESUMABLE_CODES = _OUTAGE_CODES | {
    "CANCELLED",
    "CREDENTIALS_EXPIRED",
    "CREDENTIALS_INVALID",
    "NO_SPACE",
}


class Driver(Protocol):
    """What the coordinator needs of what sends the requests."""

    def abort(self, download: Download) -> None:
        """Ends the requests of a file that are under way; each is `released`, and no more."""
        ...

    def run_in_worker(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None], /
    ) -> None:
        """Runs `work` in another thread, then `then` where the coordinator is called."""
        ...


class Coordinator:
    """The files of one driver.

    Args:
        state: What all drivers of the store share.
        driver: Sends the requests.
        bytes_in_flight: Bound on the bytes requested at once in large ranges.

    Attributes:
        scheduler: What waits to be requested.
        downloads: The files that have not ended.
        ended: How many files ended; the driver takes them out of the count as it reports them.
        connections: How many requests of this driver are under way.
    """

    def __init__(self, state: StoreState, driver: Driver, *, bytes_in_flight: int) -> None:
        self._state = state
        self._settings = state.settings
        self._driver = driver
        self.scheduler = Scheduler(bytes_in_flight, state.settings.part_size_bytes)
        self.downloads: set[Download] = set()
        self.ended = 0
        self.connections = 0
        self._now = 0.0
        self._folders = FolderCache(state.folders_kept)
        self._finisher = Finisher(
            self.in_worker,
            state,
            restart=self._restart,
            fail=self.fail,
            published=self._published,
        )

    # What to send

    def add(self, download: Download) -> None:
        """Takes a file in."""
        self.downloads.add(download)
        if self._state.disk_full is not None:
            self.fail(download, self._state.disk_full)
        else:
            self.scheduler.add(download)

    def next(self, now: float) -> RangeRequest | None:
        """Returns what to send next, or None if nothing may be sent now.

        Args:
            now: The driver's clock, in seconds.
        """
        self._now = now
        if now < self._state.throttle.not_before:
            return None
        request = self.scheduler.next(now)
        if request is None:
            return None
        credentials = self._credentials_for(request)
        if credentials is None:
            return None
        request.credentials = credentials
        if request.first_attempt_at < 0:
            request.first_attempt_at = now
        if request.download.started_at < 0:
            request.download.started_at = now
        self.connections += 1
        return request

    def _credentials_for(self, request: RangeRequest) -> LiveCredentials | None:
        """Reads the credentials; without any, nothing is sent before the cache has some."""
        try:
            credentials = self._state.credentials.get_nowait()
        except PlatformError as error:
            self._fail_without_credentials(request, credentials_failure(error))
            return None
        if credentials is None:
            self.scheduler.ended(request)
            self.scheduler.again(request)
        return credentials

    def _fail_without_credentials(self, request: RangeRequest | None, failure: Failure) -> None:
        while request is not None:
            self.scheduler.ended(request)
            self.fail(request.download, failure)
            request = self.scheduler.next(self._now)

    # What was answered

    def validate_response(self, request: RangeRequest, head: Head) -> Failure | None:
        """Judges the head of an answer of status 2xx, and makes the file ready for its body.

        Args:
            request: What was requested.
            head: Status and headers.

        Returns:
            Why its body is not wanted; None if it is.

        Raises:
            OSError: The temporary file cannot be made.
        """
        download = request.download
        is_first = download.size is None
        if is_first and self._state.one_stream:
            download.one_stream = True
        failure = download.validate_response(request, head)
        if failure is not None:
            return failure
        if download.refused_ranges_of is not None and download.one_stream:
            self._state.one_stream = True
        left = self._open(download) if download.content.partial is None else None
        if left is not None:
            self._check_parts(download, left)
        elif is_first and download.content.ranges.has_more:
            self.scheduler.add_ranges(download)
        return None

    def _open(self, download: Download) -> LeftParts | None:
        """Opens the temporary file; returns what a killed run left of this version."""
        return download.open(
            open_partial(
                download.destination, download.within, self._folders, self._settings.durability
            )
        )

    def _check_parts(self, download: Download, left: LeftParts) -> None:
        """Reads back what a killed run left, in a worker; meanwhile the initial stream goes on."""
        generation = download.generation

        def resume(checking: "concurrent.futures.Future[dict[Part, CrcDigest]]") -> None:
            if download.generation != generation:
                return
            if checking.exception() is None and resume_with(download, checking.result()):
                self._finisher.finish(download)
            else:
                download.content.is_checking = False
                self.scheduler.add_ranges(download)

        self.in_worker(download, lambda: check_parts(left), resume)

    def in_worker(
        self,
        download: Download,
        work: Callable[[], T],
        then: Callable[["concurrent.futures.Future[T]"], None],
    ) -> None:
        """Runs work on a file's temporary file in another thread; the file stays open until then.

        Args:
            download: The file.
            work: What to do there.
            then: Called here with its outcome, unless the file has ended meanwhile.
        """

        def ended(done: "concurrent.futures.Future[T]") -> None:
            download.content.worker_ended()
            if download.is_over:
                return
            try:
                then(done)
            except Exception as error:  # noqa: BLE001 - a bug or a disk: this file's matter alone
                self.fail_on(download, error)

        download.content.worker_started()
        self._driver.run_in_worker(work, ended)

    # How requests end

    def released(self, request: RangeRequest) -> None:
        """Counts out a request that is not under way any more, however it ended."""
        self.connections -= 1
        self.scheduler.ended(request)

    def completed(self, request: RangeRequest, now: float) -> None:
        """Takes a request all of whose bytes have come.

        Args:
            request: The request, released.
            now: The driver's clock, in seconds.
        """
        state = self._state
        state.last_success_at = self._now = now
        if state.throttle.limit < state.throttle.most:
            state.throttle.succeeded()
        if request.credentials is not None:
            state.credentials.mark_accepted(request.credentials.generation)
        if not request.is_stale and request.download.content.add(
            request.start, request.stop, request.digest
        ):
            self._finisher.finish(request.download)

    def failed(self, request: RangeRequest, failure: Failure, now: float) -> None:
        """Takes a request that failed, and carries out what `next_action` decides.

        Args:
            request: The request, released.
            failure: Why it failed.
            now: The driver's clock, in seconds.
        """
        self._now = now
        if request.is_stale:
            return
        download = request.download
        download.request_id = failure.request_id or download.request_id
        if failure.remedy == "denied" and self._may_have_expired(request):
            failure = dataclasses.replace(failure, remedy="replay")
        match next_action(download, request, failure, self._settings.retry, now):
            case GiveUp(is_exhausted):
                self._give_up(request, failure, is_exhausted=is_exhausted)
            case Restart():
                download.changes += 1
                download.refused_ranges_of = None if request.is_initial else download.facts
                self._restart(download, failure)
            case RestartAsOneStream(for_all):
                download.one_stream = True
                self._state.one_stream |= for_all
                self._restart(download, failure)
            case Retry(after_seconds):
                self._adapt_limits(failure, after_seconds)
                self._retry(request, failure, after_seconds)
            case action:
                self._learn(action, request, failure)
                request.replays += 1
                self.scheduler.again(self._continued(request))

    def _may_have_expired(self, request: RangeRequest) -> bool:
        """Returns whether a denied request deserves fresh credentials, which are then fetched."""
        credentials = request.credentials
        if credentials is None or request.replays >= MAX_REPLAYS:
            return False
        return self._state.credentials.suspect(credentials.generation)

    def _learn(self, action: object, request: RangeRequest, failure: Failure) -> None:
        """Takes in what a replay needs."""
        match action:
            case AdjustClock(server_time):
                self._state.learn_time(server_time)
            case Relocate(region):
                self._state.endpoints.learn_region(request.download.bucket, region)
            case RefreshCredentials() if request.credentials is not None:
                self._state.credentials.mark_rejected(
                    request.credentials.generation, failure.code, failure.reason
                )

    def _retry(self, request: RangeRequest, failure: Failure, pause: float) -> None:
        download = request.download
        self._report_retry(download, failure, pause)
        request.attempts += 1
        download.most_attempts = max(download.most_attempts, request.attempts)
        self.scheduler.later(self._continued(request), self._now + pause)

    def _continued(self, request: RangeRequest) -> RangeRequest:
        """Returns what is left of a request; all of it where that would risk a mixture."""
        if request.position == request.start:
            return request
        if request.download.can_continue(request):
            request.is_initial = False
            return request
        again = request.download.restart(is_counted=False)  # it is as an attempt
        again.attempts, again.replays = request.attempts, request.replays
        again.first_attempt_at = request.first_attempt_at
        return again

    def _restart(self, download: Download, failure: Failure) -> None:
        self._report_retry(download, failure, 0.0)
        self._driver.abort(download)
        self.scheduler.again(download.restart())

    def _adapt_limits(self, failure: Failure, pause: float) -> None:
        """Uses fewer connections where the store, or this machine, asks for it."""
        if failure.code in ("THROTTLED", "STALLED"):
            everybody = pause if failure.retry_after_seconds else 0.0
            self._state.throttle.slow_down(self._now, everybody)
        elif failure.code == "LOCAL_IO":  # too many open files
            self._state.throttle.shrink_to(self.connections * self._state.drivers * 3 // 4)

    def _give_up(self, request: RangeRequest, failure: Failure, *, is_exhausted: bool) -> None:
        self.fail(request.download, failure)
        nobody_answered = self._state.last_success_at < request.first_attempt_at
        if is_exhausted and failure.code in _OUTAGE_CODES and nobody_answered:
            # In all that time: those still waiting would wear it out again.
            self._fail_waiting(failure)

    def _report_retry(self, download: Download, failure: Failure, pause: float) -> None:
        on_retry = self._settings.on_retry
        logger.debug("%s: %s, next attempt in %.2f s", download.source_uri, failure.reason, pause)
        if on_retry is not None:
            try:
                on_retry(download.error(failure), pause)
            except Exception:  # the border to the caller's code
                logger.exception("on_retry failed")

    # How files end

    def _published(self, download: Download, receipt: Receipt) -> None:
        download.is_over = True
        self._forget(download)
        self._state.learn_file(receipt.size_bytes, receipt.verified)
        download.transfer.succeed(receipt)

    def fail(self, download: Download, failure: Failure) -> None:
        """Ends a file with a failure; nothing if it has ended, or is being published.

        Args:
            download: The file.
            failure: Why.
        """
        if download.is_over or download.is_publishing or download not in self.downloads:
            return
        self._driver.abort(download)
        download.discard(
            leave_parts=failure.code in _RESUMABLE_CODES, must_fit=failure.code == "NO_SPACE"
        )
        self._forget(download)
        advice = self._state.credentials.advice_for(failure.code)
        failure = dataclasses.replace(failure, advice=failure.advice or advice)
        download.transfer.fail(download.error(failure))
        if failure.code == "NO_SPACE" and self._state.disk_full is None:
            self._state.disk_full = failure
            self._fail_waiting(failure)

    def fail_on(self, download: Download, error: BaseException) -> None:
        """Ends a file with what was raised on this machine.

        Args:
            download: The file.
            error: What was raised.
        """
        self.fail(download, local_failure(download.file, error))

    def _fail_waiting(self, failure: Failure) -> None:
        for download in self.scheduler.waiting():
            self.fail(download, failure)

    def _forget(self, download: Download) -> None:
        self.downloads.discard(download)
        self.ended += 1

    def close(self) -> None:
        """Closes the folders that are kept open."""
        self._folders.close()

    def cancel(self, is_meant: Callable[[Download], bool]) -> None:
        """Ends files with `CANCELLED`.

        Args:
            is_meant: Chooses them.
        """
        for download in [download for download in self.downloads if is_meant(download)]:
            self.fail(download, CANCELLED)
