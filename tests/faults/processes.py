"""Runs `child.py` on a lab's dataset, and what can be done to it."""

import contextlib
import multiprocessing
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, cast

import pytest

from tests.faults import child
from tests.faults.lab import Lab
from tests.waiting import GUARD_SECONDS

ROOT = pathlib.Path(__file__).parents[2]

# Each run is forked from a process that has imported everything, which starts with the first run.
_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload([child.__name__])


class Started:
    """A run in a process of its own.

    Attributes:
        pid: Its number.
    """

    def __init__(self, process: ForkServerProcess, connection: Connection) -> None:
        self._process = process
        self._connection = connection
        self.pid = cast("int", process.pid)

    def send_signal(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it, if it still is there, and waits until it has ended."""
        self._process.kill()
        self._process.join()

    def wait(self, timeout: float = GUARD_SECONDS) -> None:
        """Waits for its end.

        Args:
            timeout: For so many seconds at most. Default 240.
        """
        self._process.join(timeout)
        assert self._process.exitcode is not None, "it has not ended"

    def end(self, timeout: float = GUARD_SECONDS) -> dict[str, Any]:
        """Waits for its end, and returns what it sent: `success`, `description` and `seconds`."""
        received = self.receive(timeout)
        self.wait()
        assert self._process.exitcode == 0, f"the run died with {self._process.exitcode}"
        return cast("dict[str, Any]", received)

    def receive(self, timeout: float) -> object:
        """Returns the next that it sends."""
        assert self._connection.poll(timeout), "the run is silent"
        try:
            return self._connection.recv()
        except EOFError:
            self.wait()
            raise AssertionError(f"the run died with {self._process.exitcode}") from None


@contextlib.contextmanager
def started(lab: Lab, **options: Any) -> Iterator[Started]:
    """Starts a run and waits until it has started; kills it in the end if it still is there.

    Args:
        lab: Its dataset, engine and destination.
        **options: See `child.main`.
    """
    task = {
        "dataset_id": lab.dataset_id,
        "destination": str(lab.destination),
        "engine": lab.engine,
        "s3_url": lab.local.s3_url,
        "api_url": lab.local.api_url,
        "api_key": lab.local.api_key,
        **options,
    }
    connection, theirs = _FORK_SERVER.Pipe()
    process = _FORK_SERVER.Process(target=child.main, args=(task, theirs))
    process.start()
    theirs.close()
    run = Started(process, connection)
    try:
        assert run.receive(60.0) == "ready"
        yield run
    finally:
        run.kill()
        process.close()
        connection.close()


def run_to_end(lab: Lab, **options: Any) -> dict[str, Any]:
    """Runs once, and returns what it sent at its end.

    Args:
        lab: Its dataset, engine and destination.
        **options: See `child.main`.
    """
    with started(lab, **options) as run:
        return run.end()


def _may_unshare(*options: str) -> bool:
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    tried = subprocess.run(["unshare", *options, "true"], check=False, capture_output=True)
    return tried.returncode == 0


needs_mounts = pytest.mark.skipif(
    not _may_unshare("-m"), reason="mounting takes root and Linux's unshare"
)
needs_containers = pytest.mark.skipif(
    not _may_unshare("--uts", "--pid", "--mount-proc", "--kill-child"),
    reason="namespaces take root and Linux's unshare",
)
