"""Fetches what a plan says, through one `DownloadSession` for each association and bucket, in attempts."""

import concurrent.futures
import contextlib
import functools
import inspect
import logging
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tenacity

from roboto_dagster.errors import (
    ConfigurationError,
    DownloadError,
    from_os_error,
    is_transient,
)
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import FutureLike, ObjectStore, Receipt
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.sync.inventory import Inventory, PlannedFile, Source
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.progress import Progress
from roboto_dagster.sync.publish_log import PublishLog
from roboto_dagster.sync.report import Timeline, TransferAttempt
from roboto_dagster.types import DownloadableFile

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from roboto import Association


class PlannedDownload(DownloadableFile):
    """A file of the session that remembers its place in the plan; errors of a sync carry it as
    their `file`.

    Attributes:
        relative_path: Where the platform puts it in its dataset.
        planned: Its row in the working set.
    """

    relative_path: str
    planned: PlannedFile


def planned_download(destination: pathlib.Path, planned: PlannedFile) -> PlannedDownload:
    """Makes the session's item for a file of the plan."""
    remote = planned.remote
    return PlannedDownload(
        bucket_name=remote.bucket_name,
        source_uri=remote.uri,
        destination_path=destination.joinpath(planned.dataset_id, remote.relative_path),
        relative_path=remote.relative_path,
        planned=planned,
    )


