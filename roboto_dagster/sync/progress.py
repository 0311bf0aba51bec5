"""Logs the progress of a sync: one line every few seconds, however many files or chunks
there are, and also when nothing arrives. Keeps the bytes that arrived, by time, in bounded memory.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from roboto_dagster.errors import DownloadError
from roboto_dagster.sync.report import Timeline, duration_text, size_text

Log = Callable[[int, str], None]
"""Takes a level of `logging` and a line; called from any thread."""

_MAX_RETRY_LINES = 5


@contextlib.contextmanager
def reporting_every(seconds: float, report: Callable[[], None]) -> Iterator[None]:
    """Call a function from time to time while the body runs, from a thread of its own.

    Args:
        seconds: Time between two calls.
        report: The function.
    """
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(seconds):
            report()

    thread = threading.Thread(target=run, name="roboto-progress", daemon=True)
    try:
        # A signal may come at any line: while the thread starts, and while it is stopped.
        try:
            thread.start()
            yield
        finally:
            stop.set()
    finally:
        stop.set()
        with contextlib.suppress(RuntimeError):  # it never got to run
            thread.join()


class Progress:
    """Counts what arrives, and logs it.

    Args:
        log: Where the lines go.
        every_seconds: Time between two lines of progress. Default 10.
        clock: Monotonic seconds.
        on_report: Called before each line, from the thread that reports.
    """

    def __init__(
        self,
        log: Log,
        every_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        on_report: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._on_report = on_report
        self._every_seconds = every_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._retries = 0
        self.start(0, 0)

    def start(self, files: int, size_bytes: int) -> None:
        """Start to count.

        Args:
            files: How many files are to be fetched.
            size_bytes: Their bytes.
        """
        self._files, self._bytes = files, size_bytes
        self._files_done = self._bytes_done = 0
        self._started = self._reported_at = self._arrived_at = self._clock()
        self._bytes_reported = 0
        self._samples = Samples()

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Log a line from time to time while the body runs: when no bytes arrive, nothing else runs that could log."""
        with reporting_every(self._every_seconds, self._report_again):
            yield

    def _report_again(self) -> None:
        self._on_report()
        self.report()

    def report(self) -> None:
        """Log one line about all so far; the rate is that since the last line."""
        with self._lock:
            now = self._clock()
            line = self._line(now)
            self._reported_at, self._bytes_reported = now, self._bytes_done
        self._log(logging.INFO, line)

    def add_bytes(self, count: int) -> None:
        """Count bytes as they arrive; an `OnProgress` callback."""
        with self._lock:
            now = self._clock()
            self._bytes_done += count
            self._samples.add(now - self._started, count)
            self._arrived_at = now

    def add_files(self, count: int) -> None:
        """Count files that are complete; a negative number takes back what could not be published after all."""
        with self._lock:
            self._files_done += count

    def timeline(self) -> Timeline:
        """Return the bytes that arrived since `start`, by time."""
        with self._lock:
            return self._samples.timeline()

    def retry(self, failure: DownloadError, wait_seconds: float) -> None:
        """Log that a request is repeated; an `OnRetry` callback. A flood of them is cut short.

        Args:
            failure: Why.
            wait_seconds: When it is repeated.
        """
        with self._lock:
            self._retries += 1
            count = self._retries
        if count < _MAX_RETRY_LINES:
            self._log(logging.WARNING, _retry_line(failure, wait_seconds))
        elif count == _MAX_RETRY_LINES:
            self._log(
                logging.WARNING,
                "More requests are repeated; the manifest has every file's attempts.",
            )

    def _line(self, now: float) -> str:
        share = f" ({100 * self._bytes_done // self._bytes} %)" if self._bytes else ""
        return (
            f"{self._files_done} of {self._files} files, {size_text(self._bytes_done)} of "
            f"{size_text(self._bytes)}{share}, {self._pace(now)}"
        )

    def _pace(self, now: float) -> str:
        rate = (self._bytes_done - self._bytes_reported) / max(now - self._reported_at, 1e-6)
        if rate <= 0:
            return f"nothing has arrived for {duration_text(now - self._arrived_at)}"
        left = duration_text((self._bytes - self._bytes_done) / rate)
        return f"{size_text(rate)}/s, about {left} left"


def _retry_line(failure: DownloadError, wait_seconds: float) -> str:
    name = failure.file["destination_path"].name
    return f"{name}: {failure.code} ({failure.reason}); attempt {failure.attempts + 1} in {wait_seconds:.1f} s"


class Samples:
    """Bytes by time: at most so many steps, which double in length whenever they do not suffice, so that
    a run of a second and one of a day take the same memory.

    Args:
        steps: How many at most; an even number.
        step_seconds: Length of the first ones.
    """

    def __init__(self, steps: int = 64, step_seconds: float = 0.01) -> None:
        self._limit = steps
        self._step_seconds = step_seconds
        self._bytes = [0]

    def add(self, seconds: float, count: int) -> None:
        """Add bytes that arrived so many seconds after the start; fewer than none are taken back.

        Args:
            seconds: Time since the start.
            count: How many bytes arrived since the last call.
        """
        while (step := int(seconds / self._step_seconds)) >= self._limit:
            self._halve()
        self._bytes.extend([0] * (step + 1 - len(self._bytes)))
        self._bytes[step] += count

    def _halve(self) -> None:
        pairs = zip(self._bytes[::2], [*self._bytes[1::2], 0], strict=False)
        self._bytes = [one + other for one, other in pairs]
        self._step_seconds *= 2

    def timeline(self) -> Timeline:
        """Return the steps so far."""
        return Timeline(step_seconds=self._step_seconds, bytes_by_step=tuple(self._bytes))
