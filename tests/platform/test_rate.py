"""Requests to the API keep to a rate, and all of them pause where the platform asks for it."""

import email.utils

import pytest

from roboto_dagster.platform.rate import RequestRate, retry_after_seconds


class Time:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def started(rate: RequestRate, time: Time, count: int) -> list[float]:
    """Return when requests started, one after the other, in seconds since the first moment."""
    moments = []
    for _ in range(count):
        rate.acquire()
        moments.append(round(time.now - 100, 3))
    return moments


def test_requests_are_spaced() -> None:
    """Four a second: one each quarter of a second, the first at once."""
    time = Time()
    rate = RequestRate(4, time.clock, time.sleep)
    assert started(rate, time, 4) == [0.0, 0.25, 0.5, 0.75]


def test_idle_time_is_not_saved_up() -> None:
    """After a pause no burst follows."""
    time = Time()
    rate = RequestRate(1, time.clock, time.sleep)
    rate.acquire()
    time.now += 10
    assert started(rate, time, 2) == [10.0, 11.0]


def test_no_rate_waits_for_nothing() -> None:
    """The default."""
    time = Time()
    assert started(RequestRate(None, time.clock, time.sleep), time, 3) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("per_second", [None, 2])
def test_a_platform_that_is_throttled_is_left_alone(per_second: float | None) -> None:
    """By everybody, once it has asked to wait for two paths; the longest time counts."""
    time = Time()
    rate = RequestRate(per_second, time.clock, time.sleep)
    rate.throttled("/v1/a", 1)
    rate.throttled("/v1/b", 5)
    rate.throttled("/v1/c", 2)
    assert started(rate, time, 1) == [5.0]


def test_one_throttled_path_holds_no_other_back() -> None:
    """However often it asks to wait: it may be one busy dataset."""
    time = Time()
    rate = RequestRate(None, time.clock, time.sleep)
    for _ in range(3):
        rate.throttled("/v1/datasets/ds_1/files/query", 5)
    assert started(rate, time, 1) == [0.0]


def throttle_all(rate: RequestRate, paths: int) -> None:
    """Answer requests of many paths with 429, all in one second, without saying how long to wait."""
    for number in range(paths):
        rate.acquire()
        rate.throttled(f"/v1/{number}", 0)


def test_a_platform_that_throttles_many_is_asked_half_as_often() -> None:
    """Also where it does not say how long to wait; after that the rate grows, slowly."""
    time = Time()
    rate = RequestRate(None, time.clock, time.sleep)
    throttle_all(rate, 2)  # the first two show that it is general, at a rate of two a second
    first, second, third = started(rate, time, 3)
    assert (second - first, third - second) == (1.0, 1.0)
    time.now += 100
    begin, *_, end = started(rate, time, 101)
    assert 0.8 < end - begin < 1.0  # a hundred a second and some more


def test_a_burst_of_refusals_halves_the_rate_once() -> None:
    """And the next second's again, down to one request a second."""
    time = Time()
    rate = RequestRate(16, time.clock, time.sleep)
    for _ in range(16):
        rate.acquire()
        rate.answered()
    gaps = []
    for number in range(8):
        for again in range(3):
            rate.throttled(f"/v1/{number}/{again}", 0)
        first, second = started(rate, time, 2)
        gaps.append(second - first)
        time.now += 1
    assert gaps[0] == pytest.approx(2 / 16, rel=0.3)
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 1.0


def test_two_throttled_paths_among_many_hold_no_other_back() -> None:
    """Two busy datasets, each asked again and again, are no throttled platform."""
    time = Time()
    rate = RequestRate(None, time.clock, time.sleep)
    for second in range(20):
        time.now = 100.0 + second
        for _ in range(50):
            rate.acquire()
            rate.answered()
        rate.throttled("/v1/datasets/ds_1/files/query", 0)
        rate.throttled("/v1/datasets/ds_2/files/query", 0)
    assert started(rate, time, 3) == [19.0, 19.0, 19.0]


def test_what_was_throttled_before_counts_no_more() -> None:
    """Two paths that were throttled one after the other are no throttled platform."""
    time = Time()
    rate = RequestRate(None, time.clock, time.sleep)
    rate.throttled("/v1/a", 5)
    time.now += 6
    rate.throttled("/v1/b", 5)
    assert started(rate, time, 1) == [6.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, 0.0, id="none"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(email.utils.formatdate(1_012, usegmt=True), 12.0, id="a-date"),
        pytest.param(email.utils.formatdate(900, usegmt=True), 0.0, id="a-date-that-is-over"),
        pytest.param("soon", 0.0, id="nonsense"),
        pytest.param("-5", 0.0, id="negative"),
        pytest.param("9" * 500, 9_999_999_999.0, id="for-ever"),
    ],
)
def test_retry_after_is_read(header: str | None, seconds: float) -> None:
    """In both forms of the standard; what is neither asks for nothing."""
    assert retry_after_seconds(header, 1_000) == seconds
