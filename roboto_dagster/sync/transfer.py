"""Fetches what is planned, through one `DownloadSession` for each association and bucket, in attempts.

```
to fetch ─► attempt 1 ─┬─ published ──► fetched
                       ├─ conflict with another run ──► resolved (see `publisher`)
                       ├─ every file would fail at once (`EngineStore.standstill`) ──► the rest fails untried, all at once
                       ├─ transient failure ──► attempt 2, 3 … until `max_attempts` or the deadline ──► failed
                       └─ permanent failure ──► failed
```
"""

import contextlib
import functools
import inspect
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import tenacity

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import ConfigurationError, DownloadError
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.download_errors import as_download_error
from roboto_dagster.fs.object_store import FutureLike, ObjectStore
from roboto_dagster.sync.conflicts import ConflictResolver
from roboto_dagster.sync.downloads import (
    Downloads,
    Get,
    planned_of,
    published_by_store,
    start,
)
from roboto_dagster.sync.inventory import Inventory, PlannedFile, Source
from roboto_dagster.sync.local import is_as_published
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.outcomes import FetchedFile, Outcomes
from roboto_dagster.sync.progress import Log, Progress
from roboto_dagster.sync.publish_log import PublishLog
from roboto_dagster.sync.publisher import Published, Publisher
from roboto_dagster.sync.report import Timeline, TransferAttempt
from roboto_dagster.sync.sessions import Sessions
from roboto_dagster.text import count
from roboto_dagster.types import DownloadableFile

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

_NOTED_TOGETHER = 500


