"""The stores that share a driver: whose turn it is, and who may have one more connection.

One request of each store in turn, so that a long queue starves no short one; and no store may take
what would leave nothing to the others (`Connections.leaves_room`), however long its requests hang.
"""

from collections import deque
from collections.abc import Iterator

from roboto_dagster.fs.core.connections import Connections
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.engine.tenant import Tenant


class Tenants:
    """The stores of one driver; other threads may read it.

    Args:
        connections: How the engine's drivers share its connections.
        driver: The driver's number.
        is_shared: Whether there can be several stores; one alone has all for itself.
    """

    def __init__(self, connections: Connections, driver: int, *, is_shared: bool) -> None:
        self._connections = connections
        self._driver = driver
        self._is_shared = is_shared
        self._in_use = 0
        self._turn = 0
        self._all: tuple[Tenant, ...] = ()  # replaced, never changed

    def __iter__(self) -> Iterator[Tenant]:
        return iter(self._all)

    def __bool__(self) -> bool:
        return bool(self._all)

    def admit(self, tenant: Tenant, download: Download) -> None:
        """Take a file in.

        Args:
            tenant: Whose file it is.
            download: The file.
        """
        if tenant not in self._all:
            self._all = (*self._all, tenant)
        tenant.admit(download)

    def in_turn(self, now: float) -> Iterator[tuple[Tenant, RangeRequest]]:
        """Yield what may be sent, one request of each store in turn; call `note_use` after each.

        Args:
            now: The driver's clock, in seconds.
        """
        turns = deque(self._all)
        turns.rotate(-self._turn)
        while turns and self._has_room():
            tenant = turns[0]
            ranged = tenant.coordinator.next(now) if self.may_start(tenant) else None
            if ranged is None:
                turns.popleft()
            else:
                self._turn = self._all.index(tenant) + 1 if len(self._all) > 1 else 0
                turns.rotate(-1)
                yield tenant, ranged

    def _has_room(self) -> bool:
        # Of one store alone, its own bound is the engine's.
        return not self._is_shared or self._in_use < self._connections.room(self._driver)

    def may_start(self, tenant: Tenant) -> bool:
        """Report whether a store may have one more connection."""
        store = tenant.state.connections
        return tenant.may_start() and (not self._is_shared or self._connections.leaves_room(store))

    def note_use(self, tenant: Tenant, in_use: int) -> None:
        """Note how many connections there are.

        Args:
            tenant: Who has one more, or less.
            in_use: How many the driver has.
        """
        tenant.note_use()
        if self._is_shared:
            self._in_use = in_use
            self._connections.use(self._driver, in_use)

    def note_want(self) -> bool:
        """Note who has work for more connections; return whether anybody has."""
        short = [tenant for tenant in self._all if tenant.note_want()]
        if self._is_shared:
            # Not for those that may have no more: nothing is to be kept free for them.
            self._connections.want(self._driver, more=any(map(self.may_start, short)))
        return bool(short)

    def publish_waiting(self) -> None:
        """Rename the verified files that wait into place."""
        for tenant in self._all:
            tenant.coordinator.publish_waiting()

    def end_turn(self, *, by_force: bool = False) -> None:
        """Rename the verified files that wait into place, report the files that ended, and let go of the stores that have.

        Args:
            by_force: Whether stores end that were not closed. Default False.
        """
        self.publish_waiting()
        for tenant in self._all:
            tenant.report_ended()
            if tenant.end_if_done(by_force=by_force):
                self._all = tuple(each for each in self._all if each is not tenant)

    def cancel_all(self) -> None:
        """End all files."""
        for tenant in self._all:
            tenant.coordinator.files.cancel(lambda _: True)
