"""What the shards of a run have fetched: the merge finds it on disk, and it is this run's work nevertheless."""

import contextlib
import pathlib

from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.manifest import iterate_manifest
from roboto_dagster.sync.shards.places import manifests_of_run

_COLUMNS = (
    *("attempts", "duration_seconds", "size_bytes", "mtime_ns", "etag", "checksum", "verified"),
    *("fetched_at", "dataset_id", "relative_path", "file_id", "version"),
)
_CLAIM = """
UPDATE file SET status = 'fetched', attempts = max(?1, 1), duration_seconds = ?2, disk_bytes = ?3, mtime_ns = ?4, etag = ?5,
    checksum = ?6, verified = ?7, fetched_at = ?8
    WHERE dataset_id = ?9 AND relative_path = ?10 AND file_id = ?11 AND version = ?12 AND status = 'unchanged'
    AND CASE WHEN mtime_ns IS NOT NULL THEN (disk_bytes, mtime_ns) = (?3, ?4) ELSE EXISTS (
        SELECT 1 FROM known WHERE known.dataset_id = ?9 AND known.relative_path = ?10
        AND (known.size_bytes, known.mtime_ns) = (?3, ?4)
    ) END
"""

_CLAIMED = "SELECT count(*), coalesce(sum(disk_bytes), 0) FROM file WHERE status = 'fetched'"


class Claims:
    """Notes as fetched what the shards of a run have fetched.

    Args:
        folder: Of the run.
        within: The destination; below it no link is followed.

    Attributes:
        files: How many files were noted, once `apply` was called.
        size_bytes: Their size.
    """

    def __init__(self, folder: pathlib.Path, within: pathlib.Path) -> None:
        self._folder = folder
        self._within = within
        self.files = 0
        self.size_bytes = 0

    def apply(self, inventory: Inventory) -> None:
        """Note it.

        Args:
            inventory: Of the merge, after its plan has compared everything with the disk.
        """
        for manifest in manifests_of_run(self._folder):
            # Of a manifest that cannot be read, the files are on disk, and count as unchanged.
            with contextlib.suppress(ManifestError):
                for rows in iterate_manifest(manifest, _COLUMNS, within=self._within):
                    inventory.db.executemany(_CLAIM, rows)
        # Nothing else was fetched yet: the first byte of the merge's own work comes later.
        self.files, self.size_bytes = inventory.db.execute(_CLAIMED).fetchone()
