"""Checks that there is room on the disk for what is planned."""

import os
import pathlib

from roboto_dagster.errors import DiskSpaceError
from roboto_dagster.fs.core.settings import MIB


def check_space(destination: pathlib.Path, files: int, size_bytes: int, reserve_bytes: int) -> None:
    """Fail before the first byte if the plan does not fit on the destination's filesystem.

    Args:
        destination: An existing folder.
        files: How many files are to be made; each needs an inode.
        size_bytes: Their bytes.
        reserve_bytes: What has to be left free.

    Raises:
        DiskSpaceError: There is too little room; the message names how much is needed and how much is free.
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
