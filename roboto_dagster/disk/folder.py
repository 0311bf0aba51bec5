"""Folders opened one component at a time without following links.

Files are then named relative to the open folder, so that a link planted below a destination, before or during a run, is
never followed. Each open folder is closed when its last user closes it, not when the garbage collector finds it: errors
that live on in reports keep frames, and frames keep folders.
"""

import contextlib
import errno
import os
import pathlib
import stat
import threading
from types import TracebackType
from typing import Literal

from typing_extensions import Self

Durability = Literal["none", "file", "full"]
"""What is forced to the disk before a file counts as published: nothing, the file, or its folders too."""

# Where the platform cannot open relative to a folder (Windows), full paths are used.
HAS_DIR_FD = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)

_users_lock = threading.Lock()


class Folder:
    """An open folder, closed when its last user closes it.

    Attributes:
        path: Where it was when it was opened; for messages.
        fd: Its descriptor, or None where the platform cannot open relative to a folder.
        where: Its path relative to the boundary below which no link is followed, with `/`.
    """

    __slots__ = ("_depth", "_users", "fd", "path", "where")

    def __init__(self, path: pathlib.Path, fd: int | None, where: str = "", depth: int = 0) -> None:
        self.path = path
        self.fd = fd
        self.where = where
        self._depth = depth
        self._users = 1

    @classmethod
    def open(
        cls, path: pathlib.Path, within: pathlib.Path | None = None, *, create: bool = True
    ) -> "Folder":
        """Open a folder.

        Args:
            path: The folder.
            within: A parent of it that the user chose; below it no link is followed. None trusts all of the path.
            create: Whether to make folders that are missing.

        Returns:
            The folder, to be closed by the caller.

        Raises:
            OSError: It cannot be made or opened; `errno.ELOOP` if a link is in the way.
            ValueError: It is not below `within`.
        """
        base = path if within is None else within
        names = path.relative_to(base).parts
        if ".." in names:
            raise ValueError(f"{path} is not below {base}")
        if not HAS_DIR_FD:
            _reject_links(path, within)
            if create:
                path.mkdir(parents=True, exist_ok=True)
            return cls(path, None, "/".join(names))
        depth = len(names)
        if create:
            depth += _make_parents(base)
        fd = os.open(base, _FOLDER_FLAGS)
        for name in names:
            parent = fd
            try:
                fd = _open_child(parent, name, create=create)
            finally:
                os.close(parent)
        return cls(path, fd, "/".join(names), depth)

    def share(self) -> "Folder":
        """Count one more user, who has to close it too.

        Returns:
            The same folder.
        """
        with _users_lock:
            self._users += 1
        return self

    @property
    def is_removed(self) -> bool:
        """Whether it was removed since it was opened; another one may have its name by now."""
        try:
            return self.fd is not None and os.fstat(self.fd).st_nlink == 0
        except OSError:  # such as ESTALE of NFS
            return True

    def close(self) -> None:
        """Close it, if this was its last user."""
        with _users_lock:
            self._users -= 1
            fd = self.fd
            if self._users or fd is None:
                return
            self.fd = None
        os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A user who was interrupted before `close`.
        fd, self.fd = getattr(self, "fd", None), None
        if fd is not None:
            os.close(fd)

    def child(self, name: str) -> "Folder":
        """Open a folder of this folder, without following a link; to be closed by the caller.

        Raises:
            OSError: There is none, or a link is in its place.
        """
        path, where = self.path / name, f"{self.where}/{name}".lstrip("/")
        if self.fd is None:
            return Folder(Folder.open(path, self.path, create=False).path, None, where)
        return Folder(path, _open_without_following(self.fd, name), where)

    def name_of(self, name: str) -> str:
        """Return what system calls need for a file of this folder, together with `fd`."""
        return name if self.fd is not None else str(self.path / name)

    def lstat(self, name: str) -> os.stat_result:
        """Return the status of a file of this folder; a link is not followed.

        Raises:
            OSError: There is none.
        """
        return os.stat(self.name_of(name), dir_fd=self.fd, follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        """Rename a file of this folder, replacing what has the new name.

        Args:
            old: Its name.
            new: Its new name.

        Raises:
            OSError: It cannot be renamed.
        """
        os.replace(self.name_of(old), self.name_of(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: str) -> None:
        """Remove a file of this folder; nothing if there is none.

        Raises:
            OSError: It cannot be removed.
        """
        with contextlib.suppress(FileNotFoundError):  # another thread or run was quicker
            os.unlink(self.name_of(name), dir_fd=self.fd)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder of this one.

        Raises:
            OSError: There is none, it is not empty, or it is none.
        """
        os.rmdir(self.name_of(name), dir_fd=self.fd)

    def is_own(self, name: str, own: os.stat_result) -> bool:
        """Return whether a name is that of an open file, and not of another one by now.

        Args:
            name: In this folder.
            own: Status of the open file, of any time.
        """
        try:
            there = self.lstat(name)
        except FileNotFoundError:
            return False
        return own.st_ino == there.st_ino and own.st_dev == there.st_dev

    def remove_own(self, name: str, fd: int) -> None:
        """Remove a file of this folder if its name is still that of an open file.

        Args:
            name: In this folder.
            fd: Of the open file.

        Raises:
            OSError: It cannot be removed.
        """
        if self.is_own(name, os.fstat(fd)):
            self.remove(name)

    def names(self) -> list[str]:
        """Return the names of everything in it, in order.

        Raises:
            OSError: It cannot be listed.
        """
        with os.scandir(self.path if self.fd is None else self.fd) as entries:
            return sorted(each.name for each in entries)

    def flush(self) -> None:
        """Force the folder's entries to the disk, and the first time those of its parents, which may be new as well.

        Raises:
            OSError: A folder could not be flushed.
        """
        if self.fd is None:
            return
        os.fsync(self.fd)
        depth, self._depth = self._depth, 0
        with contextlib.ExitStack() as stack:
            fd = self.fd
            for _ in range(depth):
                fd = os.open("..", _FOLDER_FLAGS, dir_fd=fd)
                stack.callback(os.close, fd)
                os.fsync(fd)


def _make_parents(base: pathlib.Path) -> int:
    """Make the folder that the user chose; return how many folders that took."""
    missing = 0
    for folder in (base, *base.parents):
        if os.path.lexists(folder):
            break
        missing += 1
    base.mkdir(parents=True, exist_ok=True)
    return missing


def _open_child(parent_fd: int, name: str, *, create: bool) -> int:
    try:
        return _open_without_following(parent_fd, name)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):  # another thread or run made it meanwhile
        os.mkdir(name, dir_fd=parent_fd)
    return _open_without_following(parent_fd, name)


def _open_without_following(parent_fd: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS | _NO_FOLLOW, dir_fd=parent_fd)
    except NotADirectoryError as error:
        # Linux answers ENOTDIR for a link with O_DIRECTORY | O_NOFOLLOW, and for a plain file in the way.
        if stat.S_ISLNK(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from error
        raise


def _reject_links(path: pathlib.Path, within: pathlib.Path | None) -> None:
    folder = path
    while within is not None and folder != within:
        if folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        folder = folder.parent
