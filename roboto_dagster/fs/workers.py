"""Threads for what would hold up a loop: reading files back, and waiting for the disk."""

import concurrent.futures
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_THREADS = 4


class Workers:
    """A few threads, started when they are first needed.

    Args:
        call: Has the loop call a function.

    Attributes:
        pending: How many jobs the loop has not taken back.
    """

    def __init__(self, call: Callable[[Callable[[], None]], None]) -> None:
        self._call = call
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self.pending = 0

    def run(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None]
    ) -> None:
        """Run work in a thread.

        Args:
            work: What to do there.
            then: Called in the loop with its outcome.
        """
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS, "roboto-worker")

        def take_back(done: "concurrent.futures.Future[T]") -> None:
            self.pending -= 1
            then(done)

        self.pending += 1
        running = self._pool.submit(work)
        running.add_done_callback(lambda done: self._call(lambda: take_back(done)))

    def close(self) -> None:
        """End the threads, once they have done what they are at."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
