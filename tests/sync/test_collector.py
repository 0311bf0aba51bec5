"""What the garbage collector looks at during a sync."""

import gc
import subprocess
import sys

from roboto_dagster.sync.collector import only_new_objects_collected


def test_older_objects_are_given_back() -> None:
    """They are set aside from the first of overlapping syncs to the end of the last."""
    before = gc.get_freeze_count()
    with only_new_objects_collected():
        with only_new_objects_collected():
            assert gc.get_freeze_count() > before
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == before


def test_garbage_of_a_sync_is_collected_meanwhile() -> None:
    """What a sync itself makes and drops does not pile up."""
    with only_new_objects_collected():
        ring: list[object] = []
        ring.append(ring)
        del ring
        assert gc.collect() > 0


def test_what_somebody_else_has_frozen_stays_frozen() -> None:
    """A server that freezes its objects before it forks keeps them frozen."""
    program = """
import gc
kept = [[] for _ in range(1000)]
gc.freeze()
from roboto_dagster.sync.collector import only_new_objects_collected
with only_new_objects_collected():
    pass
assert gc.get_freeze_count() >= len(kept)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
