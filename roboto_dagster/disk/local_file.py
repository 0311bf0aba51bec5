"""Opening and making files where others write as well: no link is followed, no FIFO waits for a writer.

Manifests, logs and delivered files are on a disk that others write to as well. All errors are `OSError`s that name the
file, so that a caller needs one `except`.
"""

import errno
import os
import pathlib
import stat
from typing import BinaryIO

from roboto_dagster.disk.folder import Folder

_FLAGS = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_CREATE_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


def open_regular(
    path: pathlib.Path, within: pathlib.Path | None = None, *, max_bytes: int | None = None
) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: The file.
        within: A parent of it below which no link is followed; None trusts its folder. The file itself may never be a
            link.
        max_bytes: The largest size that is accepted, in bytes; None accepts any.

    Returns:
        The open file, to be closed by the caller.

    Raises:
        OSError: It is missing, no regular file (`EINVAL`), a link (`ELOOP`), or too large (`EFBIG`).
    """
    with Folder.open(path.parent, within, create=False) as folder:
        fd = open_in(folder, path.name, os.O_RDONLY, max_bytes=max_bytes)
    return os.fdopen(fd, "rb")


def open_in(folder: Folder, name: str, flags: int, *, max_bytes: int | None = None) -> int:
    """Open a regular file of an open folder.

    Args:
        folder: The folder.
        name: The file's name in it.
        flags: `os.O_RDONLY`, `os.O_RDWR` or `os.O_WRONLY`, and `os.O_APPEND` if wanted.
        max_bytes: The largest size that is accepted, in bytes; None accepts any.

    Returns:
        A descriptor, to be closed by the caller.

    Raises:
        OSError: As `open_regular`.
    """
    # Looked at before it is opened: to open a device may already do something.
    check_regular(folder.lstat(name), str(folder.path / name))
    fd = os.open(folder.name_of(name), flags | _FLAGS, dir_fd=folder.fd)
    try:
        _check(os.fstat(fd), str(folder.path / name), max_bytes)
    except BaseException:
        os.close(fd)
        raise
    return fd


def create_in(folder: Folder, name: str, *, append: bool = False) -> int:
    """Make a file in an open folder.

    Args:
        folder: The folder.
        name: The file's name in it.
        append: Whether every write goes to its end.

    Returns:
        A descriptor for reading and writing, to be closed by the caller.

    Raises:
        OSError: It cannot be made; `FileExistsError` if there is anything of that name.
    """
    flags = _CREATE_FLAGS | os.O_APPEND if append else _CREATE_FLAGS
    return os.open(folder.name_of(name), flags, 0o666, dir_fd=folder.fd)


def status_of_replaced(folder: Folder, name: str) -> os.stat_result | None:
    """Return the status of what a file would replace; refuse to replace a FIFO, a socket or a device.

    Args:
        folder: The folder.
        name: The file's name.

    Returns:
        The status, of a link its own; None if there is nothing.

    Raises:
        FileExistsError: Something is there that was made on purpose.
    """
    try:
        status = folder.lstat(name)
    except FileNotFoundError:
        return None
    mode = status.st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        reason = "a FIFO, a socket or a device is in its place: move it away"
        raise FileExistsError(errno.EEXIST, reason, name)
    return status


def check_regular(status: os.stat_result, path: str) -> None:
    """Raise unless a status is that of a regular file.

    Args:
        status: From a call that follows no link.
        path: For the message.

    Raises:
        OSError: It is none: `EINVAL`, or `ELOOP` for a link.
    """
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        number = errno.ELOOP if kind == stat.S_IFLNK else errno.EINVAL
        reason = f"it is {_KINDS.get(kind, 'a special file')}, not a regular file; move it away"
        raise OSError(number, reason, path)


def _check(status: os.stat_result, path: str, max_bytes: int | None) -> None:
    check_regular(status, path)
    if max_bytes is not None and status.st_size > max_bytes:
        reason = f"it is larger than the {max_bytes:,} bytes accepted here"
        raise OSError(errno.EFBIG, reason, path)