class Transfer:
    """Fetches what is planned, in attempts: each repeats what failed transiently in the one before.

    Attributes:
        bytes_fetched: Bytes of all files that were published.
        failures: What is not whole, by number in the working set.
        attempts: The passes so far.
    """

    def __init__(
        self,
        inventory: Inventory,
        settings: SyncSettings,
        org_ids: Mapping[str, str],
        journal: PublishLog,
    ) -> None:
        self._workset = inventory
        self._journal = journal
        self._settings = settings
        self._org_ids = org_ids
        self._progress = Progress(settings.log)
        self._failed_now: list[int] = []
        self._unusable: ConfigurationError | None = None
        self.bytes_fetched = 0
        self.failures: dict[int, DownloadError] = {}
        self.attempts: list[TransferAttempt] = []

    def run(self) -> None:
        """Fetches everything, as far as the retry policy goes; in the end `failures` has what failed."""
        work = {source: self._workset.to_fetch(*source) for source in self._workset.sources()}
        self._progress.begin(*self._workset.totals("fetch"))
        repeat = self._settings.retry.retrying().copy(
            retry=tenacity.retry_if_result(bool),
            retry_error_callback=lambda _: None,  # giving up is no error: the failures are noted
            before_sleep=self._log_wait,
        )
        if work:
            with self._progress.reporting():
                repeat(self._round, work)
        if self._unusable is not None:
            raise self._unusable

    @property
    def timeline(self) -> Timeline:
        """What arrived when."""
        return self._progress.timeline()

    def _round(self, work: dict[Source, Sequence[int]]) -> bool:
        """Fetches from every source in turn, and leaves in `work` what deserves another round;
        tells if there is any.
        """
        started, bytes_before = time.monotonic(), self.bytes_fetched
        files, failed = sum(map(len, work.values())), 0
        for source, numbers in list(work.items()):
            self._failed_now = []
            self._fetch(source, numbers)
            failed += len(self._failed_now)
            work[source] = [number for number in self._failed_now if self._is_retryable(number)]
        self.attempts.append(
            TransferAttempt(
                number=len(self.attempts) + 1,
                files=files,
                failed=failed,
                bytes_fetched=self.bytes_fetched - bytes_before,
                duration_seconds=time.monotonic() - started,
            )
        )
        return any(work.values())

    def _is_retryable(self, number: int) -> bool:
        """Tells whether a failed file deserves another round: engines use up the attempts that
        they are given.
        """
        failure = self.failures[number]
        return is_transient(failure) and failure.attempts < self._settings.retry.max_attempts

    def _fetch(self, source: Source, numbers: Sequence[int]) -> None:
        """Fetches files of one association and bucket through one session; failures are noted, not
        raised.
        """
        if not numbers:
            return
        first_uri = next(self._workset.files(numbers[:1])).remote.uri
        # Every member of the group that the session raises was noted in `_settled`.
        with contextlib.suppress(ExceptionGroup), contextlib.ExitStack() as stack:
            try:
                session = self._session(source, numbers)
                store = stack.enter_context(
                    self._settings.open_store(
                        session, first_uri, self._settings.retry, self._progress.retry
                    )
                )
            except ConfigurationError as error:  # told in the end: other sources may well work
                self._unusable = self._unusable or error
                return
            except Exception as error:  # noqa: BLE001 -- any store may ask for credentials, or more, at once
                self._fail_all(numbers, error)
                return
            stack.enter_context(session)
            get = self._getter(store)
            for file in session:
                session.register_download(file, _start(get, file))

    def _session(self, source: Source, numbers: Sequence[int]) -> DownloadSession:
        return DownloadSession(
            items=map(self._download, self._workset.files(numbers)),
            association=_association(source.association_id),
            roboto_client=self._settings.client,
            caller_org_id=self._org_id_for(source.association_id),
            on_settled=self._settled,
        )

    def _org_id_for(self, association_id: str) -> str:
        """Returns for whom credentials are asked: a link's target is read on behalf of the dataset
        that links to it.
        """
        owner = self._org_ids.get(association_id) or next(iter(self._org_ids.values()))
        return self._settings.org_id or owner

    def _getter(self, store: ObjectStore) -> "_Get":
        """Returns how this store is asked for a file: our engines use what is known of it, others
        may not take it.
        """
        progress = self._progress.add_bytes
        hints = inspect.signature(store.get).parameters
        if "before_publish" not in hints:
            return lambda file: store.get(file["source_uri"], file["destination_path"], progress)
        hinted: Any = store
        destination = self._settings.destination

        def get(file: DownloadableFile) -> FutureLike[None]:
            planned = _planned(file)
            future: FutureLike[None] = hinted.get(
                file["source_uri"],
                file["destination_path"],
                progress,
                size_bytes=planned.remote.size_bytes,
                within=destination,
                before_publish=functools.partial(self._journal.note, planned),
            )
            return future

        return get

    def _download(self, planned: PlannedFile) -> PlannedDownload:
        return planned_download(self._settings.destination, planned)

    def _settled(
        self, file: DownloadableFile, future: FutureLike[None], failure: DownloadError | None
    ) -> None:
        """Notes the end of one file, in the thread that waits for it."""
        planned = _planned(file)
        if failure is None:
            failure = self._note_fetched(planned, file, getattr(future, "receipt", None))
        if failure is not None:
            failure.file = file
            self._note_failed(planned.seq, failure)
        self._progress.add_file()

    def _note_fetched(
        self, planned: PlannedFile, file: DownloadableFile, receipt: Receipt | None
    ) -> DownloadError | None:
        try:
            status = file["destination_path"].lstat()
        except OSError as error:
            return from_os_error(file, error)
        expected_bytes = planned.remote.size_bytes
        if status.st_size != expected_bytes:  # only a foreign store publishes such a file
            file["destination_path"].unlink(missing_ok=True)
            reason = f"{status.st_size} bytes arrived, the record says {expected_bytes}"
            return DownloadError(file, "SIZE_MISMATCH", reason)
        self._workset.note_fetched(
            planned.seq, receipt or _plain_receipt(status.st_size), status.st_mtime_ns, _now_us()
        )
        self.failures.pop(planned.seq, None)
        self.bytes_fetched += status.st_size
        return None

    def _note_failed(self, number: int, failure: DownloadError) -> None:
        failure.attempts = self._workset.note_failed(
            number, failure.code, failure.reason, failure.attempts
        )
        self.failures[number] = failure
        self._failed_now.append(number)

    def _fail_all(self, numbers: Sequence[int], error: Exception) -> None:
        from roboto_dagster.fs.boto.errors import download_error  # imports botocore

        for planned in self._workset.files(numbers):
            failure = download_error(self._download(planned), error)
            failure.__cause__ = error
            self._note_failed(planned.seq, failure)

    def _log_wait(self, state: tenacity.RetryCallState) -> None:
        wait_seconds = state.next_action.sleep if state.next_action else 0.0
        files = len(self._failed_now)
        line = f"Attempt {state.attempt_number} left {files} transient failures; the next begins in {wait_seconds:.1f} s"
        self._settings.log(logging.WARNING, line)


_Get = Callable[[DownloadableFile], FutureLike[None]]


def _start(get: _Get, file: DownloadableFile) -> FutureLike[None]:
    """Starts a transfer; what a foreign store raises at once becomes this file's failure, not the
    batch's.
    """
    try:
        return get(file)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 -- the border to stores that others wrote
        failed: concurrent.futures.Future[None] = concurrent.futures.Future()
        failed.set_exception(error)
        return failed


def _planned(file: DownloadableFile) -> PlannedFile:
    planned: PlannedFile = file["planned"]  # type: ignore[typeddict-item]  # the session yields what `_download` made
    return planned


def _association(association_id: str) -> "Association":
    from roboto import Association

    with platform_errors(f"asking for credentials of {association_id}"):
        return Association.from_id(association_id)


def _plain_receipt(size_bytes: int) -> Receipt:
    """What is known of a file from a store that gives no receipt."""
    return Receipt(
        size_bytes=size_bytes,
        etag=None,
        checksum=None,
        verified="size",
        attempts=1,
        duration_seconds=0.0,
    )


def _now_us() -> int:
    return time.time_ns() // 1000
