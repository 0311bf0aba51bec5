"""The journey of one sync: list, plan, transfer, publish, report.

```
Scope ─► RemoteFile* ─► plan ─► DownloadSession + ObjectStore ─► manifest.parquet ─► SyncReport
```
"""

import concurrent.futures
import contextlib
import dataclasses
import inspect
import logging
import os
import pathlib
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tenacity

from roboto_dagster.errors import (
    ConfigurationError,
    DownloadError,
    PlatformError,
    RobotoDagsterError,
    from_os_error,
    is_transient,
)
from roboto_dagster.fs.download_session import DownloadableFile, DownloadSession
from roboto_dagster.fs.object_store import FutureLike, ObjectStore, Receipt
from roboto_dagster.fs.platform import platform_errors
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.fs.settings import OnRetry
from roboto_dagster.sync.listing import list_files
from roboto_dagster.sync.manifest import iterate_manifest, write_manifest
from roboto_dagster.sync.plan import Action, LocalFile, decide
from roboto_dagster.sync.progress import Progress, Say
from roboto_dagster.sync.report import MIB, Round, SyncReport, count
from roboto_dagster.sync.scope import Scope
from roboto_dagster.sync.workset import KNOWN_COLUMNS, PlannedFile, Source, Totals, Workset

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from roboto import Association, RobotoClient

OpenStore = Callable[[DownloadSession, str, RetryConfig, OnRetry], ObjectStore]
"""Opens the store for a session: given the session, one of its URIs, the policy of repeating and
who is told of it.
"""


