"""A loop over the SDK's `download_files`: `python -m benchmarks.contenders.sdk_datasets JOB DATASETS`."""

import pathlib

import roboto

from benchmarks.contenders.datasets import check_files, dataset_ids
from benchmarks.contenders.job import Job, run
from roboto_dagster import RobotoResource


def download(job: Job) -> None:
    """Downloads each dataset into a folder of its own; the store's endpoint comes from the environment."""
    client = RobotoResource(api_key="benchmark", endpoint=job.api_url).get_client()
    for dataset_id in dataset_ids(job):
        dataset = roboto.Dataset.from_id(dataset_id, roboto_client=client)
        dataset.download_files(pathlib.Path(job.destination, dataset_id), print_progress=False)
    check_files(job)


if __name__ == "__main__":
    run(download)
