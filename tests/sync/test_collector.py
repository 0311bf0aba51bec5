"""What the garbage collector looks at during a sync."""

import gc
import subprocess
import sys
import weakref

import pytest

from roboto_dagster.sync.collector import collect_new_objects, rare_garbage_collection
from tests.waiting import GUARD_SECONDS


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_older_objects_are_given_back() -> None:
    """They are set aside from the first of overlapping syncs to the end of the last."""
    before = gc.get_freeze_count()
    with rare_garbage_collection():
        with rare_garbage_collection():
            assert gc.get_freeze_count() > before
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == before


def test_garbage_of_a_sync_is_collected_meanwhile() -> None:
    """What a sync itself makes and drops does not pile up."""
    with rare_garbage_collection():
        ring: list[object] = []
        ring.append(ring)
        del ring
        assert gc.collect() > 0


def test_new_objects_are_looked_at_less_often() -> None:
    """From the first of overlapping syncs to the end of the last, the threshold is higher; then it is as before."""
    before = gc.get_threshold()
    gc.set_threshold(700, 9, 8)
    try:
        with rare_garbage_collection():
            with rare_garbage_collection():
                assert gc.get_threshold()[0] > 10_000
                assert gc.get_threshold()[1] == 9
            assert gc.get_threshold()[0] > 10_000
        assert gc.get_threshold()[:2] == (700, 9)
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("chosen", [0, 1_000_000])
def test_a_threshold_that_somebody_chose_is_kept(chosen: int) -> None:
    """A collector that is switched off, or that works less often yet, is left as it is."""
    before = gc.get_threshold()
    gc.set_threshold(chosen)
    try:
        with rare_garbage_collection():
            assert gc.get_threshold()[0] == chosen
        assert gc.get_threshold()[0] == chosen
    finally:
        gc.set_threshold(*before)


def test_a_threshold_that_is_set_meanwhile_is_kept() -> None:
    """What the user's own code sets during a sync is not taken back."""
    before = gc.get_threshold()
    gc.set_threshold(700)
    try:
        with rare_garbage_collection():
            gc.set_threshold(1234)
        assert gc.get_threshold()[0] == 1234
    finally:
        gc.set_threshold(*before)


def test_what_is_left_of_new_objects_is_set_aside() -> None:
    """Each collection looks only at what was made since the one before, and what lives is given back at the end."""
    before = gc.get_freeze_count()
    with rare_garbage_collection():
        kept = [[number] for number in range(1000)]
        found = weakref.ref(Ring())
        collect_new_objects()
        assert found() is None
        assert not any(each is kept for each in gc.get_objects())
    assert gc.get_freeze_count() == before
    assert any(each is kept for each in gc.get_objects())


def test_what_somebody_else_has_frozen_stays_frozen() -> None:
    """A server that freezes its objects before it forks keeps them frozen."""
    program = """
import gc
kept = [[] for _ in range(1000)]
gc.freeze()
from roboto_dagster.sync.collector import rare_garbage_collection
with rare_garbage_collection():
    pass
assert gc.get_freeze_count() >= len(kept)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=GUARD_SECONDS)
