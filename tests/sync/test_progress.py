"""How a sync reports progress: by time, not by file or chunk."""

import gc
import logging
import pathlib
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster import DownloadableFile, DownloadError
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.sync import progress as progress_module
from roboto_dagster.sync.progress import Progress
from roboto_dagster.sync.report import Timeline


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
def logged() -> list[tuple[int, str]]:
    """What was logged."""
    return []


@pytest.fixture
def progress(clock: Clock, logged: list[tuple[int, str]]) -> Progress:
    """Progress towards ten files of 100 MiB, a line every ten seconds."""
    progress = Progress(lambda level, line: logged.append((level, line)), 10.0, clock)
    progress.start(10, 100 * MIB)
    return progress


def stalled() -> DownloadError:
    """Return a retryable failure."""
    file = DownloadableFile(
        bucket_name="b", source_uri="s3://b/k", destination_path=pathlib.Path("logs/a.mcap")
    )
    return DownloadError(file, "STALLED", "no bytes for 15 s", None, 2)


def test_a_line_has_files_bytes_rate_and_time_left(
    progress: Progress, clock: Clock, logged: list[tuple[int, str]]
) -> None:
    """One line has all that a waiting person wants to know."""
    clock.now += 10
    progress.add_files(1)
    progress.add_bytes(20 * MIB)
    progress.report()
    line = "1 of 10 files, 20.0 MiB of 100.0 MiB (20 %), 2.0 MiB/s, about 40 s left"
    assert logged == [(logging.INFO, line)]


def test_the_rate_is_that_since_the_last_line(
    progress: Progress, clock: Clock, logged: list[tuple[int, str]]
) -> None:
    """A store that has become slow shows at once, and so does what that means for the end."""
    for mib in (50, 10):
        clock.now += 10
        progress.add_bytes(mib * MIB)
        progress.report()
    assert logged[-1][1].endswith("(60 %), 1.0 MiB/s, about 40 s left")


def test_silence_is_reported(
    progress: Progress, clock: Clock, logged: list[tuple[int, str]]
) -> None:
    """Where bytes stop coming the lines go on, and report since when."""
    progress.add_bytes(20 * MIB)
    progress.report()
    clock.now += 90
    progress.report()
    assert logged[-1][1].endswith(
        "20.0 MiB of 100.0 MiB (20 %), nothing has arrived for 1 min 30 s"
    )


def test_bytes_can_be_taken_back(
    progress: Progress, clock: Clock, logged: list[tuple[int, str]]
) -> None:
    """What is fetched again is not counted twice."""
    progress.add_bytes(5 * MIB)
    clock.now += 10
    progress.add_bytes(-5 * MIB)
    progress.report()
    assert logged[0][1].startswith("0 of 10 files, 0 B of 100.0 MiB (0 %)")


def test_nothing_to_fetch_is_no_division(clock: Clock, logged: list[tuple[int, str]]) -> None:
    """Files without bytes have neither share nor rate."""
    Progress(lambda level, line: logged.append((level, line)), 10.0, clock).report()
    assert logged[0][1] == "0 of 0 files, 0 B of 0 B, nothing has arrived for 0.0 s"


def test_lines_come_by_time_alone() -> None:
    """While it runs, a thread reports; nobody has to call it for every byte."""
    reported = threading.Event()
    progress = Progress(lambda _level, _line: reported.set(), every_seconds=0.001)
    with progress.reporting():
        assert reported.wait(60)


def test_a_short_sync_logs_nothing(progress: Progress, logged: list[tuple[int, str]]) -> None:
    """What is over before the first line was due needs none, and waits for none."""
    with progress.reporting():
        progress.add_bytes(100 * MIB)
    assert logged == []


def interrupted_at(line: int, body: Callable[[], None]) -> bool:
    """Run something and interrupt it at a line of starting or stopping; return whether there was such a line."""
    seen = 0

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if frame.f_globals.get("__name__") != progress_module.__name__:
            return None  # in the standard library it would leave locks behind
        if event == "line":
            seen += 1
            if seen == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        body()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_at_any_line_leaves_no_thread() -> None:
    """A signal may come while the thread starts, or while it stops."""
    progress = Progress(lambda _level, _line: None, every_seconds=60.0)

    def body() -> None:
        with progress.reporting():
            pass

    line = 1
    gc.freeze()  # so that each collection looks at what the test made, not at all that was imported
    try:
        while interrupted_at(line, body):
            line += 1
            gc.collect()
            for thread in progress_threads():
                thread.join(60)  # it has been asked to end
            assert not progress_threads(), f"interrupted at line {line}"
    finally:
        gc.unfreeze()
    assert line > 8


def test_an_interrupt_in_the_start_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread runs by then, and nobody has recorded that."""
    start = threading.Thread.start

    def start_and_interrupt(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    progress = Progress(lambda _level, _line: None, every_seconds=60.0)
    with pytest.raises(KeyboardInterrupt), progress.reporting():
        pass
    assert not progress_threads()


def progress_threads() -> list[threading.Thread]:
    """Return the threads that go on logging."""
    return [each for each in threading.enumerate() if each.name == "roboto-progress"]


def test_samples_are_as_fine_as_the_run_is_short(progress: Progress, clock: Clock) -> None:
    """A run of a tenth of a second is still reported in ten steps."""
    for _ in range(10):
        progress.add_bytes(1000)
        clock.now += 0.01
    assert progress.timeline() == Timeline(step_seconds=0.01, bytes_by_step=(1000,) * 10)


def test_samples_of_a_long_run_are_as_few(progress: Progress, clock: Clock) -> None:
    """A day of chunks is at most 64 numbers, and no byte of them is lost."""
    for _ in range(86_400):
        progress.add_bytes(1000)
        clock.now += 1
    timeline = progress.timeline()
    assert 32 <= len(timeline.bytes_by_step) <= 64
    assert sum(timeline.bytes_by_step) == 86_400_000


def test_a_pause_is_a_gap(progress: Progress, clock: Clock) -> None:
    """Steps in which nothing arrived are there, with nothing."""
    progress.add_bytes(1)
    clock.now += 0.035
    progress.add_bytes(2)
    assert progress.timeline().bytes_by_step == (1, 0, 0, 2)


def test_a_retry_is_logged(progress: Progress, logged: list[tuple[int, str]]) -> None:
    """Which file, what went wrong, which attempt comes and when."""
    progress.retry(stalled(), 1.25)
    line = "a.mcap: STALLED (no bytes for 15 s); attempt 3 in 1.2 s"
    assert logged == [(logging.WARNING, line)]


def test_a_flood_of_retries_is_cut_short(progress: Progress, logged: list[tuple[int, str]]) -> None:
    """A thousand retries are five lines, and the last names where to look."""
    for _ in range(1000):
        progress.retry(stalled(), 0.0)
    assert len(logged) == 5
    assert "the manifest has every file's attempts" in logged[-1][1]
