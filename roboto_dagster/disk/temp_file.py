"""A file that is being written: hidden under a temporary name beside its target, then published by one rename.

```
             ┌──────────────► discard ──► removed
 open_partial┤   keep_parts
             ├──(big files)──► note_part … ──► release ──► left for the next attempt or run, with its log
             └──────────────► publish ──► <folder>/<name>, complete and verified by the caller
```

It is never under its final name before. Its name is checked against the open file before it is published: if another run
has taken it over, or somebody has removed it, nothing is published and nothing overwritten.
"""

import contextlib
import errno
import os
import pathlib
import stat
from typing import Literal

from roboto_dagster.disk import owner, run_record
from roboto_dagster.disk.adoption import LeftParts, OpenLeftover, Origin, open_leftover
from roboto_dagster.disk.cleanup import leftovers_of
from roboto_dagster.disk.folder import Folder, FolderCache
from roboto_dagster.disk.leftovers import Leftover, join
from roboto_dagster.disk.resume_log import Identity, Part, log_name, write_identity, write_part
from roboto_dagster.disk.run_record import RunRecord

_FILE_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_LOG_FLAGS = _FILE_FLAGS | os.O_APPEND

Durability = Literal["none", "file", "full"]
"""What is forced to the disk before a file counts as published: nothing, the file, or its folders too."""

_UNRECORDED = owner.new_token()
"""For files without a boundary: nobody can prove whose they are, so nobody cleans them up."""


