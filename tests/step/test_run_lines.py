"""The log of a step with many partitions."""

import logging
import threading
from typing import Any

import pytest

from roboto_dagster.step.run_lines import RunLines


class Log:
    """Stands in for Dagster's log, which needs a run."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []

    def log(self, level: int, line: str) -> None:
        """Take a line."""
        self.lines.append((level, line))

    def info(self, line: str) -> None:
        """Take information."""
        self.log(logging.INFO, line)

    def warning(self, line: str) -> None:
        """Take a warning."""
        self.log(logging.WARNING, line)


@pytest.fixture
def log() -> Any:
    """Where lines go."""
    return Log()


def test_few_partitions_have_all_their_lines(log: Any) -> None:
    """In the order in which they came."""
    lines = RunLines(log, 2)
    lines.log(logging.INFO, "ds_1: 1 file to fetch")
    lines.log(logging.INFO, "ds_1 (a): 1 file fetched")
    lines.count(is_complete=True)
    lines.write()
    assert [line for _, line in log.lines] == ["ds_1: 1 file to fetch", "ds_1 (a): 1 file fetched"]


def test_many_partitions_have_a_line_of_progress_every_two_seconds(log: Any) -> None:
    """A thousand partitions in ten seconds: forty lines, and four of progress."""
    now = [0.0]
    lines = RunLines(log, 1000, clock=lambda: now[0])
    for number in range(1000):
        now[0] = number / 100
        lines.log(logging.INFO, f"ds_{number}: done")
        lines.count(is_complete=number % 2 == 0)
        lines.write()
    progress = [line for _, line in log.lines if "partitions done" in line]
    assert (len(log.lines) - len(progress), len(progress)) == (40, 4)
    assert progress[0] == "201 of 1000 partitions done, 100 of them not complete; ds_200: done"


def test_a_flood_of_warnings_is_cut(log: Any) -> None:
    """A thousand failures are a hundred lines, and one that reports the rest."""
    lines = RunLines(log, 1000)
    for number in range(1000):
        lines.log(logging.ERROR, f"ds_{number}: failed")
    lines.write()
    failures = [line for level, line in log.lines if level >= logging.WARNING]
    assert (len(failures), failures[-1]) == (
        101,
        "More warnings follow, which are not logged one by one.",
    )


def test_other_threads_only_leave_their_lines(log: Any) -> None:
    """They are written when the step's own thread looks."""
    lines = RunLines(log, 2)
    thread = threading.Thread(target=lines.log, args=(logging.WARNING, "slow"))
    thread.start()
    thread.join()
    assert log.lines == []
    lines.write()
    assert log.lines == [(logging.WARNING, "slow")]
