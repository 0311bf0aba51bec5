"""Asks a credential provider, again and again while it fails transiently."""

import logging
import threading
from collections.abc import Callable

from roboto_dagster.errors import ErrorCode, PlatformError, RobotoDagsterError
from roboto_dagster.fs.credentials import (
    CredentialProvider,
    CredentialsError,
    LiveCredentials,
    check_credentials,
)
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.redaction import safe_cause

logger = logging.getLogger(__name__)

Rejection = tuple[ErrorCode, str]
"""What the store's answer to credentials stands for, and its own code and message."""


class _NoOthersError(CredentialsError):
    """The provider returned the credentials that the store rejected; asking again at once is no use."""


class CredentialSource:
    """A provider, and the policy by which it is asked.

    Args:
        provider: Returns fresh credentials; may block. Its attribute `advice`, if it has one, is what to
            do when the store rejects them.
        clock: Seconds since the epoch.
        retry: How it is asked again after a transient failure.
        pause: Waits for some seconds and returns whether `close` was called meanwhile. Default None: a wait that
            `close` ends.
    """

    def __init__(
        self,
        provider: CredentialProvider,
        clock: Callable[[], float],
        retry: RetryConfig,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._retry = retry
        self._closed = threading.Event()
        self._pause = pause or self._closed.wait

    @property
    def advice(self) -> str | None:
        """What to do when the store rejects the credentials, or None if the provider has no advice."""
        advice = getattr(self._provider, "advice", None)
        return advice if isinstance(advice, str) else None

    def close(self) -> None:
        """End a pause."""
        self._closed.set()

    def fetch(
        self,
        previous: LiveCredentials | None,
        rejection: Rejection | None,
        is_needed: Callable[[], bool],
    ) -> LiveCredentials | PlatformError:
        """Ask for fresh credentials, repeatedly while that fails transiently.

        Args:
            previous: Those before, or None.
            rejection: Why the store rejected those, or None if it did not.
            is_needed: Asked before each repetition: whether somebody waits for the result.

        Returns:
            The credentials, or why there are none.
        """
        started_at, attempts = self._clock(), 0
        while True:
            outcome = self._ask(previous, rejection)
            attempts += 1
            if isinstance(outcome, (LiveCredentials, _NoOthersError)) or not outcome.transient:
                return outcome
            seconds = self._retry.pause_seconds(attempts, self._clock() - started_at)
            if seconds is None or not is_needed():
                return _given_up(outcome, attempts)
            logger.warning("No credentials, the next attempt is in %.1f s: %s", seconds, outcome)
            if self._pause(seconds):
                return outcome

    def _ask(
        self, previous: LiveCredentials | None, rejection: Rejection | None
    ) -> LiveCredentials | PlatformError:
        try:
            return self._fresh(previous, rejection)
        except PlatformError as error:
            return error
        except RobotoDagsterError as error:  # such as a ConfigurationError: its text is the user's
            return CredentialsError(str(error), error.transient)
        except BaseException as error:  # noqa: BLE001 - foreign code, and those who wait must wake
            return provider_failure(error)

    def _fresh(
        self, previous: LiveCredentials | None, rejection: Rejection | None
    ) -> LiveCredentials:
        generation = previous.generation + 1 if previous else 0
        live = check_credentials(self._provider(), now=self._clock(), generation=generation)
        if rejection is not None and live.is_same_as(previous):
            code, reason = rejection
            raise _NoOthersError(
                f"{reason} (the credential provider has no others)",
                transient=code == "CREDENTIALS_EXPIRED",
                code=code,
                attempts=self._retry.max_attempts,
            )
        return live


def _given_up(failure: PlatformError, attempts: int) -> PlatformError:
    """Return the failure of a provider that was asked as often as the policy allows."""
    if isinstance(failure, CredentialsError):
        failure.attempts = max(failure.attempts, attempts)
        return failure
    error = CredentialsError(failure.message, failure.transient, attempts=attempts)
    error.__cause__ = failure.__cause__
    return error


def provider_failure(error: BaseException) -> CredentialsError:
    """Translate what a foreign provider raised.

    Args:
        error: Whatever it is.
    """
    # The name only: a foreign error's text might quote what it could not read.
    failure = CredentialsError(
        f"the credential provider failed: {type(error).__name__}", isinstance(error, OSError)
    )
    failure.__cause__ = safe_cause(error)
    return failure
