"""Drives downloads with threads: each sends one request after another, and reads the answers.

```
 take ─► sign ─► send ─► head accepted ─► read, write, read, write … ─► completed ─┐
  ▲  │               └─────────────────────── failed ◄──────┘                      │
  │  └ nothing to send: idle, until `_dispatch` wakes it                           │
  └────────────────────────────────────────────────────────────────────────────────┘
```

What to send and what an answer means is the coordinator's matter, which is called under the
monitor; signing, sending and reading are done outside of it. One more thread watches for stalls,
and wakes the others when a request that was put off is due.
"""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from roboto_dagster.fs.boto.errors import failure_of, network_failure
from roboto_dagster.fs.boto.exchange import Exchange
from roboto_dagster.fs.boto.monitor import Monitor
from roboto_dagster.fs.boto.sender import Sender
from roboto_dagster.fs.core.answers import shortfall
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.object_store import Transfer
from roboto_dagster.fs.workers import Workers

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NEVER = float("inf")
_LONGEST_WAIT_SECONDS = 1.0
# A thread that still connects, or resolves a name, cannot be woken; nothing waits for it but this.
_JOIN_SECONDS = 1.0


class BotoDriver:
    """The threads of one store.

    Args:
        state: What is learnt about the store.
        sender: Makes and sends its requests.
        connections: How many requests are sent at once, at most.
        bytes_in_flight: Bound on the bytes requested at once in large ranges.
        on_ended: Called with how many files ended, after they did.
    """

    def __init__(
        self,
        state: StoreState,
        sender: Sender,
        *,
        connections: int,
        bytes_in_flight: int,
        on_ended: Callable[[int], None],
    ) -> None:
        self._state = state
        self._connections = connections
        self._on_ended = on_ended
        self._sender = sender
        self._coordinator = Coordinator(state, self, bytes_in_flight=bytes_in_flight)
        self._workers = Workers(self._call)
        self._active: set[Exchange] = set()
        self._threads: list[threading.Thread] = []
        self._listens = False
        self._idle = 0
        self._wake_one = threading.Semaphore(0)
        self._tick = threading.Event()
        self._monitor = Monitor(self._tick.set)
        self._is_stopping = False
        self._has_ended = threading.Event()
        self._supervisor = threading.Thread(
            target=self._supervise, name="roboto-boto3-watch", daemon=True
        )

    # For other threads

    def start(self) -> None:
        """Starts the thread that lets others in; nothing if it was started before."""
        if self._supervisor.ident is None:
            self._supervisor.start()

    def submit(self, download: Download) -> None:
        """Takes a file over."""
        self._call(lambda: self._admit(download))
        if self._has_ended.is_set():  # nobody else runs it any more
            with self._monitor:
                pass

    def cancel(self, transfer: Transfer) -> None:
        """Ends one file."""
        self._call(lambda: self._coordinator.files.cancel(lambda each: each.transfer is transfer))

    def cancel_all(self) -> None:
        """Ends all files."""
        self._call(lambda: self._coordinator.files.cancel(lambda _: True))

    def stop(self) -> None:
        """Has the threads end once the last file has."""

        def stop() -> None:
            self._is_stopping = True

        self._call(stop)

    def join(self) -> None:
        """Waits for the end; a signal handler that raises ends the wait."""
        while not self._has_ended.wait(0.5):
            if self._supervisor.ident is None:  # interrupted before it was started
                return
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in [*self._threads, self._supervisor]:
            if thread.is_alive():
                thread.join(max(deadline - time.monotonic(), 0.0))
        self._workers.close()

    def _call(self, function: Callable[[], None]) -> None:
        """Has a function run under the monitor soon, and does what follows from it."""

        def run() -> None:
            try:
                function()
            except Exception:  # nobody else would hear of it
                logger.exception("The boto3 driver failed")
            self._settle()

        self._monitor.call(run)

    # For the coordinator: under the monitor

    def abort(self, download: Download) -> None:
        """Ends the requests of a file."""
        for exchange in [each for each in self._active if each.ranged.download is download]:
            exchange.shut_down()
            self._release(exchange)

    def run_in_worker(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None], /
    ) -> None:
        """Runs `work` in another thread, then `then` under the monitor."""
        self._workers.run(work, then)

    # Under the monitor

    def _admit(self, download: Download) -> None:
        if self._has_ended.is_set():
            reason = "the store was closed meanwhile"
            failure = Failure(code="CANCELLED", reason=reason, remedy="fail")
            download.transfer.fail(download.error(failure))
            self._on_ended(1)
            return
        if not self._listens:
            self._listens = True
            self._state.credentials.subscribe(self._credentials_came)
        self._coordinator.files.add(download)

    def _release(self, exchange: Exchange) -> None:
        self._active.remove(exchange)
        self._coordinator.released(exchange.ranged)

    def _settle(self) -> None:
        """Does what follows from any change: reports ends, wakes who has work, ends the threads."""
        coordinator = self._coordinator
        if coordinator.files.ended:
            count, coordinator.files.ended = coordinator.files.ended, 0
            self._on_ended(count)
        self._dispatch()
        is_done = self._is_stopping and not coordinator.files.open and not self._workers.pending
        if is_done and not self._has_ended.is_set():
            if self._listens:
                self._state.credentials.unsubscribe(self._credentials_came)
            coordinator.close()
            self._has_ended.set()
            if self._idle:
                self._wake_one.release(self._idle)
            self._tick.set()

    def _dispatch(self) -> None:
        """Wakes a thread, or starts one, if there is something to send."""
        now = time.monotonic()
        if self._due > now or not self._has_room:
            return
        if self._idle:
            self._idle -= 1
            self._wake_one.release()
        elif len(self._threads) < self._connections:
            thread = threading.Thread(target=self._run, name="roboto-boto3", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def _due(self) -> float:
        """When there is something to send, by the monotonic clock."""
        scheduler = self._coordinator.scheduler
        due = 0.0 if scheduler.has_waiting else scheduler.next_due
        return max(due, self._state.throttle.not_before)

    @property
    def _has_room(self) -> bool:
        return len(self._active) < int(self._state.throttle.limit)

    def _credentials_came(self) -> None:
        self._call(lambda: None)

    # The threads that send

    def _run(self) -> None:
        while not self._has_ended.is_set():
            exchange = self._take()
            if exchange is not None:
                self._end(exchange, self._perform(exchange))
            elif not self._has_ended.is_set():  # the end wakes all that count as idle
                self._wake_one.acquire()

    def _take(self) -> Exchange | None:
        """Takes the next request; without any, this thread counts as idle, or ends."""
        with self._monitor:
            if self._has_ended.is_set():
                return None
            now = time.monotonic()
            ranged = self._coordinator.next(now) if self._has_room else None
            if ranged is None:
                self._idle += 1
                self._settle_idle(now)
                return None
            exchange = Exchange(ranged, now)
            if not self._active:
                self._tick.set()  # there is something to watch again
            self._active.add(exchange)
            self._dispatch()
        return exchange

    def _settle_idle(self, now: float) -> None:
        if (
            self._coordinator.files.ended or self._is_stopping
        ):  # the last ones failed for want of credentials
            self._settle()
        if now < self._due < _NEVER:
            self._tick.set()  # the supervisor wakes somebody when it is time

    def _perform(self, exchange: Exchange) -> Failure | None:
        """Sends a request and reads its answer, to the end of either."""
        file = exchange.ranged.download.file
        try:
            request, session = self._sender.prepare(exchange.ranged)
        except Exception as error:  # noqa: BLE001 - whatever a record or a configuration brings about
            return failure_of(error, file)
        try:
            head = exchange.send(session, request)
            if not 200 <= head.status < 300:
                return self._refused(exchange, head)
            return self._accept(exchange, head) or self._receive(exchange)
        except Exception as error:  # noqa: BLE001 - whatever a network brings about
            return exchange.failure or _on_connection(exchange, network_failure(error, file))
        finally:
            exchange.close()

    def _refused(self, exchange: Exchange, head: Head) -> Failure:
        credentials = exchange.ranged.credentials
        expired = credentials is not None and credentials.expires_at <= time.time()
        body = exchange.error_body()
        return exchange.failure or failure_of_answer(head, body, credentials_expired=expired)

    def _accept(self, exchange: Exchange, head: Head) -> Failure | None:
        ranged = exchange.ranged
        with self._monitor:
            if exchange not in self._active:  # aborted
                return None
            try:
                failure = self._coordinator.validate_response(ranged, head)
            except Exception as error:  # noqa: BLE001 - a disk, or a path that cannot be
                failure = local_failure(ranged.download.file, error)
            self._settle()
        return failure

    def _receive(self, exchange: Exchange) -> Failure | None:
        """Reads the body until it ends, or no more of it is wanted."""
        ranged = exchange.ranged
        while not ranged.is_complete:
            data = exchange.read()
            if exchange.failure is not None:  # shut down: what ends here is not the body
                return exchange.failure
            with self._monitor:
                if exchange not in self._active:  # aborted
                    return None
                try:
                    is_over = not data or not ranged.write(data)
                except Exception as error:  # noqa: BLE001 - a disk
                    return local_failure(ranged.download.file, error)
                if is_over:
                    return shortfall(ranged)
        return None

    def _end(self, exchange: Exchange, failure: Failure | None) -> None:
        """Has the coordinator take a request that ended."""
        ranged, coordinator = exchange.ranged, self._coordinator
        with self._monitor:
            if exchange in self._active:  # not aborted
                self._release(exchange)
                now = time.monotonic()
                try:
                    if failure is None:
                        coordinator.completed(ranged, now)
                    else:
                        coordinator.failed(ranged, failure, now)
                except Exception as error:  # noqa: BLE001 - a bug or a disk: this file's matter alone
                    coordinator.files.fail_on(ranged.download, error)
            self._settle()

    # The thread that watches

    def _supervise(self) -> None:
        seen_at = time.monotonic()
        while not self._has_ended.is_set():
            self._tick.wait(self._pause(seen_at))
            self._tick.clear()
            with self._monitor:
                now = time.monotonic()
                if now - seen_at >= self._interval:
                    self._look_for_stalls(now, now - seen_at)
                    seen_at = now
                self._dispatch()

    @property
    def _interval(self) -> float:
        return min(max(self._state.settings.stall_timeout_seconds / 5, 0.02), _LONGEST_WAIT_SECONDS)

    def _pause(self, seen_at: float) -> float | None:
        """Returns how long nothing is to be done."""
        due = self._due
        if due <= 0.0:  # whoever sends next takes it
            due = _NEVER
        if self._active:
            due = min(due, seen_at + self._interval)
        return None if due == _NEVER else max(due - time.monotonic(), 0.001)

    def _look_for_stalls(self, now: float, pause: float) -> None:
        if pause > 5 * self._interval + 1:  # this thread itself stood still: so did the others
            for exchange in self._active:
                exchange.watch_from(now)
            return
        limit = self._state.settings.stall_timeout_seconds
        for exchange in self._active:
            if exchange.failure is None and exchange.is_stalled(now, limit):
                reason = f"next to no bytes came for {limit:g} seconds"
                exchange.shut_down(Failure(code="STALLED", reason=reason))


def _on_connection(exchange: Exchange, failure: Failure) -> Failure:
    """Has a request repeated at once whose connection had been closed while it was idle."""
    if failure.code == "CONNECTION" and exchange.is_on_old_connection and not exchange.has_head:
        return Failure(
            code=failure.code, reason=failure.reason, remedy="replay", cause=failure.cause
        )
    return failure
