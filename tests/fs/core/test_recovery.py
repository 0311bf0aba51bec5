"""What is done after a failed request, as a table."""

import pathlib
from typing import Any

import pytest

from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.recovery import (
    MAX_REPLAYS,
    Action,
    AdjustClock,
    GiveUp,
    RefreshCredentials,
    Relocate,
    Replay,
    Restart,
    RestartAsOneStream,
    Retry,
    next_action,
)
from roboto_dagster.fs.object_store import Transfer
from roboto_dagster.fs.retry import RetryConfig

POLICY = RetryConfig(max_attempts=3, wait_initial_seconds=0.0)


def a_request(*, is_initial: bool = True, **state: Any) -> RangeRequest:
    """Make a request of a file that has been through something."""
    download = Download(
        Transfer(lambda _: None),
        "s3://bucket/key",
        "bucket",
        "key",
        pathlib.Path("file"),
        within=None,
        before_publish=None,
        expected_size=None,
        on_progress=None,
        part_size=100,
        verify="auto",
    )
    request = RangeRequest(download, 0, 100, is_initial=is_initial)
    request.first_attempt_at = 0.0
    for name, value in state.items():
        setattr(request if hasattr(request, name) else download, name, value)
    return request


def a_failure(remedy: Any, **fields: Any) -> Failure:
    """Make a failure with a remedy."""
    return Failure(code="SERVER_ERROR", reason="why", remedy=remedy, **fields)


def decide(request: RangeRequest, failure: Failure, now: float = 1.0) -> Action:
    """Ask for the action."""
    return next_action(request.download, request, failure, POLICY, now)


@pytest.mark.parametrize(
    ("failure", "action"),
    [
        (a_failure("retry"), Retry(0.0)),
        (a_failure("retry", retry_after_seconds=20.0), Retry(20.0)),
        (a_failure("fail"), GiveUp()),
        (a_failure("denied"), GiveUp()),
        (a_failure("replay"), Replay()),
        (a_failure("credentials"), RefreshCredentials()),
        (a_failure("region", hint="eu-north-1"), Relocate("eu-north-1")),
        (a_failure("clock", hint="12.5"), AdjustClock(12.5)),
        (a_failure("restart"), Restart()),
        (a_failure("one_stream"), RestartAsOneStream()),
    ],
    ids=lambda value: getattr(value, "remedy", ""),
)
def test_a_first_failure_has_its_remedy(failure: Failure, action: Action) -> None:
    """Each remedy is one action."""
    assert decide(a_request(), failure) == action


@pytest.mark.parametrize(
    ("remedy", "state", "action"),
    [
        ("retry", {"attempts": 3}, GiveUp(is_exhausted=True)),
        ("restart", {"changes": 1}, RestartAsOneStream(for_all=False)),
        ("restart", {"changes": 1, "one_stream": True}, GiveUp()),
        ("range", {}, Retry(0.0)),
        ("range", {"attempts": 2}, RestartAsOneStream(for_all=True)),
        ("one_stream", {"one_stream": True}, GiveUp()),
        ("credentials", {"replays": MAX_REPLAYS}, GiveUp()),
        ("region", {"replays": MAX_REPLAYS}, GiveUp()),
        ("clock", {"replays": MAX_REPLAYS}, GiveUp()),
        ("replay", {"replays": MAX_REPLAYS}, Retry(0.0)),
        ("replay", {"replays": MAX_REPLAYS, "attempts": 3}, GiveUp(is_exhausted=True)),
    ],
)
def test_every_remedy_is_bounded(remedy: str, state: dict[str, Any], action: Action) -> None:
    """No answer, however often it comes, is answered for ever."""
    assert decide(a_request(**state), a_failure(remedy, hint="1")) == action


@pytest.mark.parametrize("status", [400, 405, 412, 416, 501])
@pytest.mark.parametrize("remedy", ["fail", "retry", "restart"])
def test_a_refused_range_starts_the_file_again(status: int, remedy: str) -> None:
    """Whether the object was replaced or the store knows no ranges shows when it is compared."""
    request = a_request(is_initial=False)
    assert decide(request, a_failure(remedy, status=status)) == Restart()
    request.download.changes = 1
    again = decide(request, a_failure(remedy, status=status))
    assert again == RestartAsOneStream(for_all=remedy != "restart")


def test_a_refusal_with_a_better_remedy_keeps_it() -> None:
    """400 ExpiredToken to a range is about the token."""
    request = a_request(is_initial=False)
    assert decide(request, a_failure("credentials", status=400)) == RefreshCredentials()


def test_the_initial_stream_has_no_range_to_refuse() -> None:
    """400 to a plain GET is a failure like any other."""
    assert decide(a_request(), a_failure("fail", status=400)) == GiveUp()


def test_no_attempt_starts_after_the_deadline() -> None:
    """Neither a pause nor the store's `Retry-After` reaches beyond it."""
    policy = RetryConfig(wait_initial_seconds=0.0, deadline_seconds=60.0)
    request = a_request()
    failure = a_failure("retry", retry_after_seconds=3600.0)
    action = next_action(request.download, request, failure, policy, 30.0)
    assert isinstance(action, Retry)
    assert 29.0 < action.after_seconds < 30.0
    assert next_action(request.download, request, failure, policy, 60.0) == GiveUp(
        is_exhausted=True
    )
