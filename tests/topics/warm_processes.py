"""Lets tests share processes that decode logs: to start one takes longer than most of these tests."""

import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from roboto_dagster.topics import pool
from roboto_dagster.topics.worker_process import WorkerProcess


class WarmProcess(WorkerProcess):
    """A process that goes back to the others when a pool ends it, unless it is in the middle of a log."""

    idle: ClassVar[list["WarmProcess"]] = []
    is_busy = False

    def decode(self, *given: Any) -> Any:
        """Decode one log; one that was ended by an error is still busy."""
        self.is_busy = True
        result = super().decode(*given)
        self.is_busy = False
        return result

    def end(self) -> None:
        """Keep it if it can be used again."""
        if self.is_busy or not self.is_alive:
            super().end()
        else:
            self.idle.append(self)


@pytest.fixture(scope="session")
def warm_process() -> Iterator[Callable[[], WorkerProcess]]:
    """Return what takes a process that has started, or starts one; a fork of this process has none of its own."""
    owner = os.getpid()

    def taken() -> WorkerProcess:
        if os.getpid() != owner:
            return WorkerProcess()
        return WarmProcess.idle.pop() if WarmProcess.idle else WarmProcess()

    yield taken
    while WarmProcess.idle:
        process = WarmProcess.idle.pop()
        process.is_busy = True
        process.end()


@pytest.fixture(autouse=True)
def warm_processes(
    warm_process: Callable[[], WorkerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give all pools of this process such processes."""
    monkeypatch.setattr(pool, "WorkerProcess", warm_process)
