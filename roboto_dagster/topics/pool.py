"""Decodes logs side by side in processes: within one process, Python decodes one log at a time.

```
 decode ─► room for one more? ─► process that is free, or a new one ─► task ─► rows … ─► result
                 waits                                                   │
            cancelled, interrupted ──► process killed                    └─ ended by the system: PROCESS_DIED
 __exit__ ──► all processes killed
```

The first `IN_PROCESS_BYTES` are decoded in this process, since starting another one takes half a second. Processes are
started as commands, not by `multiprocessing`, which would run the user's own program again in each.
"""

import collections
import contextlib
import json
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any

from typing_extensions import Self

from roboto_dagster.topics.decoder import TopicFault
from roboto_dagster.topics.log import LogResult, LogTask, decode_log
from roboto_dagster.topics.processes import affordable_processes, are_addresses_limited

IN_PROCESS_BYTES = 32 * 1024 * 1024
"""So many bytes of logs are decoded in this process before others are started."""

_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from roboto_dagster.topics.worker import run_worker
run_worker()
"""
_POLL_SECONDS = 0.2


class DecodePool:
    """Processes that decode logs; use it in a `with`. Any thread may use it.

    Args:
        processes: How many logs are decoded at once, at most. Default None: as many as the machine affords.
        in_process_bytes: So many bytes of logs are decoded in this process before others are started.

    Attributes:
        size: How many logs are decoded at once, at most.
    """

    def __init__(
        self, processes: int | None = None, *, in_process_bytes: int = IN_PROCESS_BYTES
    ) -> None:
        self.size = processes or affordable_processes()
        self._in_process_bytes = in_process_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._here = threading.Lock()
        self._room = threading.Semaphore(self.size)
        self._free: collections.deque[_Process] = collections.deque()
        self._all: set[_Process] = set()
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
        """Decode one log, in this process or another one, when there is room for it.

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
            data = None if self._is_small(task) else _pickled(task)
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

    def _is_small(self, task: LogTask) -> bool:
        with self._lock:
            self._bytes += task.log.size_bytes
            if are_addresses_limited():
                # A new process has more of them to itself, and a decoder that gets none ends its process.
                return False
            return self.size == 1 or self._bytes <= self._in_process_bytes

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

    def _take(self) -> "_Process | None":
        with self._lock:
            if self._free:
                return self._free.popleft()
        try:
            process = _Process()
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


class _Process:
    """One process, for one thread at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _BOOT, json.dumps(sys.path)]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        threading.Thread(
            target=_receive, args=(self._process.stdout, self._answers), daemon=True
        ).start()
        self.is_alive = True

    def decode(
        self, data: bytes, on_rows: Callable[[int], None], check: Callable[[], None]
    ) -> LogResult | None:
        """Decode one log; None if the process does not find the decoder."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - for the type checker
        with contextlib.suppress(OSError):  # it has died: the answer says so
            pickle.dump(data, stdin)
            stdin.flush()
        while True:
            check()
            try:
                kind, value = self._answers.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if kind == "rows":
                on_rows(value)
            elif kind == "done":
                return value if isinstance(value, LogResult) else None
            elif kind == "unknown":
                return None
            else:
                return self._died()

    def _died(self) -> LogResult:
        self.end()
        code = self._process.returncode
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        # 9: the kernel kills a process so when memory runs out.
        hint = ", which the system sends when memory runs out" if code == -9 else ""
        reason = f"the process that decoded the log {ended}{hint}"
        return LogResult(faults=[TopicFault(topic=None, code="PROCESS_DIED", reason=reason)])

    def end(self) -> None:
        """Kill the process, and wait for that."""
        self.is_alive = False
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()


def _receive(source: IO[bytes], answers: "queue.SimpleQueue[tuple[str, Any]]") -> None:
    """Pass answers on until the process ends."""
    with source:
        try:
            while True:
                answers.put(pickle.load(source))  # noqa: S301 - of our own process
        except (EOFError, OSError, pickle.UnpicklingError):
            answers.put(("ended", None))
