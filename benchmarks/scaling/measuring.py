"""Runs one case: seconds, CPU, memory, requests and connections, disk."""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Sequence

from benchmarks.contenders.job import Job
from benchmarks.measure import FailedError, Measurement, measure, python_command
from benchmarks.processes import cpu_seconds
from benchmarks.scaling.cases import LISTING, SDK, Case
from benchmarks.scaling.records import Record
from benchmarks.scaling.traffic import TrafficLog
from benchmarks.server import Server

PACED_CONNECTIONS = 32
"""To the paced store: about 1,000 answers a second for a worker, a fifth of what its core could take."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What every case needs.

    Attributes:
        server: Where from.
        traffic: The server's log.
        destination: Where to; one folder, which `cold` empties and `unchanged` finds full.
        aws_config: The AWS configuration that all clients see.
        timeout_seconds: After so long a case counts as failed.
    """

    server: Server
    traffic: TrafficLog
    destination: pathlib.Path
    aws_config: pathlib.Path
    timeout_seconds: float

    def run(self, case: Case) -> Record:
        """Run a case once.

        Args:
            case: What.

        Raises:
            FailedError: It ended with an error, or did not deliver all files.
        """
        if case.state == "cold":
            shutil.rmtree(self.destination, ignore_errors=True)
            self.destination.mkdir()
        self.traffic.start()
        job = self._job(case)
        command = _command(case, job)
        load, served_before = os.getloadavg()[0], cpu_seconds(self.server.pids)
        measured = measure(command, job.environment(), self.timeout_seconds, times_itself=True)
        served = cpu_seconds(self.server.pids) - served_before
        return self._record(case, measured, load, served)

    def _record(self, case: Case, measured: Measurement, load: float, served: float) -> Record:
        api = self.traffic.of([_port(url) for url in self.server.api_urls.values()])
        urls = [*self.server.urls.values(), self.server.paced_url]
        store = self.traffic.of([_port(url) for url in urls if url])
        disk_bytes, inodes = _disk(self.destination)
        if case.state == "unchanged" and store.requests:
            raise FailedError(
                f"the store was asked {store.requests} times, though nothing has changed"
            )
        return Record(
            case=case,
            seconds=measured.seconds,
            cpu_seconds=measured.cpu_seconds,
            rss_bytes=measured.rss_bytes,
            api=api,
            store=store,
            disk_bytes=disk_bytes,
            inodes=inodes,
            load_before=load,
            first_byte_ms=self.server.first_byte_ms,
            server_cpu_seconds=served,
        )

    def _job(self, case: Case) -> Job:
        return Job(
            url=self.server.paced_url if case.pace_ms else self.server.urls["http"],
            shape=case.shape,
            destination=str(self.destination),
            ca_bundle=str(self.server.certificates.authority),
            aws_config=str(self.aws_config),
            api_url=self.server.api_urls[case.delay_ms],
        )


def _command(case: Case, job: Job) -> Sequence[str]:
    contenders = "benchmarks.contenders."
    if case.who == SDK:
        return python_command(contenders + "sdk_datasets", job, str(case.datasets))
    if case.who == LISTING:
        return python_command(contenders + "listing", job)
    if case.part == "datasets":
        return python_command(
            contenders + "datasets", job, str(case.datasets), str(case.side_by_side)
        )
    if case.part == "shards":
        connections = [str(PACED_CONNECTIONS)] if case.pace_ms else []
        return python_command(contenders + "shards", job, str(case.side_by_side), *connections)
    return python_command(contenders + "asset", job, "curl")


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _disk(folder: pathlib.Path) -> tuple[int, int]:
    """Return how many bytes the files take on disk, and how many files and folders there are."""
    size_bytes, inodes = 0, 0
    for root, folders, names in os.walk(folder):
        inodes += len(folders) + len(names)
        place = pathlib.Path(root)
        size_bytes += sum((place / name).lstat().st_blocks for name in names) * 512
    return size_bytes, inodes
