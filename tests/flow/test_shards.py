"""Runs of shards in processes of their own: a worker is killed in the middle, or the run as such."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable

import dagster as dg
import pytest
import yaml

from roboto_dagster import read_manifest
from roboto_dagster.testing import LocalRoboto, faults

pytestmark = pytest.mark.slow

FILES = 12
CODE = """
    import os
    import sys
    import dagster as dg
    from roboto_dagster import *

    logs = build_roboto_dataset_asset(
        "logs",
        destination=os.environ["DESTINATION"],
        partitions_def=dg.StaticPartitionsDefinition([os.environ["DATASET"]]),
        shards=ShardOptions(max_shards=3, min_shard_mib=1),
        retry_policy=dg.RetryPolicy(max_retries=1),
    )
    one_by_one = dg.multiprocess_executor.configured({"max_concurrent": 1})
    defs = dg.Definitions(
        assets=[logs],
        jobs=[
            build_roboto_dataset_job(logs, executor_def=one_by_one),
            build_roboto_dataset_job(logs, executor_def=dg.in_process_executor, name="in_process"),
        ],
        resources={
            "roboto": RobotoResource(api_key=dg.EnvVar("MY_KEY"), endpoint=os.environ["API"]),
            "object_store": ObjectStoreResource(endpoint_url=os.environ["S3"]),
        },
    )

    def in_process():
        return defs.resolve_job_def("in_process")

    if __name__ == "__main__":  # as the UI's "re-execute from failure"
        with dg.DagsterInstance.get() as instance:
            options = dg.ReexecutionOptions.from_failure(sys.argv[1], instance)
            import pipeline
            job = dg.reconstructable(pipeline.in_process)
            tags = {"dagster/partition": os.environ["DATASET"]}
            assert dg.execute_job(job, instance, reexecution_options=options, tags=tags).success
"""


class Project:
    """A code location with a home of its own, and a dataset of twelve small files: three shards."""

    def __init__(self, local: LocalRoboto, folder: pathlib.Path) -> None:
        self.dataset_id = local.add_dataset("flight")
        for number in range(FILES):
            local.add_file(self.dataset_id, f"{number:02}.mcap", b"x" * 10)
        self.folder, self.home = folder, folder / "home"
        (folder / "pipeline.py").write_text(textwrap.dedent(CODE))
        self.home.mkdir()
        settings = {"telemetry": {"enabled": False}}
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        self._environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "DESTINATION": str(folder / "data"),
            "DATASET": self.dataset_id,
            "MY_KEY": local.api_key,
            "API": local.api_url,
            "S3": local.s3_url,
            "PYTHONPATH": f"{pathlib.Path(__file__).parents[2]}{os.pathsep}{folder}",
        }

    def start(self, job: str) -> "subprocess.Popen[str]":
        """Start a run of the partition."""
        tags = f'{{"dagster/partition": "{self.dataset_id}"}}'
        arguments = ("job", "execute", "-f", "pipeline.py", "-j", job, "--tags", tags)
        return self._popen("-m", "dagster", *arguments)

    def reexecute(self, run_id: str) -> str:
        """Re-execute a run from its failure, and return the output; it must succeed."""
        process = self._popen("pipeline.py", run_id)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def _popen(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check_complete(self) -> None:
        """Check that the partition is on disk, in the manifest, and materialized once."""
        assert len(list((self.folder / "data" / self.dataset_id).glob("*.mcap"))) == FILES
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            records = instance.fetch_materializations(dg.AssetKey("logs"), limit=10).records
        (event,) = (each.asset_materialization for each in records)
        assert event is not None
        assert event.partition == self.dataset_id
        assert event.metadata["roboto/files_fetched"].value == FILES
        value = event.metadata["roboto/manifest"].value
        assert read_manifest(str(value)).num_rows == FILES


@pytest.fixture
def project(local: LocalRoboto, tmp_path: pathlib.Path) -> Project:
    """A code location with a sharded asset."""
    return Project(local, tmp_path)


def files_asked_for(local: LocalRoboto) -> list[str]:
    """Return the names of the objects that the store was asked for, in order."""
    return [each.key.rpartition("/")[2] for each in local.requests.matching(service="s3")]


def children(pid: int) -> Iterable[int]:
    """Yield the processes that a process has started to execute steps in."""
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            if b"spawn_main" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                yield child


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc, which is Linux's")
def test_a_killed_worker_is_replaced(project: Project, local: LocalRoboto) -> None:
    """Its step is retried by itself, and what it had delivered is not fetched again."""
    run = project.start("logs_job")

    def kill() -> None:
        for child in children(run.pid):
            os.kill(child, signal.SIGKILL)

    local.faults.add(faults.call(kill), key="*/07.mcap", times=1)
    output, _ = run.communicate(timeout=180)
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
    run.communicate(timeout=120)
    with dg.DagsterInstance.from_config(str(project.home)) as instance:
        (killed,) = instance.get_runs()
        instance.report_run_failed(killed)  # as run monitoring does
    delivered = {path.name for path in (project.folder / "data").rglob("*.mcap")}
    local.requests.clear()
    output = project.reexecute(killed.run_id)
    project.check_complete()
    assert not delivered & set(files_asked_for(local))
    assert "did not end" in output
