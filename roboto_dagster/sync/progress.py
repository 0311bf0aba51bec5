"""Says how a sync gets on, on a time base: one line every few seconds, however many files or
chunks there are.
"""

import logging
import threading
import time
from collections.abc import Callable

from roboto_dagster.errors import DownloadError

Say = Callable[[int, str], None]
"""Takes a level of `logging` and a line; called from any thread."""

MIB = 1024 * 1024

_MAX_RETRY_LINES = 20


class Progress:
    """Counts what arrives and says so.

    Args:
        say: Where the lines go.
        every_seconds: Least time between two lines of progress. Default 10.
        clock: Monotonic seconds.
    """

    def __init__(
        self, say: Say, every_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._every_seconds = every_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._retries = 0
        self.begin(0, 0)

    def begin(self, files: int, size_bytes: int) -> None:
        """Begins to count towards so many files and bytes."""
        self._files, self._bytes = files, size_bytes
        self._files_done = self._bytes_done = 0
        self._started = self._said_at = self._clock()

    def add_bytes(self, count: int) -> None:
        """Counts bytes as they arrive; an `OnProgress` callback."""
        with self._lock:
            self._bytes_done += count
            now = self._clock()
            if now - self._said_at < self._every_seconds:
                return
            self._said_at = now
            line = self._line(now)
        self._say(logging.INFO, line)

    def add_file(self) -> None:
        """Counts a file that has ended."""
        with self._lock:
            self._files_done += 1

    def retry(self, failure: DownloadError, wait_seconds: float) -> None:
        """Says that a request is repeated; an `OnRetry` callback. A flood of them is cut short."""
        with self._lock:
            self._retries += 1
            count = self._retries
        if count < _MAX_RETRY_LINES:
            self._say(logging.WARNING, _retry_line(failure, wait_seconds))
        elif count == _MAX_RETRY_LINES:
            self._say(
                logging.WARNING,
                "More requests are repeated; the manifest has every file's attempts.",
            )

    def _line(self, now: float) -> str:
        seconds = max(now - self._started, 1e-6)
        rate = self._bytes_done / seconds
        left = (
            f", about {_duration((self._bytes - self._bytes_done) / rate)} left" if rate > 0 else ""
        )
        return (
            f"{self._files_done} of {self._files} files, {self._bytes_done / MIB:.1f} of {self._bytes / MIB:.1f} MiB, "
            f"{rate / MIB:.1f} MiB/s{left}"
        )


def _retry_line(failure: DownloadError, wait_seconds: float) -> str:
    name = failure.file["destination_path"].name
    return f"{name}: {failure.code} ({failure.reason}); attempt {failure.attempts + 1} in {wait_seconds:.1f} s"


def _duration(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
