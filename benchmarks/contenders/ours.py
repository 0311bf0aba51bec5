"""Our store, without Dagster: `python -m benchmarks.contenders.ours JOB ENGINE [VERIFY]`."""

import importlib
import pathlib
import sys
from collections import deque
from typing import Any

from benchmarks.contenders.job import ACCESS_KEY, SECRET_KEY, Job, run
from benchmarks.shapes import BUCKET
from roboto_dagster import Credentials, StoreRegistry

ENGINES = {"curl": "curl.store", "boto3": "boto.store"}
"""The module of each engine."""


def credentials() -> Credentials:
    """The provider: keys that do not expire."""
    return {
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "token": "",
        "region": "us-east-1",
        "expiry_time": None,
    }


def fetch(job: Job) -> None:
    """Fetches everything, keeping hold of no more futures than are under way."""
    base = f"s3://{BUCKET}/{job.shape.name}"
    store: Any = StoreRegistry.get_store_for_uri(
        base, credentials, engine=sys.argv[2], endpoint_url=job.url, verify=_verify()
    )
    folder = pathlib.Path(job.destination)
    waiting: deque[Any] = deque()
    with store:
        for path in job.shape.paths():
            waiting.append(
                store.get(f"{base}/{path}", folder / path, size_bytes=job.shape.size_bytes)
            )
            while waiting and waiting[0].done():
                waiting.popleft().result()
    for future in waiting:
        future.result()


def _verify() -> str:
    return sys.argv[3] if len(sys.argv) > 3 else "auto"


if __name__ == "__main__":
    # Else imported with the first store, and counted with the transfer.
    importlib.import_module(f"roboto_dagster.fs.{ENGINES[sys.argv[2]]}")
    run(fetch)
