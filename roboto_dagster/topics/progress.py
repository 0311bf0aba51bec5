"""Logs the progress of decoding: one line every few seconds, however many logs or messages there are."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from roboto_dagster.sync.progress import Log, reporting_every
from roboto_dagster.sync.report import duration_text, size_text
from roboto_dagster.text import count


class DecodeProgress:
    """Counts what is decoded, and logs it. Any thread may use it.

    Args:
        log: Where the lines go.
        logs: How many logs are to be decoded.
        size_bytes: Their bytes.
        every_seconds: Time between two lines. Default 10.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        log: Log,
        logs: int,
        size_bytes: int,
        *,
        every_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._logs, self._bytes = logs, size_bytes
        self._logs_done = self._bytes_done = self._rows = 0
        self._every_seconds = every_seconds
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Log a line from time to time while the body runs."""
        with reporting_every(self._every_seconds, self.report):
            yield

    def add_rows(self, rows: int) -> None:
        """Count rows as they are decoded."""
        with self._lock:
            self._rows += rows

    def add_log(self, size_bytes: int) -> None:
        """Count a log that is done, whatever the result."""
        with self._lock:
            self._logs_done += 1
            self._bytes_done += size_bytes

    def report(self) -> None:
        """Log one line about all so far; nothing before the first rows, as while other partitions are decoded."""
        with self._lock:
            line = self._line() if self._rows or self._logs_done else None
        if line is not None:
            self._log(logging.INFO, line)

    def _line(self) -> str:
        rows = f"{count(self._rows, 'row')} in {duration_text(self._clock() - self._started)}"
        if self._logs == 1:
            return f"decoding 1 log of {size_text(self._bytes)}: {rows}"
        share = f" ({100 * self._bytes_done // self._bytes} %)" if self._bytes else ""
        done = f"{size_text(self._bytes_done)} of {size_text(self._bytes)}{share}"
        return f"{self._logs_done} of {self._logs} logs decoded, {done}, {rows}"
