"""Runs one command in a fresh process, and reports what it took; what it downloaded is checked first."""

import dataclasses
import filecmp
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contenders.job import Job, peak_rss_bytes
from benchmarks.lineup import Contender
from benchmarks.shapes import BUCKET
from benchmarks.source import Source

_LOOK_EVERY_SECONDS = 0.01
_ROOT = pathlib.Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run took.

    Attributes:
        seconds: Wall time.
        cpu_seconds: User and system time of the process and its children.
        rss_bytes: Peak resident memory.
        notes: What the contender reported besides.
    """

    seconds: float
    cpu_seconds: float
    rss_bytes: int
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class FailedError(Exception):
    """The command failed, or did not download what it should have."""


def measure_transfer(contender: Contender, job: Job, source: Source, timeout: float) -> Measurement:
    """Has a contender fetch a shape; the folder is empty again afterwards.

    Args:
        contender: Who.
        job: What, and where to.
        source: What is served, to compare with.
        timeout: Seconds after which it counts as failed.

    Raises:
        FailedError: It did not download the right files.
    """
    destination = pathlib.Path(job.destination)
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir()
    try:
        measurement = measure(
            contender.command(job), job.environment(), timeout, times_itself=contender.is_python
        )
        _check(contender.folder_of(job), job, source)
    finally:
        shutil.rmtree(destination, ignore_errors=True)
    return measurement


def measure(
    command: Sequence[str], environment: Mapping[str, str], timeout: float, *, times_itself: bool
) -> Measurement:
    """Runs a command.

    Args:
        command: The command.
        environment: All of its environment variables.
        timeout: Seconds after which it is ended.
        times_itself: Whether it prints its own measurement as its last line, in JSON.

    Raises:
        FailedError: It ended with an error, or did not end.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, cwd=_ROOT, stdout=output, stderr=errors
        )
        try:
            status, cpu_seconds, rss_bytes = _wait(process, started + timeout)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - started
        output.seek(0)
        errors.seek(0)
        if status:
            reported = (errors.read() or output.read()).decode(errors="replace").strip()
            raise FailedError(f"ended with status {status}: {reported[-600:]}")
        if not times_itself:
            return Measurement(seconds=seconds, cpu_seconds=cpu_seconds, rss_bytes=rss_bytes)
        own_report = json.loads(output.read().splitlines()[-1])
        names = ("seconds", "cpu_seconds", "rss_bytes")
        notes = {name: value for name, value in own_report.items() if name not in names}
        return Measurement(**{name: own_report[name] for name in names}, notes=notes)


def _wait(process: "subprocess.Popen[bytes]", ends_at: float) -> tuple[int, float, int]:
    """Waits for the end, looking at the peak of memory as long as there is something to see."""
    rss_bytes = 0
    while True:
        rss_bytes = max(rss_bytes, peak_rss_bytes(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime, rss_bytes
        if time.perf_counter() > ends_at:
            raise FailedError("it took too long")
        time.sleep(_LOOK_EVERY_SECONDS)


def _check(folder: pathlib.Path, job: Job, source: Source) -> None:
    """Checks the number of files, all sizes and, in full, the bytes of one file."""
    found = [pathlib.Path(root, name) for root, _, names in os.walk(folder) for name in names]
    if len(found) != job.shape.files:
        raise FailedError(f"{len(found)} files instead of {job.shape.files}")
    wrong = sum(path.stat().st_size != job.shape.size_bytes for path in found)
    if wrong:
        raise FailedError(f"{wrong} files have the wrong size")
    original = source.objects / BUCKET / job.shape.name / next(job.shape.paths())
    if not filecmp.cmp(original, max(found), shallow=False):
        raise FailedError("the bytes differ")


def python_command(module: str, job: Job, *arguments: str) -> Sequence[str]:
    """Makes the command of a module of this package."""
    return [sys.executable, "-m", module, job.to_json(), *arguments]
