"""The log lines of a step with several partitions: few enough to be read, and to be paid for.

```
lines of the syncs, from any thread ─► waiting ─► written by the step's own thread:
        information ─► the first forty; later only the newest, within the line of progress
        warnings    ─► the first hundred
        progress    ─► one line every two seconds at most
```

A line in Dagster's event log costs as much as the sync of a small partition.
"""

import dataclasses
import logging
import queue
import time
from collections.abc import Callable

import dagster as dg

from roboto_dagster.sync.progress import Log
from roboto_dagster.sync.report import count
from roboto_dagster.text import one_line

_MAX_INFORMATION = 40
_MAX_WARNINGS = 100
_PROGRESS_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class PrefixedLog:
    """A log whose lines start with their partition.

    Attributes:
        to: Dagster's.
        prefix: What each line starts with. Default: nothing.
    """

    to: dg.DagsterLogManager
    prefix: str = ""

    def __call__(self, level: int, line: str) -> None:
        self.to.log(level, f"{self.prefix}{line}")


class RunLines:
    """Writes the lines of one step. For one thread, but for the logs that `log_of` returns.

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

    def log_of(self, partition_key: str | None) -> Log:
        """Return where a partition's sync logs; for any thread."""
        prefix = f"{one_line(partition_key)}: "
        return lambda level, line: self._waiting.put((level, f"{prefix}{line}"))

    def add(self, level: int, line: str, *, is_complete: bool) -> None:
        """Write that a partition has ended.

        Args:
            level: Of `logging`.
            line: How.
            is_complete: Whether all its files are on disk.
        """
        self.write_waiting()
        self._done += 1
        self._failed += not is_complete
        self._is_news = True
        self._write(level, line)
        self._write_progress()

    def write_waiting(self) -> None:
        """Write what the syncs have logged meanwhile, and progress if that is due."""
        while not self._waiting.empty():
            self._write(*self._waiting.get())
        self._write_progress()

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
        else:
            self._newest, self._is_news = line, True

    def _write_progress(self) -> None:
        now = self._clock()
        if not self._is_news or now - self._written_at < _PROGRESS_SECONDS:
            return
        failed = f", {self._failed} of them not complete" if self._failed else ""
        newest = f"; {self._newest}" if self._newest else ""
        line = f"{self._done} of {count(self._total, 'partition')} done{failed}{newest}"
        self._log.info(line)
        self._newest, self._is_news, self._written_at = "", False, now
