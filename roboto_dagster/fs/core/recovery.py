"""What to do after a failed request. Pure: it reads the file's state, and the caller carries it out.

```
                     ┌ replay ────────► Replay            ┐ at once, uncounted, at most three times
                     ├ clock ─────────► AdjustClock       │ a request; then GiveUp, and Retry
 failure.remedy ─────┼ region ────────► Relocate          │ after a replay
                     ├ credentials ───► RefreshCredentials┘
                     ├ restart ───────► Restart, once; then as one_stream
                     ├ range ─────────► Retry, once; then as one_stream
                     ├ one_stream ────► RestartAsOneStream: one answer is one version; then GiveUp
                     ├ retry ─────────► Retry after a pause, as long as the policy allows; then GiveUp
                     └ fail ──────────► GiveUp
```
"""

import dataclasses

from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.retry import RetryConfig

MAX_REPLAYS = 3
"""How often a request is sent again uncounted."""

# How stores refuse `Range` or `If-Match` that they do not understand; an object that was replaced
# looks the same, so the file is started again, and compared.
_REFUSALS_OF_RANGES = frozenset({400, 405, 412, 416, 501})


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Send the request again after a pause; it counts as an attempt."""

    after_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """Send the request again at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class AdjustClock:
    """Take the store's time, in seconds since the epoch, and send the request again."""

    server_time: float


@dataclasses.dataclass(frozen=True, slots=True)
class Relocate:
    """Send the request again, signed for the region that the store named."""

    region: str


@dataclasses.dataclass(frozen=True, slots=True)
class RefreshCredentials:
    """Send the request again with fresh credentials."""


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """Start the file again, and see whether the object was replaced."""


@dataclasses.dataclass(frozen=True, slots=True)
class RestartAsOneStream:
    """Start the file again as one stream.

    Attributes:
        for_all: Whether the store cannot serve ranges, so that it holds for its other files too.
    """

    for_all: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """The file has failed.

    Attributes:
        is_exhausted: Whether the policy allowed no further attempt at something transient.
    """

    is_exhausted: bool = False


Action = (
    Retry
    | Replay
    | AdjustClock
    | Relocate
    | RefreshCredentials
    | Restart
    | RestartAsOneStream
    | GiveUp
)


def next_action(
    download: Download, request: RangeRequest, failure: Failure, policy: RetryConfig, now: float
) -> Action:
    """Decide what to do after a failed request.

    Args:
        download: The file.
        request: The request that failed.
        failure: Why.
        policy: How often, and for how long, transient failures are retried.
        now: The driver's clock, in seconds.
    """
    match failure.remedy:
        case "restart":
            return _restart(download, for_all=False)
        case "fail" | "retry" if _is_refusal_of_range(request, failure):
            return _restart(download, for_all=True)
        case "one_stream":
            return _one_stream(download, for_all=True)
        case "range" if request.attempts > 1:
            return _one_stream(download, for_all=True)
    # A replay that does not help was not only about one connection.
    is_worn = failure.remedy == "replay" and request.replays >= MAX_REPLAYS
    if failure.remedy in ("retry", "range") or is_worn:
        return _retry(request, failure, policy, now)
    return _replay(request, failure)


def _is_refusal_of_range(request: RangeRequest, failure: Failure) -> bool:
    return not request.is_initial and failure.status in _REFUSALS_OF_RANGES


def _restart(download: Download, *, for_all: bool) -> Action:
    """Start the file again; where that has not helped, in one stream, which is of one version."""
    return _one_stream(download, for_all=for_all) if download.changes else Restart()


def _one_stream(download: Download, *, for_all: bool) -> Action:
    return GiveUp() if download.one_stream else RestartAsOneStream(for_all)


def _replay(request: RangeRequest, failure: Failure) -> Action:
    if request.replays >= MAX_REPLAYS or failure.remedy in ("fail", "denied"):
        return GiveUp()
    match failure.remedy:
        case "clock":
            return AdjustClock(float(failure.hint))
        case "region":
            return Relocate(failure.hint)
        case "credentials":
            return RefreshCredentials()
    return Replay()


def _retry(request: RangeRequest, failure: Failure, policy: RetryConfig, now: float) -> Action:
    pause = policy.pause_seconds(
        request.attempts,
        now - request.first_attempt_at,
        retry_after_seconds=failure.retry_after_seconds,
    )
    return GiveUp(is_exhausted=True) if pause is None else Retry(pause)
