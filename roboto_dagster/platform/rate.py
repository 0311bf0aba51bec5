"""The rate of requests to the API: evenly spaced, for all threads of one client, and lower where the API is throttled.

```
 thread ──► acquire ──► its turn: the next free moment, 1 / rate after the one before
                             ▲
 throttled, one path ────────┼ that request waits, no other
            several paths ───┴ the rate is halved, at most once a second, and grows back slowly;
                               with Retry-After the next free moment moves away, for everybody
```
"""

import email.utils
import threading
import time
from collections.abc import Callable

from roboto_dagster.throttling import HALVE_AGAIN_AFTER_SECONDS, ThrottledShare

_SLOWEST_PER_SECOND = 1.0
# In requests a second each second: a twentieth of the rate at which it was first throttled, and at least one.
_SHARE_OF_GROWTH, _LEAST_GROWTH = 0.05, 1.0


class RequestRate:
    """Hands out moments at which requests may start.

    Args:
        per_second: Requests a second at most; None for any number.
        clock: Seconds, ever growing.
        sleep: Waits for some seconds; what it raises, `acquire` raises.
    """

    def __init__(
        self,
        per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing_seconds = 1.0 / per_second if per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock()
        self._throttled: dict[str, float] = {}
        self._share = ThrottledShare()
        self._halved: _Halved | None = None

    def acquire(self) -> None:
        """Wait for one's turn."""
        while True:
            seconds, is_own = self._turn()
            if seconds > 0:
                self._sleep(seconds)
            if is_own or seconds <= 0:
                return  # a moment of one's own is nobody else's

    def answered(self) -> None:
        """Note an answer that does not ask to wait."""
        with self._lock:
            self._share.answered(self._clock())

    def throttled(self, path: str, seconds: float) -> None:
        """Note that the platform asks to wait. Whoever asked does; if it is so for two paths, nobody starts meanwhile.

        One path alone may be one busy dataset, which holds no other back. Where many answers ask to wait, the rate is
        halved as well.

        Args:
            path: What was asked.
            seconds: How long to wait, from now on; 0 where the platform does not say how long.
        """
        with self._lock:
            now = self._clock()
            self._throttled = {each: end for each, end in self._throttled.items() if end > now}
            self._throttled[path] = now + seconds
            if len(self._throttled) > 1:
                self._next = max(self._next, now + seconds)
            if self._share.throttled(path, now):
                self._halve(now)

    def _halve(self, now: float) -> None:
        halved = self._halved
        if halved is None:
            self._halved = _Halved(self._share.answers_a_second(), now)
        elif now - halved.at >= HALVE_AGAIN_AFTER_SECONDS:
            halved.again(now)

    def _turn(self) -> tuple[float, bool]:
        """Return how long to wait, and whether the moment after that is taken for the caller."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            spacing = self._spacing(now)
            if spacing:
                self._next = start + spacing
            return start - now, spacing > 0

    def _spacing(self, now: float) -> float:
        if self._halved is None:
            return self._spacing_seconds
        return max(self._spacing_seconds, 1.0 / self._halved.per_second(now))


class _Halved:
    """A rate that was halved, once or several times, and grows since.

    Args:
        first: Requests a second before.
        now: When.
    """

    def __init__(self, first: float, now: float) -> None:
        self._growth = max(first * _SHARE_OF_GROWTH, _LEAST_GROWTH)
        self._rate = max(first / 2, _SLOWEST_PER_SECOND)
        self.at = now

    def per_second(self, now: float) -> float:
        """Return the rate at a time."""
        return self._rate + (now - self.at) * self._growth

    def again(self, now: float) -> None:
        """Halve it again."""
        self._rate, self.at = max(self.per_second(now) / 2, _SLOWEST_PER_SECOND), now


def retry_after_seconds(header: str | None, now: float) -> float:
    """Return how long an answer asks to wait; 0 if it does not, or cannot be read.

    Args:
        header: Its `Retry-After`: seconds or a date.
        now: Seconds since the epoch.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:10])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0
