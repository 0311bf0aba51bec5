"""How many files may wait in a store: more of them wait outside, so that memory stays bounded."""

import threading


class AdmissionLimit:
    """Keeps callers waiting while enough is queued, so that memory does not grow with the files.

    Args:
        room: How many files may be queued or under way.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        # Callers are woken in batches: with each file, they would fight the loops for the GIL.
        self._low = room * 3 // 4
        self._inside = 0
        self._waiting = 0
        self._condition = threading.Condition()

    def acquire(self) -> None:
        """Wait for room; a signal handler that raises ends the wait."""
        with self._condition:
            if self._inside >= self._room:
                self._wait()
            self._inside += 1

    def _wait(self) -> None:
        self._waiting += 1
        try:
            while self._inside >= self._room:
                # Bounded, since Windows does not interrupt the wait for a lock.
                self._condition.wait(0.5)
        finally:
            self._waiting -= 1

    def release(self, count: int) -> None:
        """Make room."""
        with self._condition:
            self._inside -= count
            if self._waiting and self._inside <= self._low:
                self._condition.notify_all()
