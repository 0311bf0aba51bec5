"""One store among those that share a driver: how it gives files in, and how it ends.

```
 submit (any thread) ─► attached with its first file ─► … ─► close ─► its last file ends: has_ended
```

Everything that is learnt or refused stays with the tenant: its credentials, its throttle, its
failures. What tenants share are the driver's threads, connections and bytes in flight.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.files import Driver
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.object_store import Transfer

_WAIT_SECONDS = 0.5
_CLOSED = Failure(code="CANCELLED", reason="the store was closed meanwhile", remedy="fail")


class SharedDriver(Driver, Protocol):
    """What a tenant needs of its driver."""

    index: int
    bytes_in_flight: BytesInFlight
    wake: Callable[[], None]

    def submit(self, tenant: "Tenant", download: Download, /) -> None:
        """Take a file over; from any thread."""
        ...

    def call(self, function: Callable[[], None], /) -> None:
        """Have a function called where the coordinators are called; from any thread."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it calls nothing any more."""
        ...


class Tenant:
    """One store in one driver.

    Args:
        driver: Sends its requests.
        state: What is learnt about the store.
        on_ended: Called with how many files ended, after they did.

    Attributes:
        state: What is learnt about the store.
        coordinator: Its files.
        has_ended: Set once it was closed and its last file has ended.
    """

    def __init__(
        self, driver: SharedDriver, state: StoreState, on_ended: Callable[[int], None]
    ) -> None:
        self.state = state
        self.coordinator = Coordinator(state, driver, bytes_in_flight=driver.bytes_in_flight)
        self.on_head = self.coordinator.validate_response
        self.has_ended = threading.Event()
        self._driver = driver
        self._on_ended = on_ended
        self._is_attached = False
        self._is_closing = False

    # For other threads

    def submit(self, download: Download) -> None:
        """Take a file over."""
        self._driver.submit(self, download)

    def cancel(self, transfer: Transfer) -> None:
        """End one file."""
        files = self.coordinator.files
        self._driver.call(lambda: files.cancel(lambda download: download.transfer is transfer))

    def cancel_all(self) -> None:
        """End all its files."""
        files = self.coordinator.files
        self._driver.call(lambda: files.cancel(lambda _: True))

    def close(self) -> None:
        """Have it end once its last file has."""

        def close() -> None:
            self._is_closing = True
            self.end_if_done()

        self._driver.call(close)

    def join(self) -> None:
        """Wait for the end of a closed tenant; a signal handler that raises ends the wait."""
        while not self.has_ended.wait(_WAIT_SECONDS):
            if self._driver.has_ended:
                return

    def refuse(self, download: Download, failure: Failure = _CLOSED) -> None:
        """End a file that was not taken in.

        Args:
            download: The file.
            failure: Why. Default: it comes too late.
        """
        download.transfer.fail(download.error(failure))
        self._on_ended(1)

    # For the driver

    def admit(self, download: Download) -> None:
        """Take a file in."""
        if self.has_ended.is_set():
            self.refuse(download)
            return
        if not self._is_attached:
            self._is_attached = True
            self.state.credentials.subscribe(self._driver.wake)
        self.coordinator.files.add(download)

    def may_start(self) -> bool:
        """Report whether the store's own bound allows one more connection."""
        return self.coordinator.connections < self.state.connections.room(self._driver.index)

    def note_use(self) -> None:
        """Note how many connections it has."""
        self.state.connections.use(self._driver.index, self.coordinator.connections)

    def note_want(self) -> bool:
        """Note whether it has work for more connections, and return it."""
        has_waiting = self.coordinator.has_waiting
        self.state.connections.want(self._driver.index, more=has_waiting)
        return has_waiting

    def report_ended(self) -> None:
        """Report the files that ended since the last call."""
        count = self.coordinator.files.ended
        if count:
            self.coordinator.files.ended = 0
            self._on_ended(count)

    @property
    def due(self) -> float:
        """When something that was put off is to be sent, by the driver's clock."""
        return self.coordinator.due

    def end_if_done(self, *, by_force: bool = False) -> bool:
        """End it if it was closed and nothing of it is left.

        Args:
            by_force: Whether the driver ends, so that nobody will close it. Default False.

        Returns:
            Whether it has ended.
        """
        if self.has_ended.is_set():
            return True
        files = self.coordinator.files
        if not (self._is_closing or by_force) or files.open or files.at_work:
            return False
        self.end()
        return True

    def end(self) -> None:
        """End it; nothing of it may be under way."""
        if self._is_attached:
            self._is_attached = False
            self.state.credentials.unsubscribe(self._driver.wake)
        self.coordinator.close()
        self.report_ended()
        self.has_ended.set()

    def break_off(self, failure: Failure) -> None:
        """End every file after the driver broke.

        Args:
            failure: Why.
        """
        for download in list(self.coordinator.files.open):
            download.discard()
            if not download.transfer.done():
                download.transfer.fail(download.error(failure))
            self.coordinator.files.ended += 1
        self.end()
