"""The thread that drives libcurl: sends what the coordinator asks for, reports how it ended.

Each file belongs to one loop, so nothing here needs a lock but the inbox by which others come in.

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

from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.curl.active import ActiveRequests
from roboto_dagster.fs.curl.inbox import Inbox
from roboto_dagster.fs.curl.limits import Connections
from roboto_dagster.fs.curl.multi import NEVER, Multi
from roboto_dagster.fs.curl.request import CurlRequest
from roboto_dagster.fs.curl.write_buffer import WriteBuffer
from roboto_dagster.fs.object_store import Transfer
from roboto_dagster.fs.workers import Workers

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.01
# How long to wait for a thread to start that may never have been started.
_JOIN_SECONDS = (0.01, 0.05)
T = TypeVar("T")


class CurlLoop:
    """One loop and its thread.

    Args:
        state: What the loops of the store share.
        connections: How they share the connections.
        index: The loop's number among them.
        bytes_in_flight: Bound on the bytes requested at once in large ranges.
        on_ended: Called with how many files ended, after they did.
    """

    def __init__(
        self,
        state: StoreState,
        connections: Connections,
        index: int,
        *,
        bytes_in_flight: int,
        on_ended: Callable[[int], None],
    ) -> None:
        self._state = state
        self._connections = connections
        self._index = index
        self._on_ended = on_ended
        self._inbox = Inbox()
        self._workers = Workers(self._inbox.call)
        self._coordinator = Coordinator(state, self, bytes_in_flight=bytes_in_flight)
        self._was_started = False
        self._is_abandoned = False
        self._is_short = False
        self._now = 0.0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roboto-curl", daemon=True)

    # For other threads

    def start(self) -> None:
        """Start the thread; what is interrupted here is ended by `stop` and `join`."""
        self._was_started = True
        self._inbox.open()
        self._thread.start()

    def submit(self, download: Download) -> None:
        """Take a file over."""
        if not self._inbox.submit(download):
            reason = "the store was closed meanwhile"
            failure = Failure(code="CANCELLED", reason=reason, remedy="fail")
            download.transfer.fail(download.error(failure))
            self._on_ended(1)

    def cancel(self, transfer: Transfer) -> None:
        """End one file."""
        is_meant = lambda download: download.transfer is transfer  # noqa: E731 - a predicate
        self._inbox.call(lambda: self._coordinator.files.cancel(is_meant))

    def cancel_all(self) -> None:
        """End all files."""
        self._inbox.call(lambda: self._coordinator.files.cancel(lambda _: True))

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

    # For the coordinator

    def abort(self, download: Download) -> None:
        """End the requests of a file."""
        for request in self._requests.of(download):
            ranged = self._requests.release(request)
            if ranged is not None:
                self._coordinator.released(ranged)

    def run_in_worker(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None], /
    ) -> None:
        """Run `work` in another thread, then `then` in the loop."""
        self._workers.run(work, then)

    # The thread

    def _run(self) -> None:
        if self._is_abandoned:
            return
        self._state.credentials.subscribe(self._inbox.wake)
        try:
            self._loop()
        except BaseException as error:  # the thread's boundary: no caller may wait forever
            logger.exception("The transfer loop broke")
            self._end_all(error)
        finally:
            self._state.credentials.unsubscribe(self._inbox.wake)
            self._inbox.close_waker()
            self._has_ended.set()

    def _loop(self) -> None:
        buffer = WriteBuffer()
        waker = self._inbox.waker or self._inbox.open()
        self._multi = Multi(waker, self._state.throttle.most, buffer)
        on_head = self._coordinator.validate_response
        self._requests = ActiveRequests(self._state, self._multi, on_head, buffer)
        try:
            while not self._is_done():
                self._turn()
        finally:
            self._workers.close()
            self._requests.close()
            self._multi.close()
            self._coordinator.close()
            self._report_ended()

    def _is_done(self) -> bool:
        if not self._inbox.is_stopping or self._coordinator.files.open or self._workers.pending:
            return False
        return self._inbox.close_if_empty()

    def _turn(self) -> None:
        timeout = self._timeout()
        events = self._multi.wait(0.0 if self._inbox.before_wait() else timeout)
        self._inbox.after_wait()
        now = self._now = time.monotonic()
        self._multi.perform(events, now)
        for curl, number, message in self._multi.ended():
            self._end(curl, number, message)
        self._admit()
        self._launch()
        for request, failure in self._requests.to_be_ended(now):
            if request.range is not None:  # not aborted with another range of its file
                self._end_with(request, failure)
        self._report_ended()

    def _timeout(self) -> float | None:
        due = min(self._multi.due, self._coordinator.scheduler.next_due, self._requests.watch_due)
        if self._is_short and not len(self._requests):
            # All connections are with the other loops, or the credentials on their way.
            due = min(due, self._now + _LOOK_AGAIN_SECONDS)
        if self._now < self._state.throttle.not_before:
            due = min(due, self._state.throttle.not_before)
        return None if due == NEVER else max(due - time.monotonic(), 0.0)

    def _admit(self) -> None:
        arrivals = self._inbox.arrivals()
        while arrivals:
            self._coordinator.files.add(arrivals.popleft())
        self._inbox.run_calls()

    def _launch(self) -> None:
        coordinator, requests, connections = self._coordinator, self._requests, self._connections
        while len(requests) < connections.room(self._index):
            ranged = coordinator.next(self._now)
            if ranged is None:
                break
            try:
                requests.start(ranged, self._now)
            except Exception as error:  # noqa: BLE001 - a name that no URL can hold: its own matter
                coordinator.released(ranged)
                coordinator.files.fail_on(ranged.download, error)
            connections.use(self._index, len(requests))
        self._is_short = coordinator.scheduler.has_waiting
        connections.want(self._index, more=self._is_short)

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
        coordinator = self._coordinator
        ranged = self._requests.release(request)
        self._connections.use(self._index, len(self._requests))
        if ranged is None:
            return
        coordinator.released(ranged)
        try:
            if failure is None:
                coordinator.completed(ranged, self._now)
            elif isinstance(failure, Failure):
                coordinator.failed(ranged, failure, self._now)
            else:
                coordinator.files.fail_on(ranged.download, failure)
        except Exception as error:  # noqa: BLE001 - a bug or a disk: this file's matter alone
            coordinator.files.fail_on(ranged.download, error)

    def _report_ended(self) -> None:
        count = self._coordinator.files.ended
        if count:
            self._coordinator.files.ended = 0
            self._on_ended(count)

    def _end_all(self, error: BaseException) -> None:
        """End every file after the loop broke."""
        coordinator = self._coordinator
        outstanding = [*coordinator.files.open, *self._inbox.close()]
        failure = Failure(
            code="UNEXPECTED",
            reason=f"the transfer loop broke: {type(error).__name__}",
            remedy="fail",
            cause=error,
        )
        for download in outstanding:
            download.discard()
            if not download.transfer.done():
                download.transfer.fail(download.error(failure))
        self._on_ended(len(outstanding) + coordinator.files.ended)
