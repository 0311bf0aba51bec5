"""The lines about the progress of decoding."""

import itertools
import time

from roboto_dagster.topics.progress import DecodeProgress


def progress_of(logs: int, size_bytes: int) -> tuple[DecodeProgress, list[str]]:
    """Return a progress whose clock goes on by ten seconds at each look, and its lines."""
    lines: list[str] = []
    clock = itertools.count(0.0, 10.0)
    progress = DecodeProgress(
        lambda _, line: lines.append(line), logs, size_bytes, clock=lambda: next(clock)
    )
    return progress, lines


def test_logs_bytes_and_rows_are_counted() -> None:
    """Of several logs, those that are done."""
    progress, lines = progress_of(2, 4096)
    progress.add_rows(1)
    progress.report()
    progress.add_log(1024)
    progress.add_rows(4)
    progress.report()
    assert lines == [
        "0 of 2 logs decoded, 0 B of 4.0 KiB (0 %), 1 row in 10 s",
        "1 of 2 logs decoded, 1.0 KiB of 4.0 KiB (25 %), 5 rows in 20 s",
    ]


def test_of_one_log_the_rows_are_counted() -> None:
    """How much of it is read is not known."""
    progress, lines = progress_of(1, 4096)
    progress.add_rows(7)
    progress.report()
    assert lines == ["decoding 1 log of 4.0 KiB: 7 rows in 10 s"]


def test_nothing_is_logged_before_the_first_rows() -> None:
    """A partition that waits for others has nothing to report."""
    progress, lines = progress_of(2, 4096)
    progress.report()
    assert lines == []


def test_lines_come_by_themselves() -> None:
    """From a thread of its own, while the decoder is busy."""
    lines: list[str] = []
    progress = DecodeProgress(lambda _, line: lines.append(line), 1, 1, every_seconds=0.001)
    progress.add_rows(1)
    with progress.reporting():
        while not lines:
            time.sleep(0.001)
    assert lines[0].startswith("decoding 1 log")
