"""The curl engine: loops that one store, or several, have their files fetched by.

```
 made (no thread, no descriptor) ─► start ─► running ─► end: stopped, joined
                                     └ interrupted: stopped, and ended by `end`
```
"""

import os
import threading
import weakref
from collections.abc import Callable

from roboto_dagster.fs.core.connections import BytesInFlight, Connections
from roboto_dagster.fs.core.scheduler import BULK_BYTES
from roboto_dagster.fs.core.settings import MIB, S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.core.throttle import SharedThrottle
from roboto_dagster.fs.curl.loop import CurlLoop
from roboto_dagster.fs.engine.tenant import Tenant
from roboto_dagster.fs.open_files import affordable_connections
from roboto_dagster.fs.workers import Workers

_BYTES_IN_FLIGHT = 512 * MIB
_DEFAULT_CONNECTIONS = 256
_MOST_LOOPS = 2
# What a request costs besides its bytes, when files are shared out to the loops.
_REQUEST_COSTS_BYTES = 256 * 1024


class CurlEngine:
    """Starts loops, shares files out to them, and ends them.

    A signal handler that raises may interrupt any line: what runs by then is known here, and is
    ended by `end`; if even that is not reached, it ends once nobody holds this object any more.

    Args:
        settings: See `S3Settings`.
        is_shared: Whether several stores use it. Default False.

    Attributes:
        connections: How many connections are in use at once, at most.
        throttle: The bound on them, which is lower while the store throttles several of the stores that share them.
        drivers: How many loops there are.
    """

    def __init__(self, settings: S3Settings, *, is_shared: bool = False) -> None:
        bandwidth = settings.bandwidth
        self.connections = affordable_connections(settings.max_connections or _DEFAULT_CONNECTIONS)
        if bandwidth is not None:
            self.connections = min(self.connections, bandwidth.connections)
        count = self.drivers = min(_MOST_LOOPS, _cores(), self.connections)
        self.throttle = SharedThrottle(self.connections)
        connections = Connections(self.throttle, count)
        self._lock = threading.Lock()
        self._is_started = False
        self._shares = [0.0] * count
        self._workers = Workers()
        self._loops = [
            CurlLoop(
                settings,
                connections,
                index,
                self._workers,
                bytes_in_flight=BytesInFlight(_BYTES_IN_FLIGHT // count, is_shared=is_shared),
                is_shared=is_shared,
                bandwidth=bandwidth,
            )
            for index in range(count)
        ]
        weakref.finalize(self, _stop, self._loops).atexit = False

    def tenants(self, state: StoreState, on_ended: Callable[[int], None]) -> list[Tenant]:
        """Return a store's part of each loop.

        Args:
            state: What is learnt about the store.
            on_ended: Called with how many files ended, after they did.
        """
        return [Tenant(loop, state, on_ended) for loop in self._loops]

    def choose(self, size_bytes: float) -> int:
        """Return the loop for a file: large files are shared out, small ones go to the first.

        A small file is mostly Python, which two threads cannot run at once: measured, a second loop
        makes 5,000 small files slower by a third, and large ones faster by as much.

        Args:
            size_bytes: The file's size, or what it may be.
        """
        shares = self._shares
        chosen = 0 if size_bytes < BULK_BYTES else shares.index(min(shares))
        shares[chosen] += _REQUEST_COSTS_BYTES + size_bytes
        return chosen

    def start(self) -> None:
        """Start the loops; nothing if they were started before."""
        if not self._is_started:
            with self._lock:
                self._start()

    def _start(self) -> None:
        if self._is_started:
            return
        try:
            for loop in self._loops:
                loop.start()
            self._is_started = True
        except BaseException:
            _stop(self._loops)
            raise

    def end(self, *, cancel: bool) -> None:
        """Wait for all files, and end the loops.

        Args:
            cancel: Whether to end the files too.
        """
        if cancel:
            for loop in self._loops:
                loop.cancel_all()
        _stop(self._loops)
        for loop in self._loops:
            loop.join()
        self._workers.close()


def _stop(loops: list[CurlLoop]) -> None:
    for loop in loops:
        loop.stop()


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
