"""What is known about files that earlier runs published, in the inventory of a sync."""

from collections.abc import Iterable, Iterator, Sequence

from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.insertion import insert_rows
from roboto_dagster.sync.inventory import (
    FILE_WIDTH,
    Inventory,
    PlannedFile,
    batched,
    known_file,
    planned_file,
)
from roboto_dagster.sync.known import KNOWN_COLUMNS, KnownRow
from roboto_dagster.sync.plan import KnownFile

_ADD = f"INSERT OR REPLACE INTO known ({', '.join(KNOWN_COLUMNS)})"
_ADD_NEW = _ADD.replace("REPLACE", "IGNORE")


class KnownFiles:
    """Adds facts to an inventory and finds those that match the disk. For one thread.

    Args:
        inventory: Of the sync.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._db = inventory.db
        self._pages = inventory.pages

    def add(self, rows: Iterable[KnownRow]) -> None:
        """Add facts about published files; later ones replace earlier ones of the same file.

        Args:
            rows: Checked rows, see `known`.
        """
        for batch in batched(rows):
            insert_rows(self._db, _ADD, batch)

    def add_new(self, rows: Sequence[KnownRow]) -> bool:
        """Add facts about files of which no facts are there; the plan compares them with the disk, as all that is known.

        Args:
            rows: Checked rows.

        Returns:
            Whether that was so of all of them; what was known of the others is kept.
        """
        before = self._db.total_changes
        insert_rows(self._db, _ADD_NEW, rows)
        return self._db.total_changes - before == len(rows)

    def add_found(self, rows: Iterable[KnownRow]) -> None:
        """Add facts that are as old as the files, such as those of a publish log: they replace only what is of other files.

        The manifest knows more of the same file: a newer version of its record with the same content, for example.

        Args:
            rows: Checked rows that match the disk.
        """
        self._db.executemany(
            sql.ADD_FOUND, ((*row, *row[:2], row.size_bytes, row.mtime_ns) for row in rows)
        )

    def prefer_newer(self) -> None:
        """Let what was found last replace what the manifest has of the same file."""
        self._db.execute(sql.PREFER_KNOWN)

    def merge(self, rows: Sequence[KnownRow]) -> None:
        """Take over what another run has published meanwhile, in place of what was known about it.

        Args:
            rows: Checked rows that match the disk: of files that this run did not list or could not deliver, or of files
                that the other run published after this one.
        """
        for row in rows:
            values = (row.file_id, row.version, row.uri, *row[:2], row.size_bytes, row.mtime_ns)
            is_corrected = self._db.execute(sql.CORRECT, values).rowcount
            if is_corrected or self._db.execute(sql.FORGET_FAILED, row[:2]).rowcount:
                self.add([row])
        self._db.executemany(sql.ADD_UNLISTED, ((*row, *row[:2]) for row in rows))

    def drop_removed(self, keys: Iterable[tuple[str, str, str]]) -> int:
        """Drop files that this run has for complete, and that another run has removed meanwhile.

        Args:
            keys: The dataset, path and id of each file that the other run has removed, and that is not on disk.

        Returns:
            How many of them this run had for complete.
        """
        return self._db.executemany(sql.DROP_REMOVED, keys).rowcount

    def unknown_datasets(self) -> list[str]:
        """Return the datasets of files that are on disk and that nothing is known about."""
        rows = self._db.execute(
            "SELECT DISTINCT dataset_id FROM on_disk LEFT JOIN known USING (dataset_id, relative_path)"
            " WHERE known.dataset_id IS NULL"
        )
        return [dataset_id for (dataset_id,) in rows]

    def adopt(self, rows: Iterable[KnownRow]) -> None:
        """Take over facts about files that are on disk as they were published, and that nothing is known about.

        Args:
            rows: Checked rows of another manifest.
        """
        self._db.executemany(
            sql.ADOPT,
            ((*row, *row[:2], row.size_bytes, row.mtime_ns) for row in rows),
        )

    def on_disk(self) -> Iterator[tuple[PlannedFile, KnownFile]]:
        """Yield every file to be fetched whose known facts match the disk."""
        for row in self._pages(sql.KNOWN_ON_DISK):
            known = known_file(row[FILE_WIDTH:])
            if known is not None:
                yield planned_file(row), known
