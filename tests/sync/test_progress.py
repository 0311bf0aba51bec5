"""How a sync says how it gets on: by time, not by file or chunk."""

import logging
import pathlib

import pytest

from roboto_dagster import DownloadableFile, DownloadError
from roboto_dagster.sync.progress import MIB, Progress


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at some time."""
    return Clock()


@pytest.fixture
def said() -> list[tuple[int, str]]:
    """What was said."""
    return []


@pytest.fixture
def progress(clock: Clock, said: list[tuple[int, str]]) -> Progress:
    """Progress towards ten files of 100 MiB, a line every ten seconds."""
    progress = Progress(lambda level, line: said.append((level, line)), 10.0, clock)
    progress.begin(10, 100 * MIB)
    return progress


def stalled() -> DownloadError:
    """Return a failure that may heal."""
    file = DownloadableFile(
        bucket_name="b", source_uri="s3://b/k", destination_path=pathlib.Path("logs/a.mcap")
    )
    return DownloadError(file, "STALLED", "no bytes for 15 s", None, 2)


def test_a_line_has_files_bytes_rate_and_time_left(
    progress: Progress, clock: Clock, said: list[tuple[int, str]]
) -> None:
    """One line says all that a waiting human wants to know."""
    clock.now += 10
    progress.add_file()
    progress.add_bytes(20 * MIB)
    line = "1 of 10 files, 20.0 of 100.0 MiB, 2.0 MiB/s, about 40 s left"
    assert said == [(logging.INFO, line)]


def test_lines_come_by_time(
    progress: Progress, clock: Clock, said: list[tuple[int, str]]
) -> None:
    """A hundred thousand chunks in 25 seconds are two lines."""
    for _ in range(100_000):
        clock.now += 25 / 100_000
        progress.add_bytes(1000)
    assert len(said) == 2


def test_a_short_sync_says_nothing(
    progress: Progress, clock: Clock, said: list[tuple[int, str]]
) -> None:
    """What is over before the first line was due needs none."""
    clock.now += 9.9
    progress.add_bytes(100 * MIB)
    assert said == []


def test_bytes_can_be_taken_back(
    progress: Progress, clock: Clock, said: list[tuple[int, str]]
) -> None:
    """What is fetched again is not counted twice, and a rate of nothing promises no time."""
    progress.add_bytes(5 * MIB)
    clock.now += 10
    progress.add_bytes(-5 * MIB)
    assert said == [(logging.INFO, "0 of 10 files, 0.0 of 100.0 MiB, 0.0 MiB/s")]


def test_minutes_are_told_as_minutes(
    progress: Progress, clock: Clock, said: list[tuple[int, str]]
) -> None:
    """A long time is not told in seconds alone."""
    clock.now += 10
    progress.add_bytes(10 * MIB)
    assert said[0][1].endswith("about 1 min 30 s left")


def test_a_retry_is_told(progress: Progress, said: list[tuple[int, str]]) -> None:
    """Which file, what went wrong, which attempt comes and when."""
    progress.retry(stalled(), 1.25)
    line = "a.mcap: STALLED (no bytes for 15 s); attempt 3 in 1.2 s"
    assert said == [(logging.WARNING, line)]


def test_a_flood_of_retries_is_cut_short(
    progress: Progress, said: list[tuple[int, str]]
) -> None:
    """A thousand retries are twenty lines, and the last says where to look."""
    for _ in range(1000):
        progress.retry(stalled(), 0.0)
    assert len(said) == 20
    assert "the manifest has every file's attempts" in said[-1][1]
