"""Plans a sync before the first byte: what is refused, kept, fetched, and removed because it is in the way.

```
listed ─► refused or skipped ─► compared with facts and disk ─┬─ as published, same record ──► keep
                                                              └─ otherwise ──► fetch
fetch ─► a file is on disk ─► facts of the destination's other manifests match ──► keep
      ─► the store has the same content, by one HEAD (see `revalidation`) ──► keep
      ─► what a killed run left and nobody can use is in the way ─► removed
      ─► what an earlier run delivered is in the way ─► removed if that is asked for, else a failure
```
"""

import logging
import os
from collections.abc import Iterator

from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.sync.disk_space import check_space
from roboto_dagster.sync.facts import Facts
from roboto_dagster.sync.inventory import Inventory, PlannedFile, batched
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.local import as_local_file, is_as_published, local_file
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.plan import LocalFile, is_same_record
from roboto_dagster.sync.refusals import Refusals
from roboto_dagster.sync.removal import Remover
from roboto_dagster.sync.report import size_text
from roboto_dagster.sync.revalidation import Revalidator
from roboto_dagster.sync.temporary_files import reclaim_leftovers
from roboto_dagster.sync.unlisted import Unlisted
from roboto_dagster.text import count, one_line

_MAX_FULL_PATH_BYTES = 4095  # PATH_MAX without the final NUL
_UNLISTED_IN_THE_WAY = (
    "{path}, which an earlier run delivered and the platform no longer lists, is in its way: set "
    'on_missing="remove", or move it away'
)
_FILE_IN_THE_WAY = (
    "{path} is a file that this asset did not deliver, or that was changed since, and a folder is needed in its place: "
    "move it away"
)
_FOLDER_IN_THE_WAY = "a folder that is not empty is in its place: move it away"


class Planner:
    """Makes the plan of one sync. For one thread.

    Args:
        inventory: What is listed and known.
        tree: The destination.
        settings: How the sync treats what is not as it should be.
        record: Of this run, to find what killed runs left.
    """

    def __init__(
        self, inventory: Inventory, tree: LocalTree, settings: SyncSettings, record: RunRecord
    ) -> None:
        self._record = record
        self._refusals = Refusals(inventory)
        self._known = KnownFiles(inventory)
        self._inventory = inventory
        self._tree = tree
        self._settings = settings

    def plan(
        self, facts: Facts, revalidator: Revalidator, unlisted: Unlisted, remover: Remover
    ) -> None:
        """Decide about every file.

        Args:
            facts: To ask for more facts about files that are on disk.
            revalidator: To ask the store about them.
            unlisted: What is on disk and not listed.
            remover: Removes what is in the way.

        Raises:
            DiskSpaceError: The plan does not fit on the disk.
        """
        inventory = self._inventory
        below_bytes = _MAX_FULL_PATH_BYTES - len(os.fsencode(self._settings.destination)) - 1
        self._refusals.refuse(StoreRegistry.schemes(), below_bytes)
        self._known.prefer_newer()
        inventory.plan_fetches(self._to_fetch())
        facts.adopt_others()
        inventory.plan_keeps(self._kept_after_all())
        revalidator.keep_unchanged_objects()
        if facts.was_damaged:
            revalidator.keep_right_contents()
        unlisted.mark()
        present_bytes = reclaim_leftovers(self._record, inventory, self._settings.manifest)
        self._clear_the_way(unlisted, remover)
        if self._settings.options.on_refused == "skip":
            self._refusals.skip_refused()
        self._log_totals()
        self._check_space(present_bytes)

    def _to_fetch(self) -> Iterator[tuple[int, LocalFile | None, bool]]:
        for files in batched(self._inventory.undecided()):
            statuses = self._tree.lstat_all([file.path for file in files])
            for file, status in zip(files, statuses, strict=True):
                seq, _, size_bytes, mtime_ns, is_same = file
                is_known = is_as_published(status, size_bytes, mtime_ns)
                if not (is_known and is_same):
                    yield seq, as_local_file(status), is_known or mtime_ns is None

    def _kept_after_all(self) -> Iterator[int]:
        """Yield the files of which another manifest knew that this very version is on disk."""
        for planned, known in self._known.on_disk():
            if is_same_record(planned.remote, known):
                yield planned.seq

    def _clear_the_way(self, unlisted: Unlisted, remover: Remover) -> None:
        for file, blocked in unlisted.in_the_way():
            if not remover.remove_now(file):
                self._refusals.block(
                    blocked, _UNLISTED_IN_THE_WAY.format(path=one_line(file.relative_path))
                )
        for planned in self._inventory.folders_in_the_way():
            self._clear_empty_folders(planned)
        for folder in self._inventory.folders_to_fill():
            self._check_folder(folder)

    def _clear_empty_folders(self, planned: PlannedFile) -> None:
        """Remove empty folders where a file is to be, such as those that an earlier run made and could not fill."""
        self._tree.remove_empty_tree(planned.path)
        local = local_file(self._tree, planned.path)
        if local is not None and local.is_folder:
            self._refusals.block([planned.seq], _FOLDER_IN_THE_WAY)

    def _check_folder(self, folder: str) -> None:
        """Fail what is to be fetched into a folder, if a file is in the place of it or of a parent."""
        while "/" in folder:
            local = local_file(self._tree, folder)
            if local is not None:
                if local.is_regular:
                    path = one_line(folder.partition("/")[2])
                    self._refusals.block(
                        self._refusals.beneath(folder), _FILE_IN_THE_WAY.format(path=path)
                    )
                return
            folder = folder.rpartition("/")[0]

    def _log_totals(self) -> None:
        inventory = self._inventory
        to_fetch, unchanged = inventory.totals("fetch"), inventory.totals("keep")
        refused, skipped = inventory.totals("refuse").files, inventory.totals("skip").files
        size = f" ({size_text(to_fetch.size_bytes)})" if to_fetch.files else ""
        self._settings.log(
            logging.INFO,
            f"{count(to_fetch.files, 'file')} to fetch{size}, {unchanged.files} unchanged"
            + (f", {refused} refused by the plan" if refused else "")
            + (f", {count(skipped, 'directory marker')} skipped" if skipped else ""),
        )

    def _check_space(self, present_bytes: int) -> None:
        settings = self._settings
        to_fetch = self._inventory.totals("fetch")
        reserve_bytes = settings.options.free_space_reserve_bytes
        if to_fetch.files and reserve_bytes is not None:
            missing_bytes = max(to_fetch.size_bytes - present_bytes, 0)
            check_space(settings.destination, to_fetch.files, missing_bytes, reserve_bytes)
