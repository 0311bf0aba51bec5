"""The files below one folder that the user chose: compared, opened and removed by one rule, without following links."""

import contextlib
import os
import pathlib
import stat
from collections.abc import Sequence
from types import TracebackType
from typing import BinaryIO, Literal

from typing_extensions import Self

from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.folder_cache import FolderCache
from roboto_dagster.disk.local_file import open_in
from roboto_dagster.disk.paths import are_plain, unsafe_reason

Removal = Literal["removed", "absent", "changed", "unsafe", "failed"]
"""The result of removing a file: `changed` is another program's file now and stays, `unsafe` was not touched."""


class LocalTree:
    """The files below one folder, named by relative paths with `/`. For one thread; use it in a `with`.

    Paths may come from a listing, a manifest or a log: each is judged by `paths.unsafe_reason`, and no link below the
    root is followed.

    Args:
        root: The folder that the user chose, such as a destination; it may be a link.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self._prefix = f"{root}{os.sep}"
        self._folders = FolderCache()
        self._last: tuple[str, Folder] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the folders that are kept open."""
        self._last = None
        self._folders.close()

    def lstat(self, relative_path: str) -> os.stat_result | None:
        """Return the status of a file, or None if it is missing, its path is unsafe, or a link is in the way.

        Args:
            relative_path: Below the root.
        """
        return self.lstat_all([relative_path])[0]

    def lstat_all(self, relative_paths: Sequence[str]) -> list[os.stat_result | None]:
        """Return for each of many files what `lstat` returns; most should be beside the one before.

        Args:
            relative_paths: Below the root.
        """
        are_safe = are_plain(relative_paths)
        found: list[os.stat_result | None] = []
        last, folder = None, None
        for path in relative_paths:
            parent, _, name = path.rpartition("/")
            if not are_safe and unsafe_reason(path) is not None:
                found.append(None)
                continue
            if parent != last:
                last, folder = parent, self._folder_of(path)
            found.append(None if folder is None else _lstat(folder, name))
        return found

    def size_of(self, relative_path: str) -> int | None:
        """Return the size of a regular file in bytes, or None if `lstat` finds none.

        Args:
            relative_path: Below the root.
        """
        status = self.lstat(relative_path)
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None

    def open(self, relative_path: str, *, max_bytes: int | None = None) -> BinaryIO:
        """Open a regular file for reading.

        Args:
            relative_path: Below the root.
            max_bytes: The largest size that is accepted, in bytes; None accepts any.

        Returns:
            The open file, to be closed by the caller.

        Raises:
            OSError: It is missing, no regular file (`EINVAL`), too large (`EFBIG`), or a link is in the way (`ELOOP`).
            ValueError: Its path is unsafe.
        """
        reason = unsafe_reason(relative_path)
        if reason is not None:
            raise ValueError(f"{relative_path!r} is not read: {reason}")
        folder, name = self._locate(relative_path)
        return os.fdopen(open_in(folder, name, os.O_RDONLY, max_bytes=max_bytes), "rb")

    def remove(self, relative_path: str, *, size_bytes: int, mtime_ns: int) -> Removal:
        """Remove a file that is still as it was published, and the folders that this leaves empty.

        Args:
            relative_path: Below the root; folders are removed up to its first component, which stays.
            size_bytes: Its size when it was published.
            mtime_ns: Its modification time when it was published, in ns since the epoch.

        Returns:
            The result. Only `removed` and `absent` mean that nothing is there any more.
        """
        if unsafe_reason(relative_path) is not None:
            return "unsafe"
        parent, _, name = relative_path.rpartition("/")
        try:
            with self._opened(parent) as folder:
                status = folder.lstat(name)
                is_same = (status.st_size, status.st_mtime_ns) == (size_bytes, mtime_ns)
                if not (is_same and stat.S_ISREG(status.st_mode)):
                    return "changed"
                os.unlink(folder.name_of(name), dir_fd=folder.fd)
        except FileNotFoundError:
            return "absent"
        except OSError:
            return "failed"
        self.remove_empty_folders(parent)
        return "removed"

    def remove_empty_folders(self, relative_path: str) -> None:
        """Remove a folder and its parents as long as they are empty; the first component of the path stays.

        Args:
            relative_path: The innermost folder, below the root.
        """
        while "/" in relative_path and unsafe_reason(relative_path) is None:
            try:
                self._remove_folder(relative_path)
            except OSError:  # not empty, or a link
                return
            relative_path = relative_path.rpartition("/")[0]

    def remove_empty_tree(self, relative_path: str) -> None:
        """Remove a folder in which there are only folders, with all of them; otherwise nothing.

        Args:
            relative_path: The outermost folder, below the root.
        """
        if unsafe_reason(relative_path) is not None:
            return
        # A link is in the way, permissions are missing, or somebody fills them meanwhile.
        with contextlib.suppress(OSError):
            for path in reversed(self._folders_alone(relative_path)):
                self._remove_folder(path)

    def _folders_alone(self, relative_path: str) -> list[str]:
        """Return a folder and all below it, each before what is in it; none if there is anything else."""
        found = [relative_path]
        for path in found:  # which grows
            with self._opened(path) as folder:
                names = folder.names()
                if not all(stat.S_ISDIR(folder.lstat(name).st_mode) for name in names):
                    return []
                found += [f"{path}/{name}" for name in names]
        return found

    def _remove_folder(self, relative_path: str) -> None:
        parent, _, name = relative_path.rpartition("/")
        with self._opened(parent) as outer:
            outer.remove_folder(name)

    def _opened(self, relative_path: str) -> Folder:
        """Open a folder again: one that was moved elsewhere since it was compared is not the one below the root."""
        return Folder.open(pathlib.Path(self._prefix + relative_path), self.root, create=False)

    def _locate(self, relative_path: str) -> tuple[Folder, str]:
        parent, _, name = relative_path.rpartition("/")
        last = self._last
        if last is not None and last[0] == parent and not last[1].is_removed:
            return last[1], name  # most files are beside the one before
        path = self._prefix + parent if parent else str(self.root)
        folder = self._folders.get(path, self.root, create=False)
        self._last = (parent, folder)
        return folder, name

    def _folder_of(self, relative_path: str) -> Folder | None:
        try:
            return self._locate(relative_path)[0]
        except OSError:
            return None


def _lstat(folder: Folder, name: str) -> os.stat_result | None:
    try:
        return folder.lstat(name)
    except OSError:
        return None
