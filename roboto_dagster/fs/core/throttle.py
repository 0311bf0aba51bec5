"""How many connections a store may use at once: halved when it throttles, grown back slowly.

One throttle is shared by all loops of a store. Stores that share an engine have one more together,
which is halved where several of them are throttled: of many small datasets none has as many
connections as its own bound. Additive increase, multiplicative decrease, as TCP does it;
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html asks for no more
than that.

```
 limit  ▲──────╮                      ╭── most
        │      │                ╭─────╯
        │      │          ╭─────╯       one connection a round trip, and at most
        │      ╰────╭─────╯             a sixtieth of the most each second
        └──────────503──────────────────────► time
```
"""

import threading
from collections.abc import Hashable

from roboto_dagster.throttling import HALVE_AGAIN_AFTER_SECONDS, ThrottledShare

_GROW_PER_ROUND_TRIP = 1.0
# On a short line round trips are no measure: the store needs seconds to see that it is better.
_SECONDS_TO_GROW = 60.0


class Throttle:
    """The bound on connections, and the moment before which no request may start.

    Args:
        most: The bound while all is well.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.not_before = 0.0
        self._halved_at = float("-inf")
        self._grown_at = float("-inf")
        self._lock = threading.Lock()

    def slow_down(self, now: float, pause_seconds: float = 0.0) -> None:
        """Halve the bound, at most once a second: a burst of refusals counts once.

        Args:
            now: The loop's clock.
            pause_seconds: How long the store asks everybody to wait.
        """
        with self._lock:
            self.not_before = max(self.not_before, now + pause_seconds if pause_seconds else 0.0)
            if now - self._halved_at >= HALVE_AGAIN_AFTER_SECONDS:
                self._halved_at = self._grown_at = now
                self.limit = max(self.limit / 2, 1.0)

    def shrink_to(self, connections: int) -> None:
        """Lower the bound permanently: this process cannot have more (open files)."""
        with self._lock:
            self.most = max(min(self.most, connections), 1)
            self.limit = min(self.limit, float(self.most))

    def succeeded(self, now: float) -> None:
        """Let the bound grow; to be called per answer while it is below the most.

        Args:
            now: The loop's clock.
        """
        with self._lock:
            # As many answers as there are connections, one round trip, add one connection.
            grown = _GROW_PER_ROUND_TRIP / self.limit
            allowed = (now - self._grown_at) * self.most / _SECONDS_TO_GROW
            self._grown_at = now
            self.limit = min(self.limit + min(grown, allowed), float(self.most))


class SharedThrottle(Throttle):
    """The bound on the connections of all stores of an engine.

    Args:
        most: The bound while all is well.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._share = ThrottledShare()
        self._share_lock = threading.Lock()

    def throttled(self, store: Hashable, now: float) -> None:
        """Halve the bound if that is not the matter of one busy store.

        Args:
            store: Which one was throttled.
            now: The loop's clock.
        """
        with self._share_lock:
            is_general = self._share.throttled(store, now)
        if is_general:
            self.slow_down(now)

    def answered(self, now: float) -> None:
        """Let the bound grow if it is below the most; to be called for each answer.

        Args:
            now: The loop's clock.
        """
        with self._share_lock:
            self._share.answered(now)
        if self.limit < self.most:
            self.succeeded(now)
