"""The record of a run: made, touched, ended, removed, and read by others."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from roboto_dagster.disk import owner, run_record
from roboto_dagster.disk.owner import SILENT_AFTER_SECONDS, this_process
from roboto_dagster.disk.run_record import RunRecord, acquire, hold
from tests.waiting import wait_until


@pytest.fixture
def record(tmp_path: pathlib.Path) -> Iterator[RunRecord]:
    """The record of this process."""
    with hold(tmp_path, "logs/ds_1") as record:
        yield record


def runs(destination: pathlib.Path) -> pathlib.Path:
    """Return the folder of records."""
    return destination / ".roboto" / ".runs"


def written(record: RunRecord) -> list[dict[str, Any]]:
    """Return the lines of a record."""
    path = runs(record.destination) / f"{record.token}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def heartbeats() -> set[threading.Thread]:
    """Return the threads that touch records, those of other tests included."""
    return {thread for thread in threading.enumerate() if thread.name == "roboto-heartbeat"}


def test_a_record_names_process_scope_and_folders(record: RunRecord) -> None:
    """Each folder once, before the first file in it."""
    for folder in ("ds_1/sub", "", "ds_1/sub"):
        record.add_folder(folder)
    expected = [{"scope": "logs/ds_1"}, {"folder": "ds_1/sub"}, {"folder": ""}]
    assert written(record) == [this_process()._asdict(), *expected]


def test_nothing_is_left_of_a_run_that_left_nothing(tmp_path: pathlib.Path) -> None:
    """The record goes, and the folders that were made for it."""
    with hold(tmp_path, "any"):
        assert runs(tmp_path).exists()
    assert list(tmp_path.iterdir()) == []


def test_what_else_is_in_the_folder_stays(tmp_path: pathlib.Path) -> None:
    """A manifest keeps its folder."""
    (tmp_path / ".roboto" / "logs").mkdir(parents=True)
    with hold(tmp_path, "any"):
        pass
    assert [path.name for path in (tmp_path / ".roboto").iterdir()] == ["logs"]


def test_one_process_has_one_record_a_destination(tmp_path: pathlib.Path) -> None:
    """Whoever acquires it shares it, and the last one removes it."""
    first, second = acquire(tmp_path), acquire(tmp_path)
    assert first is second
    first.release()
    assert list(runs(tmp_path).iterdir())
    second.release()
    assert not runs(tmp_path).exists()


def test_a_run_that_left_parts_ends_its_record(tmp_path: pathlib.Path) -> None:
    """The next run may resume them at once, wherever it is."""
    with hold(tmp_path, "any") as record:
        record.add_left("ds_1/x")
        token = record.token
    with hold(tmp_path, "any") as other:
        (run,) = other.abandoned_runs()
    assert (run.token, run.is_certain, run.scopes) == (token, True, frozenset({"any"}))


def test_a_living_run_is_not_abandoned(tmp_path: pathlib.Path) -> None:
    """Neither this process's own record nor another's."""
    code = (
        "import pathlib, sys\nfrom roboto_dagster.disk.run_record import hold\n"
        "with hold(pathlib.Path(sys.argv[1]), 'any'):\n    print('ready', flush=True)\n    input()\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with hold(tmp_path, "any") as record:
            assert record.abandoned_runs() == []
            other.kill()
            other.wait()
            (run,) = record.abandoned_runs()
            assert run.is_certain
            record.remove_run(run)


def plant(
    destination: pathlib.Path, text: str, *, token: str = "0" * 16, age: float = 0.0
) -> pathlib.Path:
    """Write a record that another run might have left."""
    runs(destination).mkdir(parents=True, exist_ok=True)
    path = runs(destination) / f"{token}.jsonl"
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def lines(*more: object, **changed: object) -> str:
    """Return the text of a record of another host."""
    first = {**this_process()._asdict(), "host": "another", "boot_id": "another", **changed}
    return "".join(json.dumps(line) + "\n" for line in (first, *more))


@pytest.mark.parametrize(("age", "expected"), [(0.0, []), (SILENT_AFTER_SECONDS + 60, [False])])
def test_another_hosts_run_is_abandoned_after_minutes(
    record: RunRecord, age: float, expected: list[bool]
) -> None:
    """Its record's modification time is its heartbeat."""
    plant(record.destination, lines({"folder": "ds_1"}), age=age)
    assert [run.is_certain for run in record.abandoned_runs()] == expected


