"""The local disk around a sync: room for what is planned, what dead runs left, and removing what is no longer wanted."""

import os
import pathlib
import stat

from roboto_dagster.disk.folder import Folder
from roboto_dagster.errors import DiskSpaceError
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.sync.plan import KnownFile


def check_space(destination: pathlib.Path, files: int, size_bytes: int, reserve_bytes: int) -> None:
    """Fails before the first byte if the plan does not fit on the destination's filesystem.

    Args:
        destination: An existing folder.
        files: How many files are to be made; each needs an inode.
        size_bytes: Their bytes.
        reserve_bytes: What has to be left free.

    Raises:
        DiskSpaceError: There is too little room; the message says how much is needed and there.
    """
    if not hasattr(os, "statvfs"):  # pragma: no cover - Windows
        return
    room = os.statvfs(destination)
    free_bytes = room.f_bavail * room.f_frsize
    if size_bytes + reserve_bytes > free_bytes:
        raise DiskSpaceError(
            f"NO_SPACE: the files to fetch need {size_bytes / MIB:,.1f} MiB and {reserve_bytes / MIB:,.1f} MiB are kept in "
            f"reserve, but {destination} has {free_bytes / MIB:,.1f} MiB free. Nothing was fetched. Free some, choose "
            "another destination, or set free_space_reserve_bytes (None checks nothing)."
        )
    if (
        room.f_files and files > room.f_favail
    ):  # some filesystems make inodes as they go and count none
        raise DiskSpaceError(
            f"NO_SPACE: {files:,} files are to be made, but the filesystem of {destination} has {room.f_favail:,} inodes "
            "left. Nothing was fetched. Remove files, choose another destination, or set free_space_reserve_bytes=None."
        )


def remove_file(path: pathlib.Path, known: KnownFile, within: pathlib.Path) -> bool:
    """Removes one file of ours and the folders that it leaves empty; no link is followed.

    Args:
        path: The file.
        known: What the manifest says of it: a file that was changed since is the user's now, and stays.
        within: The dataset's folder, which is never removed.

    Returns:
        Whether it is gone.
    """
    try:
        folder = Folder.open(path.parent, within)
        name = folder.name_of(path.name)
        status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        unchanged = (status.st_size, status.st_mtime_ns) == (known.size_bytes, known.mtime_ns)
        if not (unchanged and stat.S_ISREG(status.st_mode)):
            return False
        os.unlink(name, dir_fd=folder.fd)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    _remove_empty(path.parent, within)
    return True


def _remove_empty(folder: pathlib.Path, within: pathlib.Path) -> None:
    while folder != within:
        try:
            folder.rmdir()
        except OSError:  # not empty
            return
        folder = folder.parent
