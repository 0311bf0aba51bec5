"""Many datasets of one file in one run: `python -m benchmarks.contenders.datasets JOB`.

They follow from the shape's name and number of files: `ds_<name>_<number>`, one a file.
"""

import logging
import pathlib

import dagster as dg
import pyarrow.parquet  # noqa: F401 - imports do not count
import roboto  # noqa: F401 - likewise

import roboto_dagster.fs.curl.store  # noqa: F401 - likewise
from benchmarks.contenders.asset import resources
from benchmarks.contenders.job import Job, run
from roboto_dagster import build_roboto_dataset_asset


def dataset_ids(job: Job) -> list[str]:
    """Returns the datasets."""
    return [f"{job.shape.dataset_id}_{number:05d}" for number in range(job.shape.files)]


def backfill(job: Job) -> None:
    """Materializes all partitions in one run."""
    keys = dataset_ids(job)
    asset = build_roboto_dataset_asset(
        "bench",
        partitions_def=dg.StaticPartitionsDefinition(keys),
        destination=job.destination,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    tags = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    dg.materialize([asset], resources=resources(job, "curl"), tags=tags)
    found = sum(1 for _ in pathlib.Path(job.destination).glob("ds_*/**/*.bin"))
    if found != len(keys):
        raise ValueError(f"{found} files instead of {len(keys)}")


if __name__ == "__main__":
    logging.getLogger("dagster").setLevel(logging.WARNING)
    run(backfill)
