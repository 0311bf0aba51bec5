"""Logs decoded side by side in processes."""

import contextlib
import os
import pathlib
import threading
from collections.abc import Iterator

import pytest

from benchmarks.topics.tasks import log_task
from roboto_dagster.sync.cancellation import Cancellation, SyncCancelledError
from roboto_dagster.topics.log import LogTask
from roboto_dagster.topics.pool import DecodePool
from roboto_dagster.topics.processes import BYTES_PER_PROCESS, affordable_processes
from tests.topics.decoders import ProcessDecoder, write_log
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def task_of(tmp_path: pathlib.Path, name: str, text: str = "", decoder: object = None) -> LogTask:
    """Return the task of one log."""
    path = write_log(tmp_path / "logs" / name, text)
    return log_task(path, tmp_path / "topics", decoder or ProcessDecoder(), name)  # type: ignore[arg-type] # a decoder


def pid_of(task: LogTask) -> int:
    """Return in which process a log was decoded."""
    return int(task.log.path.with_suffix(".pid").read_text())


def is_running(pid: int) -> bool:
    """Return whether there is such a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture(autouse=True)
def warm_processes() -> None:
    """Take those of other tests out: here they are started and ended as in a run."""


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    """A pool of two processes."""
    with DecodePool(2) as pool:
        yield pool


def test_a_log_is_decoded_in_another_process(tmp_path: pathlib.Path, pool: DecodePool) -> None:
    """Its tables and its result are those of this one, and the process serves the next log."""
    first, second = task_of(tmp_path, "a.log"), task_of(tmp_path, "b.log", "print")
    rows: list[int] = []
    results = [pool.decode(task, rows.append) for task in (first, second)]
    assert [result.tables[0].rows for result in results] == [2, 2]
    assert (tmp_path / "topics/ds_1/b.log/%2Fimu.parquet").exists()
    assert pid_of(first) == pid_of(second) != os.getpid()


def test_a_process_that_cannot_start_is_not_needed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as where Python is part of another program: the log is decoded here, and that is logged."""
    task = task_of(tmp_path, "a.log")
    monkeypatch.setattr("roboto_dagster.topics.worker_process._BOOT", "raise SystemExit(3)")
    with DecodePool(1) as pool:
        assert pool.decode(task).faults == ()
    assert pid_of(task) == os.getpid()
    assert "ended at its start with code 3" in caplog.text
    monkeypatch.setattr("sys.executable", str(tmp_path / "no_python"))
    with DecodePool(1) as pool:
        assert pool.decode(task).faults == ()


def test_a_process_that_dies_is_a_failure_of_its_log(
    tmp_path: pathlib.Path, pool: DecodePool
) -> None:
    """As where the system is short of memory; the next log gets another process."""
    result = pool.decode(task_of(tmp_path, "a.log", "die"))
    ((fault,)) = result.faults
    assert (fault.topic, fault.code) == (None, "PROCESS_DIED")
    assert "ended by signal 9" in fault.reason
    assert pool.decode(task_of(tmp_path, "b.log")).faults == ()


def test_what_is_not_wanted_any_more_is_ended(tmp_path: pathlib.Path, pool: DecodePool) -> None:
    """An interrupt does not wait for the end of a log."""
    task = task_of(tmp_path, "a.log", "wait")

    def check() -> None:
        if task.log.path.with_suffix(".pid").exists():
            raise SyncCancelledError

    with pytest.raises(SyncCancelledError):
        pool.decode(task, check=check)
    assert not is_running(pid_of(task))


def test_the_end_of_the_pool_ends_its_processes(tmp_path: pathlib.Path) -> None:
    """Also one in the middle of a log, and that log is a failure."""
    task = task_of(tmp_path, "a.log", "wait")
    codes: list[str] = []
    with DecodePool(2) as pool:
        thread = threading.Thread(
            target=lambda: codes.extend(fault.code for fault in pool.decode(task).faults)
        )
        thread.start()
        wait_until(task.log.path.with_suffix(".pid").exists)
    thread.join(timeout=60)
    assert codes == ["PROCESS_DIED"]
    assert not is_running(pid_of(task))


@pytest.mark.parametrize("decoder", ["main", "lambda"])
def test_a_decoder_that_only_this_process_has_is_used_here(
    tmp_path: pathlib.Path, pool: DecodePool, decoder: str
) -> None:
    """Such as one of a script or a notebook, or one that does not pickle."""
    kind = type("Own", (ProcessDecoder,), {"__module__": "__main__"})
    own = kind()
    if decoder == "lambda":
        kind.__module__ = "nowhere"
    task = task_of(tmp_path, "a.log", decoder=own)
    assert pool.decode(task).faults == ()
    assert pid_of(task) == os.getpid()


def test_a_decoder_that_the_other_process_does_not_find_is_used_here(
    tmp_path: pathlib.Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code location may load its module in a way of its own."""
    import sys
    import types

    module = types.ModuleType("loaded_by_path")
    kind = type("Own", (ProcessDecoder,), {"__module__": "loaded_by_path", "__qualname__": "Own"})
    module.Own = kind  # type: ignore[attr-defined] # a module of this test
    monkeypatch.setitem(sys.modules, "loaded_by_path", module)
    task = task_of(tmp_path, "a.log", decoder=kind())
    assert pool.decode(task).faults == ()
    assert pid_of(task) == os.getpid()


def write(folder: pathlib.Path, **files: str) -> pathlib.Path:
    """Write files as the system has them."""
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, "processors", id="no-limit"),
        pytest.param({"cpu_max": "100000 100000\n"}, "1", id="one-cpu"),
        pytest.param({"cpu_max": "max 100000\n"}, "processors", id="no-quota"),
        pytest.param(
            {
                "memory_max": f"{BYTES_PER_PROCESS}",
                "memory_current": "1000",
                "memory_stat": "inactive_file 1000\n",
            },
            "1",
            id="one-process-fits",
        ),
        pytest.param({"memory_max": "max"}, "processors", id="no-memory-limit"),
        pytest.param({"cpu_max": "?"}, "processors", id="damaged"),
    ],
)
def test_the_machine_decides_how_many(
    tmp_path: pathlib.Path, files: dict[str, str], expected: str
) -> None:
    """Processors, the quota of the container, and memory."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1 kB\nMemAvailable: 99999999 kB\n")
    found = affordable_processes(cgroup=write(tmp_path, **files), memory=meminfo)
    processors = min(len(os.sched_getaffinity(0)), 16)
    assert found == (processors if expected == "processors" else int(expected))


def test_little_memory_is_enough_for_one(tmp_path: pathlib.Path) -> None:
    """There is always one."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 1000 kB\n")
    assert affordable_processes(cgroup=tmp_path, memory=meminfo) == 1


def test_cancellation_reaches_a_log_that_waits_for_room(tmp_path: pathlib.Path) -> None:
    """A log that was not started stays so."""
    cancellation = Cancellation()
    first = task_of(tmp_path, "a.log", "wait")
    with DecodePool(1) as pool:
        thread = threading.Thread(target=pool.decode, args=(first,))
        thread.start()
        wait_until(first.log.path.with_suffix(".pid").exists)
        cancellation.cancel()
        with pytest.raises(SyncCancelledError):
            pool.decode(task_of(tmp_path, "b.log"), check=cancellation.check)
    thread.join()
    assert not (tmp_path / "logs" / "b.pid").exists()
