"""Runs `child.py` on a lab's dataset, and what can be done to it."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.lab import Lab

ROOT = pathlib.Path(__file__).parents[2]


@contextlib.contextmanager
def started(
    lab: Lab, *, prefix: list[str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Starts a run and waits until it has started; kills it in the end if it still is there."""
    arguments = {
        "dataset_id": lab.dataset_id,
        "destination": str(lab.destination),
        "engine": lab.engine,
        "s3_url": lab.local.s3_url,
        "api_url": lab.local.api_url,
        "api_key": lab.local.api_key,
        **options,
    }
    process = subprocess.Popen(
        [*(prefix or []), sys.executable, "-m", "tests.faults.child", json.dumps(arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", f"the run did not start: {line!r}"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run_to_end(lab: Lab, **options: Any) -> dict[str, Any]:
    """Runs once, and returns what it printed at its end."""
    with started(lab, **options) as process:
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, f"the run died with {process.returncode}"
    end: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return end


def can_mount() -> bool:
    """Report whether this process may mount filesystems in a namespace of its own."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True)
    return tried.returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="mounting takes root and Linux's unshare")


def mounted(script: str) -> list[str]:
    """Returns a prefix that runs a command in a mount namespace of its own, after a shell script."""
    return ["unshare", "-m", "sh", "-ec", f'{script}; exec "$@"', "sh"]
