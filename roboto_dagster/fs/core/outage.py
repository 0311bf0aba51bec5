"""Notices that a store answers nothing any more, and keeps files from being worn out by that. Pure.

```
             16 failures in a row          a request has used up its attempts,
             without an answer             and nobody was answered meanwhile
 answering ─────────────────────► suspected ───────────────────────────► given up: what waits fails
   ▲ ▲ ▲                          what was started is retried,              │ so does a request that
   │ │ └───────────────────────── and four files a second tried             ▼ was started after that
   │ └── any answer ───────────────────────────────────────────────────── out: what comes fails at
   └───────────────────────────────────────────────────────────────────── once, for 30 s; then suspected
```

So a million files cost a store that is down a few hundred requests, and no hours of retries.
"""

from roboto_dagster.fs.core.failure import Failure

_FAILURES_TO_SUSPECT = 16
_GIVE_UPS_TO_BE_OUT = 2
_OUT_SECONDS = 30.0
_PROBE_SECONDS = 0.25


class Outage:
    """What is known of one store's outage. Each fact is written at once: reading takes no lock.

    Attributes:
        failure: Why files fail at once, or None.
        last_success_at: When a request was last complete, by the drivers' clock.
        probe_at: When something new may be started although the store seems to be down.
    """

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.last_success_at = float("-inf")
        self._failures_in_row = 0
        self._give_ups_in_row = 0
        self._gave_up_at = float("-inf")
        self._ends_at = float("inf")
        self.probe_at = 0.0

    @property
    def is_suspected(self) -> bool:
        """Whether little new is to be started."""
        return self._failures_in_row >= _FAILURES_TO_SUSPECT

    def succeeded(self, now: float) -> None:
        """Take in that a request is complete.

        Args:
            now: The driver's clock, in seconds.
        """
        self.last_success_at = now
        if self._failures_in_row or self._give_ups_in_row:
            self._failures_in_row = self._give_ups_in_row = 0
            self.failure = None

    def failed(self, *, is_answer: bool) -> None:
        """Take in that a request failed.

        Args:
            is_answer: Whether that was an answer about the object, from a store that is in order.
        """
        self._failures_in_row = 0 if is_answer else self._failures_in_row + 1

    def give_up(self, failure: Failure, since: float, now: float) -> None:
        """Take in that nobody was answered in all the time that a request was tried.

        Args:
            failure: The request's.
            since: When it was tried first, by the driver's clock, in seconds.
            now: The driver's clock, in seconds.
        """
        if since < self._gave_up_at:  # one of many that were under way then
            return
        self._gave_up_at = now
        self._give_ups_in_row += 1
        if self._give_ups_in_row >= _GIVE_UPS_TO_BE_OUT:
            self.failure, self._ends_at = failure, now + _OUT_SECONDS

    def may_start(self, now: float) -> bool:
        """Report whether something new may be started, which then counts as started.

        Args:
            now: The driver's clock, in seconds.
        """
        if self.is_suspected:
            if now < self.probe_at:
                return False
            self.probe_at = now + _PROBE_SECONDS
        return True

    def end_if_due(self, now: float) -> None:
        """Have the store tried again after a while.

        Args:
            now: The driver's clock, in seconds.
        """
        if self.failure is not None and now >= self._ends_at:
            self.failure = None
