"""What a contender is to do, and how one that is written in Python reports what it took."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

from typing_extensions import Self

from benchmarks.shapes import MIB, Shape

PART_BYTES = 8 * MIB
"""Files above this are fetched by ranges of it."""

ACCESS_KEY = "AKIABENCHMARKBENCH00"
SECRET_KEY = "benchmark-secret-of-no-account-at-all-00"  # noqa: S105 - of the run's own server

AWS_CONFIG = """[default]
s3 =
  max_concurrent_requests = 64
  max_queue_size = 10000
  multipart_chunksize = 8MB
"""
"""What users of the AWS CLI set for many files; other clients do not read it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One shape to download to one folder.

    Attributes:
        url: The S3 endpoint.
        shape: What to fetch.
        destination: An empty folder.
        ca_bundle: Whom to trust.
        aws_config: The AWS configuration file that all clients see.
        api_url: The API, or empty.
    """

    url: str
    shape: Shape
    destination: str
    ca_bundle: str
    aws_config: str
    api_url: str = ""

    def to_json(self) -> str:
        """Writes it for the command line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads it from there."""
        fields = json.loads(text)
        return cls(**{**fields, "shape": Shape(**fields["shape"])})

    def environment(self) -> dict[str, str]:
        """Returns what leads every client to this server, and nothing of the user's own settings."""
        theirs = ("AWS_", "ROBOTO_", "DAGSTER_", "S3_")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(theirs) and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_CA_BUNDLE": self.ca_bundle,
            "SSL_CERT_FILE": self.ca_bundle,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": self.aws_config,
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }


def run(work: Callable[[Job], object], job: Job | None = None) -> None:
    """Does the job of the command line, and prints seconds, CPU seconds and peak memory as JSON.

    Args:
        work: Does it. Imports are done before, and do not count.
        job: The job; by default that of the command line.
    """
    job = job or Job.from_json(sys.argv[1])
    started, cpu_before = time.perf_counter(), time.process_time()
    notes = work(job)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_before
    reported = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "rss_bytes": peak_rss_bytes(os.getpid()),
        **(notes if isinstance(notes, dict) else {}),
    }
    print(json.dumps(reported), flush=True)


def peak_rss_bytes(pid: int) -> int:
    """Returns the most memory that a process has had; 0 where the system does not report it.

    Not `ru_maxrss`: that of a child starts with its parent's.
    """
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def fetch_in_threads(
    job: Job, threads: int, fetch: Callable[[str, pathlib.Path, int, int], object]
) -> None:
    """Has all files of a job fetched, small ones at once, big ones by ranges.

    Args:
        job: The job.
        threads: How many work at once.
        fetch: Called with a key, where its bytes go, and the range, from its first byte to before its last.
    """
    size, folder = job.shape.size_bytes, pathlib.Path(job.destination)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        futures = []
        for path in job.shape.paths():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            futures += [
                pool.submit(
                    fetch, f"{job.shape.name}/{path}", target, start, min(start + PART_BYTES, size)
                )
                for start in range(0, size, PART_BYTES)
            ]
        for future in futures:
            future.result()


def write_at(target: pathlib.Path, data: bytes, start: int) -> None:
    """Writes a range of a file.

    Args:
        target: The file.
        data: The bytes.
        start: Where they go.
    """
    descriptor = os.open(target, os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        os.pwrite(descriptor, data, start)
    finally:
        os.close(descriptor)
