"""Drives the core without sockets: what may happen next happens in an order that the dice draw.

```
launch a request │ deliver a chunk │ end a worker's task │ let time pass until something is due
```
"""

import concurrent.futures
import json
import pathlib
import random
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

from roboto_dagster.disk.abandoned import RUNS
from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.answers import shortfall
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.object_store import Transfer
from roboto_dagster.fs.retry import RetryConfig
from tests.simulation.store import Answer, ModelStore

T = TypeVar("T")

PART_BYTES = 64
ATTEMPTS = 4
CONNECTIONS = 4
MAX_STEPS = 200_000
DEAD_PID = 2**31 - 1
"""A number that no process has: Linux gives none above 2**22."""

_BROKEN = Failure(code="CONNECTION", reason="simulated")


class Exchange:
    """One request that is under way, and what has come of its answer."""

    def __init__(self, request: RangeRequest, answer: Answer) -> None:
        self.request = request
        self.answer = answer
        self.is_judged = False
        self.body = b""


class ModelDriver:
    """A driver of the core; see the module.

    Args:
        store: What answers.
        dice: What happens next.
        folder: Where files are published.
    """

    def __init__(self, store: ModelStore, dice: random.Random, folder: pathlib.Path) -> None:
        self._store = store
        self._dice = dice
        self._folder = folder
        self._tasks: list[Callable[[], None]] = []
        self._exchanges: list[Exchange] = []
        self.now = 1000.0
        policy = RetryConfig(max_attempts=ATTEMPTS, wait_initial_seconds=1.0, wait_max_seconds=10.0)
        settings = S3Settings(part_size_bytes=PART_BYTES, retry=policy)
        cache = CredentialCache(
            self._credentials, clock=lambda: self.now, in_background=self._tasks.append
        )
        self._state = StoreState(settings, cache, connections=CONNECTIONS)
        self.core = Coordinator(self._state, self, bytes_in_flight=1 << 20)

    def _credentials(self) -> Any:
        return {
            "access_key": "simulated",
            "secret_key": "simulated",
            "token": str(self._store.generation),
            "region": "us-east-1",
            "expiry_time": None,
        }

    def get(self, key: str, expected_size: int | None) -> Transfer:
        """Starts a download."""
        transfer = Transfer(lambda _: None)
        download = Download(
            transfer,
            f"s3://bucket/{key}",
            "bucket",
            key,
            self._folder / key,
            within=self._folder,
            before_publish=None,
            expected_size=expected_size,
            on_progress=None,
            part_size=PART_BYTES,
            verify="auto",
        )
        self.core.files.add(download)
        return transfer

    def run(self, *, steps: int = MAX_STEPS) -> bool:
        """Goes on until every file has ended; False if there were more steps than allowed."""
        for _ in range(steps):
            if not self.core.files.open:
                self.core.close()
                return True
            self._step()
        return False

    def kill(self, copy: pathlib.Path) -> None:
        """Leaves in `copy` what a SIGKILL now would leave in the folder, and lets go of everything.

        Args:
            copy: A folder that does not exist yet. Its records name a process that is dead.
        """
        shutil.copytree(self._folder, copy, symlinks=True)
        for record in (copy / RUNS).glob("*"):
            owner, *rest = record.read_text("utf-8").splitlines()
            dead = json.dumps({**json.loads(owner), "pid": DEAD_PID})
            record.write_text("\n".join([dead, *rest, ""]), encoding="utf-8")
        self.core.files.cancel(lambda _: True)
        while self._tasks:
            self._tasks.pop()()
        self.core.close()

    # For the core

    def abort(self, download: Download) -> None:
        """Ends the requests of a file."""
        for exchange in [one for one in self._exchanges if one.request.download is download]:
            self._exchanges.remove(exchange)
            self.core.released(exchange.request)

    def run_in_worker(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None], /
    ) -> None:
        """Does the work now, and reports its end whenever the dice decide."""
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - given to the core
            done.set_exception(error)
        self._tasks.append(lambda: then(done))

    # What may happen

    def _step(self) -> None:
        self.now += 0.001
        possible: list[Callable[[], None]] = []
        if len(self._exchanges) < int(self._state.throttle.limit):
            possible.append(self._launch)
        possible += [self._deliver] * len(self._exchanges)
        if self._tasks:
            possible.append(self._end_task)
        self._dice.choice(possible)()

    def _launch(self) -> None:
        request = self.core.next(self.now)
        if request is not None:
            self._exchanges.append(Exchange(request, self._store.answer(request)))
        elif not self._exchanges and not self._tasks:
            due = max(self.core.scheduler.next_due, self._state.throttle.not_before)
            self.now = due if self.now < due < float("inf") else self.now + 0.1

    def _end_task(self) -> None:
        self._tasks.pop(self._dice.randrange(len(self._tasks)))()

    def _deliver(self) -> None:
        exchange = self._dice.choice(self._exchanges)
        request = exchange.request
        outcome: Failure | str | None
        try:
            outcome = self._next_of(exchange)
        except Exception as error:  # noqa: BLE001 - as drivers do
            outcome = local_failure(request.download.file, error)
        if outcome == "more" or exchange not in self._exchanges:
            return
        self._exchanges.remove(exchange)
        self.core.released(request)
        if outcome is None:
            self.core.completed(request, self.now)
        else:
            assert isinstance(outcome, Failure)
            self.core.failed(request, outcome, self.now)

    def _next_of(self, exchange: Exchange) -> Failure | str | None:
        """Takes the next chunk in; returns `more`, or how the request ended."""
        request, head = exchange.request, exchange.answer.head
        if not exchange.is_judged:
            exchange.is_judged = True
            if head.status == 0:
                return _BROKEN
            is_good = 200 <= head.status < 300
            return (self.core.validate_response(request, head) if is_good else None) or "more"
        chunk = next(exchange.answer.body, b"")
        if head.status >= 300:
            exchange.body += chunk or b""
            return "more" if chunk else failure_of_answer(head, exchange.body)
        if chunk and request.write(chunk):
            return "more"
        if request.is_complete:
            return None
        return _BROKEN if chunk is None else shortfall(request)


def error_of(transfer: Transfer) -> DownloadError | None:
    """Returns why a transfer failed."""
    error = transfer.exception(0)
    assert error is None or isinstance(error, DownloadError), error
    return error
