"""The boto3 engine: threads that one store, or several, have their files fetched by."""

import threading
import weakref
from collections.abc import Callable

from roboto_dagster.fs.boto.download import BotoDriver
from roboto_dagster.fs.boto.sender import Sender
from roboto_dagster.fs.core.connections import BytesInFlight, Connections
from roboto_dagster.fs.core.settings import MIB, S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.core.throttle import SharedThrottle
from roboto_dagster.fs.engine.tenant import Tenant
from roboto_dagster.fs.open_files import affordable_connections

_DEFAULT_CONNECTIONS = 32
_BYTES_IN_FLIGHT = 512 * MIB


class BotoEngine:
    """One driver, started with the first file.

    Args:
        settings: See `S3Settings`.
        is_shared: Whether several stores use it. Default False.

    Attributes:
        connections: How many connections are in use at once, at most.
        throttle: The bound on them, which is lower while the store throttles several of the stores that share them.
        drivers: How many drivers there are: 1.
        sender: Makes and sends requests.
    """

    def __init__(self, settings: S3Settings, *, is_shared: bool = False) -> None:
        bandwidth = settings.bandwidth
        self.connections = affordable_connections(settings.max_connections or _DEFAULT_CONNECTIONS)
        if bandwidth is not None:
            self.connections = min(self.connections, bandwidth.connections)
        self.throttle = SharedThrottle(self.connections)
        self.drivers = 1
        self._lock = threading.Lock()
        self._is_started = False
        self.sender = Sender(settings, self.connections)
        self._driver = BotoDriver(
            settings,
            self.sender,
            Connections(self.throttle, 1),
            bytes_in_flight=BytesInFlight(_BYTES_IN_FLIGHT, is_shared=is_shared),
            is_shared=is_shared,
            bandwidth=bandwidth,
        )
        # Where a signal keeps even `end` from being reached.
        weakref.finalize(self, self._driver.stop).atexit = False

    def tenants(self, state: StoreState, on_ended: Callable[[int], None]) -> list[Tenant]:
        """Returns a store's part of the driver.

        Args:
            state: What is learnt about the store.
            on_ended: Called with how many files ended, after they did.
        """
        return [Tenant(self._driver, state, on_ended)]

    def choose(self, size_bytes: float) -> int:  # noqa: ARG002 - there is one
        """Returns the number of the driver."""
        return 0

    def start(self) -> None:
        """Starts the driver; nothing if it was started before."""
        if not self._is_started:
            with self._lock:
                self._driver.start()
                self._is_started = True

    def end(self, *, cancel: bool) -> None:
        """Waits for all files, and ends the driver.

        Args:
            cancel: Whether to end the files too.
        """
        try:
            if cancel:
                self._driver.cancel_all()
            self._driver.stop()
            self._driver.join()
        finally:
            self.sender.close()
