"""What the plan refuses or skips before the first byte, and what it fails because its place on the disk is taken."""

from collections.abc import Iterable

from roboto_dagster.disk.paths import MAX_PATH_BYTES
from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.listed_rows import MARKER_REASON
from roboto_dagster.sync.plan import place_of

_BLOCKED_ADVICE = (
    "Move away what is in its place, or exclude the file with exclude_patterns, then run it again."
)


class Refusals:
    """Marks listed files that are not fetched. For one thread.

    Args:
        inventory: The files.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._db = inventory.db

    def refuse(self, schemes: Iterable[str], max_path_bytes: int = MAX_PATH_BYTES) -> None:
        """Refuse what cannot be delivered, and skip directory markers.

        All members of every collision are refused: the same place, also by case or Unicode form, or a file `a` beside
        `a/b`. So is every file with an unsafe path, a bad record, or a URI of a scheme without a store.

        Args:
            schemes: The schemes for which there is a store.
            max_path_bytes: How long a file's path below the destination may be.
        """
        self._db.execute(sql.TOO_LONG, {"most": max_path_bytes})
        script = sql.COLLISIONS.replace(":marker", f"'{MARKER_REASON}'")
        self._db.executescript(f"{script} BEGIN;")
        folders = self._db.execute(
            "SELECT place FROM disputed JOIN folder USING (place)"
        ).fetchall()
        self._db.executemany(sql.BENEATH, ((place, place) for (place,) in folders))
        self._refuse_schemes(frozenset(schemes))
        self._db.execute(sql.REFUSE)

    def _refuse_schemes(self, schemes: frozenset[str]) -> None:
        found = self._db.execute(
            "SELECT DISTINCT substr(uri, 1, instr(uri, '://') - 1) FROM file WHERE action = 'keep' AND error_code IS NULL"
        ).fetchall()
        for (scheme,) in found:
            if scheme not in schemes:
                reason = (
                    f"no object store is registered for {scheme}:// URIs (roboto_dagster.StoreRegistry); there is one "
                    f"for {', '.join(sorted(schemes))}"
                )
                self._db.execute(
                    "UPDATE file SET error_code = 'BAD_RECORD', error = ? WHERE action = 'keep' AND error_code IS NULL"
                    " AND uri >= ? || '://' AND uri < ? || ':/0'",
                    (reason, scheme, scheme),
                )

    def block(self, numbers: Iterable[int], reason: str) -> None:
        """Fail files whose place on the disk is taken. Unlike a refusal, this is never skipped.

        Args:
            numbers: The files.
            reason: What is in the way.
        """
        self._db.executemany(
            "UPDATE file SET action = 'block', status = 'failed', error_code = 'LOCAL_IO', error = ?, advice = ?"
            " WHERE action = 'fetch' AND seq = ?",
            ((reason, _BLOCKED_ADVICE, number) for number in numbers),
        )

    def beneath(self, folder: str) -> list[int]:
        """Return the files to be fetched into a folder or its sub-folders.

        Args:
            folder: Below the destination.
        """
        dataset_id, _, relative = folder.partition("/")
        place = f"{dataset_id}/{place_of(relative)}"
        rows = self._db.execute(
            "SELECT seq FROM file WHERE action = 'fetch' AND place >= ? || '/' AND place < ? || '0'",
            (place, place),
        )
        return [seq for (seq,) in rows]

    def skip_refused(self) -> None:
        """Turn refusals into skipped files: the sync does not fail because of them."""
        self._db.execute("UPDATE file SET status = 'skipped' WHERE action = 'refuse'")
