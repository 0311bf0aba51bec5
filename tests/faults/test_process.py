"""P1 to P5, and S1: what happens to the process, and how much it takes."""

import contextlib
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from roboto_dagster.disk import temp_file
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.credentials import Credentials
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.testing import faults
from tests.faults.invariants import leftovers
from tests.faults.lab import BIG, SMALL, Lab, noise
from tests.faults.matrix import covers
from tests.faults.processes import ROOT, started
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@covers("P1")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_soon(lab: Lab, sent: signal.Signals) -> None:
    """A run that is asked to stop does so within two seconds; completed files are kept and recorded."""
    quick = lab.add_small(10)
    for number in range(10):
        path = f"slow/{number}.bin"
        lab.add(path, noise(20_000, number))
        lab.fault(faults.trickle(bytes_per_second=3_000), path)
    with started(lab, stall_timeout_seconds=20.0, max_connections=20) as process:
        wait_until(lambda: published(lab) >= len(quick))
        asked_at = time.monotonic()
        process.send_signal(sent)
        process.wait()
        seconds = time.monotonic() - asked_at
    assert seconds < 2.0 + STARTUP_SLACK
    assert not leftovers(lab.destination)
    rows = {row["relative_path"]: row for row in read_manifest(lab.manifest).to_pylist()}
    assert {rows[path]["status"] for path in quick} == {"fetched"}
    assert {row["error_code"] for row in rows.values() if row["status"] == "failed"} == {
        "CANCELLED"
    }
    lab.local.faults.clear()
    run = lab.run()
    assert run.success
    assert {run.row(path)["status"] for path in quick} == {"unchanged"}
    lab.expect_latest()


STARTUP_SLACK = 3.0
"""Dagster itself takes its time to write events and to end; more so on a busy machine."""


def published(lab: Lab) -> int:
    """Count the files that have their final names."""
    folder = lab.destination / lab.dataset_id
    return sum(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))


