"""Bounds the bytes per second that all drivers of an engine receive: a bucket of tokens. Pure.

Who has received takes as many tokens as bytes; while they are owed, nobody reads. What the network
holds back meanwhile is TCP's matter.
"""

import threading

_BURST_SECONDS = 0.1
# A connection that is held up for long is taken for one that hangs: so there are few.
_LEAST_BYTES_PER_CONNECTION = 256 * 1024
_LEAST_BUFFER_BYTES = 4096


class Bandwidth:
    """The tokens.

    Args:
        bytes_per_second: The bound.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._most = bytes_per_second * _BURST_SECONDS
        self._tokens = self._most
        self._filled_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def connections(self) -> int:
        """How many connections have enough to do."""
        return max(int(self._rate / _LEAST_BYTES_PER_CONNECTION), 1)

    @property
    def buffer_bytes(self) -> int:
        """How much to receive at once: libcurl does so up to a hundred times before it returns."""
        return max(int(self._rate * _BURST_SECONDS / 100), _LEAST_BUFFER_BYTES)

    @property
    def is_owed(self) -> bool:
        """Whether more was received than is allowed by now."""
        return self._tokens < 0

    def take(self, count: int) -> None:
        """Take bytes that were received.

        Args:
            count: How many.
        """
        with self._lock:
            self._tokens -= count

    def pause_seconds(self, now: float) -> float:
        """Return how long nothing is to be read; 0 if something may be.

        Args:
            now: The driver's clock, in seconds.
        """
        with self._lock:
            elapsed = max(now - self._filled_at, 0.0)
            self._filled_at = now
            self._tokens = min(self._tokens + elapsed * self._rate, self._most)
            return max(-self._tokens / self._rate, 0.0)
