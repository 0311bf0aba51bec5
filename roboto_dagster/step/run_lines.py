"""The log lines of a step with several partitions: few enough to be read, and to be paid for.

```
lines of the syncs, from any thread ─► waiting ─► written by the step's own thread:
        information ─► the first forty; later only the newest, within the line of progress
        warnings    ─► the first hundred
        progress    ─► one line every two seconds at most
```

A line in Dagster's event log costs as much as the sync of a small partition.
"""

import logging
import queue
import time
from collections.abc import Callable

import dagster as dg

from roboto_dagster.text import count

_MAX_INFORMATION = 40
_MAX_WARNINGS = 100
_PROGRESS_SECONDS = 2.0


class RunLines:
    """Writes the lines of one step. For one thread, but for `log`.

    Args:
        log: Dagster's.
        total: How many partitions the step has.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        log: dg.DagsterLogManager,
        total: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._total = total
        self._clock = clock
        self._waiting: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._information = self._warnings = 0
        self._done = self._failed = 0
        self._newest = ""
        self._is_news = False
        self._written_at = clock()

    def log(self, level: int, line: str) -> None:
        """Take a line, in any thread.

        Args:
            level: Of `logging`.
            line: The line.
        """
        self._waiting.put((level, line))

    def count(self, *, is_complete: bool) -> None:
        """Count a partition that has ended.

        Args:
            is_complete: Whether all its files are on disk.
        """
        self._done += 1
        self._failed += not is_complete
        self._is_news = True

    def write(self) -> None:
        """Write what was logged since the last call, and progress if that is due."""
        while not self._waiting.empty():
            self._write(*self._waiting.get())
        now = self._clock()
        if self._is_news and now - self._written_at >= _PROGRESS_SECONDS:
            self._log.info(self._progress())
            self._newest, self._is_news, self._written_at = "", False, now

    def _write(self, level: int, line: str) -> None:
        if level >= logging.WARNING:
            self._warnings += 1
            if self._warnings <= _MAX_WARNINGS:
                self._log.log(level, line)
            elif self._warnings == _MAX_WARNINGS + 1:
                self._log.warning("More warnings follow, which are not logged one by one.")
        elif self._information < _MAX_INFORMATION:
            self._information += 1
            self._log.log(level, line)
        elif level >= logging.INFO:
            self._newest, self._is_news = line, True

    def _progress(self) -> str:
        failed = f", {self._failed} of them not complete" if self._failed else ""
        newest = f"; {self._newest}" if self._newest else ""
        return f"{self._done} of {count(self._total, 'partition')} done{failed}{newest}"
