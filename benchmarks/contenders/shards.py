"""One dataset in shards over worker processes: `python -m benchmarks.contenders.shards JOB WORKERS [CONNECTIONS]`."""

import os
import resource
import sys
import tempfile
import time
from multiprocessing import forkserver

import dagster as dg

from benchmarks.contenders.datasets import check_files
from benchmarks.contenders.job import Job, peak_rss_bytes, run
from benchmarks.contenders.sharded_job import sharded_job


def transfer(job: Job) -> dict[str, float]:
    """Runs the job; the CPU time and the memory of its workers count too, and to look whether it is right does not."""
    os.environ |= {
        "BENCHMARK_JOB": job.to_json(),
        "BENCHMARK_WORKERS": sys.argv[2],
        "BENCHMARK_CONNECTIONS": sys.argv[3] if len(sys.argv) > 3 else "0",
    }
    started, before = time.perf_counter(), os.times()
    with (
        tempfile.TemporaryDirectory() as home,
        dg.DagsterInstance.local_temp(home) as instance,
    ):
        result = dg.execute_job(dg.reconstructable(sharded_job), instance)
        if not result.success:
            raise ValueError("the run failed")
    seconds = time.perf_counter() - started
    # The server that steps are forked from has waited for them, and this process waits for it here: only then does the
    # system count them among its children. There is no public way to end it.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    after = os.times()
    check_files(job)
    children_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "seconds": seconds,
        "cpu_seconds": sum(after[:4]) - sum(before[:4]),
        "rss_bytes": max(peak_rss_bytes(os.getpid()), children_kib * 1024),  # of the largest
    }


if __name__ == "__main__":
    run(transfer)
