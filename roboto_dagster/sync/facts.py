"""Collects facts about what earlier runs published: from the manifest, the publish logs, and the destination's other manifests.

```
own manifest ──► every row, read while files are listed (see `last_manifest`); the plan compares it with the disk
publish logs ──► rows of runs that were killed, or are under way: only those that match the disk
manifests and publish logs of shards (see `shards`) ──► the same
other manifests of the destination ──► for files on disk that the own ones do not know: only those that match the disk
```

A manifest that cannot be read is set aside: renamed, never deleted.
"""

import itertools
import logging
import pathlib
from collections.abc import Callable, Generator, Iterable, Iterator

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.damaged import set_aside
from roboto_dagster.sync.inventory import Inventory, batched
from roboto_dagster.sync.known import KNOWN_COLUMNS, KnownRow, known_rows
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.last_manifest import LastManifest
from roboto_dagster.sync.local import is_as_published
from roboto_dagster.sync.manifest import iterate_columns
from roboto_dagster.sync.progress import Log
from roboto_dagster.sync.publish_log import read_folder_logs, read_publish_logs
from roboto_dagster.sync.shards.places import run_folders, shard_manifests
from roboto_dagster.text import count


class Facts:
    """Reads facts into the inventory. For one thread.

    Args:
        inventory: Where they go.
        tree: The destination.
        manifest: Path of the partition's manifest.
        log: Where lines about damaged files go.

    Attributes:
        was_damaged: Whether the manifest was set aside by this run.
        logs: Names of the publish logs that `read_own` has read.
    """

    def __init__(
        self, inventory: Inventory, tree: LocalTree, manifest: pathlib.Path, log: Log
    ) -> None:
        self._known = KnownFiles(inventory)
        self._tree = tree
        self._manifest = manifest
        self._log = log
        self._seen: tuple[int, int, int] | None = None
        self._last = LastManifest(self._own_batches(), self._known.add)
        inventory.recorded = self._last.find
        self.was_damaged = False
        self.logs: set[str] = set()

    def read_own(self) -> None:
        """Read the partition's manifest, as far as it was not read while files were listed, and publish logs."""
        self._last.add_rest()
        if self._identity() != self._seen:
            self._read_newer()
        elif self._last.error is not None:
            self._set_aside(self._manifest, self._last.error)
            self.was_damaged = True
        self._add_matching(self._logged(self.logs.add))
        self._read_shards()

    def _own_batches(self) -> Generator[Iterator[KnownRow], None, None]:
        self._seen = self._identity()
        if self._seen is not None:
            yield from _batches_of(self._manifest, self._tree.root)

    def _read_newer(self) -> None:
        """Read what another run of the partition has written while this one listed the files."""
        self._seen = self._identity()
        if self._seen is None:
            return
        try:
            self._add_matching(_rows_of(self._manifest, self._tree.root))
        except ManifestError as error:
            self._set_aside(self._manifest, error)
            self.was_damaged = True

    def close(self) -> None:
        """Close the manifest, if it was not read to its end."""
        self._last.close()

    def _read_shards(self) -> None:
        """Read what runs of shards have delivered that did not come to their merge."""
        for manifest in shard_manifests(self._manifest):
            self._read_shard(manifest)
        for folder in run_folders(self._manifest):
            self._add_matching(read_folder_logs(folder, self._tree.root))

    def _read_shard(self, manifest: pathlib.Path) -> None:
        try:
            for rows in batched(_rows_of(manifest, self._tree.root)):
                # What is known already may be older, or newer: the disk decides.
                if self._last.has_found or not self._known.add_new(rows):
                    self._add_matching(rows)
        except ManifestError as error:  # what it has is found on disk, too, for a request each
            self._log(logging.WARNING, str(error))

    def adopt_others(self) -> None:
        """Read the destination's other manifests, if there are files on disk that nothing is known about."""
        wanted = self._known.unknown_datasets()
        if not wanted:
            return
        manifests = self._other_manifests()
        for manifest in manifests:
            self._adopt(manifest, wanted)
        for folder in {manifest.parent for manifest in manifests}:
            self._known.adopt(read_folder_logs(folder, self._tree.root))

    def adopt_all(self) -> None:
        """Read again what other runs have noted, about files on disk that nothing is known about."""
        self._known.adopt(self._logged())
        if self._identity() not in (None, self._seen):
            self._adopt(self._manifest)
        self.adopt_others()

    def _adopt(self, manifest: pathlib.Path, dataset_ids: Iterable[str] | None = None) -> None:
        try:
            self._known.adopt(_rows_of(manifest, self._tree.root, dataset_ids))
        except ManifestError as error:  # its own asset's next run sets it aside
            self._log(logging.DEBUG, str(error))

    def merge_newer(self) -> None:
        """Take over what another run of the partition has written meanwhile: this run's manifest must have it, too."""
        if self._identity() in (None, self._seen):
            return
        try:
            rows = _rows_of(self._manifest, self._tree.root)
            for batch in batched(filter(self._is_on_disk, rows)):
                self._known.merge(batch)
            self._drop_removed()
        except ManifestError as error:
            self._log(logging.DEBUG, str(error))

    def _drop_removed(self) -> None:
        """Leave out what the other run removed after the platform had no record of it any more."""
        dropped = self._known.drop_removed(self._removed_by_another())
        if dropped > 0:
            self._log(
                logging.WARNING,
                f"{count(dropped, 'file')} that this run had listed left out: another run removed them meanwhile, since "
                "the platform no longer has them",
            )

    def _removed_by_another(self) -> Iterator[tuple[str, str, str]]:
        columns = ("dataset_id", "relative_path", "file_id", "status")
        for values in iterate_columns(self._manifest, columns, within=self._tree.root):
            for dataset_id, path, file_id, status in zip(*values, strict=True):
                if status == "removed" and self._tree.lstat(f"{dataset_id}/{path}") is None:
                    yield dataset_id, path, file_id

    def _add_matching(self, rows: Iterable[KnownRow]) -> None:
        self._known.add_found(filter(self._is_on_disk, rows))

    def _is_on_disk(self, row: KnownRow) -> bool:
        return is_as_published(self._tree.lstat(row.path), row.size_bytes, row.mtime_ns)

    def _logged(self, on_found: Callable[[str], None] = lambda _: None) -> Iterator[KnownRow]:
        def on_unreadable(path: pathlib.Path, error: OSError) -> None:
            self._set_aside(path, ManifestError(f"The publish log {path} cannot be read: {error}"))

        return read_publish_logs(self._manifest, self._tree.root, on_unreadable, on_found)

    def _set_aside(self, path: pathlib.Path, error: ManifestError) -> None:
        aside = set_aside(path, self._tree.root)
        self._log(logging.WARNING, f"{error} It is now {aside}.")

    def _identity(self) -> tuple[int, int, int] | None:
        """Return what changes whenever the manifest is written; None if there is nothing in its place."""
        try:
            status = self._manifest.lstat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _other_manifests(self) -> list[pathlib.Path]:
        try:
            found = sorted((self._tree.root / ".roboto").glob("[!.]*/[!.]*.parquet"))
        except OSError:
            return []
        return [path for path in found if path != self._manifest]


def _rows_of(
    manifest: pathlib.Path, within: pathlib.Path, dataset_ids: Iterable[str] | None = None
) -> Iterator[KnownRow]:
    return itertools.chain.from_iterable(_batches_of(manifest, within, dataset_ids))


def _batches_of(
    manifest: pathlib.Path, within: pathlib.Path, dataset_ids: Iterable[str] | None = None
) -> Iterator[Iterator[KnownRow]]:
    wanted = None if dataset_ids is None else frozenset(dataset_ids)
    return map(
        known_rows, iterate_columns(manifest, KNOWN_COLUMNS, within=within, dataset_ids=wanted)
    )
