"""Files that earlier runs delivered and this run's listing does not have.

```
known, not listed ─┬─ changed or gone on disk ──► forgotten: it is the user's file now
                   └─ as published ──► not_listed ──┬─ on_missing="keep", or the patterns leave it out ──► not_listed
                                                    └─ on_missing="remove", and gone from the platform ──► removed
```

A `not_listed` file stays in the manifest run after run, whatever becomes of the runs in between, until it is removed
or changed. So neither a failed run nor one with other patterns loses track of what is on disk.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.inventory import Inventory, batched, known_file
from roboto_dagster.sync.local import is_as_published
from roboto_dagster.sync.plan import KnownFile, place_of
from roboto_dagster.sync.refusals import Refusals


class UnlistedFile(NamedTuple):
    """A file on disk that an earlier run delivered and the listing does not have.

    Attributes:
        dataset_id: The dataset it belonged to.
        relative_path: Its path there.
        known: Its facts from the last manifest.
    """

    dataset_id: str
    relative_path: str
    known: KnownFile

    @property
    def path(self) -> str:
        """Its path below the destination."""
        return f"{self.dataset_id}/{self.relative_path}"


class Unlisted:
    """Marks what is not listed, finds what of it is in the way, and notes what was removed. For one thread.

    Args:
        inventory: The files.
        tree: The destination.
    """

    def __init__(self, inventory: Inventory, tree: LocalTree) -> None:
        self._refusals = Refusals(inventory)
        self._db = inventory.db
        self._tree = tree

    def mark(self) -> None:
        """Look at every known file that is not listed: as published, it is `not_listed`; otherwise it is forgotten."""
        rows = self._db.execute(sql.UNLISTED + " AND fate IS NULL").fetchall()
        for batch in batched(rows):
            fates = ((self._fate(row), row[0], row[1]) for row in batch)
            self._db.executemany(
                "UPDATE known SET fate = ? WHERE dataset_id = ? AND relative_path = ?", fates
            )

    def _fate(self, row: tuple[str, str, int, int]) -> str:
        status = self._tree.lstat(f"{row[0]}/{row[1]}")
        return "not_listed" if is_as_published(status, row[2], row[3]) else "forgotten"

    def files(self) -> Iterator[UnlistedFile]:
        """Yield every file that is `not_listed`."""
        rows = self._db.execute(
            "SELECT dataset_id, relative_path, file_id, version, size_bytes, mtime_ns FROM known"
            " WHERE fate = 'not_listed' ORDER BY dataset_id, relative_path"
        ).fetchall()
        for row in rows:
            known = known_file(row[2:])
            if known is not None:
                yield UnlistedFile(row[0], row[1], known)

    def in_the_way(self) -> Iterator[tuple[UnlistedFile, list[int]]]:
        """Yield the unlisted files in whose place listed ones need a folder, or that are in a folder where a file is to be.

        Yields:
            Each such file, and the numbers of the listed files that it blocks.
        """
        for file in self.files():
            place = f"{file.dataset_id}/{place_of(file.relative_path)}"
            blocked = self._beneath(place) or self._above(place)
            if blocked:
                yield file, blocked

    def _beneath(self, place: str) -> list[int]:
        if not self._db.execute("SELECT 1 FROM folder WHERE place = ?", (place,)).fetchone():
            return []
        return self._refusals.beneath(place)

    def _above(self, place: str) -> list[int]:
        parts = place.split("/")
        above = ["/".join(parts[:depth]) for depth in range(2, len(parts))]
        rows = self._db.execute(
            "SELECT seq FROM file WHERE action = 'fetch' AND place IN (SELECT value FROM json_each(?))",
            (json.dumps(above),),
        )
        return [seq for (seq,) in rows]

    def note_removed(self, file: UnlistedFile) -> None:
        """Note that a file was removed from the disk."""
        self._set_fate(file, "removed")

    def forget(self, file: UnlistedFile) -> None:
        """Note that a file is not ours any more: another program changed or removed it."""
        self._set_fate(file, "forgotten")

    def _set_fate(self, file: UnlistedFile, fate: str) -> None:
        self._db.execute(
            "UPDATE known SET fate = ? WHERE dataset_id = ? AND relative_path = ?",
            (fate, file.dataset_id, file.relative_path),
        )

    @property
    def removed_count(self) -> int:
        """How many files were removed."""
        row = self._db.execute("SELECT count(*) FROM known WHERE fate = 'removed'").fetchone()
        return int(row[0])
