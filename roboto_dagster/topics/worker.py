"""The process in which logs are decoded beside others, one after another; see `pool`.

```
stdin:   tasks, each the pickle of a LogTask, pickled as bytes     closed: nobody waits any more, the process ends
stdout:  ("ready", None), then for each task ("rows", number) … and ("done", LogResult) or ("unknown", why)
```
"""

import os
import pickle
import queue
import signal
import threading
import time
from typing import Any, BinaryIO

from roboto_dagster.topics.log import LogTask, decode_log
from roboto_dagster.topics.processes import are_addresses_limited

_REPORT_EVERY_SECONDS = 0.5


def run_worker() -> None:
    """Decode what comes by stdin until it is closed."""
    spare_addresses()
    # An interrupt by the keyboard reaches all processes of a terminal: the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # What a decoder prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_read, args=(os.fdopen(0, "rb"), tasks), daemon=True).start()
    _send(answers, ("ready", None))
    while True:
        _send(answers, _answer(tasks.get(), answers))


def spare_addresses() -> None:
    """Let Arrow take memory from the system where addresses are limited (`ulimit -v`), unless the user has chosen.

    Its own allocator reserves a gigabyte of addresses at once, for which it never has memory; the codec, which then
    gets none, ends the process. It counts only before pyarrow is imported.
    """
    if are_addresses_limited():
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def _read(source: BinaryIO, tasks: "queue.SimpleQueue[bytes]") -> None:
    """Pass tasks on; end the process when nobody waits for it, also in the middle of a log."""
    try:
        while True:
            tasks.put(pickle.load(source))  # noqa: S301 - from the process that started this one
    except (EOFError, OSError):
        os._exit(0)


def _answer(data: bytes, answers: BinaryIO) -> tuple[str, Any]:
    try:
        task = pickle.loads(data)  # noqa: S301 - as above
    except Exception as error:  # noqa: BLE001 - a decoder whose module is not found here
        return "unknown", f"{type(error).__name__}: {error}"
    return "done", decode_log(task, _Reporter(answers)) if isinstance(task, LogTask) else None


class _Reporter:
    """Reports rows, twice a second at most."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._rows = 0
        self._reported_at = time.monotonic()

    def __call__(self, rows: int) -> None:
        self._rows += rows
        now = time.monotonic()
        if now - self._reported_at >= _REPORT_EVERY_SECONDS:
            _send(self._answers, ("rows", self._rows))
            self._rows, self._reported_at = 0, now


def _send(answers: BinaryIO, answer: tuple[str, Any]) -> None:
    pickle.dump(answer, answers)
    answers.flush()
