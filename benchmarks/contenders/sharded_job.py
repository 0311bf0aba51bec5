"""The job of `shards`, in a module that worker processes import too."""

import os

import dagster as dg

from benchmarks.contenders.asset import resources
from benchmarks.contenders.job import Job
from roboto_dagster import ShardOptions, build_roboto_dataset_asset, build_roboto_dataset_job

SHARDS = 4
"""For any number of workers the same, so that the steps' own cost is the same."""


def sharded_job() -> dg.JobDefinition:
    """Defines the job from the variables `BENCHMARK_JOB`, `BENCHMARK_WORKERS` and `BENCHMARK_CONNECTIONS`."""
    job = Job.from_json(os.environ["BENCHMARK_JOB"])
    # As docs/sharding.md advises: steps are forked from a process that has imported everything.
    executor = dg.multiprocess_executor.configured(
        {
            "max_concurrent": int(os.environ["BENCHMARK_WORKERS"]),
            "start_method": {"forkserver": {"preload_modules": [__name__, "alembic.command"]}},
        }
    )
    asset = build_roboto_dataset_asset(
        "bench",
        dataset_id=job.shape.dataset_id,
        destination=job.destination,
        shards=ShardOptions(max_shards=SHARDS, min_shard_mib=1),
    )
    sharded = build_roboto_dataset_job(asset, executor_def=executor, name="sharded")
    connections = int(os.environ["BENCHMARK_CONNECTIONS"]) or None
    defs = dg.Definitions(
        assets=[asset], jobs=[sharded], resources=resources(job, "curl", connections)
    )
    return defs.resolve_job_def("sharded")
