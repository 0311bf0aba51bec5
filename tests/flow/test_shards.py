"""Runs of shards in processes of their own: a worker is killed in the middle, or the run as such."""

import os
import pathlib
import signal
import sys
from collections.abc import Iterable

import dagster as dg
import pytest

from benchmarks.processes import children
from roboto_dagster.testing import LocalRoboto, faults
from tests.flow.sharded_project import Project, files_asked_for
from tests.waiting import GUARD_SECONDS

pytestmark = pytest.mark.slow


@pytest.fixture
def project(local: LocalRoboto, tmp_path: pathlib.Path) -> Project:
    """A code location with a sharded asset."""
    return Project(local, tmp_path)


def workers(pid: int) -> Iterable[int]:
    """Yield the processes in which a run executes steps: its server has forked them."""
    for server in filter(is_forkserver, children(pid)):
        yield from filter(is_forkserver, children(server))


def is_forkserver(pid: int) -> bool:
    """Return whether a process is such a server, or was forked by one."""
    return b"forkserver" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc, which is Linux's")
def test_a_killed_worker_is_replaced(project: Project, local: LocalRoboto) -> None:
    """Its step is retried by itself, and what it had delivered is not fetched again."""
    run = project.start("logs_job")

    def kill() -> None:
        for worker in workers(run.pid):
            os.kill(worker, signal.SIGKILL)

    local.faults.add(faults.call(kill), key="*/07.mcap", times=1)
    output, _ = run.communicate(timeout=GUARD_SECONDS)
    assert run.returncode == 0, output
    project.check_complete()
    asked = files_asked_for(local)
    again = {name for name in asked if asked.count(name) > 1}
    assert "07.mcap" in again
    assert len(again) <= 4  # of one shard: what was under way as it was killed


def test_a_killed_run_is_completed_from_its_failure(project: Project, local: LocalRoboto) -> None:
    """Dagster leaves out the shards that had not started; the merge delivers their files, and no others."""
    run = project.start("in_process")
    local.faults.add(faults.call(run.kill), key="*/07.mcap", times=1)
    run.communicate(timeout=GUARD_SECONDS)
    with dg.DagsterInstance.from_config(str(project.home)) as instance:
        (killed,) = instance.get_runs()
        instance.report_run_failed(killed)  # as run monitoring does
    delivered = {path.name for path in (project.folder / "data").rglob("*.mcap")}
    local.requests.clear()
    output = project.reexecute(killed.run_id)
    project.check_complete()
    assert not delivered & set(files_asked_for(local))
    assert "did not end" in output
