"""Work on many keys in threads: order, errors, interrupts."""

import contextlib
import threading

import pytest

from roboto_dagster.step.side_by_side import MAX_WAITING, SideBySide

PATIENCE_SECONDS = 60.0


def nothing() -> None:
    """Do nothing."""


def test_results_come_in_the_order_of_the_keys() -> None:
    """Though the first takes longest; while it does, all others are worked on."""
    others_done = threading.Event()
    done: list[int] = []

    def work(key: int) -> int:
        if key == 0:
            assert others_done.wait(PATIENCE_SECONDS)
        else:
            done.append(key)
            if len(done) == 9:
                others_done.set()
        return key * key

    with SideBySide(range(10), work, 3, on_cancel=nothing) as results:
        assert list(results) == [(key, key * key) for key in range(10)]


def test_a_key_that_hangs_keeps_back_no_result() -> None:
    """Once it was waited for long enough, the results behind it come; its own as soon as it is there."""
    others_taken = threading.Event()

    def work(key: int) -> int:
        if key == 3:
            assert others_taken.wait(PATIENCE_SECONDS)
        return key

    taken = []
    with SideBySide(
        range(200), work, 3, on_cancel=nothing, idle_seconds=0.01, patience_seconds=0.05
    ) as results:
        for key, result in results:
            assert key == result
            taken.append(key)
            if len(taken) == 150:
                others_taken.set()
    assert sorted(taken) == list(range(200))
    assert 3 not in taken[:150]


def test_what_is_complete_behind_a_key_that_hangs_can_be_had() -> None:
    """An interrupt finds the result that was being recorded, and those behind it, but not the one that hangs."""
    cancelled = threading.Event()

    def work(key: int) -> int:
        if key == 0:
            assert cancelled.wait(PATIENCE_SECONDS)
            raise ValueError(key)
        return key

    results = SideBySide(
        range(20), work, 2, on_cancel=cancelled.set, idle_seconds=0.01, patience_seconds=0.05
    )
    taken = []
    with contextlib.suppress(KeyboardInterrupt), results:
        for key, _ in results:
            taken.append(key)
            if len(taken) == 5:
                raise KeyboardInterrupt
    left = [key for key, _ in results.finished()]
    assert left[0] == taken[-1]
    assert 0 not in {*taken, *left}


def test_no_more_threads_than_the_limit_work_at_once() -> None:
    """And no more than there are keys."""
    lock = threading.Lock()
    now: list[int] = []
    most = 0
    four = threading.Barrier(4)

    def work(key: int) -> None:
        nonlocal most
        with lock:
            now.append(key)
            most = max(most, len(now))
        four.wait(PATIENCE_SECONDS)
        with lock:
            now.remove(key)

    with SideBySide(range(12), work, 4, on_cancel=nothing) as results:
        assert len(list(results)) == 12
    assert most == 4


def test_an_error_is_raised_at_its_turn() -> None:
    """What was complete before comes before it; what was complete by then can be had."""
    last_done = threading.Event()

    def work(key: int) -> int:
        if key == 1:
            assert last_done.wait(PATIENCE_SECONDS)
            raise ValueError(key)
        if key == 2:
            last_done.set()
        return key

    seen: list[int] = []
    results = SideBySide(range(3), work, 3, on_cancel=nothing)

    def consume() -> None:
        with results:
            for key, _ in results:
                seen.append(key)

    with pytest.raises(ValueError, match="1"):
        consume()
    assert (seen, list(results.finished())) == ([0], [(2, 2)])


def test_an_interrupt_cancels_what_waits_and_stops_what_runs() -> None:
    """Running work is waited for; what it returns is kept."""
    stop = threading.Event()
    started: list[int] = []
    both = threading.Barrier(3)

    def work(key: int) -> int:
        started.append(key)
        if key in (1, 2):
            both.wait(PATIENCE_SECONDS)
            assert stop.wait(PATIENCE_SECONDS)
        return key

    results = SideBySide(range(100), work, 2, on_cancel=stop.set)

    def consume() -> None:
        with results:
            for _ in results:
                both.wait(PATIENCE_SECONDS)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert sorted(started) == [0, 1, 2]
    assert list(results.finished()) == [(0, 0), (1, 1), (2, 2)]


def test_an_interrupt_while_waiting_reaches_the_consumer() -> None:
    """It is raised in the thread that waits, and no thread is left behind."""
    stop = threading.Event()

    def interrupt() -> None:
        raise KeyboardInterrupt

    results = SideBySide(
        range(4),
        lambda _: stop.wait(PATIENCE_SECONDS),
        2,
        on_cancel=stop.set,
        on_idle=interrupt,
        idle_seconds=0.01,
    )
    with pytest.raises(KeyboardInterrupt), results:
        list(results)
    assert not [each for each in threading.enumerate() if each.name.startswith("roboto-partition")]


def test_results_are_dropped_once_they_were_taken() -> None:
    """Memory does not grow with the number of keys."""
    import gc
    import weakref

    class Report:
        """Something big."""

    alive: list[weakref.ref[Report]] = []

    def work(_: int) -> Report:
        report = Report()
        alive.append(weakref.ref(report))
        return report

    with SideBySide(range(50), work, 1, on_cancel=nothing) as results:
        for key, report in results:
            del report
            if key == 26:
                gc.collect()
                assert [each() for each in alive[:25]] == [None] * 25


def test_threads_do_not_outrun_a_busy_consumer() -> None:
    """Results that wait take memory: their number does not grow with that of the keys."""
    done: list[int] = []
    most_ahead = 0
    with SideBySide(range(1000), done.append, 8, on_cancel=nothing) as results:
        for key, _ in results:
            if key % 50 == 0:  # busy
                wait_until_idle(done)
            most_ahead = max(most_ahead, len(done) - key)
    assert len(done) == 1000
    assert most_ahead <= MAX_WAITING + 2 * 8 + 1


def wait_until_idle(done: list[int]) -> None:
    """Return once nothing was done for a moment."""
    count = -1
    while count != len(done):
        count = len(done)
        threading.Event().wait(0.02)
