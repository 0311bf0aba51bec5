"""The journey of one sync: list, plan, transfer, publish, report.

```
Scope ─► RemoteFile* ─► plan ─► DownloadSession + ObjectStore ─► manifest.parquet ─► SyncReport
```
"""

import contextlib
import logging
import os
import pathlib
import stat
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.errors import ConfigurationError, DownloadError, RemovalError
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.platform.datasets import dataset_url
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.files import list_files
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.disk_space import check_space, remove_file
from roboto_dagster.sync.inventory import KNOWN_COLUMNS, Inventory
from roboto_dagster.sync.manifest import iterate_manifest, write_manifest
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.plan import Action, LocalFile, decide
from roboto_dagster.sync.publish_log import PublishLog
from roboto_dagster.sync.report import DeliveredFile, SyncReport, count
from roboto_dagster.sync.temporary_files import reclaim_leftovers, recorded_run
from roboto_dagster.sync.transfer import Transfer, planned_download

if TYPE_CHECKING:
    from roboto import RobotoClient

_MAX_TOP_FILES = 10


def sync(scopes: Sequence[Scope], settings: SyncSettings) -> SyncReport:
    """Brings the files of some datasets to the local disk, and writes the manifest.

    Args:
        scopes: The datasets and their patterns.
        settings: Where from, where to, and how.

    Returns:
        What was done. Files that could not be delivered are in `failures`; all others are whole on disk.

    Raises:
        PlatformError: A dataset is unknown or could not be listed to its end; nothing was touched.
        ConfigurationError: A setting cannot work; nothing was touched.
        DiskSpaceError: There is too little room for the plan; nothing was fetched.
        RemovalError: More files would be removed than allowed; none was, all others are whole.
    """
    started = time.monotonic()
    _check_destination(settings.destination)
    journal = PublishLog(settings.manifest, settings.destination)
    with (
        recorded_run(settings.destination, settings.manifest) as record,
        Inventory() as inventory,
    ):
        org_ids = _collect(inventory, scopes, settings, journal)
        refused = _plan(inventory, settings, record)
        transfer = Transfer(inventory, settings, org_ids, journal)
        with _manifest_at_the_end(inventory, settings, journal):
            transfer.run()
            if not (transfer.failures or refused):
                _remove_missing(inventory, scopes, settings)
        seconds = time.monotonic() - started
        return _report(
            scopes, settings, inventory, transfer, refused=refused, duration_seconds=seconds
        )


@contextlib.contextmanager
def _manifest_at_the_end(
    inventory: Inventory, settings: SyncSettings, journal: PublishLog
) -> Iterator[None]:
    """Writes the manifest whatever happens; the journal stays if it may know more than that."""
    journal.open()
    is_complete = False
    try:
        yield
        is_complete = True
    finally:
        rows = inventory.manifest_rows(settings.destination)
        write_manifest(settings.manifest, rows, within=settings.destination)
        journal.close(remove=is_complete)


def _check_destination(destination: pathlib.Path) -> None:
    """Fails before anything is asked of the platform if nothing could be written."""
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The destination {destination} cannot be a folder: {error.strerror}. Choose another one."
        ) from error
    if not os.access(destination, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"The destination {destination} is not writable for this user. Change its permissions or choose another."
        )


def _collect(
    inventory: Inventory, scopes: Sequence[Scope], settings: SyncSettings, journal: PublishLog
) -> dict[str, str]:
    """Lists every scope to its end and reads what earlier runs left; returns whose the datasets are."""
    org_ids = {}
    for scope in scopes:
        org_ids[scope.dataset_id] = _dataset_org_id(settings.client, scope.dataset_id)
        inventory.add_remote(scope.dataset_id, list_files(settings.client, scope))
    if settings.options.on_empty == "fail" and not inventory.totals().files:
        _check_may_be_empty(scopes)
    if settings.manifest.exists():
        inventory.add_known(iterate_manifest(settings.manifest, KNOWN_COLUMNS))
    inventory.add_known(journal.read())
    return org_ids


def _check_may_be_empty(scopes: Sequence[Scope]) -> None:
    """Fails if there should be files: an empty list is more often a mistake than the truth."""
    if not scopes or any(scope.has_window for scope in scopes):
        return
    named = ", ".join(scope.dataset_id for scope in scopes[:3])
    include, exclude = scopes[0].include_patterns, scopes[0].exclude_patterns
    wanted = f" that include_patterns {list(include)} match" if include else ""
    wanted += f" that exclude_patterns {list(exclude)} do not match" if exclude else ""
    raise ConfigurationError(
        f"There is no file in {named}{wanted.replace('match that', 'match and that')}, so nothing was touched. Upload "
        'files, correct the id or the patterns, or set on_empty="allow" if this is as it should be.'
    )


