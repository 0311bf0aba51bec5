"""Which window of time a moment falls into."""

import datetime as dt

import dagster as dg

_MAX_KEPT = 64
# No window is looked for beyond: a record may be dated anywhere between the years 1 and 9999.
_FAR_AHEAD = dt.timedelta(days=3660)


class WindowFinder:
    """Finds the windows of one definition; those found last are kept, since changes come in bulk."""

    def __init__(self, windows: dg.TimeWindowPartitionsDefinition, now: dt.datetime) -> None:
        """Find windows.

        Args:
            windows: Their definition.
            now: The time, with its zone.
        """
        self._windows = windows
        self._latest = now + _FAR_AHEAD
        self._kept: list[tuple[str, dg.TimeWindow]] = []

    def find(self, time: dt.datetime) -> str | None:
        """Return the key of the window that holds a moment.

        The window need not be a partition: it may not be over, or lie after the last one.

        Args:
            time: The moment, with its zone.

        Returns:
            The key; None before the first window, and in one that is excluded.
        """
        for key, window in reversed(self._kept):
            if window.start <= time < window.end:
                return key
        if not self._windows.start <= time <= self._latest:
            return None
        key = self._windows.get_partition_key_for_timestamp(time.timestamp())
        window = self._windows.time_window_for_partition_key(key)
        if not window.start <= time < window.end:
            return None
        self._kept = [*self._kept[1 - _MAX_KEPT :], (key, window)]
        return key

    @property
    def first_start(self) -> dt.datetime:
        """Start of the first window."""
        return self._windows.start

    def next_after(self, time: dt.datetime) -> dt.datetime | None:
        """Return the start of the first window that starts after a moment.

        Args:
            time: The moment, with its zone.

        Returns:
            The start; None if no window starts after it.
        """
        if time < self._windows.start:
            return self._windows.start
        if time > self._latest:
            return None
        with dg.partition_loading_context(self._latest):
            window = self._windows.get_next_partition_window(time)
        return window.start if window is not None else None
