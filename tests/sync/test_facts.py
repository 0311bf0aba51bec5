"""Facts about what earlier runs published: nothing on the disk can stop a run, and nothing is downloaded without need."""

import contextlib
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.manifest import manifest_path, read_manifest
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.sync.publish_log import LOGS_FOLDER
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.faults import Fault
from roboto_dagster.testing.server.messages import Request, Response
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.conftest import Syncer

Harm = Callable[[pathlib.Path], object]


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of two files."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"aaaa")
    local.add_file(dataset_id, "b.bin", b"bb")
    return dataset_id


def replace(path: pathlib.Path, make: Harm) -> None:
    """Put something else in the place of a file."""
    path.unlink()
    make(path)


HARMS = [
    pytest.param(lambda path: path.write_bytes(b"garbage"), id="garbage"),
    pytest.param(lambda path: path.write_bytes(b""), id="empty-after-a-power-loss"),
    pytest.param(lambda path: path.write_bytes(path.read_bytes()[:100]), id="cut"),
    pytest.param(lambda path: replace(path, os.mkfifo), id="fifo"),
    pytest.param(lambda path: replace(path, pathlib.Path.mkdir), id="folder"),
    pytest.param(lambda path: replace(path, lambda at: at.symlink_to("/dev/zero")), id="link"),
]


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_manifest_is_set_aside(syncer: "Syncer", dataset_id: str, harm: Harm) -> None:
    """The run goes on without it, reports it, deletes nothing, and writes a new one."""
    syncer(dataset_id)
    harm(syncer.manifest)
    report = syncer(dataset_id)
    aside = syncer.manifest.with_name(".key.parquet.damaged-1")
    assert (report.failures, os.path.lexists(aside)) == ([], True)
    assert any(str(aside) in line for _, line in syncer.lines)
    assert len(syncer.rows()) == 2
    assert syncer(dataset_id).files_unchanged == 2


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_publish_log_stops_nobody(syncer: "Syncer", dataset_id: str, harm: Harm) -> None:
    """It only costs what it knew."""
    syncer(dataset_id)
    log = syncer.manifest.with_name(LOGS_FOLDER) / ".key@0.publish-log"
    log.parent.mkdir()
    log.write_bytes(b"[]\n")
    harm(log)
    report = syncer(dataset_id)
    assert (report.failures, report.files_unchanged) == ([], 2)


