"""A plain loop of boto3's `get_object` in threads: `python -m benchmarks.contenders.boto3_threads JOB`."""

import pathlib
from typing import Any

import boto3
import botocore.config

from benchmarks.contenders.job import (
    ACCESS_KEY,
    PART_BYTES,
    SECRET_KEY,
    Job,
    fetch_in_threads,
    run,
    write_at,
)
from benchmarks.shapes import BUCKET

_THREADS = 32


def fetch(job: Job) -> None:
    """Fetches small files by one request, big ones by ranges, over one client; checks nothing."""
    client = boto3.client(
        "s3",
        endpoint_url=job.url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(
            max_pool_connections=_THREADS, response_checksum_validation="when_required"
        ),
    )

    def fetch_range(key: str, target: pathlib.Path, start: int, stop: int) -> None:
        is_all = job.shape.size_bytes <= PART_BYTES
        part: dict[str, Any] = {} if is_all else {"Range": f"bytes={start}-{stop - 1}"}
        data = client.get_object(Bucket=BUCKET, Key=key, **part)["Body"].read()
        write_at(target, data, start)

    fetch_in_threads(job, _THREADS, fetch_range)


if __name__ == "__main__":
    run(fetch)
