"""How the loops of one store share its connections."""

from roboto_dagster.fs.core.throttle import Throttle


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
        """Return how many connections this loop may have: all that others neither use nor want."""
        share, others, limit = self.share, 0, int(self._throttle.limit)
        for other, in_use in enumerate(self._in_use):
            if other != loop:
                others += max(in_use, share) if self._is_short[other] else in_use
        # Fewer than one each: none may wait for the other.
        return max(limit - others, 1 if limit < len(self._in_use) else 0)

    def use(self, loop: int, count: int) -> None:
        """Note how many this loop has.

        Args:
            loop: The loop's number.
            count: How many connections it uses.
        """
        self._in_use[loop] = count

    def want(self, loop: int, *, more: bool) -> None:
        """Note whether this loop has work for more of its share than it has.

        Args:
            loop: The loop's number.
            more: Whether it has.
        """
        self._is_short[loop] = more and self._in_use[loop] < self.share
