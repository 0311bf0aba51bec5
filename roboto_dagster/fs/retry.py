"""How transient failures are retried: one policy, for requests and for the transfer phase."""

import dataclasses
import logging

import tenacity
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from roboto_dagster.errors import is_transient
from roboto_dagster.setting_checks import check_count, check_seconds

logger = logging.getLogger(__name__)

# An attempt that a long `Retry-After` puts off to the deadline starts a little before it.
_LAST_MOMENT = 0.98


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """How often, and how patiently, a transient failure is tried again. Permanent ones are never
    repeated.

    The waits are exponential with full jitter: a random time between nothing and
    `wait_initial_seconds` doubled at each attempt, at most `wait_max_seconds`
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A store's
    `Retry-After` is honoured where it asks for more. The defaults ride out about half a minute of
    throttling.

    Attributes:
        max_attempts: How often one file is tried in all, the first time included. Default 8; 1
            never repeats.
        wait_initial_seconds: Upper bound of the first wait. Default 0.5.
        wait_max_seconds: Upper bound of any wait. Default 30.
        deadline_seconds: No attempt starts later than this after the first one, whatever a store's
            `Retry-After` asks; None (default) for no such bound.
    """

    max_attempts: int = 8
    wait_initial_seconds: float = 0.5
    wait_max_seconds: float = 30.0
    deadline_seconds: float | None = None

    def __post_init__(self) -> None:
        check_count("RetryConfig: max_attempts (the first one counts too)", self.max_attempts)
        for name in ("wait_initial_seconds", "wait_max_seconds"):
            check_seconds(f"RetryConfig: {name}", getattr(self, name), may_be_zero=True)
        deadline = self.deadline_seconds
        check_seconds("RetryConfig: deadline_seconds", deadline, may_be_zero=True, optional=True)

    def retrying(self) -> tenacity.Retrying:
        """Return the tenacity policy: iterate it, or call it with a function; the last error is
        re-raised as it is.
        """
        return tenacity.Retrying(
            wait=self.wait(),
            stop=self.stop(),
            retry=tenacity.retry_if_exception(_is_retryable),
            before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
            reraise=True,
        )

    def wait(self) -> wait_base:
        """Return tenacity's wait object: exponential, full jitter."""
        return tenacity.wait_random_exponential(
            multiplier=self.wait_initial_seconds, max=self.wait_max_seconds
        )

    def stop(self) -> stop_base:
        """Return tenacity's stop object: after `max_attempts`, or once the deadline has passed."""
        stop: stop_base = tenacity.stop_after_attempt(self.max_attempts)
        if self.deadline_seconds is not None:
            stop = stop | tenacity.stop_before_delay(self.deadline_seconds)
        return stop

    def pause_seconds(
        self, attempt: int, elapsed_seconds: float = 0.0, *, retry_after_seconds: float = 0.0
    ) -> float | None:
        """Ask the same wait and stop objects, for an engine that cannot sleep in a loop.

        Args:
            attempt: How many attempts have failed, at least 1.
            elapsed_seconds: Time since the first of them started.
            retry_after_seconds: How long the store asks to wait. Default 0.

        Returns:
            How long to wait before the next attempt, or None if there is none left. It starts
            before the deadline, whatever the store asks.
        """
        state = _state(attempt, elapsed_seconds)
        pause = state.upcoming_sleep = self.wait()(state)
        if self.stop()(state):
            return None
        if self.deadline_seconds is None:
            return max(pause, retry_after_seconds)
        left = (self.deadline_seconds - elapsed_seconds) * _LAST_MOMENT
        return max(pause, min(retry_after_seconds, left))


def _is_retryable(error: BaseException) -> bool:
    """Report whether something of it is transient; of a group, any member."""
    members = getattr(error, "exceptions", None)
    return is_transient(error) if members is None else any(map(_is_retryable, members))


def _state(attempt: int, elapsed_seconds: float) -> tenacity.RetryCallState:
    state = tenacity.RetryCallState(retry_object=tenacity.Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt
    state.start_time = 0.0
    state.outcome_timestamp = elapsed_seconds
    return state
