"""Drives downloads with threads: each takes one request after another, and carries it out.

```
 take ─► perform (`performer.py`) ─► end: completed, or failed ─┐
  ▲  └ nothing to send: idle, until `_dispatch` wakes it        │
  └─────────────────────────────────────────────────────────────┘
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

from roboto_dagster.fs.boto.exchange import Exchange
from roboto_dagster.fs.boto.monitor import Monitor
from roboto_dagster.fs.boto.performer import Performer
from roboto_dagster.fs.boto.sender import Sender
from roboto_dagster.fs.boto.supervisor import Supervisor
from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.core.connections import BytesInFlight, Connections
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.engine.tenant import Tenant
from roboto_dagster.fs.engine.tenants import Tenants
from roboto_dagster.fs.workers import Workers

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NEVER = float("inf")
# A thread that still connects, or resolves a name, cannot be woken; nothing waits for it but this.
_JOIN_SECONDS = 1.0


class BotoDriver:
    """The threads of one engine.

    Args:
        settings: The engine's settings.
        sender: Makes and sends its requests.
        connections: How many requests are sent at once, at most.
        bytes_in_flight: The budget of bytes requested at once in large ranges.
        is_shared: Whether several stores use it.
        bandwidth: The bound on what all threads receive, or None.

    Attributes:
        index: 0, since there is one.
        bytes_in_flight: The budget.
        wake: Has it look for something to send.
    """

    def __init__(
        self,
        settings: S3Settings,
        sender: Sender,
        connections: Connections,
        *,
        bytes_in_flight: BytesInFlight,
        is_shared: bool,
        bandwidth: Bandwidth | None,
    ) -> None:
        self.index = 0
        self.bytes_in_flight = bytes_in_flight
        self._most = connections.most
        self._tenants = Tenants(connections, 0, is_shared=is_shared)
        self._workers = Workers()
        self._active: set[Exchange] = set()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._wake_one = threading.Semaphore(0)
        self._tick = threading.Event()
        self.wake = self._tick.set
        self._monitor = Monitor(self.wake)
        self._is_stopping = False
        self._has_ended = threading.Event()
        self._performer = Performer(
            sender, self._monitor, self._active.__contains__, self._settle, bandwidth
        )
        supervisor = Supervisor(
            self._monitor,
            self._active,
            due=self._due,
            dispatch=self._dispatch,
            stall_timeout_seconds=settings.stall_timeout_seconds,
        )
        self._supervisor = threading.Thread(
            target=supervisor.run,
            args=(self._tick, self._has_ended),
            name="roboto-boto3-watch",
            daemon=True,
        )

    # For other threads

    @property
    def has_ended(self) -> bool:
        """Whether it calls nothing any more."""
        return self._has_ended.is_set() or self._supervisor.ident is None

    def start(self) -> None:
        """Starts the thread that lets others in; nothing if it was started before."""
        if self._supervisor.ident is None:
            self._supervisor.start()

    def submit(self, tenant: Tenant, download: Download) -> None:
        """Takes a file over.

        Args:
            tenant: Whose file it is.
            download: The file.
        """
        self.call(lambda: self._admit(tenant, download))
        if self._has_ended.is_set():  # nobody else runs it any more
            with self._monitor:
                pass

    def cancel_all(self) -> None:
        """Ends all files."""
        self.call(self._tenants.cancel_all)

    def stop(self) -> None:
        """Has the threads end once the last file has."""

        def stop() -> None:
            self._is_stopping = True

        self.call(stop)

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

    def call(self, function: Callable[[], None]) -> None:
        """Has a function run under the monitor soon, and does what follows from it."""

        def run() -> None:
            try:
                function()
            except Exception:  # nothing else would report it
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
        self._workers.run(work, then, self.call)

    # Under the monitor

    def _admit(self, tenant: Tenant, download: Download) -> None:
        if self._has_ended.is_set():
            tenant.refuse(download)
            return
        self._tenants.admit(tenant, download)

    def _release(self, exchange: Exchange) -> None:
        self._active.remove(exchange)
        exchange.tenant.coordinator.released(exchange.ranged)
        self._tenants.note_use(exchange.tenant, len(self._active))

    def _settle(self) -> None:
        """Does what follows from any change: renames files, reports ends, wakes who has work, ends the threads."""
        self._tenants.end_turn(by_force=self._is_stopping)
        self._dispatch()
        if self._is_stopping and not self._tenants and not self._has_ended.is_set():
            self._has_ended.set()
            if self._idle:
                self._wake_one.release(self._idle)
            self._tick.set()

    def _dispatch(self) -> None:
        """Wakes a thread, or starts one, if there is something to send."""
        now = time.monotonic()
        if self._due() > now:
            return
        if self._idle:
            self._idle -= 1
            self._wake_one.release()
        elif len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, name="roboto-boto3", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _due(self) -> float:
        """When there is something to send, by the monotonic clock."""
        due = _NEVER
        for tenant in self._tenants:
            if self._tenants.may_start(tenant):
                waiting = 0.0 if tenant.coordinator.has_waiting else tenant.due
                due = min(due, max(waiting, tenant.state.throttle.not_before))
        return due

    # The threads that send

    def _run(self) -> None:
        while not self._has_ended.is_set():
            exchange = self._take()
            if exchange is not None:
                self._end(exchange, self._performer.perform(exchange))
            elif not self._has_ended.is_set():  # the end wakes all that count as idle
                self._wake_one.acquire()

    def _take(self) -> Exchange | None:
        """Takes the next request; without any, this thread counts as idle, or ends."""
        with self._monitor:
            if self._has_ended.is_set():
                return None
            now = time.monotonic()
            found = next(self._tenants.in_turn(now), None)
            self._tenants.publish_waiting()  # files whose last bytes were on the disk: no request ends for them
            if found is None:
                self._idle += 1
                self._settle_idle(now)
                return None
            exchange = Exchange(*found, now)
            if not self._active:
                self._tick.set()  # there is something to watch again
            self._active.add(exchange)
            self._tenants.note_use(exchange.tenant, len(self._active))
            self._dispatch()
        return exchange

    def _settle_idle(self, now: float) -> None:
        # The last ones may have failed for want of credentials.
        if self._is_stopping or any(each.coordinator.files.ended for each in self._tenants):
            self._settle()
        if now < self._due() < _NEVER:
            self._tick.set()  # the supervisor wakes somebody when it is time

    def _end(self, exchange: Exchange, failure: Failure | None) -> None:
        """Has the coordinator take a request that ended."""
        ranged, coordinator = exchange.ranged, exchange.tenant.coordinator
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
