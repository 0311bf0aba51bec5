"""Keeps credentials fresh for any number of threads."""

import logging
import threading
import time
from collections.abc import Callable

from roboto_dagster.errors import PlatformError
from roboto_dagster.fs.credentials import (
    CredentialProvider,
    CredentialsError,
    LiveCredentials,
    check_credentials,
)
from roboto_dagster.redaction import redact_library_logs

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_PAUSE_MAX_SECONDS = 30.0
_REJECTIONS_TO_GIVE_UP = 3


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="roboto-credentials", daemon=True).start()


class CredentialCache:
    """Keeps credentials fresh for any number of threads: one fetch at a time, ahead of the expiry.

    Reading costs no lock and no call. A fetch begins once two thirds of the keys' life have passed,
    and at once when the store refused them. While the provider fails, the current keys are used as
    long as they live. LiveCredentials that a refresh does not mend are not asked for again and again.

    Args:
        provider: Returns fresh credentials; may block.
        clock: Seconds since the epoch.
        in_background: Runs a fetch; by default in a thread of its own.
    """

    def __init__(
        self,
        provider: CredentialProvider,
        clock: Callable[[], float] = time.time,
        in_background: Callable[[Callable[[], None]], None] = _in_background,
    ) -> None:
        redact_library_logs()
        self._provider = provider
        self._clock = clock
        self._in_background = in_background
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._keys: LiveCredentials | None = None
        self._fetch: threading.Event | None = None
        self._failure: PlatformError | None = None
        self._failures_in_row = 0
        self._retry_at = 0.0
        self._rejected_generation = -1
        self._accepted_generation = -1
        self._rejections_in_row = 0

    def current(self) -> LiveCredentials:
        """Returns live keys, waiting for the provider if there are none.

        Raises:
            PlatformError: There are no live keys, and the provider failed.
        """
        while True:
            keys = self.get_nowait()
            if keys is not None:
                return keys
            fetch = self._fetch
            if fetch is not None:
                fetch.wait()

    def get_nowait(self) -> LiveCredentials | None:
        """Returns live keys, or None while they are being fetched; never waits.

        Raises:
            PlatformError: There are no live keys, and the provider failed a moment ago.
        """
        keys = self._keys
        if (
            keys is not None
            and keys.generation != self._rejected_generation
            and self._clock() < keys.refresh_at
        ):
            return keys
        return self._get_while_due()

    def mark_rejected(self, generation: int) -> None:
        """Says that the store refused these keys; a fetch begins unless there are newer ones."""
        with self._lock:
            keys = self._keys
            if keys is None or keys.generation != generation:
                return
            if self._rejected_generation == generation:
                return
            self._rejected_generation = generation
            was_accepted = self._accepted_generation == generation
            self._rejections_in_row = 0 if was_accepted else self._rejections_in_row + 1
            if self._rejections_in_row >= _REJECTIONS_TO_GIVE_UP:
                message = f"the store refused {self._rejections_in_row} fresh credentials in a row"
                self._fail(CredentialsError(message), _PAUSE_MAX_SECONDS)
        self.refresh_if_due()

    def mark_accepted(self, generation: int) -> None:
        """Says that the store accepted these keys."""
        if self._accepted_generation != generation:
            self._accepted_generation = generation
            self._rejections_in_row = 0

    def refresh_if_due(self) -> None:
        """Lets a fetch begin if one is due."""
        try:
            self.get_nowait()
        except PlatformError:
            return

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Has `listener` called, from any thread, whenever a fetch has ended."""
        with self._lock:
            self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Ends `subscribe`."""
        with self._lock:
            self._listeners.remove(listener)

    def _get_while_due(self) -> LiveCredentials | None:
        fetch: threading.Event | None = None
        with self._lock:
            now, keys = self._clock(), self._keys
            refused = keys is None or keys.generation == self._rejected_generation
            live = None if keys is None or refused or now >= keys.expires_at else keys
            if self._fetch is None and now >= self._retry_at and _is_due(live, now):
                fetch = self._fetch = threading.Event()
            elif self._fetch is None and live is None and self._failure is not None:
                raise self._failure.with_traceback(None)
        if fetch is not None:
            self._begin(fetch)
        return live

    def _begin(self, fetch: threading.Event) -> None:
        # Outside the lock, for work that is done at once.
        try:
            self._in_background(lambda: self._end(fetch, self._outcome()))
        except RuntimeError as error:  # no thread can be started
            self._end(fetch, _provider_failed(error))

    def _outcome(self) -> LiveCredentials | PlatformError:
        try:
            return self._ask()
        except PlatformError as error:
            return error
        except BaseException as error:  # noqa: BLE001 - foreign code, and those who wait must wake
            return _provider_failed(error)

    def _end(self, fetch: threading.Event, outcome: LiveCredentials | PlatformError) -> None:
        with self._lock:
            self._settle(outcome)
            self._fetch = None
            listeners = list(self._listeners)
        fetch.set()
        for listener in listeners:
            listener()

    def _ask(self) -> LiveCredentials:
        previous = self._keys
        generation = previous.generation + 1 if previous else 0
        keys = check_credentials(self._provider(), now=self._clock(), generation=generation)
        if (
            previous
            and previous.generation == self._rejected_generation
            and keys.is_same_as(previous)
        ):
            message = "the store refused the credentials, and the provider has no others"
            raise CredentialsError(message, code="CREDENTIALS_EXPIRED", transient=True)
        return keys

    def _settle(self, outcome: LiveCredentials | PlatformError) -> None:
        if isinstance(outcome, LiveCredentials):
            self._keys, self._failure = outcome, None
            self._failures_in_row, self._retry_at = 0, 0.0
        else:
            pause = min(_PAUSE_SECONDS * 2**self._failures_in_row, _PAUSE_MAX_SECONDS)
            self._failures_in_row += 1
            self._fail(outcome, pause)

    def _fail(self, failure: PlatformError, pause: float) -> None:
        self._failure = failure
        self._retry_at = self._clock() + pause
        logger.warning("No fresh credentials, next try in %.0f s: %s", pause, failure)


def _is_due(live: LiveCredentials | None, now: float) -> bool:
    return live is None or now >= live.refresh_at


def _provider_failed(error: BaseException) -> CredentialsError:
    # The name only: a foreign error's text might quote what it could not read.
    failure = CredentialsError(
        f"the credential provider failed: {type(error).__name__}", isinstance(error, OSError)
    )
    failure.__cause__ = error
    return failure
