"""Drives the core without sockets: what may happen next happens in an order that the dice draw.

```
launch a request │ deliver a chunk │ do a worker's task │ end it │ let time pass until something is due
```
"""

import collections
import concurrent.futures
import errno
import os
import pathlib
import random
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.answers import shortfall
from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.settings import S3Settings, Verify
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.object_store import Receipt, Transfer
from roboto_dagster.fs.retry import RetryConfig
from tests.simulation.ledger import Ledger
from tests.simulation.store import Answer, ModelStore

T = TypeVar("T")

PART_BYTES = 64
ATTEMPTS = 4
CONNECTIONS = 4
MAX_STEPS = 20_000
MAX_CALLS = 1_000

_DURABLE = 0.03
"""How many lives flush what they write: few, since it takes longer than all else."""

_BROKEN = Failure(code="CONNECTION", reason="simulated")


class ModelTransfer(Transfer):
    """A transfer that has one outcome.

    Attributes:
        file: Its file.
        place: Where it is published.
        progress_bytes: What was reported of it.
        is_refused: Whether the caller does not let it be published.
        before: What was read from the open file before it was published, and what lay in its place then.
    """

    __slots__ = ("before", "file", "is_refused", "place", "progress_bytes")

    def __init__(self, file: str, place: pathlib.Path) -> None:
        super().__init__(lambda _: None)
        self.file = file
        self.place = place
        self.progress_bytes = 0
        self.before: tuple[Receipt, os.stat_result, bytes | None] | None = None
        self.is_refused = False

    def succeed(self, receipt: Receipt) -> None:
        """Ends it well."""
        assert not self.done(), "two outcomes for one file"
        super().succeed(receipt)

    def fail(self, error: BaseException) -> None:
        """Ends it with an error."""
        assert not self.done(), "two outcomes for one file"
        super().fail(error)

    def add_progress(self, count: int) -> None:
        """Counts bytes."""
        self.progress_bytes += count

    def before_publish(
        self, receipt: Receipt, status: os.stat_result, in_place: os.stat_result | None
    ) -> None:
        """Looks at the place, which must not have the new file yet."""
        assert self.before is None, "a file is published twice"
        there = self.place.read_bytes() if self.place.exists() else None
        assert (in_place is None) == (there is None)
        self.before = (receipt, status, there)
        if self.is_refused:
            raise FileExistsError(errno.EEXIST, "simulated")

    def before_renames(self) -> None:
        """Looks at the place once more, which still must not have the new file."""
        assert self.before is not None, "a file is renamed that nobody was asked about"
        assert not self.done()
        assert (self.place.read_bytes() if self.place.exists() else None) == self.before[2]

    @property
    def error(self) -> DownloadError | None:
        """Why it failed."""
        error = self.exception(0)
        assert error is None or isinstance(error, DownloadError), error
        return error


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
        ledger: Judges what is asked for.

    Attributes:
        transfers: The files that were asked for, by their keys.
        trace: What happened last.
        verify: How contents are checked in this life.
        provider_calls: How often credentials were asked for.
    """

    def __init__(
        self, store: ModelStore, dice: random.Random, folder: pathlib.Path, ledger: Ledger
    ) -> None:
        self._store = store
        self._dice = dice
        self._folder = folder
        self._ledger = ledger
        self._tasks: list[Callable[[], None]] = []
        self._exchanges: list[Exchange] = []
        self.transfers: dict[str, ModelTransfer] = {}
        self.trace: collections.deque[tuple[object, ...]] = collections.deque(maxlen=60)
        self.provider_calls = 0
        self.verify: Verify = dice.choice(["auto", "auto", "auto", "size", "checksum"])
        self.now = 1000.0
        policy = RetryConfig(max_attempts=ATTEMPTS, wait_initial_seconds=1.0, wait_max_seconds=10.0)
        settings = S3Settings(
            part_size_bytes=PART_BYTES,
            retry=policy,
            verify=self.verify,
            durability="file" if dice.random() < _DURABLE else "none",
        )
        cache = CredentialCache(
            self._credentials,
            clock=lambda: self.now,
            in_background=self._tasks.append,
            retry=policy,
            pause=self._pause,
        )
        self._state = StoreState(settings, cache, connections=CONNECTIONS)
        # In a third of the histories that a seed names turns are longer than a step, chosen without the dice: in all
        # others, those of `LATE` among them, everything happens as it does without.
        name = folder.name
        self._has_long_turns = name.isdigit() and zlib.crc32(name.encode()) % 3 == 1
        self.core = Coordinator(self._state, self, bytes_in_flight=BytesInFlight(1 << 20))

    def _credentials(self) -> Any:
        self.provider_calls += 1
        if self._dice.random() < self._store.rules.provider:
            self.trace.append(("the provider fails",))
            raise OSError("simulated")
        return {
            "access_key": "simulated",
            "secret_key": "simulated",
            "token": str(self._store.generation),
            "region": "us-east-1",
            "expiry_time": None,
        }

    def _pause(self, seconds: float) -> bool:
        assert self.provider_calls < MAX_CALLS, "the provider is asked without end"
        self.now += seconds
        return False

    def get(self, key: str, expected_size: int | None) -> None:
        """Starts a download."""
        transfer = self.transfers[key] = ModelTransfer(key, self._folder / key)
        download = Download(
            transfer,
            f"s3://bucket/{key}",
            "bucket",
            key,
            self._folder / key,
            within=self._folder,
            before_publish=transfer.before_publish,
            before_renames=transfer.before_renames,
            expected_size=expected_size,
            on_progress=transfer.add_progress,
            part_size=PART_BYTES,
            verify=self.verify,
        )
        self.core.files.add(download)

    def run(self, *, steps: int = MAX_STEPS) -> bool:
        """Goes on until every file has ended; False if there were more steps than allowed."""
        for _ in range(steps):
            if not self.core.files.open:
                self._end()
                return True
            self._step()
        return False

    def cancel(self, key: str) -> None:
        """Cancels a file."""
        self.trace.append(("cancel", key))
        self.core.files.cancel(lambda download: download.key == key)

    def let_go(self) -> None:
        """Closes everything, as the kernel does after a SIGKILL."""
        self.core.files.cancel(lambda _: True)
        self._end()

    def _end(self) -> None:
        assert not self._exchanges, "a connection is left behind"
        self.core.publish_waiting()
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
        """Does the work at once or later, and reports its end later still."""

        def do() -> None:
            done: concurrent.futures.Future[T] = concurrent.futures.Future()
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - given to the core
                done.set_exception(error)
            self._tasks.append(lambda: then(done))

        if self._dice.random() < 0.5:
            do()
        else:
            self._tasks.append(do)

    # What may happen

    def _step(self) -> None:
        self.now += 0.001
        possible: list[Callable[[], None]] = []
        if len(self._exchanges) < int(self._state.throttle.limit):
            possible.append(self._launch)
        possible += [self._deliver] * len(self._exchanges)
        if self._tasks:
            possible.append(self._end_task)
        if self._has_long_turns:
            possible.append(self.core.publish_waiting)
        self._dice.choice(possible)()
        if not self._has_long_turns:
            self.core.publish_waiting()
        for key, transfer in self.transfers.items():
            if transfer.done():
                self._ledger.ended(key)

    def _launch(self) -> None:
        request = self.core.next(self.now)
        if request is not None:
            self.trace.append(("ask", request.download.key, request.position, request.stop))
            under_way = [each.request for each in self._exchanges]
            self._ledger.asked(request, under_way, self.now)
            self._exchanges.append(Exchange(request, self._store.answer(request)))
        elif not self._exchanges and not self._tasks:
            due = max(self.core.due, self._state.throttle.not_before)
            self.now = due if self.now < due < float("inf") else self.now + 0.1

    def _end_task(self) -> None:
        self._tasks.pop(self._dice.randrange(len(self._tasks)))()

    def _deliver(self) -> None:
        exchange = self._dice.choice(self._exchanges)
        request = exchange.request
        outcome: Failure | str | None
        try:
            outcome = self._next_of(exchange)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - as drivers do
            outcome = local_failure(request.download.file, error)
        if outcome == "more" or exchange not in self._exchanges:
            return
        self._exchanges.remove(exchange)
        self.core.released(request)
        if outcome is None:
            self.trace.append(("complete", request.download.key, request.start, request.position))
            self._ledger.completed(request)
            self.core.completed(request, self.now)
        else:
            assert isinstance(outcome, Failure)
            self.trace.append(("fail", request.download.key, request.position, outcome.reason))
            self._ledger.failed(request, outcome, self.now)
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
            exchange.body += b"" if isinstance(chunk, str) else chunk
            is_over = not chunk or isinstance(chunk, str)
            return failure_of_answer(head, exchange.body) if is_over else "more"
        return self._take(request, chunk)

    def _take(self, request: RangeRequest, chunk: bytes | str) -> Failure | str | None:
        """Writes a chunk of a good answer."""
        if isinstance(chunk, str):
            code: Any = chunk
            return None if request.is_complete else Failure(code=code, reason="simulated")
        start = request.position
        wants_more = bool(chunk) and request.write(chunk)
        self._ledger.received(request, start)
        if wants_more:
            return "more"
        return None if request.is_complete else shortfall(request)
