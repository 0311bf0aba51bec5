"""A file on its way: under a hidden temporary name beside its target, then published by one rename.

```
<folder>/.<…>.part      while it is fetched, never under its final name; see `owner` for the name
<folder>/<name>         once it is whole and verified
```

Folders are opened one component at a time without following links, and files are named relative to
the open folder, so that a link planted below `within`, before or during a run, leads nowhere.
"""

import contextlib
import errno
import os
import pathlib
import stat
import time
from typing import Literal

from roboto_dagster.disk import owner
from roboto_dagster.disk.folder import Folder, FolderCache
from roboto_dagster.disk.resume_log import (
    Identity,
    Part,
    log_name,
    read_log,
    write_identity,
    write_part,
)

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | _NO_FOLLOW
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)

_REOPEN_FLAGS = os.O_RDWR | _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0)
_JOURNAL_SUFFIX = ".parts.part"

RESUMABLE_AGE_SECONDS = 7 * 24 * 3600.0
"""What nobody went on with for so long is removed."""

Durability = Literal["none", "file", "full"]
"""What is forced to the disk before a file counts as published: nothing, the file, or its folder too."""


class PartialFile:
    """One file being written under a temporary name; ends with `publish`, `discard` or `release`.

    Args:
        folder: The open folder of the final name; closed at the end.
        name: The final name.
        durability: What is forced to the disk when it is published.
    """

    __slots__ = ("_durability", "_folder", "_has_parts", "_journal_fd", "_name", "_temporary", "fd")

    def __init__(self, folder: Folder, name: str, durability: Durability = "none") -> None:
        self._folder = folder
        self._name = name
        self._durability = durability
        self._temporary = ""
        self._journal_fd = -1
        self._has_parts = False
        self.fd = -1
        try:
            self._refuse_special()
            self._create()
        except BaseException:
            folder.close()
            raise

    def _refuse_special(self) -> None:
        """Refuses to take the place of a FIFO, a socket or a device: somebody made it on purpose."""
        try:
            mode = self._folder.lstat(self._name).st_mode
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            reason = "a FIFO, a socket or a device is in its place: move it away"
            raise FileExistsError(errno.EEXIST, reason, self._name)

    def _create(self) -> None:
        while self.fd < 0:
            # Refused if it exists: a user's own file of that name is never touched.
            self._temporary = self._folder.name_of(owner.new_name(self._name))
            try:
                self.fd = os.open(self._temporary, _FILE_FLAGS, 0o666, dir_fd=self._folder.fd)
            except FileExistsError:
                continue

    def publish(self) -> None:
        """Closes the file and renames it to its final name.

        Raises:
            OSError: It cannot be published; the temporary file is then gone.
        """
        if self._durability != "none":
            os.fsync(self.fd)
        target = self._folder.name_of(self._name)
        has_journal = self._journal_fd >= 0
        try:
            self._close()
            self._rename(self._temporary, target)
        except OSError:
            self.discard()
            raise
        if has_journal:
            self._remove(self._journal)
        self._temporary = ""
        try:
            if self._durability == "full":
                self._folder.flush()
        finally:
            self._folder.close()

    def discard(self) -> None:
        """Closes and removes the temporary file; nothing if it is already published or
        discarded.
        """
        self._close()
        if self._temporary:
            try:
                self._remove(self._temporary)
                self._remove(self._journal)
            finally:
                self._temporary = ""
                self._folder.close()

    def keep_parts(self, identity: Identity) -> list[Part]:
        """Makes it resumable, and takes over what a dead run left of the same version.

        Args:
            identity: Which version of which object it is of.

        Returns:
            The parts that were noted and may be there; each has to be checked (`parts.check_part`).

        Raises:
            OSError: The journal cannot be made.
        """
        for name in self._left_by_the_dead():
            parts = self._adopt(name, identity)
            if parts is not None:
                return parts
        self._journal_fd = os.open(self._journal, _FILE_FLAGS, 0o666, dir_fd=self._folder.fd)
        write_identity(self._journal_fd, identity)
        return []

    def note_part(self, part: Part) -> None:
        """Notes that a range is written; nothing without `keep_parts`."""
        if self._journal_fd >= 0:
            write_part(self._journal_fd, part)
            self._has_parts = True

    def forget_parts(self) -> None:
        """Empties the file, to begin anew; what is fetched then cannot be gone on with."""
        os.ftruncate(self.fd, 0)
        if self._journal_fd >= 0:
            self._drop_journal()

    def release(self) -> None:
        """Closes the file and leaves it to the next run; without any part it is discarded."""
        if not self._has_parts:
            self.discard()
            return
        self._close()
        name = self._folder.name_of(owner.released_name(self._name))
        with contextlib.suppress(FileNotFoundError):
            # The journal first: without one, a file is not gone on with, and is cleaned up.
            self._rename(self._journal, log_name(name))
            self._rename(self._temporary, name)
        self._temporary = ""
        self._folder.close()

    def _left_by_the_dead(self) -> list[str]:
        dead = _dead_in(self._folder, f".{owner.target_of(self._name)}-")
        return [name for name in dead if not name.endswith(_JOURNAL_SUFFIX)]

    def _adopt(self, name: str, identity: Identity) -> list[Part] | None:
        """Takes a dead run's file in place of the fresh one; only one of several runs succeeds in that."""
        left = self._folder.name_of(name)
        try:
            self._rename(log_name(left), self._journal)
            self._rename(left, self._temporary)
            journal_fd = os.open(self._journal, _REOPEN_FLAGS, dir_fd=self._folder.fd)
            fd = os.open(self._temporary, _REOPEN_FLAGS, dir_fd=self._folder.fd)
        except OSError:
            return None
        os.close(self.fd)
        self.fd, self._journal_fd = fd, journal_fd
        parts = read_log(journal_fd, identity)
        self._has_parts = bool(parts)
        if parts is None:  # another version, or garbage
            self._drop_journal()
            os.ftruncate(self.fd, 0)
        return parts

    @property
    def _journal(self) -> str:
        return log_name(self._temporary)

    def _drop_journal(self) -> None:
        os.close(self._journal_fd)
        self._journal_fd = -1
        self._has_parts = False
        self._remove(self._journal)

    def _rename(self, old: str, new: str) -> None:
        os.replace(old, new, src_dir_fd=self._folder.fd, dst_dir_fd=self._folder.fd)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # somebody cleaned up meanwhile
            os.unlink(name, dir_fd=self._folder.fd)

    def _close(self) -> None:
        for fd in (self.fd, self._journal_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._journal_fd = -1


def open_partial(
    destination: pathlib.Path,
    within: pathlib.Path | None = None,
    folders: FolderCache | None = None,
    durability: Durability = "none",
) -> PartialFile:
    """Begins a file that will be published at `destination`.

    Args:
        destination: The final path.
        within: A parent of it below which no link is followed; None trusts the whole path.
        folders: Folders kept open by the caller.
        durability: What is forced to the disk when it is published.

    Raises:
        OSError: The folder or the temporary file cannot be made.
    """
    parent, name = os.path.split(destination)
    if folders is None:
        return PartialFile(Folder.open(destination.parent, within), name, durability)
    return PartialFile(folders.get(parent or os.curdir, within).share(), name, durability)


def reclaim(path: pathlib.Path, within: pathlib.Path) -> int:
    """Removes what dead runs have left in a folder; what a living one writes stays.

    Args:
        path: The folder; nothing happens if there is none.
        within: A parent of it below which no link is followed.

    Returns:
        How many files were removed.
    """
    if not path.is_dir():
        return 0
    with Folder.open(path, within) as folder:
        dead = _dead_in(folder, ".")
        useless = [name for name in dead if not _may_be_resumed(name, dead, folder)]
        for name in useless:
            with contextlib.suppress(FileNotFoundError):  # another run was quicker
                os.unlink(folder.name_of(name), dir_fd=folder.fd)
        return len(useless)


def _may_be_resumed(name: str, dead: set[str], folder: Folder) -> bool:
    """Tells whether a dead run's file, or its journal, is of use to a next one: both are there, and not old."""
    is_journal = name.endswith(_JOURNAL_SUFFIX)
    other = name.removesuffix(_JOURNAL_SUFFIX) + owner.SUFFIX if is_journal else log_name(name)
    if other not in dead:
        return False
    try:
        modified_at = os.stat(folder.name_of(name), dir_fd=folder.fd).st_mtime
    except FileNotFoundError:
        return False
    return time.time() - modified_at < RESUMABLE_AGE_SECONDS


def _dead_in(folder: Folder, prefix: str) -> set[str]:
    """Returns the temporary files in a folder, of names with this prefix, whose run is dead."""
    with os.scandir(folder.path if folder.fd is None else folder.fd) as entries:
        # The prefix first: a folder may hold many files, and each big one of them looks here.
        return {each.name for each in entries if each.name.startswith(prefix) and _is_dead(each)}


def _is_dead(entry: "os.DirEntry[str]") -> bool:
    temporary = owner.parse_name(entry.name)
    if temporary is None:
        return False
    try:
        return not owner.is_alive(temporary, entry.stat(follow_symlinks=False).st_mtime)
    except FileNotFoundError:  # it was published meanwhile
        return False
