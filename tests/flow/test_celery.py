"""Shards on Celery workers, with Debian's Redis and PostgreSQL: complete also where a worker is killed."""

import contextlib
import getpass
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import dagster as dg
import pytest

from benchmarks.processes import children
from roboto_dagster.testing import LocalRoboto, faults
from tests.flow.sharded_project import Project, files_asked_for
from tests.ports import can_connect, free_port
from tests.waiting import GUARD_SECONDS, wait_until

pytestmark = [pytest.mark.programs, pytest.mark.slow]

_REDIS = shutil.which("redis-server")
_POSTGRES = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)), None)  # noqa: PTH207 - at import
_WORKERS = 2


@pytest.fixture
def broker(tmp_path: pathlib.Path) -> Iterator[str]:
    """A Redis of this test's own."""
    if _REDIS is None:
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with _running(subprocess.Popen([_REDIS, *arguments], stdout=subprocess.DEVNULL)):
        wait_until(lambda: can_connect(port))
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def storage() -> Iterator[str]:
    """A PostgreSQL of this test's own. It refuses to run as root, so there its own user runs it."""
    if _POSTGRES is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    folder = pathlib.Path(tempfile.mkdtemp())
    shutil.chown(folder, user)
    data, port = folder / "data", free_port()
    run = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL}
    init = [f"{_POSTGRES}/initdb", "-D", data, "-U", "dagster", "--auth=trust", "--no-sync"]
    init += ["--no-locale", "--encoding=UTF8"]  # whatever LANG names, or does not
    subprocess.run(init, check=True, **run)  # type: ignore[call-overload] # mixed values
    serve = [f"{_POSTGRES}/postgres", "-D", data, "-p", str(port), "-k", folder, "-F"]
    server = subprocess.Popen(serve, stderr=subprocess.DEVNULL, **run)  # type: ignore[call-overload] # the same
    ready = [f"{_POSTGRES}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    with _running(server):
        # It listens before it answers: while it starts, it refuses.
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, pause_seconds=0.2)
        yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        process.kill()
        process.wait()


class Cluster:
    """A project whose steps run on Celery workers.

    Attributes:
        project: The project.
        workers: The workers' processes.
        killed: The processes that were killed.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.killed: list[int] = []
        self.workers = [self._start(number) for number in range(_WORKERS)]

    def _start(self, number: int) -> "subprocess.Popen[str]":
        name = f"worker{number}@%h"
        log = str(self.project.folder / f"worker{number}.log")
        options = ("--concurrency", "1", "--prefetch-multiplier", "1", "-Q", "dagster", "-n", name)
        command = ("-m", "celery", "-A", "dagster_celery.app", "worker", *options, "-f", log)
        return self.project.popen(*command)

    def kill_busy_worker(self) -> None:
        """Kill the process of a worker that transfers; its parent starts another one."""
        for worker in self.workers:
            for child in children(worker.pid):
                if self._has_part(child):
                    os.kill(child, signal.SIGKILL)
                    self.killed.append(child)
                    return

    def _has_part(self, pid: int) -> bool:
        """Return whether a process has a file of the destination open."""
        with contextlib.suppress(OSError):
            for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(self.project.folder / "data") in str(link.readlink()):
                        return True
        return False

    def run(self) -> tuple[bool, str]:
        """Run the partition, and return whether the run succeeded, and what was said of it."""
        run = self.project.start("on_celery")
        output, _ = run.communicate(timeout=2 * GUARD_SECONDS)
        logs = [
            path.read_text(errors="replace") for path in self.project.folder.glob("worker*.log")
        ]
        return run.returncode == 0, "\n".join([output, *logs])

    def stop(self) -> None:
        """Stop the workers."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.communicate(timeout=20)
            worker.kill()
            worker.communicate()


@pytest.fixture
def cluster(
    local: LocalRoboto, tmp_path: pathlib.Path, broker: str, storage: str
) -> Iterator[Cluster]:
    """Two workers that share Redis, PostgreSQL and a folder."""
    project = Project(local, tmp_path, BROKER=broker)
    settings = f"broker_url = result_backend = {broker!r}\n"
    (tmp_path / "dagster_celery_config.py").write_text(settings)
    project.configure({"storage": {"postgres": {"postgres_url": storage}}})
    with dg.DagsterInstance.from_config(
        str(project.home)
    ):  # makes the tables, before many would at once
        pass
    cluster = Cluster(project)
    try:
        yield cluster
    finally:
        cluster.stop()


def test_shards_on_celery_workers(cluster: Cluster) -> None:
    """The partition is complete, and materialized once."""
    is_complete, output = cluster.run()
    assert is_complete, output
    cluster.project.check_complete()


def test_a_killed_celery_worker(cluster: Cluster, local: LocalRoboto) -> None:
    """Celery may lose its step for good: then the run is repeated, and fetches what is missing alone."""
    local.faults.add(faults.call(cluster.kill_busy_worker), key="*/07.mcap", times=1)
    is_complete, output = cluster.run()
    assert len(cluster.killed) == 1, output
    if not is_complete:
        delivered = {each.name for each in (cluster.project.folder / "data").rglob("*.mcap")}
        local.requests.clear()
        is_complete, output = cluster.run()
        assert is_complete, output
        assert not delivered & set(files_asked_for(local))
    cluster.project.check_complete(is_repeated=True)
