"""The report of the tests' own memory."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.memory_plugin import LIMIT_MIB, above_limit, peak_mib

ROOT = pathlib.Path(__file__).parents[1]


def test_the_peak_of_this_process_is_read() -> None:
    """Python with pytest takes more than a MiB, where the system reports it."""
    assert peak_mib() > 1 or sys.platform != "linux"


def test_processes_above_the_limit_are_named() -> None:
    """Just the limit is not above it."""
    assert above_limit({"gw1": LIMIT_MIB + 1, "gw0": LIMIT_MIB, "main": 1}) == ["gw1"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux reports the peak in /proc")
@pytest.mark.parametrize(("ci", "fails"), [("true", True), ("", False)], ids=["in CI", "here"])
def test_too_much_memory_of_a_worker_fails_in_ci(
    tmp_path: pathlib.Path, *, ci: str, fails: bool
) -> None:
    """Every worker is listed; the one above the limit fails the run in CI, and only there."""
    (tmp_path / "test_it.py").write_text(
        f"def test_a():\n    assert len(bytearray({(LIMIT_MIB + 50) * 1024 * 1024}))\n"
    )
    (tmp_path / "pytest.ini").touch()
    plugins = ["-p", "tests.memory_plugin", "-n", "2"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "--rootdir", tmp_path, tmp_path],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode != 0) == fails, result.stdout
    assert "gw0 " in result.stdout
    assert "gw1 " in result.stdout
    assert "a failure in CI" in result.stdout
