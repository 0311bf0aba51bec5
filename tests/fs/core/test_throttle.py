"""The bound on connections: halved when the store throttles, grown back slowly."""

import pytest

from roboto_dagster.fs.core.throttle import SharedThrottle, Throttle


def test_a_burst_of_refusals_halves_once() -> None:
    """Hundreds of refusals within a second count once."""
    throttle = Throttle(256)
    for _ in range(200):
        throttle.slow_down(now=10.0)
    assert throttle.limit == 128


def test_refusals_that_go_on_halve_again_down_to_one() -> None:
    """One connection is always left."""
    throttle = Throttle(256)
    for second in range(20):
        throttle.slow_down(now=float(second))
    assert throttle.limit == 1


def answers(throttle: Throttle, since: float, seconds: float, per_second: int) -> float:
    """Have a store answer well for a time; return the bound after it."""
    for number in range(int(seconds * per_second)):
        throttle.succeeded(since + (number + 1) / per_second)
    return throttle.limit


def test_successes_let_it_grow_back_to_the_most() -> None:
    """Never beyond what it was."""
    throttle = Throttle(8)
    throttle.slow_down(now=0.0)
    assert answers(throttle, 0.0, 100.0, 10) == 8


def test_a_round_trip_adds_one_connection() -> None:
    """It takes as many round trips to double the bound as it has connections."""
    throttle = Throttle(256)
    throttle.slow_down(now=0.0)
    # As many answers as connections, a second on a long line.
    assert 128.5 < answers(throttle, 0.0, 1.0, 128) <= 129


def test_recovery_is_slow_and_linear_however_fast_the_answers() -> None:
    """Half a minute from half to the most, in equal steps: on a short line too."""
    throttle = Throttle(256)
    throttle.slow_down(now=0.0)
    steps = [answers(throttle, 5.0 * step, 5.0, 2000) for step in range(6)]
    growth = [after - before for before, after in zip([128.0, *steps], steps, strict=False)]
    assert steps[-1] == pytest.approx(256, abs=1)
    assert growth == pytest.approx([growth[0]] * 6, rel=0.02)


def test_refusals_and_answers_find_a_balance() -> None:
    """A store that bears 40 requests at once is left alone above that, most of the time."""
    throttle, limits = Throttle(256), []
    for tenth in range(6000):
        now = tenth / 10
        if throttle.limit > 40:
            throttle.slow_down(now)
        for _ in range(int(throttle.limit)):
            throttle.succeeded(now)
        limits.append(throttle.limit)
    settled = limits[1000:]
    assert max(settled) < 42
    assert sum(settled) / len(settled) > 25


def test_the_pause_a_store_asks_for_is_everybodys() -> None:
    """`Retry-After` holds all requests; a shorter one later does not shorten it."""
    throttle = Throttle(8)
    throttle.slow_down(now=100.0, pause_seconds=20.0)
    throttle.slow_down(now=101.0, pause_seconds=1.0)
    assert throttle.not_before == 120.0


def test_a_process_short_of_open_files_has_fewer_for_good() -> None:
    """Successes do not lift a bound of this machine."""
    throttle = Throttle(256)
    throttle.shrink_to(20)
    for _ in range(1000):
        throttle.succeeded(1.0)
    assert throttle.limit == 20


def test_a_store_that_throttles_many_is_spared_by_all() -> None:
    """Each of many small datasets has less under way than its own bound: what they have together is halved."""
    throttle = SharedThrottle(256)
    for number in range(100):
        throttle.throttled(f"store {number}", now=10.0 + number / 100)
    assert throttle.limit == 128
    throttle.throttled("store 1", now=11.5)
    assert throttle.limit == 64
    for number in range(10_000):
        throttle.answered(now=12.0 + number / 100)
    assert 100 < throttle.limit < 256


def test_one_throttled_store_halves_nothing_of_the_others() -> None:
    """However often it is."""
    throttle = SharedThrottle(256)
    for number in range(1000):
        throttle.throttled("busy", now=number / 10)
    assert throttle.limit == 256


def test_some_throttled_stores_among_many_halve_nothing_of_the_others() -> None:
    """As long as nearly all answers are good."""
    throttle = SharedThrottle(256)
    for number in range(10_000):
        throttle.answered(now=number / 100)
        if number % 20 == 0:
            throttle.throttled(number % 3, now=number / 100)
    assert throttle.limit == 256