class PartialFile:
    """One file being written under a temporary name; ends with `publish`, `discard` or `release`.

    Args:
        folder: The open folder of the final name; closed at the end.
        name: The final name.
        durability: What is forced to the disk when it is published.
        record: Proves that it is this run's; released at the end. Without one it can be neither resumed nor reclaimed.

    Attributes:
        fd: Its descriptor, for reading and writing.
    """

    __slots__ = (
        "_durability",
        "_folder",
        "_has_parts",
        "_is_over",
        "_left",
        "_log_fd",
        "_name",
        "_record",
        "_temporary",
        "fd",
    )

    def __init__(
        self,
        folder: Folder,
        name: str,
        durability: Durability = "none",
        record: RunRecord | None = None,
    ) -> None:
        self._folder = folder
        self._name = name
        self._durability = durability
        self._record = record
        self._temporary = ""
        self._log_fd = -1
        self._has_parts = False
        self._is_over = False
        self._left: LeftParts | None = None
        self.fd = -1
        try:
            self._reject_special()
            self._create()
        except BaseException:
            self._end()
            raise

    def _reject_special(self) -> None:
        """Refuse to replace a FIFO, a socket or a device: somebody made it on purpose."""
        try:
            mode = self._folder.lstat(self._name).st_mode
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            reason = "a FIFO, a socket or a device is in its place: move it away"
            raise FileExistsError(errno.EEXIST, reason, self._name)

    def _create(self) -> None:
        token = _UNRECORDED
        if self._record is not None:
            self._record.add_folder(self._folder.where)
            token = self._record.token
        while self.fd < 0:
            # Refused if it exists: a user's own file of that name is never touched.
            self._temporary = self._folder.name_of(owner.new_name(self._name, token))
            try:
                self.fd = os.open(self._temporary, _FILE_FLAGS, 0o666, dir_fd=self._folder.fd)
            except FileExistsError:
                continue

    def check_name(self) -> None:
        """Raise if the temporary name is no longer that of the open file: then writing on is of no use.

        Raises:
            OSError: `ESTALE`: another run has taken it over, or somebody has removed it.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self.fd), self._lstat(self._temporary)):
                return
        reason = "its temporary file was removed or taken over by another run meanwhile"
        raise OSError(errno.ESTALE, reason, self._name)

    def publish(self) -> None:
        """Close the file and rename it to its final name.

        Raises:
            OSError: It cannot be published; the temporary file is then gone.
        """
        try:
            if self._left is not None and self._left.is_spoilt:
                raise OSError(
                    errno.ESTALE, "parts of it changed while they were copied", self._name
                )
            if self._durability != "none":
                os.fsync(self.fd)
            self.check_name()
            self._rename(self._temporary, self._folder.name_of(self._name))
            if self._log_fd >= 0:
                self._remove(self._log)
            self._temporary = ""
            if self._durability == "full":
                self._folder.flush()
        finally:
            self._discard()

    def discard(self) -> None:
        """Close and remove the temporary file; nothing if it was already published, discarded or released."""
        self._discard()

    def _discard(self) -> None:
        if self._is_over:
            return
        try:
            if self._temporary:
                self._remove_own(self._temporary, self.fd)
                self._remove_own(self._log, self._log_fd)
        except OSError:
            self._leave(self._temporary)
            raise
        finally:
            self._end()

    def keep_parts(self, identity: Identity) -> LeftParts | None:
        """Make it resumable, and take over what an earlier attempt or run left of the same version.

        Args:
            identity: Which version of which object it is of.

        Returns:
            The parts that may be there, to be checked; None if there are none.

        Raises:
            OSError: The log cannot be made.
        """
        if self._record is None:  # nobody would look for it
            return None
        self._log_fd = os.open(self._log, _LOG_FLAGS, 0o666, dir_fd=self._folder.fd)
        for leftover in leftovers_of(self._record).take(
            self._folder.where, owner.target_of(self._name)
        ):
            found = open_leftover(self._folder, leftover, identity)
            if found is None:
                self._forget_if_gone(self._record, leftover)
            elif self._adopt(self._record, leftover, found, identity):
                return self._left
        write_identity(self._log_fd, identity)
        return None

    def note_part(self, part: Part) -> None:
        """Log that a range is written; nothing without `keep_parts`.

        Args:
            part: The range.

        Raises:
            OSError: It cannot be logged, or the file is not ours any more (`check_name`).
        """
        if self._log_fd >= 0:
            self.check_name()
            write_part(self._log_fd, part)
            self._has_parts = True

    def forget_parts(self) -> None:
        """Empty the file, to start again; what is fetched then cannot be resumed.

        Raises:
            OSError: It cannot be emptied.
        """
        self._void_left()
        os.ftruncate(self.fd, 0)
        if self._log_fd >= 0:
            self._remove_own(self._log, self._log_fd)
            os.close(self._log_fd)
            self._log_fd = -1
            self._has_parts = False

    def release(self, missing_bytes: int = 0) -> None:
        """Close the file and leave it to the next attempt or run; without any part it is discarded.

        Args:
            missing_bytes: What is still to be fetched, in bytes; it is discarded if there is no room for so much.
        """
        if self._is_over:
            return
        if self._record is None or not self._has_parts or not self._has_room(missing_bytes):
            self._discard()
            return
        try:
            self.check_name()
            name = owner.released_name(os.path.basename(self._temporary))  # noqa: PTH119 - a name, no path
            # The log first: without one, a file is not resumed, and is cleaned up.
            self._rename(self._log, self._folder.name_of(log_name(name)))
            self._rename(self._temporary, self._folder.name_of(name))
            self._leave(name)
            leftover = Leftover(self._folder.where, name, is_certain=True)
            leftovers_of(self._record).add(owner.target_of(self._name), leftover)
        except FileNotFoundError:  # somebody cleaned up
            pass
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
        finally:
            self._end()

    def _has_room(self, missing_bytes: int) -> bool:
        if not missing_bytes or not hasattr(os, "fstatvfs"):
            return True
        room = os.fstatvfs(self.fd)
        return room.f_bavail * room.f_frsize >= missing_bytes

    def _forget_if_gone(self, record: RunRecord, leftover: Leftover) -> None:
        try:
            self._folder.lstat(leftover.name)
        except FileNotFoundError:
            record.drop_left(leftover.path)

    def _adopt(
        self, record: RunRecord, leftover: Leftover, found: OpenLeftover, identity: Identity
    ) -> bool:
        """Take a leftover over; False if another run was quicker."""
        write_identity(self._log_fd, identity)
        left = LeftParts(found.parts, found.fd)
        try:
            if leftover.is_certain:
                self._take_in_place(leftover, found)
                record.drop_left(leftover.path)
            else:
                origin = Origin(self._folder.share(), leftover, record)
                left.copy_to(self.fd, self._log_fd, origin)
                self._has_parts = True
        except FileNotFoundError:
            left.close()
            return False
        except BaseException:
            left.close()
            raise
        self._left = left
        return True

    def _take_in_place(self, leftover: Leftover, found: OpenLeftover) -> None:
        for part in found.parts:  # before the rename: a kill leaves either pair to be resumed
            write_part(self._log_fd, part)
        fd = os.dup(found.fd)
        try:
            self._rename(self._folder.name_of(leftover.name), self._temporary)
        except BaseException:
            os.close(fd)
            raise
        os.close(self.fd)
        self.fd = fd
        self._has_parts = True
        with contextlib.suppress(OSError):  # without its file it is cleaned up
            self._remove(self._folder.name_of(log_name(leftover.name)))

    def _void_left(self) -> None:
        if self._left is not None:
            self._left.void()

    @property
    def _log(self) -> str:
        return log_name(self._temporary)

    def _lstat(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._folder.fd, follow_symlinks=False)

    def _rename(self, old: str, new: str) -> None:
        os.replace(old, new, src_dir_fd=self._folder.fd, dst_dir_fd=self._folder.fd)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # somebody cleaned up meanwhile
            os.unlink(name, dir_fd=self._folder.fd)

    def _remove_own(self, name: str, fd: int) -> None:
        """Remove a name if it is still that of an open file of ours."""
        with contextlib.suppress(FileNotFoundError):
            if fd >= 0 and os.path.samestat(os.fstat(fd), self._lstat(name)):
                os.unlink(name, dir_fd=self._folder.fd)

    def _leave(self, name: str) -> None:
        if self._record is not None:
            self._record.add_left(join(self._folder.where, os.path.basename(name)))  # noqa: PTH119 - a name, no path

    def _end(self) -> None:
        """Close everything; no system call of a file of ours may follow."""
        self._is_over = True
        self._temporary = ""
        self._void_left()
        for fd in (self.fd, self._log_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._log_fd = -1
        self._folder.close()
        if self._record is not None:
            self._record.release()


def open_partial(
    destination: pathlib.Path,
    within: pathlib.Path | None = None,
    folders: FolderCache | None = None,
    durability: Durability = "none",
) -> PartialFile:
    """Open a file that will be published at `destination`.

    Args:
        destination: The final path.
        within: A parent of it below which no link is followed, and which keeps the record of this run; None trusts the
            whole path, and such a file is not resumed.
        folders: Folders kept open by the caller.
        durability: What is forced to the disk when it is published.

    Returns:
        The open file, to be ended by `publish`, `discard` or `release`.

    Raises:
        OSError: The folder or the temporary file cannot be made.
    """
    parent, name = os.path.split(destination)
    folder = _open_folder(parent or os.curdir, within, folders)
    if within is None:
        return PartialFile(folder, name, durability)
    try:
        record = run_record.acquire(within)
    except BaseException:
        folder.close()
        raise
    return PartialFile(folder, name, durability, record)


def _open_folder(path: str, within: pathlib.Path | None, folders: FolderCache | None) -> Folder:
    if folders is None:
        return Folder.open(pathlib.Path(path), within)
    return folders.get(path, within).share()