@pytest.mark.parametrize(
    "folder", ["../outside", "/etc", "a/../b", "a\0b", "", 7, None, ["a"]], ids=repr
)
def test_folders_outside_are_ignored(record: RunRecord, folder: object) -> None:
    """A record is untrusted: no line leads out of the destination."""
    text = lines({"folder": folder}, {"folder": "good"}, "garbage", pid=10**6)
    plant(record.destination, text, age=SILENT_AFTER_SECONDS + 60)
    (run,) = record.abandoned_runs()
    assert run.folders == (("", "good") if folder == "" else ("good",))


@pytest.mark.parametrize(
    "text",
    ["", "\n", "garbage", "[]", "[" * 100_000, "{}", '{"pid": 1}'],
    ids=lambda text: text[:5],
)
def test_a_damaged_record_proves_nothing(record: RunRecord, text: str) -> None:
    """It names no folder, and may be removed once nobody writes to it."""
    path = plant(record.destination, text)
    assert record.abandoned_runs() == []
    os.utime(path, (time.time() - SILENT_AFTER_SECONDS - 60,) * 2)
    (run,) = record.abandoned_runs()
    assert (run.folders, run.is_certain) == ((), False)


def test_other_things_in_the_folder_are_left_alone(record: RunRecord) -> None:
    """A FIFO, a link or a user's note is neither opened nor removed."""
    folder = runs(record.destination)
    os.mkfifo(folder / ("1" * 16 + ".jsonl"))
    (folder / ("2" * 16 + ".jsonl")).symlink_to("/dev/zero")
    (folder / "note.txt").write_text("mine")
    assert record.abandoned_runs() == []


def test_a_heartbeat_touches_the_record(record: RunRecord) -> None:
    """Others see by its time that the run is alive."""
    path = runs(record.destination) / f"{record.token}.jsonl"
    os.utime(path, (0, 0))
    assert abs(record.beat() - time.time()) < 60
    assert path.stat().st_mtime > 0


def test_a_record_that_was_removed_is_made_again(record: RunRecord) -> None:
    """With all that was noted before."""
    record.add_folder("ds_1")
    before = written(record)
    path = runs(record.destination) / f"{record.token}.jsonl"
    path.unlink()
    path.parent.rmdir()
    record.beat()
    assert written(record) == before


def test_the_heartbeat_ends_with_the_record(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread touches it every few seconds, and ends when the record does."""
    monkeypatch.setattr(owner, "HEARTBEAT_SECONDS", 0.01)
    before = heartbeats()
    with hold(tmp_path, "any") as record:
        path = runs(tmp_path) / f"{record.token}.jsonl"
        os.utime(path, (0, 0))
        wait_until(lambda: path.stat().st_mtime > 0)
    wait_until(lambda: heartbeats() <= before)


def test_a_record_that_was_forgotten_ends(tmp_path: pathlib.Path) -> None:
    """After an interrupt between `acquire` and its `try` nobody releases it: it ends, and what it may have left is found."""
    record = acquire(tmp_path)
    token = record.token
    del record
    with hold(tmp_path, "any") as other:
        assert [run.token for run in other.abandoned_runs()] == [token]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_record_that_is_forgotten_waits_for_no_lock(tmp_path: pathlib.Path) -> None:
    """The garbage collector may end it in a thread that the holder of the lock waits for."""
    records = [acquire(tmp_path)]
    forgetting = threading.Thread(target=records.clear, daemon=True)
    with run_record._lock:  # noqa: SLF001 - what another thread holds while it starts one
        forgetting.start()
        forgetting.join(60)
    assert not forgetting.is_alive()


def test_a_forked_child_has_a_record_of_its_own(record: RunRecord) -> None:
    """The child neither uses nor removes its parent's."""
    child = os.fork()
    if child == 0:
        with hold(record.destination, "child") as own:
            os._exit(0 if own.token != record.token else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert written(record)
    assert run_record.acquire(record.destination) is record
    record.release()


def test_a_destination_that_cannot_be_written_is_an_error(tmp_path: pathlib.Path) -> None:
    """A file or a link in the place of the folder is named, and nothing stays open."""
    (tmp_path / ".roboto").write_text("mine")
    with pytest.raises(NotADirectoryError):
        acquire(tmp_path)
    assert (tmp_path / ".roboto").read_text() == "mine"
