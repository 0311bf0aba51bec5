"""Whose the temporary files of a sync are, and what earlier runs left of theirs."""

import contextlib
import functools
import logging
import pathlib
import sqlite3
import sys
from collections.abc import Iterator

from roboto_dagster.disk import run_record
from roboto_dagster.disk.cleanup import reclaim
from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.errors import DiskSpaceError, ManifestError, is_no_space
from roboto_dagster.sync.inventory import Inventory

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def recorded_run(destination: pathlib.Path, manifest: pathlib.Path) -> Iterator[RunRecord]:
    """Keep the record by which later runs know the temporary files of this one.

    Args:
        destination: The folder that the user chose.
        manifest: The manifest of what is written.

    Yields:
        The record.

    Raises:
        DiskSpaceError: There is no room for it.
        ManifestError: It cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            record = stack.enter_context(run_record.hold(destination, _scope(manifest)))
        except OSError as error:
            where = destination / ".roboto" / ".runs"
            reason = error.strerror or error
            if is_no_space(error):
                raise DiskSpaceError(
                    f"NO_SPACE: nothing can be written to {where}: {reason}. Nothing was fetched. Make room, then run it again."
                ) from error
            raise ManifestError(
                f"The record of this run cannot be written to {where}: {reason}. Nothing was fetched. Correct the "
                "permissions, or move away what is in its place, then run it again."
            ) from error
        yield record


def reclaim_leftovers(record: RunRecord, inventory: Inventory, manifest: pathlib.Path) -> int:
    """Remove what killed runs left at the destination and this one cannot use.

    Args:
        record: Of this run.
        inventory: After its actions are set: what it fetches is kept, what it lists or knows is never touched.
        manifest: The manifest of what is written.

    Returns:
        The bytes that are on disk already of what is to be fetched.
    """
    try:
        reclaimed = reclaim(
            record,
            _scope(manifest),
            names_wanted=functools.partial(_names_to_fetch, inventory.db),
            is_held=functools.partial(_is_listed_or_known, inventory.db),
        )
    except OSError as error:  # no reason to fetch nothing
        logger.warning("What earlier runs left could not be checked: %s", error.strerror)
        return 0
    return reclaimed.resumable_bytes


def _names_to_fetch(db: sqlite3.Connection, folder: str) -> Iterator[str]:
    """Yield the names of what is to be fetched into a folder, given relative to the destination."""
    dataset_id, _, below = folder.partition("/")
    prefix = f"{below}/" if below else ""
    # By range, which the index on paths answers: `/` is followed by `0`.
    rows = db.execute(
        "SELECT relative_path FROM file WHERE dataset_id = ? AND relative_path >= ? AND relative_path < ?"
        " AND action = 'fetch'",
        (dataset_id, prefix, f"{below}0" if below else chr(sys.maxunicode)),
    )
    names = (str(path)[len(prefix) :] for (path,) in rows)
    return (name for name in names if "/" not in name)


def _is_listed_or_known(db: sqlite3.Connection, path: str) -> bool:
    """Return whether the platform lists a file, or a manifest has it; its path is relative to the destination."""
    dataset_id, _, relative_path = path.partition("/")
    query = (
        "SELECT EXISTS (SELECT 1 FROM file WHERE dataset_id = ?1 AND relative_path = ?2)"
        " OR EXISTS (SELECT 1 FROM known WHERE dataset_id = ?1 AND relative_path = ?2)"
    )
    (found,) = db.execute(query, (dataset_id, relative_path)).fetchone()
    return bool(found)


def _scope(manifest: pathlib.Path) -> str:
    return f"{manifest.parent.name}/{manifest.name}"