class TransferPhase:
    """Fetches what is planned, in attempts: each repeats what failed transiently in the one before.

    Args:
        inventory: The files.
        settings: From where, to where, and how often.
        sessions: Makes the sessions.
        log: The publish log.
        resolver: Decides about files that another run published meanwhile.

    Attributes:
        bytes_fetched: Bytes of all files that were published.
        attempts: The attempts so far.
    """

    def __init__(
        self,
        inventory: Inventory,
        settings: SyncSettings,
        sessions: Sessions,
        log: PublishLog,
        resolver: ConflictResolver,
    ) -> None:
        self._inventory = inventory
        self._outcomes = Outcomes(inventory)
        self._settings = settings
        self._sessions = sessions
        self._resolver = resolver
        self._progress = Progress(settings.log, on_report=log.beat)
        self._publisher = Publisher(log, self._progress)
        self._downloads = Downloads(settings.destination)
        self._failed_now = self._failures_seen = 0
        self._fetched: list[FetchedFile] = []
        self._conflicts: list[int] = []
        self._unusable: ConfigurationError | None = None
        self.bytes_fetched = 0
        self.attempts: list[TransferAttempt] = []

    def run(self) -> None:
        """Fetch everything, as far as the retry policy goes.

        Raises:
            ConfigurationError: No file could be fetched, because of a setting.
        """
        work = {source: self._inventory.to_fetch(source) for source in self._inventory.sources()}
        self._progress.start(*self._inventory.totals("fetch"))
        repeat = self._settings.retry.retrying().copy(
            retry=tenacity.retry_if_result(bool),
            retry_error_callback=lambda _: None,  # giving up is no error: the failures are noted
            # Without this phase: tenacity's objects are cycles, which would keep it, and a run's client with it, until the
            # garbage collector comes.
            before_sleep=functools.partial(_log_wait, self._settings.log, self.attempts),
            sleep=tenacity.sleep_using_event(self._settings.cancellation.event),
        )
        if work:
            with self._progress.reporting():
                repeat(self._attempt, work)
            self._settings.cancellation.check()
        if self._unusable is not None and not self._outcomes.count("fetched"):
            raise self._unusable

    @property
    def timeline(self) -> Timeline:
        """The bytes that arrived, by time."""
        return self._progress.timeline()

    def _attempt(self, work: dict[Source, Sequence[int]]) -> bool:
        """Fetch from every source in turn, and leave in `work` what deserves another attempt.

        Returns:
            Whether there is any.
        """
        self._settings.cancellation.check()
        started, bytes_before = time.monotonic(), self.bytes_fetched
        files, self._failed_now, self._failures_seen = sum(map(len, work.values())), 0, 0
        try:
            for source, numbers in work.items():
                self._fetch(source, numbers)
        finally:
            self._note_unsettled()
            self._note_all_fetched()
        self._resolve_conflicts()
        for source in work:
            work[source] = self._outcomes.to_retry(source, self._settings.retry.max_attempts)
        self.attempts.append(
            TransferAttempt(
                number=len(self.attempts) + 1,
                files=files,
                failed=self._failed_now,
                bytes_fetched=self.bytes_fetched - bytes_before,
                duration_seconds=time.monotonic() - started,
            )
        )
        return any(work.values())

    def _fetch(self, source: Source, numbers: Sequence[int]) -> None:
        """Fetch files of one association and bucket through one session; failures are noted, not raised."""
        if not numbers:
            return
        first_uri = next(self._inventory.files(numbers[:1])).remote.uri
        opened: list[ObjectStore] = []
        # Every member of the group that the session raises was noted in `_settled`.
        with contextlib.suppress(ExceptionGroup), contextlib.ExitStack() as stack:
            try:
                session = self._sessions.make(
                    source.association_id, self._items(numbers, opened), self._settled
                )
                store = stack.enter_context(
                    self._sessions.open_store(session, first_uri, self._progress.retry)
                )
            except Exception as error:  # noqa: BLE001 -- any store may ask for credentials, or more, at once
                if isinstance(error, ConfigurationError):  # other sources may well work
                    self._unusable = self._unusable or error
                self._fail_all(numbers, error)
                return
            opened.append(store)
            stack.enter_context(session)
            stack.enter_context(self._settings.cancellation.covering(session))
            get = self._getter(store)
            for file in session:
                self._settings.cancellation.check()
                session.register_download(file, start(get, file))

    def _items(
        self, numbers: Sequence[int], opened: Sequence[ObjectStore]
    ) -> Iterator[DownloadableFile]:
        """Yield the files as long as there is any point in asking for one; what is left then fails together.

        Args:
            numbers: The files.
            opened: Their store, once the first of them is wanted.
        """
        for position, planned in enumerate(self._inventory.files(numbers)):
            failure = self._standstill(opened[0])
            if failure is not None:
                self._fail_rest(numbers[position:], planned, failure)
                return
            yield self._downloads.of(planned)

    def _standstill(self, store: ObjectStore) -> Failure | None:
        """Return why all files fail, asked for only after some have; stores that others wrote need not know."""
        if self._failed_now == self._failures_seen:
            return None
        self._failures_seen = self._failed_now
        failure = getattr(store, "standstill", None)
        return failure if isinstance(failure, Failure) else None

    def _fail_rest(self, numbers: Sequence[int], first: PlannedFile, failure: Failure) -> None:
        self._settings.log(
            logging.WARNING,
            f"{count(len(numbers), 'file')} not tried for now, since each would fail: {failure.code} ({failure.reason})",
        )
        self._note_failed(numbers, failure.error(self._downloads.of(first), attempts=0))

    def _getter(self, store: ObjectStore) -> Get:
        """Return how this store is asked for a file: our engines use what is known of it, others
        may not take it.
        """
        progress = self._progress.add_bytes
        hints = inspect.signature(store.get).parameters
        if "before_publish" not in hints:
            return lambda file: store.get(file["source_uri"], file["destination_path"], progress)
        hinted: Any = store
        destination, publisher = self._settings.destination, self._publisher
        together = {"before_renames": publisher.before_renames} if "before_renames" in hints else {}
        before_publish = publisher.before_publish if together else publisher.before_single_publish

        def get(file: DownloadableFile) -> FutureLike[None]:
            planned = planned_of(file)
            future: FutureLike[None] = hinted.get(
                file["source_uri"],
                file["destination_path"],
                progress,
                size_bytes=planned.remote.size_bytes,
                within=destination,
                before_publish=functools.partial(before_publish, planned),
                **together,
            )
            return future

        return get

    def _settled(
        self, file: DownloadableFile, future: FutureLike[None], failure: DownloadError | None
    ) -> None:
        """Note the end of one file, in the thread that waits for it."""
        planned = planned_of(file)
        published = self._publisher.take(planned.seq)
        if failure is None and published is None:
            published, failure = published_by_store(file, future, planned.remote.size_bytes)
            self._progress.add_files(1 if failure is None else 0)
        elif failure is not None and published is not None:  # the rename failed
            self._progress.add_files(-1)
        if failure is not None:
            self._note_failed([planned.seq], failure)
        elif published is not None:
            self._note_fetched(planned.seq, published)

    def _note_fetched(self, seq: int, published: Published) -> None:
        receipt, now_us = published.receipt, time.time_ns() // 1000
        self._fetched.append(FetchedFile.of(seq, receipt, published.mtime_ns, now_us))
        self.bytes_fetched += published.size_bytes
        if len(self._fetched) >= _NOTED_TOGETHER:
            self._note_all_fetched()

    def _note_unsettled(self) -> None:
        """Note what was renamed into place just when an interrupt ended the wait for it."""
        unsettled = self._publisher.take_all()
        with LocalTree(self._settings.destination) as tree:
            for planned in self._inventory.files(unsettled):
                published = unsettled[planned.seq]
                status = tree.lstat(planned.path)
                if is_as_published(status, published.size_bytes, published.mtime_ns):
                    self._note_fetched(planned.seq, published)

    def _note_all_fetched(self) -> None:
        if self._fetched:
            self._outcomes.note_fetched(self._fetched)
            self._fetched.clear()

    def _note_failed(self, numbers: Sequence[int], failure: DownloadError) -> None:
        self._conflicts += filter(self._publisher.take_conflict, numbers)
        self._outcomes.note_failed(numbers, failure)
        self._failed_now += len(numbers)

    def _resolve_conflicts(self) -> None:
        conflicts, self._conflicts = self._conflicts, []
        if conflicts:
            self._failed_now -= self._resolver.resolve(conflicts)

    def _fail_all(self, numbers: Sequence[int], error: Exception) -> None:
        first = self._downloads.of(next(self._inventory.files(numbers[:1])))
        self._note_failed(numbers, as_download_error(first, error))


def _log_wait(
    log: Log, attempts: Sequence[TransferAttempt], state: tenacity.RetryCallState
) -> None:
    wait_seconds = state.next_action.sleep if state.next_action else 0.0
    line = (
        f"Attempt {state.attempt_number} left {attempts[-1].failed} failures; what is transient is tried again in "
        f"{wait_seconds:.1f} s"
    )
    log(logging.WARNING, line)
