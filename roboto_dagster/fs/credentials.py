"""Credentials of an object store: their shape, and the check of what a provider returned."""

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from roboto_dagster.errors import ErrorCode, PlatformError
from roboto_dagster.redaction import register_secret

logger = logging.getLogger(__name__)

# Credentials that have expired when they arrive, by a wrong clock here or there, may well be good: the
# store decides, and new ones are fetched at this pace.
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


@dataclasses.dataclass(frozen=True, slots=True)
class DescribedProvider:
    """A credential provider that knows what to do when the store rejects its credentials.

    Attributes:
        provide: Returns fresh credentials.
        advice: One sentence for messages, which names the provider.
    """

    provide: CredentialProvider
    advice: str

    def __call__(self) -> Credentials:
        """Return fresh credentials."""
        return self.provide()


class CredentialsError(PlatformError):
    """There are no usable credentials; the message names the reason, and holds none of them.

    Args:
        message: What was wrong with them.
        transient: Whether asking again later may help. Default False.
        code: The code for the files that need them. Default `CREDENTIALS_INVALID`.
        attempts: How often the provider was asked, which counts as attempts of these files. Default 1.
    """

    def __init__(
        self,
        message: str,
        transient: bool = False,  # noqa: FBT001, FBT002 - positional, to survive pickling
        code: ErrorCode = "CREDENTIALS_INVALID",
        attempts: int = 1,
    ) -> None:
        super().__init__(message, transient)
        self.args = (self.message, transient, code, attempts)
        self.code: ErrorCode = code
        self.attempts = attempts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LiveCredentials:
    """One generation of credentials, checked; its `repr` shows no secret.

    Attributes:
        access_key: Access key id.
        secret_key: Secret access key.
        token: Session token, or empty.
        region: Region of the bucket, or empty.
        expiry_time: As the provider returned it, or None.
        expires_at: End of their life in seconds since the epoch; infinite if they do not expire.
        refresh_at: When to fetch the next ones: once two thirds of their life have passed.
        fetched_at: When they were fetched, in seconds since the epoch.
        generation: Counts the fetches of one cache.
    """

    access_key: str = dataclasses.field(repr=False)
    secret_key: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)
    region: str
    expiry_time: str | None
    expires_at: float
    refresh_at: float
    fetched_at: float
    generation: int

    def is_same_as(self, other: "LiveCredentials | None") -> bool:
        """Return whether these are the very credentials of another generation.

        Args:
            other: The other generation, or None.
        """
        return other is not None and (self.access_key, self.secret_key, self.token) == (
            other.access_key,
            other.secret_key,
            other.token,
        )


def check_credentials(credentials: Any, *, now: float, generation: int = 0) -> LiveCredentials:
    """Check the shape of what a provider returned.

    Args:
        credentials: Anything.
        now: Seconds since the epoch.
        generation: The number of this fetch. Default 0.

    Returns:
        The credentials, with the times of their refresh and of their end.

    Raises:
        CredentialsError: They are not credentials; the message names the field, never its value.
    """
    if not isinstance(credentials, Mapping):
        kind = type(credentials).__name__
        raise CredentialsError(f"the credential provider returned {kind}, not credentials")
    expiry_time = credentials.get("expiry_time")
    expires_at, refresh_at = _life(expiry_time, now)
    live = LiveCredentials(
        access_key=_text(credentials, "access_key"),
        secret_key=_text(credentials, "secret_key"),
        token=_text(credentials, "token", may_be_empty=True),
        region=_text(credentials, "region", may_be_empty=True),
        expiry_time=None if expiry_time is None else str(expiry_time),
        expires_at=expires_at,
        refresh_at=refresh_at,
        fetched_at=now,
        generation=generation,
    )
    register_secret(live.secret_key, live.token)  # for debug logs of libraries that send them
    return live


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
    """Return when the credentials end, and when to fetch the next ones."""
    if expiry_time is None:
        return float("inf"), float("inf")
    expires_at = _parse_time(expiry_time)
    if expires_at <= now:
        logger.warning("The credentials expired before they arrived: check this machine's clock.")
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
