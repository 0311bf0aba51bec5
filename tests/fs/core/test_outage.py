"""A store that answers nothing is noticed, and wears out few files."""

from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.outage import Outage

DOWN = Failure(code="CONNECTION", reason="connection refused")


def suspected() -> Outage:
    """Return what is known after many failures."""
    outage = Outage()
    for _ in range(16):
        outage.failed(is_answer=False)
    return outage


def is_open(outage: Outage) -> bool:
    """Return whether files are taken in."""
    return outage.failure is None


def test_a_few_failures_hold_nothing_back() -> None:
    """As on any network."""
    outage = Outage()
    for _ in range(15):
        outage.failed(is_answer=False)
    assert all(outage.may_start(0.0) for _ in range(100))


def test_while_nothing_is_answered_little_is_started() -> None:
    """Four files a second, so that a store with a few broken objects is not taken for one that is down."""
    outage = suspected()
    started = sum(outage.may_start(tick / 100) for tick in range(1000))
    assert 35 <= started <= 41


def test_any_answer_ends_the_suspicion() -> None:
    """Also that an object is not there."""
    for outage in (suspected(), suspected()):
        outage.succeeded(1.0)
        assert not outage.is_suspected
    outage = suspected()
    outage.failed(is_answer=True)
    assert not outage.is_suspected


def test_files_fail_at_once_only_after_patience_has_ended_twice() -> None:
    """Those under way when it first ended are no second time."""
    outage = suspected()
    for _ in range(200):
        outage.give_up(DOWN, 0.0, 60.0)
    assert outage.failure is None
    outage.give_up(DOWN, 61.0, 120.0)
    assert outage.failure is DOWN


def test_a_store_that_is_out_is_tried_again_after_a_while() -> None:
    """By a few; what they find counts."""
    outage = suspected()
    outage.give_up(DOWN, 0.0, 60.0)
    outage.give_up(DOWN, 61.0, 120.0)
    outage.end_if_due(149.0)
    assert outage.failure is DOWN
    outage.end_if_due(150.0)
    assert outage.is_suspected
    assert is_open(outage)
    outage.give_up(DOWN, 150.5, 200.0)
    assert outage.failure is DOWN
    outage.succeeded(201.0)
    assert outage.failure is None
