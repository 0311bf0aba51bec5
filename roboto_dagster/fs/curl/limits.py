"""What the loops of one store share: its settings, and what they learnt about store and disk."""

import threading

from roboto_dagster.fs.core.endpoint import Endpoints
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.curl.errors import Failure
from roboto_dagster.fs.curl.throttle import Throttle

_GUESS_BYTES = 1024 * 1024


class StoreState:
    """Facts about one store. Each is written whole, so that reading takes no lock.

    Attributes:
        loops: How many loops there are.
        connections: How they share the connections.
        typical_bytes: The size of files lately, for those of unknown size.
        disk_full: Why no new file is begun, or None.
        last_success_at: When an answer was last whole, by the loops' clock.
        ignores_ranges: Whether the store answered a range with the whole object.
        skew_seconds: What to add to this machine's clock to have the store's.
        folders_kept: How many folders a loop may keep open.
    """

    def __init__(
        self, settings: S3Settings, broker: CredentialCache, *, connections: int, loops: int
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.endpoints = Endpoints(settings.endpoint_url)
        self.throttle = Throttle(connections)
        self.loops = loops
        self.connections = Connections(self.throttle, loops)
        self.typical_bytes = float(_GUESS_BYTES)
        self.disk_full: Failure | None = None
        self.last_success_at = float("-inf")
        self.ignores_ranges = False
        self.skew_seconds = 0.0
        self.folders_kept = max(min(64, connections), 1)


class Connections:
    """How the loops of a store share its connections: what one leaves, the other may use.

    Args:
        throttle: The bound on all of them.
        loops: How many loops there are.
    """

    def __init__(self, throttle: Throttle, loops: int) -> None:
        self._throttle = throttle
        self._in_use = [0] * loops
        self._is_short = [False] * loops

    @property
    def share(self) -> int:
        """How many each loop may claim."""
        return max(int(self._throttle.limit) // len(self._in_use), 1)

    def room(self, loop: int) -> int:
        """Returns how many connections this loop may have: all that others neither use nor want."""
        share, others, limit = self.share, 0, int(self._throttle.limit)
        for other, in_use in enumerate(self._in_use):
            if other != loop:
                others += max(in_use, share) if self._is_short[other] else in_use
        # Fewer than one each: none may wait for the other.
        return max(limit - others, 1 if limit < len(self._in_use) else 0)

    def use(self, loop: int, count: int) -> None:
        """Says how many this loop has."""
        self._in_use[loop] = count

    def want(self, loop: int, *, more: bool) -> None:
        """Says whether this loop has work for more of its share than it has."""
        self._is_short[loop] = more and self._in_use[loop] < self.share


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

    def enter(self) -> None:
        """Waits for room; a signal handler that raises ends the wait."""
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

    def leave(self, count: int) -> None:
        """Makes room."""
        with self._condition:
            self._inside -= count
            if self._waiting and self._inside <= self._low:
                self._condition.notify_all()
