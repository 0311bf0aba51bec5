"""A project with a sharded asset, and its runs in processes of their own."""

import os
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Mapping

import dagster as dg
import yaml

from roboto_dagster import read_manifest
from roboto_dagster.testing import LocalRoboto
from tests.waiting import GUARD_SECONDS

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
    def celery_jobs():
        if "BROKER" not in os.environ:
            return
        from dagster_celery import celery_executor
        config = {"broker": os.environ["BROKER"], "backend": os.environ["BROKER"]}
        yield build_roboto_dataset_job(
            logs, executor_def=celery_executor.configured(config), name="on_celery"
        )

    # Each step is forked from a process that has imported everything: half the time of new ones.
    forked = {"forkserver": {"preload_modules": ["pipeline"]}}
    one_by_one = dg.multiprocess_executor.configured({"max_concurrent": 1, "start_method": forked})
    defs = dg.Definitions(
        assets=[logs],
        jobs=[
            *celery_jobs(),
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

    def __init__(self, local: LocalRoboto, folder: pathlib.Path, **environment: str) -> None:
        self.dataset_id = local.add_dataset("flight")
        for number in range(FILES):
            local.add_file(self.dataset_id, f"{number:02}.mcap", b"x" * 10)
        self.folder, self.home = folder, folder / "home"
        (folder / "pipeline.py").write_text(textwrap.dedent(CODE))
        self.home.mkdir()
        self.configure({})
        self.environment = {
            **os.environ,
            **environment,
            "DAGSTER_HOME": str(self.home),
            "DESTINATION": str(folder / "data"),
            "DATASET": self.dataset_id,
            "MY_KEY": local.api_key,
            "API": local.api_url,
            "S3": local.s3_url,
            "PYTHONPATH": f"{pathlib.Path(__file__).parents[2]}{os.pathsep}{folder}",
        }

    def configure(self, settings: Mapping[str, object]) -> None:
        """Write what Dagster's instance is."""
        text = yaml.safe_dump({"telemetry": {"enabled": False}, **settings})
        (self.home / "dagster.yaml").write_text(text)

    def start(self, job: str) -> "subprocess.Popen[str]":
        """Start a run of the partition."""
        tags = f'{{"dagster/partition": "{self.dataset_id}"}}'
        arguments = ("job", "execute", "-f", "pipeline.py", "-j", job, "--tags", tags)
        return self.popen("-m", "dagster", *arguments)

    def reexecute(self, run_id: str) -> str:
        """Re-execute a run from its failure, and return the output; it must succeed."""
        process = self.popen("pipeline.py", run_id)
        output, _ = process.communicate(timeout=GUARD_SECONDS)
        assert process.returncode == 0, output
        return output

    def popen(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start Python in the project's environment."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check_complete(self, *, is_repeated: bool = False) -> None:
        """Check that the partition is on disk, in the manifest, and materialized once, perhaps by a second run."""
        assert len(list((self.folder / "data" / self.dataset_id).glob("*.mcap"))) == FILES
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            records = instance.fetch_materializations(dg.AssetKey("logs"), limit=10).records
        (event,) = (each.asset_materialization for each in records)
        assert event is not None
        assert event.partition == self.dataset_id
        assert is_repeated or event.metadata["roboto/files_fetched"].value == FILES
        value = event.metadata["roboto/manifest"].value
        assert read_manifest(str(value)).num_rows == FILES


def files_asked_for(local: LocalRoboto) -> list[str]:
    """Return the names of the objects that the store was asked for, in order."""
    return [each.key.rpartition("/")[2] for each in local.requests.matching(service="s3")]
