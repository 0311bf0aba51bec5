"""The lock of the boto3 driver's threads, with a door for all others."""

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType


class Monitor:
    """A lock whose holder first runs, and last runs, what others have put in.

    ```
     a thread of the driver   ─► with monitor: … ◄─ runs what was put in, on entering and on leaving
     any other thread         ─► call(function) ──► put in; `wake` has some thread of the driver enter
    ```

    Only the driver's own threads hold it. So a caller never waits for it, may cancel or start a
    transfer from within a callback, and may be interrupted by a signal at any line: no lock is left
    held by that.

    Args:
        wake: Has a thread of the driver enter soon; must not block.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake = wake

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

    def call(self, function: Callable[[], None]) -> None:
        """Has a function run under the lock, soon.

        Args:
            function: Must not raise.
        """
        self._calls.append(function)
        self._wake()

    def _run_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()
