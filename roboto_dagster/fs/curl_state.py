"""What the loops of one store share: its settings, and what they learnt about store and disk."""

import threading

from roboto_dagster.fs.credentials import CredentialBroker
from roboto_dagster.fs.curl_errors import Failure
from roboto_dagster.fs.s3_endpoint import Endpoints
from roboto_dagster.fs.settings import S3Settings
from roboto_dagster.fs.throttle import Throttle


class StoreState:
    """Facts about one store. Each is written whole, so that reading takes no lock.

    Attributes:
        loops: How many loops share the connections.
        disk_full: Why no new file is begun, or None.
        last_success_at: When an answer was last whole, by the loops' clock.
        ignores_ranges: Whether the store answered a range with the whole object.
        skew_seconds: What to add to this machine's clock to have the store's.
        folders_kept: How many folders a loop may keep open.
    """

    def __init__(
        self, settings: S3Settings, broker: CredentialBroker, *, connections: int, loops: int
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.endpoints = Endpoints(settings.endpoint_url)
        self.throttle = Throttle(connections)
        self.loops = loops
        self.disk_full: Failure | None = None
        self.last_success_at = float("-inf")
        self.ignores_ranges = False
        self.skew_seconds = 0.0
        self.folders_kept = max(min(64, connections), 1)


class Gate:
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
