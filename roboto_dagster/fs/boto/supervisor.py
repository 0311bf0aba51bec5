"""The thread beside those that send: ends what stalls, and wakes somebody when something is due."""

import threading
import time
from collections.abc import Callable

from roboto_dagster.fs.boto.exchange import Exchange
from roboto_dagster.fs.boto.monitor import Monitor
from roboto_dagster.fs.core.failure import Failure

_NEVER = float("inf")
_LONGEST_WAIT_SECONDS = 1.0


class Supervisor:
    """What the thread does.

    Args:
        monitor: What everything here is done under.
        active: The requests under way.
        due: Returns when there is something to send, by the monotonic clock.
        dispatch: Wakes a thread if there is something to send.
        stall_timeout_seconds: How long a connection may deliver nothing.
    """

    def __init__(
        self,
        monitor: Monitor,
        active: set[Exchange],
        *,
        due: Callable[[], float],
        dispatch: Callable[[], None],
        stall_timeout_seconds: float,
    ) -> None:
        self._monitor = monitor
        self._active = active
        self._due = due
        self._dispatch = dispatch
        self._limit = stall_timeout_seconds
        self._interval = min(max(stall_timeout_seconds / 5, 0.02), _LONGEST_WAIT_SECONDS)

    def run(self, tick: threading.Event, has_ended: threading.Event) -> None:
        """Watches until the driver has ended.

        Args:
            tick: Set by whoever wants it to look at once.
            has_ended: Set when the driver has ended.
        """
        seen_at = time.monotonic()
        while not has_ended.is_set():
            tick.wait(self._pause(seen_at))
            tick.clear()
            with self._monitor:
                now = time.monotonic()
                if now - seen_at >= self._interval:
                    self._look_for_stalls(now, now - seen_at)
                    seen_at = now
                self._dispatch()

    def _pause(self, seen_at: float) -> float | None:
        """Returns how long nothing is to be done."""
        due = self._due()
        if due <= 0.0:  # whoever sends next takes it
            due = _NEVER
        if self._active:
            due = min(due, seen_at + self._interval)
        return None if due == _NEVER else max(due - time.monotonic(), 0.001)

    def _look_for_stalls(self, now: float, pause: float) -> None:
        if pause > 5 * self._interval + 1:  # this thread itself stood still: so did the others
            for exchange in self._active:
                exchange.watch_from(now)
            return
        for exchange in self._active:
            if exchange.failure is None and exchange.is_stalled(now, self._limit):
                reason = f"next to no bytes came for {self._limit:g} seconds"
                exchange.shut_down(Failure(code="STALLED", reason=reason))
