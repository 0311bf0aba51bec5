"""Keeps credentials fresh for any number of threads: one call of the provider at a time.

```
            refresh due                     answer
  (empty) ───────────────► fetching ──────────────────────► live ──┐ two thirds of its life
     ▲                      │  ▲  ▲                          │     │ have passed: fetching, while
     │   provider failed,   │  │  └──────────────────────────┘◄────┘ the live ones go on serving
     │   nothing live       │  │            rejected by the store
     │                      ▼  │ pause over
     │  attempts used up   paused
     └──────── failed ◄─────┘
```

Live credentials serve as long as they live, whatever the provider does. Without any, a transient
failure of the provider pauses everybody who needs them (`get_nowait` returns None) instead of failing
file after file, for as long as the retry policy allows.
"""

import logging
import threading
import time
from collections.abc import Callable

from roboto_dagster.errors import ErrorCode, PlatformError
from roboto_dagster.fs.credential_source import CredentialSource, Rejection, provider_failure
from roboto_dagster.fs.credentials import CredentialProvider, CredentialsError, LiveCredentials
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.redaction import redact_library_logs

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_PAUSE_MAX_SECONDS = 30.0
_REJECTIONS_TO_GIVE_UP = 3
# A plain "access denied" for temporary credentials older than this may mean that they have expired.
_SUSPECT_AGE_SECONDS = 60.0
_WAIT_SECONDS = 0.1


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="roboto-credentials", daemon=True).start()


