"""The lock of the boto3 driver; whoever holds it also runs what others have put in meanwhile."""

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType


class Monitor:
    """A lock that nobody has to wait for to have something done under it.

    `call` never blocks: the function runs at once where the lock is free, else before, or just
    after, its holder lets it go. So a caller's callback, which runs under the lock, may cancel a
    transfer or start another one, and so may those that it waits for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._run_calls()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        try:
            self._run_calls()
        finally:
            self._lock.release()
        self._run_if_free()  # what was put in between the two lines above

    def call(self, function: Callable[[], None]) -> None:
        """Runs a function under the lock, now or as soon as it is free.

        Args:
            function: Must not raise.
        """
        self._calls.append(function)
        self._run_if_free()

    def _run_if_free(self) -> None:
        while self._calls and self._lock.acquire(blocking=False):
            try:
                self._run_calls()
            finally:
                self._lock.release()

    def _run_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()
