"""Threads for what would hold up a driver: reading files back, and waiting for the disk."""

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_THREADS = 4


class Workers:
    """A few threads for all drivers of an engine, started when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def run(
        self,
        work: Callable[[], T],
        then: Callable[["concurrent.futures.Future[T]"], None],
        call: Callable[[Callable[[], None]], None],
    ) -> None:
        """Run work in a thread.

        Args:
            work: What to do there.
            then: Called by the driver with its outcome.
            call: Has the driver call a function.
        """
        with self._lock:
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS, "roboto-worker")
        running = self._pool.submit(work)
        running.add_done_callback(lambda done: call(lambda: then(done)))

    def close(self) -> None:
        """End the threads, once they have done what they are at."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False)
