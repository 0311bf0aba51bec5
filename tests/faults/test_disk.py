"""D1 to D12: what goes wrong with the disk."""

import errno
import os
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster.fs.core import content
from roboto_dagster.testing import faults
from tests.faults.invariants import leftovers
from tests.faults.lab import BIG, SMALL, Lab, noise
from tests.faults.matrix import covers
from tests.faults.processes import needs_mounts, run_to_end, started
from tests.waiting import wait_until


def run_on_tmpfs(lab: Lab, mount_options: str, **options: Any) -> dict[str, Any]:
    """Run with the destination on a tmpfs, whose content is copied out when the run has ended."""
    out = lab.house.parent / "out"
    out.mkdir()
    mount = f"mount -t tmpfs -o {mount_options} tmpfs '{lab.destination}'"
    copy = f"cp -a '{lab.destination}/.' '{out}'"
    end = run_to_end(lab, mount=mount, **{"finally": copy}, **options)
    end["out"] = out
    return end


@needs_mounts
@covers("D1")
def test_a_full_disk_is_named_and_stops_the_run(lab: Lab) -> None:
    """Space runs out on the way: completed files stay, the rest is NO_SPACE, and no part of a file is left."""
    lab.add_small(30)
    for number in range(8):
        lab.add(f"big-{number}.bin", noise(len(BIG), number))
    # One after the other, so that some are complete before the disk is full.
    options = {"max_connections": 1, "asset": {"free_space_reserve_bytes": None}}
    end = run_on_tmpfs(lab, "size=640k", **options)
    assert not end["success"]
    assert "NO_SPACE" in end["description"]
    folder = end["out"] / lab.dataset_id
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part"]
    assert all(
        path.read_bytes() in lab.versions[path.relative_to(folder).as_posix()] for path in found
    )
    assert found
    assert not leftovers(end["out"]), "parts that do not fit keep the disk full"


def parts_recorded(destination: pathlib.Path) -> int:
    """Return the number of lines in the resume logs."""
    logs = destination.glob("*/.*.parts.part")
    return sum(path.read_bytes().count(b"\n") for path in logs)


@needs_mounts
@covers("D2")
def test_what_is_there_already_needs_no_room(one_lab: Lab) -> None:
    """Of a killed run's big file only what is missing has to fit on the disk."""
    lab = one_lab
    lab.add("big.bin", BIG)
    slow = faults.trickle(bytes_per_second=150_000)
    lab.fault(slow, "big.bin", times=1)
    options: dict[str, Any] = {
        "max_connections": 1,
        "asset": {"free_space_reserve_bytes": 128 * 1024},
    }
    mount = f"mount -t tmpfs -o size=448k tmpfs '{lab.destination}'"
    with started(lab, mount=mount, **options) as killed:
        seen_from_here = pathlib.Path(f"/proc/{killed.pid}/root{lab.destination}")
        wait_until(lambda: parts_recorded(seen_from_here) >= 3)
        with pathlib.Path(f"/proc/{killed.pid}/ns/mnt").open() as namespace:  # outlives the process
            killed.kill()
            path = f"/proc/{os.getpid()}/fd/{namespace.fileno()}"
            end = run_to_end(lab, namespace=path, **options)
    assert end["success"], end["description"]


@needs_mounts
@covers("D2")
def test_too_small_a_disk_is_refused_before_the_first_byte(one_lab: Lab) -> None:
    """The plan does not fit: what is needed and free is reported, and nothing is requested from the store."""
    lab = one_lab
    lab.add("big.bin", BIG)
    lab.local.requests.clear()
    end = run_on_tmpfs(lab, "size=128k", asset={"free_space_reserve_bytes": 0})
    assert not end["success"]
    assert "need" in end["description"]
    assert "free" in end["description"]
    assert not lab.local.requests.count(service="s3")


@needs_mounts
@covers("D3")
def test_too_few_inodes_are_refused_before_the_first_byte(one_lab: Lab) -> None:
    """A filesystem without inodes for the plan is named, and nothing is asked of the store."""
    one_lab.add_small(40)
    one_lab.local.requests.clear()
    end = run_on_tmpfs(one_lab, "size=4m,nr_inodes=20", asset={"free_space_reserve_bytes": 0})
    assert not end["success"]
    assert "inodes" in end["description"]
    assert not one_lab.local.requests.count(service="s3")


