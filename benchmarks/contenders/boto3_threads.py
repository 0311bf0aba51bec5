"""A plain loop of boto3's `get_object` in threads: `python -m benchmarks.contenders.boto3_threads JOB`."""

import concurrent.futures
import os
import pathlib
from typing import Any

import boto3
import botocore.config

from benchmarks.contenders.job import ACCESS_KEY, SECRET_KEY, Job, run
from benchmarks.shapes import BUCKET, MIB

_PART_BYTES = 8 * MIB
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
    size, folder = job.shape.size_bytes, pathlib.Path(job.destination)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        futures = []
        for path in job.shape.paths():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            futures += [
                pool.submit(_fetch_range, client, f"{job.shape.name}/{path}", target, start, size)
                for start in range(0, size, _PART_BYTES)
            ]
        for future in futures:
            future.result()


def _fetch_range(client: Any, key: str, target: pathlib.Path, start: int, size: int) -> None:
    stop = min(start + _PART_BYTES, size)
    part = {} if size <= _PART_BYTES else {"Range": f"bytes={start}-{stop - 1}"}
    data = client.get_object(Bucket=BUCKET, Key=key, **part)["Body"].read()
    descriptor = os.open(target, os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        os.pwrite(descriptor, data, start)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    run(fetch)
