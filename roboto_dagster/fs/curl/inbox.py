"""How other threads reach a loop: files to fetch, functions to call, the request to stop."""

import threading
from collections import deque
from collections.abc import Callable

from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.curl.poller import Waker
from roboto_dagster.fs.engine.tenant import Tenant


class Inbox:
    """What other threads have put in for one loop; it wakes the loop where it waits.

    Attributes:
        waker: What the loop watches; None before `open`.
        is_stopping: Whether the loop shall end once its last file has.
    """

    def __init__(self) -> None:
        self.waker: Waker | None = None
        self.is_stopping = False
        self._lock = threading.Lock()
        self._arrivals: deque[tuple[Tenant, Download]] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._is_waiting = False
        self._is_over = False

    def open(self) -> Waker:
        """Make the waker, and return it."""
        self.waker = Waker()
        return self.waker

    # For other threads

    def wake(self) -> None:
        """Wake the loop."""
        if self.waker is not None:
            self.waker.wake()

    def submit(self, tenant: Tenant, download: Download) -> bool:
        """Put a file in.

        Args:
            tenant: Whose file it is.
            download: The file.

        Returns:
            False if the loop has ended.
        """
        with self._lock:
            if self._is_over:
                return False
            self._arrivals.append((tenant, download))
            if self._is_waiting:
                self._is_waiting = False  # once is enough: each wake-up takes the GIL from the loop
                self.wake()
            return True

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop call a function."""
        self._calls.append(function)
        self.wake()

    def stop(self) -> None:
        """Have the loop end once its last file has."""
        self.is_stopping = True
        self.wake()

    # For the loop

    @property
    def is_empty(self) -> bool:
        """Whether nothing was put in."""
        return not self._arrivals and not self._calls

    def before_wait(self) -> bool:
        """Have those who come from now on wake the loop; True if something is there already."""
        self._is_waiting = True  # before looking
        return not self.is_empty

    def after_wait(self) -> None:
        """End what `before_wait` started."""
        self._is_waiting = False

    def arrivals(self) -> deque[tuple[Tenant, Download]]:
        """Return the files that were put in; what is taken from it is taken out."""
        return self._arrivals

    def run_calls(self) -> None:
        """Call the functions that were put in."""
        while self._calls:
            self._calls.popleft()()

    def close_if_empty(self) -> bool:
        """Let nothing in any more, if nothing is there; whether that is so."""
        with self._lock:
            self._is_over = self.is_empty
        return self._is_over

    def close_waker(self) -> None:
        """Close the waker; nothing if there is none."""
        if self.waker is not None:
            self.waker.close()

    def close(self) -> list[tuple[Tenant, Download]]:
        """Let nothing in any more; return the files that were put in."""
        with self._lock:
            self._is_over = True
            left = list(self._arrivals)
            self._arrivals.clear()
        return left