def _say_nothing(level: int, line: str) -> None:
    """The default of `SyncSettings.say`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """What a sync needs besides its scope.

    Attributes:
        client: Client of the platform.
        open_store: Opens the object store.
        destination: The folder that the user chose; files go to `<destination>/<dataset
            id>/<relative path>`.
        manifest: Path of the manifest, read as the last run's and written as this one's.
        org_id: Organization to act for; None for the one that owns the dataset.
        retry: How what failed transiently is repeated.
        say: Where lines about progress and retries go.
    """

    client: "RobotoClient"
    open_store: OpenStore
    destination: pathlib.Path
    manifest: pathlib.Path
    org_id: str | None = None
    retry: RetryConfig = dataclasses.field(default_factory=RetryConfig)
    say: Say = _say_nothing


def sync(scopes: Sequence[Scope], settings: SyncSettings) -> SyncReport:
    """Brings the files of some datasets to the local disk, and writes the manifest.

    Args:
        scopes: The datasets and their patterns.
        settings: Where from, where to, and how.

    Returns:
        What was done. Files that could not be delivered are in `failures`; all others are whole on
        disk.

    Raises:
        PlatformError: A dataset is unknown or could not be listed to its end; nothing was touched.
        ConfigurationError: A setting cannot work; nothing was touched.
    """
    started = time.monotonic()
    _check_destination(settings.destination)
    with Workset() as workset:
        org_ids = _collect(workset, scopes, settings)
        _plan(workset, settings.destination)
        transfer = _Transfer(workset, settings, org_ids)
        try:
            transfer.run()
        finally:  # also when interrupted: what is whole is kept, and the manifest says so
            write_manifest(settings.manifest, workset.manifest_rows(settings.destination))
        return _report(scopes, settings, workset, transfer, time.monotonic() - started)


def _check_destination(destination: pathlib.Path) -> None:
    """Fails before anything is asked of the platform if nothing could be written."""
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The destination {destination} cannot be a folder: {error.strerror}. Choose another one."
        raise ConfigurationError(msg) from error
    if not os.access(destination, os.W_OK | os.X_OK):
        msg = f"The destination {destination} is not writable for this user. Change its permissions or choose another."
        raise ConfigurationError(msg)


def _collect(workset: Workset, scopes: Sequence[Scope], settings: SyncSettings) -> dict[str, str]:
    """Lists every scope to its end and reads the last manifest; returns the datasets'
    organizations.
    """
    org_ids = {}
    for scope in scopes:
        org_ids[scope.dataset_id] = _dataset_org_id(settings.client, scope.dataset_id)
        workset.add_remote(scope.dataset_id, list_files(settings.client, scope))
    if settings.manifest.exists():
        workset.add_known(_known_rows(settings.manifest))
    return org_ids


def _dataset_org_id(client: "RobotoClient", dataset_id: str) -> str:
    from roboto import Dataset

    with platform_errors(f"looking up dataset {dataset_id}"):
        return str(Dataset.from_id(dataset_id, roboto_client=client).org_id)


def _known_rows(manifest: pathlib.Path) -> Iterator[list[tuple[Any, ...]]]:
    for rows in iterate_manifest(manifest, KNOWN_COLUMNS):
        yield [(*row[:-1], row[-1] and round(row[-1].timestamp() * 1e6)) for row in rows]


def _plan(workset: Workset, destination: pathlib.Path) -> None:
    workset.refuse_collisions()
    workset.set_actions(_decisions(workset, f"{destination}{os.sep}"))


def _decisions(workset: Workset, prefix: str) -> Iterator[tuple[Action, int]]:
    for planned, known in workset.undecided():
        local = (
            _local_file(f"{prefix}{planned.dataset_id}/{planned.remote.relative_path}")
            if known
            else None
        )
        yield decide(planned.remote, known, local), planned.seq


def _local_file(path: str) -> LocalFile | None:
    try:
        status = os.lstat(path)
    except (
        OSError
    ):  # missing, or a file where a folder should be: the transfer will name what is wrong
        return None
    return LocalFile(
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        is_regular=stat.S_ISREG(status.st_mode),
    )


class PlannedDownload(DownloadableFile):
    """A file of the session that remembers its place in the plan; errors of a sync carry it as
    their `file`.

    Attributes:
        relative_path: Where the platform puts it in its dataset.
        planned: Its row in the working set.
    """

    relative_path: str
    planned: PlannedFile


class _Transfer:
    """Fetches what is planned, in rounds: each repeats what failed transiently in the one
    before.
    """

    def __init__(
        self, workset: Workset, settings: SyncSettings, org_ids: Mapping[str, str]
    ) -> None:
        self._workset = workset
        self._settings = settings
        self._org_ids = org_ids
        self._progress = Progress(settings.say)
        self._failed_now: list[int] = []
        self.bytes_fetched = 0
        self.failures: dict[int, DownloadError] = {}
        self.rounds: list[Round] = []

    def run(self) -> None:
        """Fetches everything, as far as the retry policy goes; what failed is in `failures` in the
        end.
        """
        for planned, code, reason in self._workset.refused():
            self.failures[planned.seq] = DownloadError(
                self._download(planned), code, reason, None, 0
            )
        work = {source: self._workset.to_fetch(*source) for source in self._workset.sources()}
        to_fetch, unchanged = self._workset.totals("fetch"), self._workset.totals("keep")
        self._say_plan(to_fetch, unchanged)
        self._progress.begin(*to_fetch)
        repeat = self._settings.retry.retrying().copy(
            retry=tenacity.retry_if_result(bool),
            retry_error_callback=lambda _: (
                None
            ),  # giving up is no error here: the failures are noted
            before_sleep=self._say_wait,
        )
        if work:
            repeat(self._round, work)

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
            work[source] = [number for number in self._failed_now if self._may_heal(number)]
        self.rounds.append(
            Round(
                number=len(self.rounds) + 1,
                files=files,
                failed=failed,
                bytes_fetched=self.bytes_fetched - bytes_before,
                duration_seconds=time.monotonic() - started,
            )
        )
        return any(work.values())

    def _may_heal(self, number: int) -> bool:
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
        session = DownloadSession(
            items=map(self._download, self._workset.files(numbers)),
            association=_association(source.association_id),
            roboto_client=self._settings.client,
            caller_org_id=self._org_id_for(source.association_id),
            on_settled=self._settled,
        )
        first_uri = next(self._workset.files(numbers[:1])).remote.uri
        try:
            store = self._settings.open_store(
                session, first_uri, self._settings.retry, self._progress.retry
            )
        except PlatformError as error:  # a store may ask for credentials at once
            self._fail_all(numbers, error)
            return
        with (
            contextlib.suppress(ExceptionGroup),
            store,
            session,
        ):  # every member of the group was noted in `_settled`
            get = self._getter(store)
            for file in session:
                session.register_download(file, _start(get, file))

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
        if "size_bytes" not in inspect.signature(store.get).parameters:
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
            )
            return future

        return get

    def _download(self, planned: PlannedFile) -> PlannedDownload:
        remote = planned.remote
        return PlannedDownload(
            bucket_name=remote.bucket_name,
            source_uri=remote.uri,
            destination_path=self._settings.destination / planned.dataset_id / remote.relative_path,
            relative_path=remote.relative_path,
            planned=planned,
        )

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
        if status.st_size != expected_bytes:  # a store of ours has already refused it
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

    def _fail_all(self, numbers: Sequence[int], error: PlatformError) -> None:
        for planned in self._workset.files(numbers):
            failure = DownloadError(
                self._download(planned), "CREDENTIALS_INVALID", error.message, error.transient
            )
            failure.__cause__ = error
            self._note_failed(planned.seq, failure)

    def _say_plan(self, to_fetch: Totals, unchanged: Totals) -> None:
        line = f"{count(to_fetch.files, 'file')} to fetch ({to_fetch.size_bytes / MIB:.1f} MiB), {unchanged.files} unchanged"
        refused = f", {len(self.failures)} refused by the plan" if self.failures else ""
        self._settings.say(logging.INFO, line + refused)

    def _say_wait(self, state: tenacity.RetryCallState) -> None:
        wait_seconds = state.next_action.sleep if state.next_action else 0.0
        files = len(self._failed_now)
        line = f"Attempt {state.attempt_number} left {files} transient failures; the next begins in {wait_seconds:.1f} s"
        self._settings.say(logging.WARNING, line)


_Get = Callable[[DownloadableFile], FutureLike[None]]


def _start(get: _Get, file: DownloadableFile) -> FutureLike[None]:
    """Starts a transfer; what a foreign store raises at once becomes this file's failure, not the
    batch's.
    """
    try:
        return get(file)
    except RobotoDagsterError:
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


def _report(
    scopes: Sequence[Scope],
    settings: SyncSettings,
    workset: Workset,
    transfer: _Transfer,
    duration_seconds: float,
) -> SyncReport:
    total, to_fetch = workset.totals(), workset.totals("fetch")
    refused, failed = workset.totals("refuse"), len(transfer.failures)
    dataset_ids = [scope.dataset_id for scope in scopes]
    one_folder = (
        settings.destination / dataset_ids[0] if len(dataset_ids) == 1 else settings.destination
    )
    return SyncReport(
        dataset_ids=dataset_ids,
        root=one_folder,
        manifest=settings.manifest,
        files_total=total.files,
        files_fetched=to_fetch.files + refused.files - failed,
        files_unchanged=total.files - to_fetch.files - refused.files,
        files_removed=0,
        bytes_fetched=transfer.bytes_fetched,
        bytes_total=total.size_bytes,
        duration_seconds=duration_seconds,
        rounds=transfer.rounds,
        failures=list(transfer.failures.values()),
    )
