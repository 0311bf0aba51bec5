"""Credentials of an object store: their shape, their source, and how they are kept fresh."""

import dataclasses
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from roboto_dagster.errors import ErrorCode, PlatformError

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_PAUSE_MAX_SECONDS = 30.0
_REFUSALS_TO_GIVE_UP = 3
# Credentials that are over when they arrive, by a wrong clock here or there, may well be good: the
# store decides, and new ones are asked for at this pace.
_REFRESH_IF_OVER_SECONDS = 60.0
_REFRESH_PAUSE_SECONDS = 1.0


class Credentials(TypedDict):
    """What a credential provider returns; the shape of the SDK's, and of botocore's.

    Attributes:
        access_key: Access key id.
        secret_key: Secret access key.
        token: Session token; empty for keys that need none.
        region: Region of the bucket; empty takes botocore's default.
        expiry_time: End of their life, ISO 8601 with a time zone, or None if they do not expire.
    """

    access_key: str
    secret_key: str
    token: str
    region: str
    expiry_time: str | None


CredentialProvider = Callable[[], Credentials]
"""Called whenever fresh credentials are needed, from any thread."""


class CredentialsError(PlatformError):
    """There are no usable credentials; the message says why, and holds none of them.

    Args:
        message: What was wrong with them.
        transient: Whether asking again later may help.
        code: The code for the files that need them.
    """

    def __init__(
        self,
        message: str,
        transient: bool = False,  # noqa: FBT001, FBT002 - positional, to survive pickling
        code: ErrorCode = "CREDENTIALS_INVALID",
    ) -> None:
        super().__init__(message, transient)
        self.args = (message, transient, code)
        self.code: ErrorCode = code


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """One generation of credentials, checked; its text shows no secret.

    Attributes:
        access_key: Access key id.
        secret_key: Secret access key.
        token: Session token, or empty.
        region: Region of the bucket, or empty.
        expiry_time: As the provider told it, or None.
        expires_at: End of their life in seconds since the epoch; infinite if they do not expire.
        refresh_at: When to ask for the next ones: once two thirds of their life have passed.
        generation: Counts the fetches of one broker.
    """

    access_key: str = dataclasses.field(repr=False)
    secret_key: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)
    region: str
    expiry_time: str | None
    expires_at: float
    refresh_at: float
    generation: int

    def is_same_as(self, other: "Keys | None") -> bool:
        """Tells whether these are the very credentials of another generation."""
        return other is not None and (self.access_key, self.secret_key, self.token) == (
            other.access_key,
            other.secret_key,
            other.token,
        )


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="roboto-credentials", daemon=True).start()


