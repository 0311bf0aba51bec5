"""P6 to P8, X8: whose temporary files are, across containers, and what happens to those of killed runs."""

import os
import pathlib
import time
from typing import Any

import pytest

from roboto_dagster.disk.owner import SILENT_AFTER_SECONDS
from roboto_dagster.testing import faults
from tests.faults.invariants import leftovers
from tests.faults.lab import BIG, PART, SMALL, Lab, noise
from tests.faults.matrix import covers
from tests.faults.processes import needs_containers, started
from tests.waiting import wait_until


def logs_of_parts(lab: Lab) -> list[pathlib.Path]:
    """Return the logs of parts that hold at least one part."""
    logs = [path for path in leftovers(lab.destination) if ".parts." in path.name]
    return [path for path in logs if path.read_bytes().count(b"\n") >= 2]


def records(lab: Lab) -> list[pathlib.Path]:
    """Return the records of runs."""
    return sorted((lab.destination / ".roboto" / ".runs").glob("*.jsonl"))


def kill_in_the_middle(lab: Lab, path: str, **options: str) -> None:
    """Kill a run when parts of a file have arrived."""
    lab.fault(faults.trickle(bytes_per_second=150_000), path)
    with started(lab, **options, stall_timeout_seconds=20.0, max_connections=1) as process:
        wait_until(lambda: logs_of_parts(lab))
        process.kill()
    lab.local.faults.clear()


def silence(lab: Lab) -> None:
    """Make the records of runs look as if nobody had touched them for minutes."""
    minutes_ago = time.time() - SILENT_AFTER_SECONDS - 60
    for record in records(lab):
        os.utime(record, (minutes_ago, minutes_ago))


def first_offset(lab: Lab, path: str) -> int:
    """Return the smallest offset from which ranges of a file were requested."""
    ranges = [one.range for one in lab.local.requests if one.key.endswith(path) and one.range]
    return min(
        (int(each.removeprefix("bytes=").split("-")[0]) for each in ranges), default=len(BIG)
    )


@needs_containers
@covers("P6")
def test_a_run_killed_in_its_container_is_resumed_by_the_next(lab: Lab) -> None:
    """Each run in a container of its own: after minutes without a sign of life the next one takes its parts over."""
    lab.add("sub/big.bin", BIG)
    kill_in_the_middle(lab, "sub/big.bin", host="run-1")
    silence(lab)
    lab.local.requests.clear()
    run = lab.run_unchecked(store={"max_connections": 1})
    assert run.success, run.description
    assert first_offset(lab, "big.bin") >= PART // 2
    lab.expect_latest()
    assert (leftovers(lab.destination), records(lab)) == ([], [])


@needs_containers
@covers("P6", "P7")
def test_what_cannot_be_looked_at_is_left_alone_at_first(one_lab: Lab) -> None:
    """Until then it may be alive: the next run completes without it, and a later one removes it."""
    lab = one_lab
    lab.add("sub/big.bin", BIG)
    kill_in_the_middle(lab, "sub/big.bin", host="run-1")
    before = leftovers(lab.destination)
    assert lab.run_unchecked().success
    assert leftovers(lab.destination) == before
    silence(lab)
    assert lab.run_unchecked().success
    assert (leftovers(lab.destination), records(lab)) == ([], [])
    lab.expect_latest()


@needs_containers
@covers("P7")
def test_a_living_run_of_another_container_is_not_disturbed(lab: Lab) -> None:
    """Two runs that cannot look at each other: both end right, and each keeps its files."""
    lab.add("big.bin", BIG)
    lab.add_small(3)
    lab.fault(faults.trickle(bytes_per_second=100_000), "big.bin", times=1)
    with started(lab, host="slow", stall_timeout_seconds=20.0) as slow:
        wait_until(lambda: leftovers(lab.destination))
        written = set(leftovers(lab.destination))
        assert lab.run_unchecked().success
        assert {path for path in written if "parts" in path.name} <= set(leftovers(lab.destination))
        end = slow.end()
    assert end["success"], end["description"]
    lab.expect_latest()
    assert (leftovers(lab.destination), records(lab)) == ([], [])


@needs_containers
@covers("P7")
def test_a_run_that_was_wrongly_given_up_does_not_publish(one_lab: Lab) -> None:
    """Stopped for minutes and given up by others, it finds its file taken; both runs end right."""
    lab = one_lab
    lab.add("big.bin", BIG)
    lab.fault(faults.trickle(bytes_per_second=200_000), "big.bin", times=1)
    with started(lab, host="stopped", stall_timeout_seconds=20.0) as stopped:
        wait_until(lambda: logs_of_parts(lab))
        silence(lab)
        second = lab.run_unchecked().success
        lab.expect_latest()
        end = stopped.end()
    assert second
    assert end["success"], end["description"]
    lab.expect_latest()
    assert (leftovers(lab.destination), records(lab)) == ([], [])


@covers("P8")
@pytest.mark.parametrize("reason", ["deleted", "excluded"])
def test_parts_of_what_is_no_longer_wanted_are_removed(one_lab: Lab, reason: str) -> None:
    """In whatever folder they are, and even if nothing is fetched into it ever again."""
    lab = one_lab
    lab.add("day1/big.bin", BIG)
    lab.add("small.bin", SMALL)
    kill_in_the_middle(lab, "day1/big.bin")
    if reason == "deleted":
        lab.local.remove_file(lab.dataset_id, "day1/big.bin")
    exclude: dict[str, Any] = {"exclude_patterns": ["day1/"]} if reason == "excluded" else {}
    assert lab.run_unchecked(**exclude).success
    assert (leftovers(lab.destination), records(lab)) == ([], [])


@covers("X8")
def test_a_delivered_file_that_looks_like_ours_is_kept(one_lab: Lab) -> None:
    """Somebody uploaded a folder in which a sync had stopped: its temporary files are files like any other."""
    lab = one_lab
    lab.add("big.bin", BIG)
    kill_in_the_middle(lab, "big.bin")
    for number, left in enumerate(leftovers(lab.destination)):
        lab.add(left.name, noise(500, number))
    assert lab.run_unchecked().success
    lab.expect_latest()
    lab.replace("big.bin", b"another version")
    run = lab.run_unchecked()
    assert run.success, run.description
    lab.expect_latest()
    assert {row["status"] for row in run.rows or [] if row["relative_path"] != "big.bin"} == {
        "unchanged"
    }


@covers("X8")
def test_a_users_file_that_looks_like_ours_is_kept(one_lab: Lab) -> None:
    """The name of a killed run's file, in a folder that the run never wrote to, proves nothing."""
    lab = one_lab
    lab.add("sub/big.bin", BIG)
    kill_in_the_middle(lab, "sub/big.bin")
    mine = [lab.local_path(left.name) for left in leftovers(lab.destination)]
    for path in mine:
        path.write_text("mine")
    assert lab.run_unchecked().success
    lab.expect_latest()
    assert [path.read_text() for path in mine] == ["mine"] * len(mine)
