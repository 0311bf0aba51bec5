"""The one policy of repeating: tenacity's objects, its bounds, and what is repeated at all."""

import logging
import pathlib
import sys
from collections.abc import Callable

import pytest
import tenacity
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from roboto_dagster import ConfigurationError, DownloadError, PlatformError, RetryConfig
from roboto_dagster.types import DownloadableFile

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

FILE = DownloadableFile(
    bucket_name="b", source_uri="s3://b/k", destination_path=pathlib.Path("k.mcap")
)
AT_ONCE = RetryConfig(max_attempts=3, wait_initial_seconds=0.0, wait_max_seconds=0.0)


class Flaky:
    """A function that fails so many times, and counts its calls."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> str:
        """Fail or return."""
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "done"


def test_it_is_tenacity() -> None:
    """The objects are tenacity's own, so that users can combine them."""
    config = RetryConfig()
    assert isinstance(config.retrying(), tenacity.Retrying)
    assert isinstance(config.wait(), wait_base)
    assert isinstance(config.stop(), stop_base)


def test_a_transient_failure_is_repeated() -> None:
    """Two retryable failures cost two more calls, and nothing else."""
    flaky = Flaky(2, PlatformError("busy", transient=True))
    assert (AT_ONCE.retrying()(flaky), flaky.calls) == ("done", 3)


def test_a_permanent_failure_is_not_repeated() -> None:
    """What is not retryable is raised at once, as it is."""
    error = PlatformError("unknown dataset")
    flaky = Flaky(1, error)
    with pytest.raises(PlatformError) as caught:
        AT_ONCE.retrying()(flaky)
    assert (caught.value, flaky.calls) == (error, 1)


def test_a_foreign_failure_is_not_repeated() -> None:
    """A bug is no weather."""
    flaky = Flaky(1, ValueError("bug"))
    with pytest.raises(ValueError, match="bug"):
        AT_ONCE.retrying()(flaky)
    assert flaky.calls == 1


def test_it_gives_up_with_the_last_error() -> None:
    """After `max_attempts` the caller sees the error itself, not tenacity's."""
    flaky = Flaky(9, PlatformError("busy", transient=True))
    with pytest.raises(PlatformError, match="busy"):
        AT_ONCE.retrying()(flaky)
    assert flaky.calls == 3


def test_a_group_with_something_transient_is_repeated() -> None:
    """A batch that failed in part is worth another try if any of its files is."""
    group = ExceptionGroup(
        "2 files",
        [DownloadError(FILE, "NOT_FOUND", "gone"), DownloadError(FILE, "STALLED", "slow")],
    )
    flaky = Flaky(1, group)
    assert (AT_ONCE.retrying()(flaky), flaky.calls) == ("done", 2)


def test_it_can_be_iterated() -> None:
    """The other form of tenacity: a loop of attempts."""
    flaky = Flaky(1, PlatformError("busy", transient=True))
    for attempt in AT_ONCE.retrying():
        with attempt:
            flaky()
    assert flaky.calls == 2


def test_every_repetition_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One warning a retry names what failed."""
    AT_ONCE.retrying()(Flaky(2, PlatformError("busy", transient=True)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "busy" in caplog.text


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        pytest.param(1, 0.5, id="first"),
        pytest.param(2, 1.0, id="doubled"),
        pytest.param(4, 4.0, id="again"),
        pytest.param(7, 30.0, id="at-most"),
    ],
)
def test_waits_double_up_to_a_bound(
    attempt: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest wait after an attempt doubles; the true one is a random part of it."""
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    assert RetryConfig().pause_seconds(attempt) == expected


def test_waits_have_full_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortest wait is none, so that many who failed together do not return together."""
    monkeypatch.setattr("random.uniform", lambda low, _high: low)
    assert RetryConfig().pause_seconds(5) == 0


@pytest.mark.parametrize(
    ("config", "attempt", "elapsed", "is_left"),
    [
        pytest.param(RetryConfig(max_attempts=2), 1, 0, True, id="one-left"),
        pytest.param(RetryConfig(max_attempts=2), 2, 0, False, id="none-left"),
        pytest.param(RetryConfig(max_attempts=1), 1, 0, False, id="never"),
        pytest.param(RetryConfig(deadline_seconds=10), 1, 9.4, True, id="before-deadline"),
        pytest.param(RetryConfig(deadline_seconds=10), 1, 10, False, id="after-deadline"),
        pytest.param(RetryConfig(), 1, 10_000, True, id="no-deadline"),
    ],
)
def test_pause_is_none_once_nothing_is_left(
    config: RetryConfig, attempt: int, elapsed: float, *, is_left: bool
) -> None:
    """Attempts and the deadline bound it, for engines that cannot sleep in a loop."""
    assert (config.pause_seconds(attempt, elapsed) is not None) is is_left


def test_a_deadline_ends_the_loop() -> None:
    """No attempt starts once the deadline has passed, however many are left."""
    flaky = Flaky(9, PlatformError("busy", transient=True))
    config = RetryConfig(wait_initial_seconds=0.0, wait_max_seconds=0.0, deadline_seconds=0.0)
    with pytest.raises(PlatformError):
        config.retrying()(flaky)
    assert flaky.calls == 1


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: RetryConfig(max_attempts=0), id="no-attempt"),
        pytest.param(lambda: RetryConfig(wait_initial_seconds=-1), id="negative-initial"),
        pytest.param(lambda: RetryConfig(wait_max_seconds=-1), id="negative-max"),
        pytest.param(lambda: RetryConfig(deadline_seconds=-1), id="negative-deadline"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], RetryConfig]) -> None:
    """A policy that cannot work is an error where it is written, not in the night."""
    with pytest.raises(ConfigurationError, match="RetryConfig"):
        make()
