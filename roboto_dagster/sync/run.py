"""One sync: list, plan, transfer, publish, report.

```
Scope ─► RemoteFile* ─► plan ─► DownloadSession + ObjectStore ─► manifest.parquet ─► SyncReport
            ▲             ▲
       Roboto API    facts about what earlier runs published
```
"""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.collector import rare_garbage_collection
from roboto_dagster.sync.conflicts import ConflictResolver
from roboto_dagster.sync.datasets import Datasets, Listing
from roboto_dagster.sync.facts import Facts
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.manifest import write_manifest
from roboto_dagster.sync.manifest_names import names_metadata
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.outcomes import Outcomes
from roboto_dagster.sync.planning import Planner
from roboto_dagster.sync.publish_log import PublishLog
from roboto_dagster.sync.removal import Remover
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.reporting import make_report
from roboto_dagster.sync.revalidation import Revalidator
from roboto_dagster.sync.sessions import Sessions
from roboto_dagster.sync.temporary_files import recorded_run
from roboto_dagster.sync.transfer import TransferPhase
from roboto_dagster.sync.unlisted import Unlisted


def sync(scopes: Sequence[Scope], settings: SyncSettings) -> SyncReport:
    """Download the files of some datasets to the local disk, and write the manifest.

    Args:
        scopes: The datasets and their patterns.
        settings: From where, to where, and how.

    Returns:
        What was done. Files that could not be delivered are in `failures`; all others are complete on disk.

    Raises:
        PlatformError: A dataset is unknown or could not be listed to its end; nothing was touched.
        ConfigurationError: A setting cannot work; nothing was touched.
        DiskSpaceError: There is too little room for the plan, or for the list of files; completed files are kept.
        RemovalError: More files would be removed than allowed; none was, all others are complete.
        ManifestError: The manifest or the publish log cannot be written.
    """
    return sync_listed(scopes, settings, Datasets(scopes, settings))


def sync_listed(
    scopes: Sequence[Scope],
    settings: SyncSettings,
    datasets: Listing,
    on_planned: Callable[[Inventory], None] | None = None,
) -> SyncReport:
    """Do the same with files that are listed elsewhere than on the platform.

    Args:
        scopes: The datasets and their patterns.
        settings: From where, to where, and how.
        datasets: Lists the files.
        on_planned: Called between the plan and the first byte. Default None.

    Returns:
        As `sync`, which has the errors, too.
    """
    started = time.monotonic()
    with opened_run(scopes, settings, datasets) as run:
        transfer = run.execute(on_planned)
        return make_report(
            scopes,
            settings,
            run.inventory,
            transfer,
            datasets=datasets,
            removed=run.unlisted.removed_count,
            duration_seconds=time.monotonic() - started,
        )


@contextlib.contextmanager
def opened_run(
    scopes: Sequence[Scope], settings: SyncSettings, datasets: Listing
) -> Iterator["SyncRun"]:
    """Open what a sync works on: the record of the run, the inventory, and the destination.

    Args:
        scopes: The datasets and their patterns.
        settings: From where, to where, and how.
        datasets: Lists the files.
    """
    _check_destination(settings.destination)
    with (
        rare_garbage_collection(),
        recorded_run(settings.destination, settings.manifest) as record,
        Inventory() as inventory,
        LocalTree(settings.destination) as tree,
    ):
        run = SyncRun(scopes, settings, datasets, inventory=inventory, tree=tree, record=record)
        with contextlib.closing(run):
            yield run


class SyncRun:
    """The parts of one sync, joined; made by `opened_run`.

    Attributes:
        inventory: What is listed, known and planned.
        unlisted: What was delivered and is not listed.
    """

    def __init__(
        self,
        scopes: Sequence[Scope],
        settings: SyncSettings,
        datasets: Listing,
        *,
        inventory: Inventory,
        tree: LocalTree,
        record: RunRecord,
    ) -> None:
        self._scopes = scopes
        self._settings = settings
        self.inventory = inventory
        self._tree = tree
        self._facts = Facts(inventory, tree, settings.manifest, settings.log)
        self._planner = Planner(inventory, tree, settings, record)
        self._resolver = ConflictResolver(inventory, tree, self._facts)
        self.unlisted = Unlisted(inventory, tree)
        self._remover = Remover(self.unlisted, tree, scopes, settings)
        self._datasets = datasets
        self._sessions = Sessions(settings, datasets.org_ids)

    def close(self) -> None:
        """Close what is read."""
        self._facts.close()

    def plan(self) -> None:
        """List and plan, and fetch nothing."""
        self._list()
        self._plan()

    def execute(self, on_planned: Callable[[Inventory], None] | None = None) -> TransferPhase:
        """List, plan, fetch, remove, and write the manifest whatever happens.

        Args:
            on_planned: Called between the plan and the first byte. Default None.
        """
        self._list()
        log = PublishLog(self._settings.manifest, self._settings.destination)
        transfer = TransferPhase(
            self.inventory, self._settings, self._sessions, log, self._resolver
        )
        with self._manifest_at_the_end(log):
            self._plan()
            if on_planned is not None:
                on_planned(self.inventory)
            transfer.run()
            if Outcomes(self.inventory).count("failed"):
                self._datasets.ask_for_names()
            else:
                self._remover.remove_all()
        return transfer

    def _plan(self) -> None:
        revalidator = Revalidator(
            self.inventory, self._tree, self._sessions.store_for, self._settings.log
        )
        self._planner.plan(self._facts, revalidator, self.unlisted, self._remover)

    def _list(self) -> None:
        """List every scope to its end, and read what earlier runs published."""
        self._datasets.list_into(self.inventory)
        if self._settings.options.on_empty == "fail" and not self.inventory.totals().files:
            _check_may_be_empty(self._scopes)
        self._facts.read_own()
        self._datasets.recall_names()

    @contextlib.contextmanager
    def _manifest_at_the_end(self, log: PublishLog) -> Iterator[None]:
        """Write the manifest whatever happens; the publish log stays if it may know more than that."""
        log.open(self._facts.logs)
        is_complete = False
        try:
            try:
                yield
            finally:
                self._write_manifest()
            is_complete = True
        finally:
            log.close(remove=is_complete)

    def _write_manifest(self) -> None:
        settings = self._settings
        self._facts.merge_newer()
        self.unlisted.mark()
        rows = self.inventory.manifest_rows(settings.destination)
        write_manifest(
            settings.manifest,
            rows,
            within=settings.destination,
            durability=settings.durability,
            metadata=names_metadata(self._datasets.names),
        )


def _check_destination(destination: pathlib.Path) -> None:
    """Fail before anything is asked of the platform if nothing could be written."""
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


def _check_may_be_empty(scopes: Sequence[Scope]) -> None:
    """Fail if there should be files: an empty list is more often a mistake than the truth."""
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
