"""Who runs when: rounds over everything, interleaved, starting with another one each time.

So whatever the machine does besides hits all of them alike.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from benchmarks.contenders.job import Job
from benchmarks.lineup import Contender
from benchmarks.measure import FailedError, measure_transfer
from benchmarks.results import Results
from benchmarks.server import Server
from benchmarks.shapes import Scheme, Shape
from benchmarks.source import Source

Log = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every run needs.

    Attributes:
        server: Where from.
        source: What it serves.
        workspace: A folder for files, on memory if there is room.
        aws_config: The AWS configuration that all clients see.
        timeout_seconds: After so long a run counts as failed.
        log: Where lines about progress go.
    """

    server: Server
    source: Source
    workspace: pathlib.Path
    aws_config: pathlib.Path
    timeout_seconds: float
    log: Log

    def job(self, shape: Shape, scheme: Scheme = "http") -> Job:
        """Makes the job of bringing a shape to the workspace."""
        return Job(
            url=self.server.urls[scheme],
            shape=shape,
            destination=str(self.workspace / "out"),
            ca_bundle=str(self.server.certificates.authority),
            aws_config=str(self.aws_config),
            api_url=self.server.api_url or "",
        )


def run_rounds(
    bench: Bench,
    results: Results,
    contenders: Sequence[Contender],
    cases: Sequence[tuple[Shape, Scheme]],
    rounds: int,
) -> None:
    """Measures every contender on every case, so many times."""
    for number in range(rounds):
        for shape, scheme in cases:
            _warm_up(bench, contenders[0], shape, scheme)
            turn = number % len(contenders)
            for contender in [*contenders[turn:], *contenders[:turn]]:
                if bench.server.api_url or not contender.is_asset:
                    _run(bench, results, contender, shape, scheme)


def _warm_up(bench: Bench, contender: Contender, shape: Shape, scheme: Scheme) -> None:
    """Fetches everything once unmeasured: a virtual machine's memory is slow to whoever takes it first."""
    with contextlib.suppress(FailedError):  # it is reported where it counts
        measure_transfer(contender, bench.job(shape, scheme), bench.source, bench.timeout_seconds)


def _run(
    bench: Bench, results: Results, contender: Contender, shape: Shape, scheme: Scheme
) -> None:
    cell = results.cell(contender.name, shape, scheme)
    try:
        job = bench.job(shape, scheme)
        measured = measure_transfer(contender, job, bench.source, bench.timeout_seconds)
    except FailedError as error:
        cell.failures.append(str(error))
        bench.log(f"{shape.name:9} {scheme:5} {contender.name:16} FAILED: {error}")
        return
    cell.measurements.append(measured)
    rate = shape.files / measured.seconds
    bench.log(
        f"{shape.name:9} {scheme:5} {contender.name:16} {measured.seconds:7.2f} s  {rate:7.0f} files/s  "
        f"{shape.total_bytes / measured.seconds / 1e6:6.0f} MB/s  {measured.cpu_seconds:6.2f} CPU s  "
        f"{measured.rss_bytes / 2**20:5.0f} MiB"
    )
