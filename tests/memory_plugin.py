"""Reports the most memory that each process of the tests has had; where CI is set, above 1 GiB is a failure.

pytest loads this as a plugin (`-p tests.memory_plugin`, in pyproject.toml). With pytest-xdist each worker
reports its own peak to the process that started it.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

from tests.ci_plugin import in_ci

LIMIT_MIB = 1024
_PEAKS = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start with no peaks."""
    config.stash[_PEAKS] = {}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take this process's peak: a worker hands it on, the first process judges all."""
    output = getattr(session.config, "workeroutput", None)
    peak = peak_mib()
    if output is not None:
        output["peak_mib"] = peak
        return
    peaks = session.config.stash[_PEAKS]
    peaks["main"] = peak
    if is_failure(peaks):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep the peak of a worker that has ended; one that crashed has none."""
    found = getattr(node, "workeroutput", {}).get("peak_mib")
    if found is not None:
        node.config.stash[_PEAKS][node.gateway.id] = found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the peaks."""
    peaks = config.stash[_PEAKS]
    listed = ", ".join(f"{name} {mib} MiB" for name, mib in sorted(peaks.items()))
    terminalreporter.write_line(f"peak memory: {listed}")
    for name in above_limit(peaks):
        terminalreporter.write_line(
            f"{name} took more than {LIMIT_MIB} MiB: a failure in CI", red=True
        )


def above_limit(peaks: Mapping[str, int]) -> list[str]:
    """Return the names of the processes that took more than the limit.

    Args:
        peaks: The peaks in MiB by name.
    """
    return sorted(name for name, mib in peaks.items() if mib > LIMIT_MIB)


def is_failure(peaks: Mapping[str, int]) -> bool:
    """Return whether the run fails for its memory: in CI, above the limit."""
    return in_ci() and bool(above_limit(peaks))


def peak_mib() -> int:
    """Return the most memory that this process has had, in MiB; 0 where the system does not report it."""
    try:
        status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(kib) // 1024
