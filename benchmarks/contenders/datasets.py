"""Many datasets in one run: `python -m benchmarks.contenders.datasets JOB [DATASETS [SIDE_BY_SIDE]]`.

Their ids follow from the shape's name: `ds_<name>_<number>`. By default each has one file.
"""

import logging
import pathlib
import sys

import dagster as dg
import pyarrow.parquet  # noqa: F401 - imports do not count
import roboto  # noqa: F401 - likewise

import roboto_dagster.fs.curl.store  # noqa: F401 - likewise
from benchmarks.contenders.asset import resources
from benchmarks.contenders.job import Job, run
from roboto_dagster import build_roboto_dataset_asset


def dataset_ids(job: Job) -> list[str]:
    """Returns the datasets."""
    count = int(sys.argv[2]) if len(sys.argv) > 2 else job.shape.files
    return [f"{job.shape.dataset_id}_{number:05d}" for number in range(count)]


def backfill(job: Job) -> None:
    """Materializes all partitions in one run."""
    keys = dataset_ids(job)
    options = {"max_concurrent_partitions": int(sys.argv[3])} if len(sys.argv) > 3 else {}
    asset = build_roboto_dataset_asset(
        "bench",
        partitions_def=dg.StaticPartitionsDefinition(keys),
        destination=job.destination,
        backfill_policy=dg.BackfillPolicy.single_run(),
        **options,  # type: ignore[arg-type] # one of many options, by its name
    )
    tags = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    dg.materialize([asset], resources=resources(job, "curl"), tags=tags)
    check_files(job)


def check_files(job: Job) -> None:
    """Counts what was delivered."""
    found = sum(1 for _ in pathlib.Path(job.destination).glob("ds_*/**/*.bin"))
    if found != job.shape.files:
        raise ValueError(f"{found} files instead of {job.shape.files}")


if __name__ == "__main__":
    logging.getLogger("dagster").setLevel(logging.WARNING)
    run(backfill)
