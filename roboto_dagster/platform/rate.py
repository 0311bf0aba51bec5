"""The rate of requests to the API: evenly spaced, for all threads of one client, and paused when the API is throttled.

```
 thread ──► acquire ──► its turn: the next free moment, 1 / rate after the one before
                             ▲
 429 or 503 with Retry-After ┘ for two paths at once: moves the next free moment away, for everybody
```
"""

import email.utils
import threading
import time
from collections.abc import Callable


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

    def acquire(self) -> None:
        """Wait for one's turn."""
        while (seconds := self._seconds_to_wait()) > 0:
            self._sleep(seconds)
            if self._spacing_seconds:
                return  # this moment is nobody else's

    def throttled(self, path: str, seconds: float) -> None:
        """Note that the platform asks to wait. Whoever asked does; if it is so for two paths, nobody starts meanwhile.

        One path alone may be one busy dataset, which holds no other back.

        Args:
            path: What was asked.
            seconds: How long to wait, from now on.
        """
        with self._lock:
            now = self._clock()
            self._throttled = {each: end for each, end in self._throttled.items() if end > now}
            self._throttled[path] = now + seconds
            if len(self._throttled) > 1:
                self._next = max(self._next, now + seconds)

    def _seconds_to_wait(self) -> float:
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            if self._spacing_seconds:
                self._next = start + self._spacing_seconds
            return start - now


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