def _dataset_org_id(client: "RobotoClient", dataset_id: str) -> str:
    from roboto import Dataset

    with platform_errors(f"looking up dataset {dataset_id}", client):
        return str(Dataset.from_id(dataset_id, roboto_client=client).org_id)


def _plan(inventory: Inventory, settings: SyncSettings, record: RunRecord) -> list[DownloadError]:
    """Decides about every file before the first byte; returns those that are refused."""
    inventory.refuse_collisions()
    inventory.set_actions(_decisions(inventory, f"{settings.destination}{os.sep}"))
    refused = [
        DownloadError(planned_download(settings.destination, planned), code, reason, None, 0)
        for planned, code, reason in inventory.refused()
    ]
    to_fetch, unchanged = inventory.totals("fetch"), inventory.totals("keep")
    settings.log(
        logging.INFO,
        f"{count(to_fetch.files, 'file')} to fetch ({to_fetch.size_bytes / MIB:.1f} MiB), {unchanged.files} unchanged"
        + (f", {len(refused)} refused by the plan" if refused else ""),
    )
    present_bytes = reclaim_leftovers(record, inventory, settings.manifest)
    reserve_bytes = settings.options.free_space_reserve_bytes
    if to_fetch.files and reserve_bytes is not None:
        missing_bytes = max(to_fetch.size_bytes - present_bytes, 0)
        check_space(settings.destination, to_fetch.files, missing_bytes, reserve_bytes)
    return refused


def _decisions(inventory: Inventory, prefix: str) -> Iterator[tuple[Action, int]]:
    for planned, known in inventory.undecided():
        local = None
        if known is not None:
            local = _local_file(f"{prefix}{planned.dataset_id}/{planned.remote.relative_path}")
        yield decide(planned.remote, known, local), planned.seq


def _local_file(path: str) -> LocalFile | None:
    try:
        status = os.lstat(path)
    except OSError:
        # Missing, or a file where a folder should be: then the transfer will name what is wrong.
        return None
    return LocalFile(
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        is_regular=stat.S_ISREG(status.st_mode),
    )


def _remove_missing(inventory: Inventory, scopes: Sequence[Scope], settings: SyncSettings) -> None:
    """Removes what an earlier run delivered and the platform no longer lists, if that is asked for."""
    options = settings.options
    if options.on_missing != "remove":
        return
    matchers = {scope.dataset_id: scope.matcher() for scope in scopes}
    # A file that the patterns now leave out was not listed for that reason alone: it may well be there.
    missing = [
        each
        for each in inventory.missing()
        if each.dataset_id in matchers and matchers[each.dataset_id].matches(each.relative_path)
    ]
    if len(missing) > options.max_removals:
        raise RemovalError(
            f"{len(missing)} files of {', '.join(matchers)} are no longer listed by the platform, more than max_removals="
            f"{options.max_removals}, so none was removed. If that is right, raise max_removals."
        )
    for each in missing:
        root = settings.destination / each.dataset_id
        if remove_file(root / each.relative_path, each.known, root):
            inventory.note_removed(each)
            settings.log(
                logging.INFO,
                f"removed {each.relative_path}, which {each.dataset_id} no longer lists",
            )


def _report(
    scopes: Sequence[Scope],
    settings: SyncSettings,
    inventory: Inventory,
    transfer: Transfer,
    *,
    refused: Sequence[DownloadError],
    duration_seconds: float,
) -> SyncReport:
    total, to_fetch = inventory.totals(), inventory.totals("fetch")
    dataset_ids = [scope.dataset_id for scope in scopes]
    skips_refused = settings.options.on_refused == "skip"
    failed = list(transfer.failures.values())
    return SyncReport(
        dataset_ids=dataset_ids,
        root=settings.destination / dataset_ids[0]
        if len(dataset_ids) == 1
        else settings.destination,
        manifest=settings.manifest,
        files_total=total.files,
        files_fetched=to_fetch.files - len(failed),
        files_unchanged=total.files - to_fetch.files - len(refused),
        files_removed=inventory.removed_count,
        bytes_fetched=transfer.bytes_fetched,
        bytes_total=total.size_bytes,
        duration_seconds=duration_seconds,
        attempts=transfer.attempts,
        failures=failed if skips_refused else [*refused, *failed],
        skipped=list(refused) if skips_refused else [],
        timeline=transfer.timeline,
        top_files=_top_files(inventory),
        dataset_url=dataset_url(settings.client.endpoint, *dataset_ids),
    )


def _top_files(inventory: Inventory) -> list[DeliveredFile]:
    return [
        DeliveredFile(
            relative_path=relative_path,
            status=status,
            size_bytes=size_bytes,
            duration_seconds=duration_seconds,
            attempts=attempts,
        )
        for relative_path, status, size_bytes, duration_seconds, attempts in inventory.top_files(
            _MAX_TOP_FILES
        )
    ]