@covers("P3")
@pytest.mark.parametrize("method", ["publish", "discard"])
def test_a_memory_error_fails_one_file(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Memory that runs out for one file fails it alone, and nobody waits for ever."""
    lab.add_small(10)
    real = getattr(temp_file.PartialFile, method)
    calls = iter(range(10**6))
    lock = threading.Lock()

    def fail_once(self: temp_file.PartialFile) -> object:
        with lock:
            number = next(calls)
        if number == 3:
            raise MemoryError
        return real(self)

    monkeypatch.setattr(temp_file.PartialFile, method, fail_once)
    run = lab.run_unchecked()
    assert set(run.codes.values()) <= {"UNEXPECTED", "LOCAL_IO"}
    assert len(run.codes) <= 1
    monkeypatch.undo()
    lab.local.faults.clear()
    assert lab.run_unchecked().success
    lab.expect_latest()


@covers("P4")
def test_a_callback_that_raises_is_logged_once(
    lab: Lab, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller's progress callback may raise: the transfer continues, and it is logged once."""
    lab.add("file.bin", noise(300_000))
    uri = lab.local.record(lab.dataset_id, "file.bin")["uri"]

    def complain(count: int) -> None:
        raise RuntimeError(count)

    store = StoreRegistry.get_store_for_uri(
        uri, lambda: store_credentials(lab), engine=lab.engine, endpoint_url=lab.local.s3_url
    )
    with store:
        store.get(uri, tmp_path / "file.bin", complain).result()
    assert (tmp_path / "file.bin").read_bytes() == lab.versions["file.bin"][0]
    assert sum("progress" in record.message for record in caplog.records) == 1


def store_credentials(lab: Lab) -> Credentials:
    """Ask the platform for credentials of the lab's dataset."""
    path = f"v1/datasets/id/{lab.dataset_id}/credentials"
    client = lab.local.client(max_attempts=1)
    found = client.get(path, query={"mode": "ReadOnly"}).to_dict(json_path=["data"])[0]
    return Credentials(
        access_key=found["access_key_id"],
        secret_key=found["secret_access_key"],
        token=found["session_token"],
        region=found["region"],
        expiry_time=found["expiration"],
    )


@covers("P5")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_may_not_use_the_parents_store(lab: Lab, tmp_path: pathlib.Path) -> None:
    """A store refuses to be used after a fork, and continues to work in the parent."""
    lab.add("file.bin", SMALL)
    uri = lab.local.record(lab.dataset_id, "file.bin")["uri"]
    store = StoreRegistry.get_store_for_uri(
        uri, lambda: store_credentials(lab), engine=lab.engine, endpoint_url=lab.local.s3_url
    )
    with store:
        store.get(uri, tmp_path / "before.bin").result()
        child = os.fork()
        if child == 0:
            try:
                store.get(uri, tmp_path / "child.bin")
            except ConfigurationError:
                os._exit(7)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        store.get(uri, tmp_path / "after.bin").result()
    assert os.waitstatus_to_exitcode(status) == 7
    assert not (tmp_path / "child.bin").exists()
    assert (tmp_path / "after.bin").read_bytes() == SMALL


FILES = 3_000
_SCALE = """
import json, pathlib, resource, sys
from roboto_dagster import RetryConfig
from roboto_dagster.sync.run import sync
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.manifest import manifest_path, schema, write_manifest
from roboto_dagster.testing import LocalRoboto
from tests.faults.lab import SmallPartStore

destination, count, engine = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with LocalRoboto(page_size=1000) as local:
    dataset_id = local.add_dataset("large", dataset_id="ds_large")
    rows = []
    for number in range(count):
        uri, path = f"s3://roboto-managed/{number}", f"{number // 1000}/{number}.bin"
        file_id = local.add_record(dataset_id, relative_path=path, uri=uri, size=0)
        place = destination / dataset_id / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        row = dict.fromkeys(schema().names) | {
            "file_id": file_id, "version": 1, "relative_path": path,
            "path": str(place), "size_bytes": 0, "mtime_ns": place.stat().st_mtime_ns, "uri": uri,
            "verified": "size", "status": "fetched", "dataset_id": dataset_id,
        }
        rows.append(tuple(row.values()))
    settings = SyncSettings(
        client=local.client(max_attempts=1),
        open_store=SmallPartStore(engine=engine, endpoint_url=local.s3_url).open_store,
        destination=destination,
        manifest=manifest_path(destination, "logs", dataset_id),
    )
    scope = Scope(dataset_id=dataset_id)
    write_manifest(settings.manifest, [rows])
    assert sync([scope], settings).files_unchanged == count
    for number in range(3):
        local.replace_file(dataset_id, f"0/{number}.bin", b"new")
    local.requests.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = sync([scope], settings)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({
        "fetched": report.files_fetched,
        "unchanged": report.files_unchanged,
        "s3": local.requests.count(service="s3"),
        "grown_mib": (after - before) / 1024,
    }))
"""


@covers("S1")
def test_unchanged_files_cost_no_request(engine: str, tmp_path: pathlib.Path) -> None:
    """Of many files three have changed: three requests, and no memory for the others."""
    pytest.importorskip("resource", reason="this platform does not report the memory of a process")
    arguments = [sys.executable, "-c", _SCALE, str(tmp_path), str(FILES), engine]
    done = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True)
    reported = json.loads(done.stdout.splitlines()[-1])
    assert (reported["fetched"], reported["unchanged"], reported["s3"]) == (3, FILES - 3, 3)
    assert reported["grown_mib"] < 60


FAILURES = {
    "404": faults.status(404, "NoSuchKey"),
    "503": faults.status(503, "SlowDown"),
    "flipped bit": faults.flip_bit(at=1),
    "expired": faults.status(400, "ExpiredToken"),
}


@covers("P9")
@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="takes Linux's /proc")
@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
def test_a_failed_run_keeps_no_file_or_folder_open(lab: Lab, fault: faults.Fault) -> None:
    """However long somebody keeps its errors: a process that lives on does not run out of descriptors."""
    for number in range(10):
        lab.add(f"{number}/{number}.bin", noise(500, number))
    lab.add("big/big.bin", BIG)
    for path in ("7/7.bin", "big/big.bin"):
        lab.fault(fault, path)
    run = lab.run_unchecked()
    assert not run.success
    gc.disable()
    try:
        assert open_below(lab.destination) == []
    finally:
        gc.enable()


def open_below(folder: pathlib.Path) -> list[str]:
    """Return what this process has open below a folder."""
    targets = []
    for link in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            targets.append(str(link.readlink()))
    return [target for target in targets if target.startswith(str(folder))]
