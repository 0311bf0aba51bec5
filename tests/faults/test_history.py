"""What happens to a destination over several runs: files that leave, files in the way, and runs that overtake."""

import pathlib
import threading

import pyarrow.parquet as pq
import pytest

from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.testing import faults
from roboto_dagster.testing.faults import Fault
from roboto_dagster.testing.server.messages import Request, Response
from tests.faults.lab import Lab
from tests.faults.matrix import covers


def leave(lab: Lab, path: str) -> None:
    """Remove a file from the platform."""
    lab.local.remove_file(lab.dataset_id, path)
    del lab.listed[path]
    del lab.versions[path]


@covers("D14")
def test_what_left_the_platform_is_not_forgotten(lab: Lab) -> None:
    """A failed run, one that keeps and one with other patterns come before the one that removes."""
    lab.add("gone.bin")
    lab.add("stays.bin")
    lab.run()
    leave(lab, "gone.bin")
    lab.replace("stays.bin", b"newer")
    lab.fault(faults.status(403, "AccessDenied"), "stays.bin")
    assert not lab.run_unchecked(on_missing="remove").success
    lab.local.faults.clear()
    assert lab.run_unchecked(on_missing="keep").row("gone.bin")["status"] == "not_listed"
    narrow = lab.run_unchecked(on_missing="remove", include_patterns=["stays.*"])
    assert narrow.row("gone.bin")["status"] == "not_listed"
    run = lab.run(on_missing="remove")
    assert (run.row("gone.bin")["status"], run.asked("stays.bin")) == ("removed", [])
    assert not lab.local_path("gone.bin").exists()


@covers("D15")
@pytest.mark.parametrize(("before", "after"), [("a", "a/b"), ("a/b", "a")])
def test_a_file_becomes_a_folder(lab: Lab, before: str, after: str) -> None:
    """Without removal the message names what is in the way; with it the file is delivered."""
    lab.add(before)
    lab.run()
    leave(lab, before)
    lab.add(after, b"newer")
    run = lab.run_unchecked()
    assert (run.codes, f"{before}, which an earlier run delivered" in run.row(after)["error"]) == (
        {after: "LOCAL_IO"},
        True,
    )
    assert lab.run_unchecked(on_missing="remove").success
    lab.expect_latest()


@covers("D16")
def test_an_older_run_does_not_overtake_a_newer_one(lab: Lab) -> None:
    """Its listing is out of date, and so are its bytes."""
    asked, may_go = threading.Event(), threading.Event()

    def hold(_: Request, response: Response) -> Response:
        asked.set()
        may_go.wait(60)
        return response

    lab.add("file.bin", b"1" * 1000)
    lab.fault(Fault(name="hold", after=hold), "file.bin", times=1)
    older = threading.Thread(target=lab.run_unchecked)
    older.start()
    try:
        assert asked.wait(60)
        lab.replace("file.bin", b"2" * 1000)
        assert lab.run_unchecked().success
    finally:
        may_go.set()
        older.join()
    lab.expect_latest()
    run = lab.run()
    # The held request is logged when its thread ends, which may be now.
    asked_for = [one for one in run.asked("file.bin") if "hold" not in one.faults]
    assert (run.success, asked_for) == (True, [])


@covers("X10")
@pytest.mark.parametrize("marker", ["logs/", "logs"])
def test_a_directory_marker_is_no_file(lab: Lab, marker: str) -> None:
    """S3 consoles make empty objects for folders; the partition is complete without them."""
    lab.add("logs/a.bin")
    lab.local.add_file(lab.dataset_id, marker, b"", key=f"marker-{marker}")
    lab.listed[marker] += 1
    run = lab.run()
    assert (run.success, run.row(marker)["status"]) == (True, "skipped")
    lab.expect_latest()


@covers("X11")
@pytest.mark.parametrize("kind", ["parents", "absolute", "link"])
def test_a_manifest_leads_nowhere_else(one_lab: Lab, kind: str) -> None:
    """It is on a disk that others write to, and removal trusts no path in it."""
    lab = one_lab
    lab.add("file.bin")
    lab.run()
    victim = lab.house / "neighbour" / "diary.txt"
    (lab.destination / lab.dataset_id / "link").symlink_to(victim.parent)
    path = {
        "parents": "../../neighbour/diary.txt",
        "absolute": str(victim),
        "link": "link/diary.txt",
    }[kind]
    _plant(lab.manifest, path, victim)
    assert lab.run_unchecked(on_missing="remove").success
    assert victim.read_text("utf-8") == "mine"
    lab.expect_latest()


def _plant(manifest: pathlib.Path, path: str, victim: pathlib.Path) -> None:
    table, status = read_manifest(manifest), victim.stat()
    facts = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "file_id": "fl_gone"}
    rows = table.to_pylist()
    rows.append({**rows[0], **facts, "relative_path": path})
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), manifest)
