"""obstore in threads: `python -m benchmarks.contenders.obstore_threads JOB`."""

import concurrent.futures
import os
import pathlib
from typing import Any

import obstore
from obstore.store import S3Store

from benchmarks.contenders.job import ACCESS_KEY, SECRET_KEY, Job, run
from benchmarks.shapes import BUCKET, MIB

_PART_BYTES = 8 * MIB
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
    size, folder = job.shape.size_bytes, pathlib.Path(job.destination)
    work = _fetch_at_once if size <= _PART_BYTES else _fetch_range
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        futures = []
        for path in job.shape.paths():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            futures += [
                pool.submit(work, store, f"{job.shape.name}/{path}", target, start, size)
                for start in range(0, size, _PART_BYTES)
            ]
        for future in futures:
            future.result()


def _fetch_at_once(store: Any, key: str, target: pathlib.Path, _: int, size: int) -> None:
    data = obstore.get(store, key).bytes()
    target.write_bytes(data)
    if len(data) != size:
        raise ValueError(f"{key} has {len(data)} bytes")


def _fetch_range(store: Any, key: str, target: pathlib.Path, start: int, size: int) -> None:
    data = obstore.get_range(store, key, start=start, end=min(start + _PART_BYTES, size))
    descriptor = os.open(target, os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        os.pwrite(descriptor, data, start)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    run(fetch)
