"""What is on the local disk, as the plan sees it."""

import os
import stat

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.sync.plan import LocalFile


def is_as_published(
    status: os.stat_result | None, size_bytes: int | None, mtime_ns: int | None
) -> bool:
    """Return whether what is on disk is the file that was published.

    Args:
        status: Of what is there now; None if nothing is.
        size_bytes: Its size when it was published; None if it never was.
        mtime_ns: Its modification time when it was published, in ns since the epoch.
    """
    return (
        status is not None
        and status.st_size == size_bytes
        and status.st_mtime_ns == mtime_ns
        and stat.S_ISREG(status.st_mode)
    )


def local_file(tree: LocalTree, path: str) -> LocalFile | None:
    """Return what is at a path below the destination; no link is followed.

    Args:
        tree: The destination.
        path: `<dataset id>/<relative path>`.

    Returns:
        None if nothing is there, or a link or file is where a folder should be: the transfer will name that.
    """
    return as_local_file(tree.lstat(path))


def as_local_file(status: os.stat_result | None) -> LocalFile | None:
    """Return what a status is of; None where nothing is."""
    if status is None:
        return None
    return LocalFile(
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        is_regular=stat.S_ISREG(status.st_mode),
        is_folder=stat.S_ISDIR(status.st_mode),
        inode=status.st_ino,
    )
