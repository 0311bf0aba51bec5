"""Decodes logs in other processes: side by side, and what ends a process ends no run.

```
 decode ─► room for one more? ─► process that is free, or a new one ─► task ─► rows … ─► result
                 waits                                                   │
            cancelled, interrupted ──► process killed                    └─ it died: a failure of the log
 __exit__ ──► all processes killed
```

A single log has a process of its own, too: its messages go to code that is not Python, and to start a process takes 0.3 s,
half of it for libraries that this one would have to load as well.
"""

import collections
import pickle
import threading
from collections.abc import Callable
from types import TracebackType

from typing_extensions import Self

from roboto_dagster.topics.log import LogResult, LogTask, decode_log
from roboto_dagster.topics.processes import affordable_processes
from roboto_dagster.topics.worker_process import WorkerProcess

_POLL_SECONDS = 0.2


class DecodePool:
    """Processes that decode logs; use it in a `with`. Any thread may use it.

    Args:
        processes: How many logs are decoded at once, at most. Default None: as many as the machine affords.

    Attributes:
        size: How many logs are decoded at once, at most.
    """

    def __init__(self, processes: int | None = None) -> None:
        self.size = processes or affordable_processes()
        self._lock = threading.Lock()
        self._here = threading.Lock()
        self._room = threading.Semaphore(self.size)
        self._free: collections.deque[WorkerProcess] = collections.deque()
        self._all: set[WorkerProcess] = set()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_closed = True
            processes = list(self._all)
        for process in processes:
            process.end()

    def decode(
        self,
        task: LogTask,
        on_rows: Callable[[int], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> LogResult:
        """Decode one log in another process when there is room for it; in this one only if there is no other way.

        Args:
            task: What is decoded, how, and to where.
            on_rows: Called with the number of rows as they are decoded. Default: nothing.
            check: Called while the result is waited for; what it raises ends the decoding. Default: nothing.

        Returns:
            What was published, and what failed.
        """
        while not self._room.acquire(timeout=_POLL_SECONDS):
            check()
        try:
            data = _pickled(task)
            result = self._elsewhere(data, on_rows, check) if data is not None else None
            return result or self._decode_here(task, on_rows, check)
        finally:
            self._room.release()

    def _decode_here(
        self, task: LogTask, on_rows: Callable[[int], None], check: Callable[[], None]
    ) -> LogResult:
        """Decode in this process, one log at a time: two would take twice the memory, and no less time."""

        def count(rows: int) -> None:
            check()
            on_rows(rows)

        while not self._here.acquire(timeout=_POLL_SECONDS):
            check()
        try:
            return decode_log(task, count)
        finally:
            self._here.release()

    def _elsewhere(
        self, data: bytes, on_rows: Callable[[int], None], check: Callable[[], None]
    ) -> LogResult | None:
        """Decode in another process; None if that cannot be started, or does not find the decoder."""
        process = self._take()
        if process is None:
            return None
        try:
            result = process.decode(data, on_rows, check)
        except BaseException:
            process.end()
            with self._lock:
                self._all.discard(process)
            raise
        with self._lock:
            if process.is_alive:
                self._free.append(process)
            else:
                self._all.discard(process)
        return result

    def _take(self) -> WorkerProcess | None:
        with self._lock:
            if self._free:
                return self._free.popleft()
        try:
            process = WorkerProcess()
        except OSError:  # no more processes, or no interpreter to start
            return None
        with self._lock:
            if not self._is_closed:
                self._all.add(process)
                return process
        process.end()
        return None


def _pickled(task: LogTask) -> bytes | None:
    """Return a task for another process; None for a decoder that only this one has."""
    if type(task.decoder).__module__ == "__main__":
        return None
    try:
        return pickle.dumps(task)
    except Exception:  # noqa: BLE001 - anybody's decoder: then it is used here
        return None
