"""A process that decodes logs, started as a command: `multiprocessing` would run the user's own program again in it.

```
 started ─► ready ─► task ─► rows … ─► done, unknown ─► task …
    └─ exit code ─► the log is decoded without it   └─ PROCESS_DIED, DECODER_FAILED
```
"""

import contextlib
import json
import logging
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from roboto_dagster.topics.decoder import TopicFault
from roboto_dagster.topics.log import LogResult

logger = logging.getLogger(__name__)

_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from roboto_dagster.topics.worker import run_worker
run_worker()
"""
_POLL_SECONDS = 0.2
_KILLED = 9
# Not SIGABRT: a library that gets no memory may end its process so.
_CRASHES = frozenset(
    {
        getattr(signal, name, 0)
        for name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGTRAP")
    }
    - {0}
)


class WorkerProcess:
    """One process, for one thread at a time.

    Raises:
        OSError: It cannot be started.
    """

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
        """Whether it can decode another log."""
        self._is_ready = False

    def decode(
        self, data: bytes, on_rows: Callable[[int], None], check: Callable[[], None]
    ) -> LogResult | None:
        """Decode one log; None if the process does not find the decoder, or this package.

        Args:
            data: The pickle of a `LogTask`.
            on_rows: Called with the number of rows as they are decoded.
            check: Called while the result is waited for; the process must be ended after what it raises.
        """
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
            if kind == "ready":
                self._is_ready = True
            elif kind == "rows":
                on_rows(value)
            elif kind == "done":
                return value if isinstance(value, LogResult) else None
            elif kind == "unknown":
                return None
            else:
                return self._died()

    def _died(self) -> LogResult | None:
        """Return the failure of the log; None if the process has not even started to work."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_POLL_SECONDS)  # it has closed its output, and ends
        self.end()
        code = self._process.returncode
        if code > 0 and not self._is_ready:
            logger.warning("The process that decodes logs ended at its start with code %s", code)
            return None
        return LogResult(faults=[_fault(code)])

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


def _fault(code: int) -> TopicFault:
    """Return why a log has no result.

    Args:
        code: Of the process that decoded it; below 0 the number of a signal.
    """
    ended, hint = f"ended with exit code {code}", ""
    if code < 0:
        ended = f"was ended by signal {-code}"
        with contextlib.suppress(ValueError):  # not all have names
            ended += f" ({signal.Signals(-code).name})"
    if -code == _KILLED:
        hint = ", which the system sends when memory runs out"
    is_crash = -code in _CRASHES
    if is_crash:
        hint = ": a library crashed"
    reason = f"the process that decoded the log {ended}{hint}"
    return TopicFault(
        topic=None, code="DECODER_FAILED" if is_crash else "PROCESS_DIED", reason=reason
    )
