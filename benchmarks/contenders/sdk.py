"""The Roboto SDK's own store: `python -m benchmarks.contenders.sdk JOB`."""

import pathlib

from roboto.storage.object_store import Credentials, StoreRegistry

from benchmarks.contenders.job import ACCESS_KEY, SECRET_KEY, Job, run
from benchmarks.shapes import BUCKET


def _credentials() -> Credentials:
    return {
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "token": "",
        "region": "us-east-1",
        "expiry_time": "2099-01-01T00:00:00Z",
    }


def fetch(job: Job) -> None:
    """Fetches everything; the endpoint comes from the environment."""
    base = f"s3://{BUCKET}/{job.shape.name}"
    folder = pathlib.Path(job.destination)
    store = StoreRegistry.get_store_for_uri(base, _credentials)
    with store:
        futures = [store.get(f"{base}/{path}", folder / path) for path in job.shape.paths()]
        for future in futures:
            future.result()


if __name__ == "__main__":
    run(fetch)
