"""obstore in threads: `python -m benchmarks.contenders.obstore_threads JOB`."""

import pathlib
from typing import Any

import obstore
from obstore.store import S3Store

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

_THREADS = 128


def fetch(job: Job) -> None:
    """Fetches small files by one request, big ones by ranges."""
    store: Any = S3Store(
        BUCKET,
        endpoint=job.url,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        region="us-east-1",
        client_options={"allow_http": True, "allow_invalid_certificates": True},
    )
    size = job.shape.size_bytes

    def fetch_at_once(key: str, target: pathlib.Path, _start: int, _stop: int) -> None:
        data = obstore.get(store, key).bytes()
        target.write_bytes(data)
        if len(data) != size:
            raise ValueError(f"{key} has {len(data)} bytes")

    def fetch_range(key: str, target: pathlib.Path, start: int, stop: int) -> None:
        write_at(target, obstore.get_range(store, key, start=start, end=stop), start)

    fetch_in_threads(job, _THREADS, fetch_at_once if size <= PART_BYTES else fetch_range)


if __name__ == "__main__":
    run(fetch)
