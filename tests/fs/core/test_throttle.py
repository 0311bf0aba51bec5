"""The bound on connections: halved when the store throttles, grown back slowly."""

from roboto_dagster.fs.core.throttle import Throttle


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


def test_successes_let_it_grow_back_to_the_most() -> None:
    """Never beyond what it was."""
    throttle = Throttle(8)
    throttle.slow_down(now=0.0)
    for _ in range(100):
        throttle.succeeded()
    assert throttle.limit == 8


def test_a_round_trip_adds_one_connection() -> None:
    """It takes as many round trips to double the bound as it has connections."""
    throttle = Throttle(256)
    throttle.slow_down(now=0.0)
    for _ in range(128):  # as many answers as connections
        throttle.succeeded()
    assert 128.5 < throttle.limit <= 129


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
        throttle.succeeded()
    assert throttle.limit == 20