class CredentialCache:
    """The credentials of one store; reading them costs no lock and no call while they are live.

    Args:
        provider: Returns fresh credentials; may block. Its attribute `advice`, if it has one, is what to
            do when the store rejects them.
        clock: Seconds since the epoch.
        in_background: Runs a fetch; by default in a thread of its own.
        retry: How a provider that fails transiently is asked again while there are no live credentials.
            Default: `RetryConfig()`.
        pause: Waits for some seconds and returns whether the cache was closed meanwhile; for tests.
    """

    def __init__(
        self,
        provider: CredentialProvider,
        clock: Callable[[], float] = time.time,
        in_background: Callable[[Callable[[], None]], None] = _in_background,
        *,
        retry: RetryConfig | None = None,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        redact_library_logs()
        self._source = CredentialSource(provider, clock, retry or RetryConfig(), pause)
        self._clock = clock
        self._in_background = in_background
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._live: LiveCredentials | None = None
        self._fetch: threading.Event | None = None
        self._failure: PlatformError | None = None
        self._failures_in_row = 0
        self._retry_at = 0.0
        self._rejected_generation = -1
        self._accepted_generation = -1
        self._rejections_in_row = 0
        self._rejection: Rejection = ("CREDENTIALS_EXPIRED", "the store rejected them")
        self._suspected_generation = -1
        self._unsuspicious_generation = -1

    # Reading

    def current(self, is_cancelled: Callable[[], bool] | None = None) -> LiveCredentials:
        """Return live credentials, waiting for the provider if there are none.

        Args:
            is_cancelled: Asked every tenth of a second while waiting; once true, the wait ends with an
                error. Default None: the wait ends with the fetch, or when the cache is closed.

        Raises:
            PlatformError: There are no live credentials, and the provider failed; or the wait was
                cancelled.
        """
        while True:
            live = self.get_nowait()
            if live is not None:
                return live
            fetch = self._fetch
            while fetch is not None and not fetch.wait(_WAIT_SECONDS):
                if is_cancelled is not None and is_cancelled():
                    raise CredentialsError("the wait for credentials was cancelled", transient=True)

    def get_nowait(self) -> LiveCredentials | None:
        """Return live credentials, or None while they are being fetched; never waits.

        Raises:
            PlatformError: There are no live credentials, and the provider failed a moment ago.
        """
        live = self._live
        if (
            live is not None
            and live.generation != self._rejected_generation
            and self._clock() < live.refresh_at
        ):
            return live
        return self._get_while_due()

    def refresh_if_due(self) -> None:
        """Start a fetch if one is due."""
        try:
            self.get_nowait()
        except PlatformError:
            return

    def advice_for(self, code: ErrorCode) -> str | None:
        """Return what to do about a failure of the credentials, or None where the code's own advice is enough.

        Args:
            code: The code of the failure.
        """
        return self._source.advice if code in ("CREDENTIALS_INVALID", "ACCESS_DENIED") else None

    # What the store answered

    def mark_rejected(
        self,
        generation: int,
        code: ErrorCode = "CREDENTIALS_EXPIRED",
        reason: str = "the store rejected them",
    ) -> None:
        """Note that the store rejected credentials; a fetch starts unless there are newer ones.

        Args:
            generation: Whose rejection it is.
            code: What the store's answer stands for. Default `CREDENTIALS_EXPIRED`.
            reason: The store's own code and message, for the failure if there are no others.
        """
        with self._lock:
            live = self._live
            if live is None or live.generation != generation:
                return
            if self._rejected_generation == generation != self._suspected_generation:
                return
            self._rejected_generation, self._suspected_generation = generation, -1
            self._rejection = (code, reason)
            was_accepted = self._accepted_generation == generation
            self._rejections_in_row = 0 if was_accepted else self._rejections_in_row + 1
            if self._rejections_in_row >= _REJECTIONS_TO_GIVE_UP:
                times = f"{self._rejections_in_row} fresh credentials in a row were rejected"
                self._fail(CredentialsError(f"{reason} ({times})", code=code), _PAUSE_MAX_SECONDS)
        self.refresh_if_due()

    def mark_accepted(self, generation: int) -> None:
        """Note that the store accepted credentials.

        Args:
            generation: Which.
        """
        if self._accepted_generation != generation:
            self._accepted_generation = generation
            self._rejections_in_row = 0

    def suspect(self, generation: int) -> bool:
        """Note a plain "access denied", which some stores answer to expired credentials too.

        Temporary credentials that may have expired are fetched again, once for each generation.

        Args:
            generation: Whose answer it is.

        Returns:
            Whether repeating the request makes sense, with the credentials that come next.
        """
        with self._lock:
            live = self._live
            if live is None or live.generation != generation:
                return live is not None
            if self._rejected_generation == generation:  # being fetched again already
                return True
            if generation == self._unsuspicious_generation or not self._may_have_expired(live):
                return False
            self._rejected_generation = self._suspected_generation = generation
        self.refresh_if_due()
        return True

    def _may_have_expired(self, live: LiveCredentials) -> bool:
        if not live.token:
            return False
        is_old = self._clock() - live.fetched_at >= _SUSPECT_AGE_SECONDS
        return is_old or live.expiry_time is None

    # Listening

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have a function called, from any thread, whenever a fetch has ended.

        Args:
            listener: The function.
        """
        with self._lock:
            self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """End `subscribe`.

        Args:
            listener: The function that was given to it.
        """
        with self._lock:
            self._listeners.remove(listener)

    def close(self) -> None:
        """End a pause, so that nobody waits for credentials that nobody needs any more."""
        self._source.close()

    # Fetching

    def _get_while_due(self) -> LiveCredentials | None:
        fetch: threading.Event | None = None
        with self._lock:
            now, live = self._clock(), self._usable()
            if self._fetch is None and now >= self._retry_at and _is_due(live, now):
                fetch = self._fetch = threading.Event()
            elif self._fetch is None and live is None and self._failure is not None:
                raise self._failure.with_traceback(None)
        if fetch is not None:
            self._start(fetch)
        return live

    def _usable(self) -> LiveCredentials | None:
        live = self._live
        if live is None or live.generation == self._rejected_generation:
            return None
        return live if self._clock() < live.expires_at else None

    def _start(self, fetch: threading.Event) -> None:
        # Outside the lock, for work that is done at once.
        try:
            self._in_background(lambda: self._end(fetch, self._fetched()))
        except RuntimeError as error:  # no thread can be started
            self._end(fetch, provider_failure(error))

    def _fetched(self) -> LiveCredentials | PlatformError:
        live = self._live
        is_rejected = live is not None and live.generation == self._rejected_generation
        return self._source.fetch(live, self._rejection if is_rejected else None, self._is_needed)

    def _is_needed(self) -> bool:
        """Return whether everybody waits: live or merely suspected credentials serve meanwhile."""
        with self._lock:
            return self._usable() is None and self._suspected_generation < 0

    def _end(self, fetch: threading.Event, outcome: LiveCredentials | PlatformError) -> None:
        with self._lock:
            self._settle(outcome)
            self._fetch = None
            listeners = list(self._listeners)
        fetch.set()
        for listener in listeners:
            listener()

    def _settle(self, outcome: LiveCredentials | PlatformError) -> None:
        suspected, self._suspected_generation = self._suspected_generation, -1
        if isinstance(outcome, LiveCredentials):
            self._live, self._failure = outcome, None
            self._failures_in_row, self._retry_at = 0, 0.0
            if suspected >= 0 and outcome.expiry_time is None:
                self._unsuspicious_generation = outcome.generation
        elif suspected >= 0:  # there are no others: the denial was about the object
            self._rejected_generation = -1
            self._unsuspicious_generation = suspected
        else:
            seconds = min(_PAUSE_SECONDS * 2**self._failures_in_row, _PAUSE_MAX_SECONDS)
            self._failures_in_row += 1
            self._fail(outcome, seconds)

    def _fail(self, failure: PlatformError, seconds: float) -> None:
        self._failure = failure
        self._retry_at = self._clock() + seconds
        logger.warning("No fresh credentials, the next attempt is in %.0f s: %s", seconds, failure)


def _is_due(live: LiveCredentials | None, now: float) -> bool:
    return live is None or now >= live.refresh_at
