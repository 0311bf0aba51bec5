"""The report of the tests' own memory."""

import pathlib
import sys

import pytest

from tests.memory_plugin import LIMIT_MIB, above_limit, is_failure, peak_mib
from tests.pytest_runs import run_pytest


def test_the_peak_of_this_process_is_read() -> None:
    """Python with pytest takes more than a MiB, where the system reports it."""
    assert peak_mib() > 1 or sys.platform != "linux"


def test_processes_above_the_limit_are_named() -> None:
    """Just the limit is not above it."""
    assert above_limit({"gw1": LIMIT_MIB + 1, "gw0": LIMIT_MIB, "main": 1}) == ["gw1"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux reports the peak in /proc")
def test_too_much_memory_of_a_worker_fails_in_ci(tmp_path: pathlib.Path) -> None:
    """Every worker is listed; the one above the limit fails the run."""
    (tmp_path / "test_it.py").write_text(
        f"def test_a():\n    assert len(bytearray({(LIMIT_MIB + 50) * 1024 * 1024}))\n"
    )
    plugins = ("xdist", "tests.memory_plugin")
    passed, output = run_pytest(tmp_path, *plugins, ci=True, options=("-n", "2"))
    assert not passed
    assert "gw0 " in output
    assert "gw1 " in output
    assert "a failure in CI" in output


@pytest.mark.parametrize(("ci", "fails"), [("true", True), ("", False)], ids=["in CI", "here"])
def test_too_much_memory_fails_only_in_ci(
    monkeypatch: pytest.MonkeyPatch, *, ci: str, fails: bool
) -> None:
    """A developer reads the line, and goes on."""
    monkeypatch.setenv("CI", ci)
    assert is_failure({"gw0": LIMIT_MIB + 1}) == fails
    assert not is_failure({"gw0": LIMIT_MIB})
