"""Not one fault in one place, but some fault in every place: sweeps over requests, and kills.

`ROBOTO_FAULTS=long` takes 50 kills for each engine; without it there are 6 in all, to be quick.
"""

import random
import threading
import time
from collections.abc import Callable

import pytest

from roboto_dagster.testing import faults
from roboto_dagster.testing.faults import Fault
from tests.faults.invariants import leftovers
from tests.faults.lab import BIG, PART, SMALL, Lab, noise
from tests.faults.matrix import covers
from tests.faults.processes import run_to_end, started
from tests.faults.test_chaos import seeds

INJECTED: dict[str, Callable[[], Fault]] = {
    "reset": faults.refuse,
    "truncate": lambda: faults.truncate(after_bytes=300),
    "500": lambda: faults.status(500),
    "503": lambda: faults.status(503, "SlowDown"),
    "expired": lambda: faults.status(400, "ExpiredToken"),
}


@pytest.mark.parametrize("name", INJECTED)
def test_any_one_request_to_the_store_may_fail(lab: Lab, name: str) -> None:
    """The Nth request fails, for every N until a run is clean: none of them fails a file."""
    lab.add("a.bin", SMALL)
    lab.add("empty.bin", b"")
    lab.add("big.bin", BIG)
    for number in range(100):
        rule = lab.fault(INJECTED[name](), service="s3", after=number, times=1)
        run = lab.run()
        lab.local.faults.clear()
        assert run.success, f"request {number}: {run.description}"
        lab.expect_latest()
        if not rule.hits:
            return
        forget(lab)
    pytest.fail("no run was clean")


@pytest.mark.parametrize("name", ["reset", "500"])
def test_any_one_request_to_the_platform_may_fail(one_lab: Lab, name: str) -> None:
    """The Nth request to the API fails: the run is complete, or changes nothing and reports why."""
    lab = one_lab
    lab.add_small(12)
    for number in range(100):
        rule = lab.fault(INJECTED[name](), service="api", after=number, times=1)
        run = lab.run()
        lab.local.faults.clear()
        if not rule.hits:
            assert run.success
            return
        assert run.success or run.description
        assert lab.run().success
        lab.expect_latest()
        forget(lab)
    pytest.fail("no run was clean")


def forget(lab: Lab) -> None:
    """Takes away what was delivered, and the manifest."""
    import shutil

    shutil.rmtree(lab.destination)
    lab.destination.mkdir()


@covers("P2", "D11")
@pytest.mark.parametrize(("engine", "seed"), seeds(6, 50))
def test_a_killed_run_is_completed_by_the_next(lab: Lab, seed: int) -> None:
    """SIGKILL at a random moment: no final path is incomplete, what was complete is not fetched again, and what
    was left behind is reclaimed.
    """
    print(f"seed {seed}")  # noqa: T201 - shown with a failure, to repeat it
    dice = random.Random(seed)  # noqa: S311 - dice, not a secret
    for number in range(60):
        lab.add(f"{number % 5}/{number}.bin", noise(dice.choice([10, 5_000, PART]), number))
    lab.add("big.bin", noise(6 * PART, seed))
    lab.fault(faults.trickle(bytes_per_second=400_000), "*")
    with started(lab, stall_timeout_seconds=20.0) as process:
        time.sleep(dice.uniform(0.0, 1.5))
        process.kill()
    published = {
        path: place.read_bytes()
        for path in lab.versions
        if (place := lab.local_path(path)).is_file()
    }
    for path, data in published.items():
        assert data == lab.versions[path][0], f"I1: {path} is half"
    lab.local.faults.clear()
    run = lab.run()
    assert run.success, run.description
    lab.expect_latest()
    assert not leftovers(lab.destination)
    again = {path for path in published if run.row(path)["status"] == "fetched" and published[path]}
    assert not again, f"complete already, and fetched again: {sorted(again)}"


def test_two_kills_and_two_runs_at_once(lab: Lab) -> None:
    """Killed, and killed again while another run is on: in the end all files are complete."""
    for number in range(30):
        lab.add(f"{number}.bin", noise(3_000, number))
    lab.fault(faults.trickle(bytes_per_second=50_000), "*")
    ends: list[bool] = []

    def run_in_peace() -> None:
        ends.append(run_to_end(lab, stall_timeout_seconds=20.0)["success"])

    with started(lab, stall_timeout_seconds=20.0) as first:
        peaceful = threading.Thread(target=run_in_peace)
        peaceful.start()
        time.sleep(0.2)
        first.kill()
    peaceful.join()
    assert ends == [True]
    lab.local.faults.clear()
    assert lab.run().success
    lab.expect_latest()
    assert not leftovers(lab.destination)
