"""How connections are shared: by the drivers of one engine, and by the stores that use it."""

from roboto_dagster.fs.core.throttle import Throttle

_SHARE_OF_FREE = 3


class Connections:
    """How drivers share connections: what one leaves, the other may use.

    Args:
        throttle: The bound on all of them.
        drivers: How many drivers there are.
    """

    def __init__(self, throttle: Throttle, drivers: int) -> None:
        self._throttle = throttle
        self._in_use = [0] * drivers
        self._is_short = [False] * drivers

    @property
    def most(self) -> int:
        """How many there may be while all is well."""
        return self._throttle.most

    @property
    def total(self) -> int:
        """How many are in use."""
        return sum(self._in_use)

    @property
    def share(self) -> int:
        """How many each driver may claim."""
        return max(int(self._throttle.limit) // len(self._in_use), 1)

    def room(self, driver: int) -> int:
        """Return how many connections a driver may have: all that others neither use nor want."""
        share, others, limit = self.share, 0, int(self._throttle.limit)
        for other, in_use in enumerate(self._in_use):
            if other != driver:
                others += max(in_use, share) if self._is_short[other] else in_use
        # Fewer than one each: none may wait for the other.
        return max(limit - others, 1 if limit < len(self._in_use) else 0)

    def use(self, driver: int, count: int) -> None:
        """Note how many a driver has.

        Args:
            driver: The driver's number.
            count: How many connections it uses.
        """
        self._in_use[driver] = count

    def want(self, driver: int, *, more: bool) -> None:
        """Note whether a driver has work for more of its share than it has.

        Args:
            driver: The driver's number.
            more: Whether it has.
        """
        self._is_short[driver] = more and self._in_use[driver] < self.share

    def leaves_room(self, store: "Connections") -> bool:
        """Report whether a store may have one more, so that what is left serves the others.

        Each may have three times what nobody uses ("dynamic thresholds", Choudhury and Hahne 1998):
        alone three quarters of all, and however many hang, the next one finds some free.

        Args:
            store: What the store uses of these connections.
        """
        total = self.total
        return store.total < _SHARE_OF_FREE * (int(self._throttle.limit) - total)


class BytesInFlight:
    """The budget of bytes requested at once in large ranges, for all stores of a driver.

    Args:
        most: The bound; one range may always be requested.
        is_shared: Whether each store has to leave some to others.
    """

    __slots__ = ("_is_shared", "_most", "used")

    def __init__(self, most: int, *, is_shared: bool = False) -> None:
        self._most = most
        self._is_shared = is_shared
        self.used = 0

    def has_room(self, used_by_store: int) -> bool:
        """Report whether a store may request more.

        Args:
            used_by_store: What it has requested by now.
        """
        free = self._most - self.used
        return free > 0 and (not self._is_shared or used_by_store < _SHARE_OF_FREE * free)
