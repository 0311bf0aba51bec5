"""What is on the local disk, as the plan sees it."""

import stat

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.sync.plan import LocalFile


def local_file(tree: LocalTree, path: str) -> LocalFile | None:
    """Return what is at a path below the destination; no link is followed.

    Args:
        tree: The destination.
        path: `<dataset id>/<relative path>`.

    Returns:
        None if nothing is there, or a link or file is where a folder should be: the transfer will name that.
    """
    status = tree.lstat(path)
    if status is None:
        return None
    return LocalFile(
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        is_regular=stat.S_ISREG(status.st_mode),
        is_folder=stat.S_ISDIR(status.st_mode),
        inode=status.st_ino,
    )
