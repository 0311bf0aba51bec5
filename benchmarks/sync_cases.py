"""What is not about bytes: a dataset of many unchanged files, and many datasets of one file.

`listing` is the SDK's own listing of the dataset that `unchanged` syncs, `datasets, bare` a bare
libcurl loop over the objects that `datasets` fetches.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Sequence

from benchmarks.contenders.job import Job
from benchmarks.measure import FailedError, measure, python_command
from benchmarks.results import Results
from benchmarks.schedule import Bench
from benchmarks.shapes import KIB, Shape
from benchmarks.source import Source


def unchanged_shape(files: int) -> Shape:
    """The dataset that does not change; its files are tiny, since they are never fetched."""
    return Shape(name="same", files=files, size_bytes=16)


def datasets_shape(datasets: int) -> Shape:
    """The objects of the datasets, one each."""
    return Shape(name="one", files=datasets, size_bytes=16 * KIB)


def add_to(source: Source, unchanged: Shape, datasets: Shape) -> None:
    """Adds what these cases need to what is served."""
    source.add_dataset(unchanged.dataset_id, unchanged, list(unchanged.paths()))
    source.add_shape(datasets)
    for number, path in enumerate(datasets.paths()):
        source.add_dataset(f"{datasets.dataset_id}_{number:05d}", datasets, [path])


def run_cases(bench: Bench, results: Results, unchanged: Shape, datasets: Shape) -> None:
    """Measures both cases and what they are compared with."""
    if bench.server.api_url is None:
        results.case_failures["all"] = "there is no API beside this server"
        return
    folder = _empty(bench.workspace / "same")
    try:
        job = dataclasses.replace(bench.job(unchanged), destination=str(folder))
        if _run(bench, results, "first sync, without transfer", job, "unchanged", "prepare"):
            _run(bench, results, "listing", job, "listing")
            _run(bench, results, "unchanged", job, "unchanged")
    finally:
        shutil.rmtree(folder)
    job = bench.job(datasets)
    for name, module, *arguments in (
        ("datasets, bare", "bare", "1"),
        ("datasets", "datasets"),
    ):
        _empty(pathlib.Path(job.destination))
        _run(bench, results, name, job, module, *arguments)
    shutil.rmtree(job.destination)


def _run(bench: Bench, results: Results, name: str, job: Job, module: str, *arguments: str) -> bool:
    command: Sequence[str] = python_command(f"benchmarks.contenders.{module}", job, *arguments)
    try:
        measured = measure(command, job.environment(), bench.timeout_seconds, times_itself=True)
    except FailedError as error:
        results.case_failures[name] = str(error)
        bench.log(f"{name}: FAILED: {error}")
        return False
    results.cases[name] = measured
    bench.log(
        f"{name} ({job.shape.files:,}): {measured.seconds:.2f} s, {measured.cpu_seconds:.2f} CPU s, "
        f"{measured.rss_bytes / 2**20:.0f} MiB"
    )
    return True


def _empty(folder: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
