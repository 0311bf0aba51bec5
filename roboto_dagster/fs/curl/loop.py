"""The thread that drives libcurl: sends what coordinators ask for, reports how it ended.

Each file belongs to one loop, so nothing here needs a lock but the inbox by which others come in.
The stores that share a loop take turns, one request each.

```
 wait ─► perform ─► end what libcurl is done with ─► admit from the inbox ─► launch ─► watch ─┐
  ▲                                                                                           │
  └───────────────────────────────────────────────────────────────────────────────────────────┘
```
"""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pycurl

from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.core.connections import BytesInFlight, Connections
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.curl.active import ActiveRequests
from roboto_dagster.fs.curl.inbox import Inbox
from roboto_dagster.fs.curl.multi import NEVER, Multi
from roboto_dagster.fs.curl.request import CurlRequest
from roboto_dagster.fs.curl.write_buffer import WriteBuffer
from roboto_dagster.fs.engine.tenant import Tenant
from roboto_dagster.fs.engine.tenants import Tenants
from roboto_dagster.fs.workers import Workers

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.05
# How long to wait for a thread to start that may never have been started.
_JOIN_SECONDS = (0.01, 0.05)
T = TypeVar("T")


class CurlLoop:
    """One loop and its thread.

    Args:
        settings: The engine's settings.
        connections: How the loops share the engine's connections.
        index: The loop's number among them.
        workers: Threads for what takes long.
        bytes_in_flight: The budget of bytes requested at once in large ranges.
        is_shared: Whether several stores use it.
        bandwidth: The bound on what all loops receive, or None.

    Attributes:
        index: The loop's number.
        bytes_in_flight: The budget.
        wake: Has it look for something to send.
        call: Has it call a function.
    """

    def __init__(
        self,
        settings: S3Settings,
        connections: Connections,
        index: int,
        workers: Workers,
        *,
        bytes_in_flight: BytesInFlight,
        is_shared: bool,
        bandwidth: Bandwidth | None,
    ) -> None:
        self.index = index
        self.bytes_in_flight = bytes_in_flight
        self._settings = settings
        self._connections = connections
        self._workers = workers
        self._bandwidth = bandwidth
        self._inbox = Inbox()
        self.wake = self._inbox.wake
        self.call = self._inbox.call
        self._tenants = Tenants(connections, index, is_shared=is_shared)
        self._was_started = False
        self._is_abandoned = False
        self._is_short = False
        self._now = 0.0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roboto-curl", daemon=True)

    # For other threads

    @property
    def has_ended(self) -> bool:
        """Whether it calls nothing any more."""
        return self._has_ended.is_set() or self._is_abandoned

    def start(self) -> None:
        """Start the thread; what is interrupted here is ended by `stop` and `join`."""
        self._was_started = True
        self._inbox.open()
        self._thread.start()

    def submit(self, tenant: Tenant, download: Download) -> None:
        """Take a file over.

        Args:
            tenant: Whose file it is.
            download: The file.
        """
        if not self._inbox.submit(tenant, download):
            tenant.refuse(download)

    def cancel_all(self) -> None:
        """End all files."""
        self._inbox.call(self._tenants.cancel_all)

    def stop(self) -> None:
        """Have the thread end once its last file has."""
        self._inbox.stop()

    def join(self) -> None:
        """Wait for the thread; a signal handler that raises ends the wait."""
        if not self._was_started:
            return
        # Not `Thread.join`: interrupted, it takes the thread for ended (CPython 3.10 to 3.12).
        for pause in _JOIN_SECONDS:
            if self._has_ended.wait(pause) or self._thread.ident is not None:
                break
        else:  # `start` was interrupted before there was a thread
            self._is_abandoned = True
            self._inbox.close_waker()
            return
        while not self._has_ended.wait(0.5):
            pass
        self._thread.join()

    # For the coordinators

    def abort(self, download: Download) -> None:
        """End the requests of a file."""
        for request in self._requests.of(download):
            self._release(request)

    def run_in_worker(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None], /
    ) -> None:
        """Run `work` in another thread, then `then` in the loop."""
        self._workers.run(work, then, self._inbox.call)

    # The thread

    def _run(self) -> None:
        if self._is_abandoned:
            return
        try:
            self._loop()
        except BaseException as error:  # the thread's boundary: no caller may wait forever
            logger.exception("The transfer loop broke")
            self._end_all(error)
        finally:
            self._inbox.close_waker()
            self._has_ended.set()

    def _loop(self) -> None:
        buffer = WriteBuffer()
        waker = self._inbox.waker or self._inbox.open()
        self._multi = Multi(waker, self._connections.most, buffer, self._bandwidth)
        self._requests = ActiveRequests(self._settings, self._multi, buffer, self._bandwidth)
        try:
            while not self._is_done():
                self._turn()
        finally:
            self._requests.close()
            self._multi.close()
            for tenant in self._tenants:
                tenant.report_ended()

    def _is_done(self) -> bool:
        if not self._inbox.is_stopping:
            return False
        self._tenants.end_turn(by_force=True)
        return not self._tenants and self._inbox.close_if_empty()

    def _turn(self) -> None:
        events = self._wait()
        now = self._now = time.monotonic()
        self._multi.perform(events, now)
        for curl, number, message in self._multi.ended():
            self._end(curl, number, message)
        arrivals = self._inbox.arrivals()
        while arrivals:
            self._tenants.admit(*arrivals.popleft())
        self._inbox.run_calls()
        self._launch()
        for request, failure in self._requests.to_be_ended(now):
            if request.range is not None:  # not aborted with another range of its file
                self._end_with(request, failure)
        self._tenants.end_turn()

    def _wait(self) -> list[tuple[int, int]]:
        """Wait until there is something to do; return the sockets that may be read."""
        pause = self._bandwidth.pause_seconds(time.monotonic()) if self._bandwidth else 0.0
        if pause:
            time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
            if pause > _LONGEST_PAUSE_SECONDS:
                return []
        timeout = self._timeout()
        events = self._multi.wait(0.0 if self._inbox.before_wait() else timeout)
        self._inbox.after_wait()
        return events

    def _timeout(self) -> float | None:
        due = min(self._multi.due, self._requests.watch_due)
        for tenant in self._tenants:
            if self._tenants.may_start(tenant):
                due = min(due, tenant.due)
            elif not len(self._requests):  # else the end of one wakes it
                # The other loops have the connections, and do not say when they leave one.
                due = min(due, max(tenant.due, self._now + _LOOK_AGAIN_SECONDS))
            if self._now < tenant.state.throttle.not_before:
                due = min(due, tenant.state.throttle.not_before)
        if self._is_short and not len(self._requests):
            # All connections are with the other loops, or the credentials on their way.
            due = min(due, self._now + _LOOK_AGAIN_SECONDS)
        return None if due == NEVER else max(due - time.monotonic(), 0.0)

    def _launch(self) -> None:
        for tenant, ranged in self._tenants.in_turn(self._now):
            try:
                self._requests.start(tenant, ranged, self._now)
            except Exception as error:  # noqa: BLE001 - a name that no URL can hold: its own matter
                tenant.coordinator.released(ranged)
                tenant.coordinator.files.fail_on(ranged.download, error)
            self._tenants.note_use(tenant, len(self._requests))
        self._is_short = self._tenants.note_want()

    def _end(self, curl: pycurl.Curl, number: int, message: str) -> None:
        request = self._requests.get(curl)
        if request is None:  # aborted with another range of its file
            return
        failure: Failure | BaseException | None
        try:
            failure = request.outcome(number, message)
        except Exception as error:  # noqa: BLE001 - a bug: this file's matter alone
            failure = error
        self._end_with(request, failure)

    def _end_with(self, request: CurlRequest, failure: Failure | BaseException | None) -> None:
        released = self._release(request)
        if released is None:
            return
        coordinator, ranged = released
        try:
            if failure is None:
                coordinator.completed(ranged, self._now)
            elif isinstance(failure, Failure):
                coordinator.failed(ranged, failure, self._now)
            else:
                coordinator.files.fail_on(ranged.download, failure)
        except Exception as error:  # noqa: BLE001 - a bug or a disk: this file's matter alone
            coordinator.files.fail_on(ranged.download, error)

    def _release(self, request: CurlRequest) -> tuple[Coordinator, RangeRequest] | None:
        """Give a request's connection back, however it ended; return whose it was."""
        tenant = request.tenant
        ranged = self._requests.release(request)
        if ranged is None or tenant is None:
            return None
        tenant.coordinator.released(ranged)
        self._tenants.note_use(tenant, len(self._requests))
        return tenant.coordinator, ranged

    def _end_all(self, error: BaseException) -> None:
        """End every file after the loop broke."""
        failure = Failure(
            code="UNEXPECTED",
            reason=f"the transfer loop broke: {type(error).__name__}",
            remedy="fail",
            cause=error,
        )
        for tenant, download in self._inbox.close():
            tenant.refuse(download, failure)
        for tenant in self._tenants:
            tenant.break_off(failure)
