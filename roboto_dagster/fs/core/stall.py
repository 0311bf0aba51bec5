"""Notices a connection that delivers nothing, or next to nothing, for too long."""

_TRICKLE_BYTES_PER_SECOND = 2048


class StallWatch:
    """Watches how much has come over one connection.

    Args:
        now: The loop's clock, in seconds.
        seen: What has come so far, in any unit that grows.
    """

    __slots__ = ("_moved_at", "_seen", "_window_at", "_window_seen")

    def __init__(self, now: float = 0.0, seen: int = 0) -> None:
        self.start(now, seen)

    def start(self, now: float, seen: int) -> None:
        """Start to watch.

        Args:
            now: The loop's clock, in seconds.
            seen: What has come so far.
        """
        self._moved_at = self._window_at = now
        self._seen = self._window_seen = seen

    def is_stalled(self, now: float, seen: int, limit_seconds: float) -> bool:
        """Report whether nothing came for so long, or less than a modem delivers.

        Args:
            now: The loop's clock, in seconds.
            seen: What has come so far.
            limit_seconds: How long is too long.
        """
        if seen != self._seen:
            self._seen, self._moved_at = seen, now
        if now - self._moved_at >= limit_seconds:
            return True
        if now - self._window_at < limit_seconds:
            return False
        received = seen - self._window_seen
        self._window_at, self._window_seen = now, seen
        return received < limit_seconds * _TRICKLE_BYTES_PER_SECOND