@needs_mounts
@covers("D3")
def test_inodes_that_run_out_on_the_way_are_named(lab: Lab) -> None:
    """Without the check, files that no inode is left for are NO_SPACE."""
    lab.add_small(40)
    end = run_on_tmpfs(lab, "size=4m,nr_inodes=20", asset={"free_space_reserve_bytes": None})
    assert not end["success"]
    assert "NO_SPACE" in end["description"]


@covers("D4")
def test_a_file_size_limit_fails_that_file(lab: Lab) -> None:
    """A limit on the size of files is a failure of the big one; the process and the small ones live."""
    lab.add_small(5)
    lab.add("big.bin", BIG)
    end = run_to_end(lab, limits={"RLIMIT_FSIZE": 100_000})
    assert not end["success"]
    run = lab.run()
    assert run.success
    assert run.row("plain/000.bin")["status"] == "unchanged"
    lab.expect_latest()


@covers("D5")
def test_few_open_files_are_enough(lab: Lab) -> None:
    """A process that may open few files uses fewer connections, and completes."""
    for number in range(100):
        lab.add(f"folder-{number % 10}/file-{number}.bin", noise(2_000, number))
    end = run_to_end(lab, limits={"RLIMIT_NOFILE": 64}, max_connections=64)
    assert end["success"], end["description"]
    lab.expect_latest()


@needs_mounts
@covers("D6")
def test_a_read_only_destination_is_refused_at_once(one_lab: Lab) -> None:
    """Nothing is asked of the platform for a destination that cannot be written."""
    lab = one_lab
    lab.add_small(2)
    lab.local.requests.clear()
    script = f"mount --bind '{lab.destination}' '{lab.destination}'; mount -o remount,ro,bind '{lab.destination}'"
    end = run_to_end(lab, mount=script)
    assert not end["success"]
    assert not lab.local.requests.count(service="s3")


@needs_mounts
@covers("D6")
def test_a_read_only_folder_fails_its_files_alone(lab: Lab) -> None:
    """A folder that cannot be written fails what belongs into it; all else arrives."""
    lab.add("frozen/a.bin", SMALL)
    lab.add_small(3)
    frozen = lab.local_path("frozen")
    frozen.mkdir(parents=True)
    script = f"mount --bind '{frozen}' '{frozen}'; mount -o remount,ro,bind '{frozen}'"
    end = run_to_end(lab, mount=script)
    assert not end["success"]
    assert "LOCAL_IO" in end["description"]
    run = lab.run()
    assert run.row("frozen/a.bin")["status"] == "fetched"
    assert run.row("plain/000.bin")["status"] == "unchanged"


@covers("D6")
def test_a_plain_file_in_place_of_a_folder_is_named(lab: Lab) -> None:
    """A file where a folder should be is untouched, and what belongs into the folder is named."""
    lab.add("sub/file.bin", SMALL)
    lab.add_small(2)
    lab.local_path("sub").parent.mkdir()
    lab.local_path("sub").write_bytes(b"mine")
    run = lab.run()
    assert run.codes == {"sub/file.bin": "LOCAL_IO"}
    lab.local_path("sub").unlink()
    lab.converge(run)


def failing_once(real: Callable[..., Any], number: int, after: int) -> Callable[..., Any]:
    """Return a system call that fails with an errno after some calls, once."""
    calls = iter(range(10**6))

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == after:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    return call