class CredentialCache:
    """Keeps credentials fresh for any number of threads: one fetch at a time, ahead of the expiry.

    Reading costs no lock and no call. A fetch begins once two thirds of the keys' life have passed,
    and at once when the store refused them. While the provider fails, the current keys are used as
    long as they live. Keys that a refresh does not mend are not asked for again and again.

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
        self._provider = provider
        self._clock = clock
        self._in_background = in_background
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._keys: Keys | None = None
        self._fetch: threading.Event | None = None
        self._failure: PlatformError | None = None
        self._failures_in_row = 0
        self._retry_at = 0.0
        self._refused_generation = -1
        self._accepted_generation = -1
        self._refusals_in_row = 0

    def current(self) -> Keys:
        """Returns live keys, waiting for the provider if there are none.

        Raises:
            PlatformError: There are no live keys, and the provider failed.
        """
        while True:
            keys = self.peek()
            if keys is not None:
                return keys
            fetch = self._fetch
            if fetch is not None:
                fetch.wait()

    def peek(self) -> Keys | None:
        """Returns live keys, or None while they are being fetched; never waits.

        Raises:
            PlatformError: There are no live keys, and the provider failed a moment ago.
        """
        keys = self._keys
        if (
            keys is not None
            and keys.generation != self._refused_generation
            and self._clock() < keys.refresh_at
        ):
            return keys
        return self._peek_while_due()

    def refused(self, generation: int) -> None:
        """Says that the store refused these keys; a fetch begins unless there are newer ones."""
        with self._lock:
            keys = self._keys
            if keys is None or keys.generation != generation:
                return
            if self._refused_generation == generation:
                return
            self._refused_generation = generation
            was_accepted = self._accepted_generation == generation
            self._refusals_in_row = 0 if was_accepted else self._refusals_in_row + 1
            if self._refusals_in_row >= _REFUSALS_TO_GIVE_UP:
                message = f"the store refused {self._refusals_in_row} fresh credentials in a row"
                self._fail(CredentialsError(message), _PAUSE_MAX_SECONDS)
        self.peek_quietly()

    def accepted(self, generation: int) -> None:
        """Says that the store accepted these keys."""
        if self._accepted_generation != generation:
            self._accepted_generation = generation
            self._refusals_in_row = 0

    def peek_quietly(self) -> None:
        """Lets a fetch begin if one is due."""
        try:
            self.peek()
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

    def _peek_while_due(self) -> Keys | None:
        fetch: threading.Event | None = None
        with self._lock:
            now, keys = self._clock(), self._keys
            refused = keys is None or keys.generation == self._refused_generation
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

    def _outcome(self) -> Keys | PlatformError:
        try:
            return self._ask()
        except PlatformError as error:
            return error
        except BaseException as error:  # noqa: BLE001 - foreign code, and those who wait must wake
            return _provider_failed(error)

    def _end(self, fetch: threading.Event, outcome: Keys | PlatformError) -> None:
        with self._lock:
            self._settle(outcome)
            self._fetch = None
            listeners = list(self._listeners)
        fetch.set()
        for listener in listeners:
            listener()

    def _ask(self) -> Keys:
        previous = self._keys
        generation = previous.generation + 1 if previous else 0
        keys = check_credentials(self._provider(), now=self._clock(), generation=generation)
        if (
            previous
            and previous.generation == self._refused_generation
            and keys.is_same_as(previous)
        ):
            message = "the store refused the credentials, and the provider has no others"
            raise CredentialsError(message, code="CREDENTIALS_EXPIRED", transient=True)
        return keys

    def _settle(self, outcome: Keys | PlatformError) -> None:
        if isinstance(outcome, Keys):
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


def _is_due(live: Keys | None, now: float) -> bool:
    return live is None or now >= live.refresh_at


def _provider_failed(error: BaseException) -> CredentialsError:
    # The name only: a foreign error's text might quote what it could not read.
    failure = CredentialsError(
        f"the credential provider failed: {type(error).__name__}", isinstance(error, OSError)
    )
    failure.__cause__ = error
    return failure


def check_credentials(credentials: Any, *, now: float, generation: int = 0) -> Keys:
    """Checks the shape of what a provider returned.

    Args:
        credentials: Anything.
        now: Seconds since the epoch.
        generation: The number of this fetch.

    Raises:
        CredentialsError: They are not credentials; the message names the field, never its value.
    """
    if not isinstance(credentials, Mapping):
        kind = type(credentials).__name__
        raise CredentialsError(f"the credential provider returned {kind}, not credentials")
    expiry_time = credentials.get("expiry_time")
    expires_at, refresh_at = _life(expiry_time, now)
    return Keys(
        access_key=_text(credentials, "access_key"),
        secret_key=_text(credentials, "secret_key"),
        token=_text(credentials, "token", may_be_empty=True),
        region=_text(credentials, "region", may_be_empty=True),
        expiry_time=None if expiry_time is None else str(expiry_time),
        expires_at=expires_at,
        refresh_at=refresh_at,
        generation=generation,
    )


def _text(credentials: Mapping[str, Any], field: str, *, may_be_empty: bool = False) -> str:
    value = credentials.get(field)
    problem = None
    if value is None:
        problem = "is missing"
    elif not isinstance(value, str):
        problem = f"is {type(value).__name__}, not text"
    elif not value and not may_be_empty:
        problem = "is empty"
    elif not (value.isascii() and value.isprintable()):
        problem = "is not one line of plain characters"
    if problem:
        raise CredentialsError(f"the credential provider's answer is unusable: {field} {problem}")
    return str(value)


def _life(expiry_time: Any, now: float) -> tuple[float, float]:
    """Returns when the keys end, and when to ask for the next ones."""
    if expiry_time is None:
        return float("inf"), float("inf")
    expires_at = _parse_time(expiry_time)
    if expires_at <= now:
        logger.warning("Credentials expired before they arrived: is this machine's clock right?")
        return float("inf"), now + _REFRESH_IF_OVER_SECONDS
    # A provider that keeps what it has until the end is not asked ever faster.
    return expires_at, max(expires_at - (expires_at - now) / 3, now + _REFRESH_PAUSE_SECONDS)


def _parse_time(expiry_time: Any) -> float:
    moment = expiry_time
    if isinstance(expiry_time, str):
        try:
            # Python 3.10 does not read the suffix Z.
            moment = dt.datetime.fromisoformat(expiry_time.strip().replace("Z", "+00:00"))
        except ValueError:
            moment = None
    if not isinstance(moment, dt.datetime) or moment.tzinfo is None:
        raise CredentialsError(
            "the credential provider's answer is unusable: "
            "expiry_time is not an ISO 8601 time with a zone"
        )
    return moment.timestamp()