def test_two_assets_of_one_destination_share_what_they_know(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A file that one of them delivered is on disk for the other: nothing is downloaded again, in either's runs."""
    other = manifest_path(syncer.destination, "bags", "another key")
    syncer(dataset_id)
    for manifest in (other, syncer.manifest, other):
        report = syncer(dataset_id, manifest=manifest)
        assert (report.files_unchanged, local.requests.count(service="s3")) == (2, 0)
    assert read_manifest(other).to_pylist()[0]["verified"] == "crc64nvme"


def test_what_another_asset_replaced_is_not_fetched_again(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The newer version that the other asset delivered is what this one needs."""
    other = manifest_path(syncer.destination, "bags", "key")
    syncer(dataset_id)
    syncer(dataset_id, manifest=other)
    local.replace_file(dataset_id, "a.bin", b"newer")
    assert syncer(dataset_id, manifest=other).files_fetched == 1
    report = syncer(dataset_id)
    assert (report.files_unchanged, local.requests.count(service="s3")) == (2, 0)


def test_another_assets_damaged_manifest_is_not_touched(syncer: "Syncer", dataset_id: str) -> None:
    """It is set aside by its own asset's run; here it is only of no use."""
    other = manifest_path(syncer.destination, "bags", "key")
    syncer(dataset_id)
    other.parent.mkdir(parents=True)
    other.write_bytes(b"garbage")
    syncer.manifest.unlink()
    assert (syncer(dataset_id).failures, other.read_bytes()) == ([], b"garbage")


def test_facts_that_do_not_match_the_disk_are_none(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A file that was changed on disk is fetched, whatever another manifest has."""
    other = manifest_path(syncer.destination, "bags", "key")
    syncer(dataset_id)
    (syncer.destination / dataset_id / "a.bin").write_bytes(b"mine")
    syncer(dataset_id, manifest=other)
    assert local.requests.count(service="s3") == 1
    assert syncer.files()[f"{dataset_id}/a.bin"] == b"aaaa"


class Hold:
    """Keeps an answer of the store back until it is let go."""

    def __init__(self) -> None:
        self.was_asked = threading.Event()
        self.may_go = threading.Event()
        self.fault = Fault(name="hold", after=self._after)

    def _after(self, _: Request, response: Response) -> Response:
        self.was_asked.set()
        self.may_go.wait(60)
        return response


@contextlib.contextmanager
def slow_run(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, key: str, **settings: Any
) -> Iterator[list[SyncReport]]:
    """Run a sync that waits for one answer of the store while the body runs; its report comes at the end."""
    hold, reports = Hold(), list[SyncReport]()
    local.faults.add(hold.fault, service="s3", key=f"*/{key}", times=1)
    run = threading.Thread(target=lambda: reports.append(syncer.run_beside(dataset_id, **settings)))
    run.start()
    try:
        assert hold.was_asked.wait(60)
        yield reports
    finally:
        hold.may_go.set()
        run.join()


@pytest.mark.parametrize("engine", ["boto3", "curl"])
@pytest.mark.parametrize("newer", [b"2222", b"22222"], ids=["same-size", "another-size"])
def test_a_slow_run_does_not_put_older_bytes_over_newer_ones(
    syncer: "Syncer", local: LocalRoboto, engine: str, newer: bytes
) -> None:
    """Run A listed version 1; run B delivers version 2 while A still reads: A leaves it, and reports what happened."""
    if engine == "curl":
        pytest.importorskip("pycurl")
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "x.bin", b"1111")
    path = syncer.destination / dataset_id / "x.bin"
    with slow_run(syncer, local, dataset_id, "x.bin", engine=engine) as slow:
        version = local.replace_file(dataset_id, "x.bin", newer)
        report = syncer.run_beside(dataset_id, engine=engine)
    assert (report.files_fetched, path.read_bytes()) == (1, newer)
    assert slow[0].error_codes == {"CHANGED": 1}
    report = syncer(dataset_id, engine=engine)
    assert (report.failures, path.read_bytes()) == ([], newer)
    assert syncer.rows()["x.bin"]["version"] == version
    assert syncer(dataset_id).files_unchanged == 1


def test_the_later_manifest_describes_what_the_other_run_published(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Run A publishes version 1 of a file and works on; run B publishes version 2 and ends first: its facts stay."""
    with slow_run(syncer, local, dataset_id, "b.bin") as slow:
        wait_until((syncer.destination / dataset_id / "a.bin").exists)
        version = local.replace_file(dataset_id, "a.bin", b"newer")
        local.add_file(dataset_id, "c.bin", b"c")
        assert syncer.run_beside(dataset_id).failures == []
    assert slow[0].failures == []
    rows = syncer.rows()
    assert (rows["a.bin"]["version"], rows["c.bin"]["status"]) == (version, "not_listed")
    report = syncer(dataset_id)
    assert (report.files_unchanged, local.requests.count(service="s3")) == (3, 0)


def test_two_runs_of_the_same_version_both_succeed(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The slower one finds that the file is there, and takes over what the other knows."""
    other = manifest_path(syncer.destination, "bags", "key")
    with slow_run(syncer, local, dataset_id, "a.bin") as slow:
        assert syncer.run_beside(dataset_id, manifest=other).failures == []
    assert slow[0].failures == []
    assert syncer(dataset_id).files_unchanged == 2


@pytest.mark.parametrize("status", ["fetched", "unchanged"])
def test_the_later_manifest_does_not_claim_what_the_other_run_removed(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, status: str
) -> None:
    """Run A lists a file and works on; the platform removes it, and so does run B, which ends first."""
    place = syncer.destination / dataset_id / "a.bin"
    if status == "unchanged":
        syncer(dataset_id)
        local.replace_file(dataset_id, "b.bin", b"newer")
    with slow_run(syncer, local, dataset_id, "b.bin") as slow:
        wait_until(place.exists)
        local.remove_file(dataset_id, "a.bin")
        removing = SyncOptions(on_missing="remove")
        assert syncer.run_beside(dataset_id, options=removing).files_removed == 1
    assert (slow[0].failures, slow[0].files_total) == ([], 1)
    assert list(syncer.rows()) == ["b.bin"]


def test_a_failure_does_not_hide_what_the_other_run_delivered(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Run A fails a file, run B delivers it and ends first: the later manifest has its facts beside the failure."""
    local.faults.add(faults.status(404, "NoSuchKey"), service="s3", key="*/b.bin", times=1)
    with slow_run(syncer, local, dataset_id, "a.bin") as slow:
        wait_until(lambda: local.requests.count(service="s3", key="*/b.bin") > 0)
        assert syncer.run_beside(dataset_id).failures == []
    assert (slow[0].error_codes, syncer.rows()["b.bin"]["status"]) == ({"NOT_FOUND": 1}, "failed")
    assert syncer(dataset_id).files_unchanged == 2
    assert local.requests.count(service="s3") == 0


def open_below(folder: pathlib.Path) -> list[str]:
    """Return what this process has open in a folder; sockets of other tests may still be closing."""
    names = []
    for descriptor in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them
            names.append(str(descriptor.readlink()))
    return [name for name in names if name.startswith(f"{folder}/") or name == str(folder)]


def test_a_manifest_that_cannot_be_written_leaves_no_descriptor(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The publish log stays for the next run, closed, and the next run needs no download."""
    syncer(dataset_id)
    syncer.manifest.unlink()

    def stand_in_the_way(*_: object) -> None:
        syncer.manifest.mkdir(exist_ok=True)
        (syncer.manifest / "not empty").write_bytes(b"")

    with pytest.raises(ManifestError, match="cannot be written"):
        syncer(dataset_id, log=stand_in_the_way)
    assert open_below(syncer.destination) == []
    assert (syncer(dataset_id).failures, local.requests.count(service="s3")) == ([], 0)


def test_a_store_that_stays_busy_is_remembered(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A failed file's row describes the older complete version only while that is on disk."""
    syncer(dataset_id)
    local.replace_file(dataset_id, "a.bin", b"newer")
    local.faults.add(faults.status(403, "AccessDenied"), service="s3")
    syncer(dataset_id)
    assert syncer.rows()["a.bin"]["version"] == 1
    (syncer.destination / dataset_id / "a.bin").unlink()
    syncer(dataset_id)
    assert syncer.rows()["a.bin"]["mtime_ns"] is None