@covers("D7")
@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failing_disk_fails_the_file(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """EIO from a rename or a flush fails one file, whose temporary file is removed."""
    lab.add_small(6)
    monkeypatch.setattr(os, call, failing_once(getattr(os, call), errno.EIO, 2))
    run = lab.run(store={"durability": "full"})
    assert list(run.codes.values()) == ["LOCAL_IO"]
    monkeypatch.undo()
    lab.converge(run, store={"durability": "full"})


@covers("D7", "D1")
@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EIO, "LOCAL_IO"), (errno.ENOSPC, "NO_SPACE"), (errno.EDQUOT, "NO_SPACE")],
)
def test_a_failing_write_fails_the_file(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    """An error of the disk in the middle of a big file fails it with its own code."""
    monkeypatch.setattr(content, "_pwrite", failing_once(os.pwrite, number, 1))
    lab.add("big.bin", BIG)
    run = lab.run()
    assert run.codes == {"big.bin": code}
    monkeypatch.undo()
    lab.converge(run)


@covers("D8")
def test_a_folder_at_the_final_path_is_named(lab: Lab) -> None:
    """A folder where the file should go stays, with all that is in it."""
    lab.add("file.bin", SMALL)
    lab.add_small(2)
    mine = lab.local_path("file.bin") / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    run = lab.run_unchecked()
    assert run.codes == {"file.bin": "LOCAL_IO"}
    assert mine.read_bytes() == b"mine"
    assert not leftovers(lab.destination)


@covers("D8")
@pytest.mark.parametrize("number", [errno.EXDEV, errno.EBUSY])
def test_a_rename_that_is_refused_leaves_the_old_data(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """If the new version cannot be put in place, the old one stays."""
    lab.add("file.bin", SMALL)
    lab.run()
    lab.replace("file.bin", noise(1_200, 7))
    monkeypatch.setattr(os, "replace", failing_once(os.replace, number, 0))
    run = lab.run()
    assert run.codes == {"file.bin": "LOCAL_IO"}
    assert lab.local_path("file.bin").read_bytes() == SMALL
    monkeypatch.undo()
    lab.converge(run)


@covers("D9")
@pytest.mark.parametrize("harm", ["truncated", "grown", "same size", "deleted"])
def test_a_file_that_was_changed_is_fetched_again(lab: Lab, harm: str) -> None:
    """By size and time a file is known not to be what was published."""
    lab.add("file.bin", SMALL)
    lab.add_small(2)
    lab.run()
    place = lab.local_path("file.bin")
    if harm == "deleted":
        place.unlink()
    else:
        place.write_bytes(
            {"truncated": SMALL[:10], "grown": SMALL + b"!", "same size": SMALL[::-1]}[harm]
        )
    run = lab.run()
    assert run.row("file.bin")["status"] == "fetched"
    assert run.row("plain/000.bin")["status"] == "unchanged"
    lab.expect_latest()


@covers("D10")
@pytest.mark.parametrize("harm", [b"", b"garbage", b"PAR1"])
def test_a_manifest_that_is_garbage_is_not_trusted(lab: Lab, harm: bytes) -> None:
    """It is set aside, never deleted, and what it knew is found out again."""
    lab.add_small(3)
    lab.run()
    lab.manifest.write_bytes(harm)
    assert lab.run().success
    lab.expect_latest()
    aside = list(lab.manifest.parent.glob(f".{lab.manifest.name}.damaged-*"))
    assert [path.read_bytes() for path in aside] == [harm]


@covers("D11")
def test_what_lies_beside_the_target_is_not_trusted(lab: Lab) -> None:
    """Bytes of a temporary file that were altered never reach a final path."""
    lab.add("big.bin", BIG)
    with started(lab, stall_timeout_seconds=20.0) as process:
        lab.fault(faults.trickle(bytes_per_second=100_000), "big.bin")
        wait_until(lambda: bool(leftovers(lab.destination)))
        time.sleep(0.3)
        process.kill()
    for path in leftovers(lab.destination):
        data = bytearray(path.read_bytes())
        if data:
            data[len(data) // 3] ^= 1
            path.write_bytes(data)
    lab.local.faults.clear()
    assert lab.run().success
    lab.expect_latest()


@covers("D12")
def test_two_runs_at_once_both_end_right(lab: Lab) -> None:
    """Two runs of one partition on one destination, without a lock: both end, and all is right."""
    lab.add_small(20)
    lab.add("big.bin", BIG)
    results: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: results.append(run_to_end(lab))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result["success"] for result in results] == [True, True]
    lab.expect_latest()
    assert not leftovers(lab.destination)
    assert lab.run().complete == set(lab.versions)
