"""Lists a dataset with the SDK and nothing more: `python -m benchmarks.contenders.listing JOB`."""

import roboto

from benchmarks.contenders.job import Job, run
from roboto_dagster import RobotoResource


def list_with_sdk(job: Job) -> dict[str, int]:
    """Walks the SDK's own listing, keeping nothing."""
    client = RobotoResource(api_key="benchmark", endpoint=job.api_url).get_client()
    dataset = roboto.Dataset.from_id(job.shape.dataset_id, roboto_client=client)
    return {"files": sum(1 for _ in dataset.list_files())}


if __name__ == "__main__":
    run(list_with_sdk)
