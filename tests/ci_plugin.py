"""Where the variable CI is set, a skipped test fails: what CI did not run, nobody knows to work.

pytest loads this as a plugin (`-p tests.ci_plugin`, in pyproject.toml). On a developer's machine
a skip stays a skip, since not everyone has a browser or nginx. An expected failure is no skip.
"""

import os
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the rule where it applies."""
    if in_ci():
        config.pluginmanager.register(SkipIsFailure(), "skip-is-failure")


def in_ci() -> bool:
    """Report whether the variable CI is set."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


class SkipIsFailure:
    """Turns each report of a skip, of a test or of a file, into one of a failure."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A test that was skipped, by a mark, a fixture or its own body."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail"):
            fail(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A file that was skipped while it was imported, for instance by `importorskip`."""
        report = yield
        if report.skipped:
            fail(report)
        return report


def fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make *report* one of a failure that names the reason of the skip."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{reason} (CI is set, so a skipped test is a failure)"
