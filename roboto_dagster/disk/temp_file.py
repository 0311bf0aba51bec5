"""A file that is being written: hidden under a temporary name beside its target, then published by one rename.

```
              ┌────────────────────────────────► discard ──► removed
 open_partial ┤  keep_parts ──► note_part … ───► release ──► left for the next attempt or run, with its log
              └────────────────────────────────► publish ──► <folder>/<name>
```

It is never under its final name before. Its name is compared with the open file before it is published: if another run
has taken it over, or it was removed, nothing is published and nothing overwritten.
"""

import errno
import os
import pathlib

from roboto_dagster.disk import owner, run_record
from roboto_dagster.disk.adoption import LeftParts, adopt
from roboto_dagster.disk.cleanup import leftovers_of
from roboto_dagster.disk.folder import Durability, Folder
from roboto_dagster.disk.folder_cache import FolderCache
from roboto_dagster.disk.leftovers import Leftover, join
from roboto_dagster.disk.local_file import create_in, status_of_replaced
from roboto_dagster.disk.resume_log import Identity, Part, ResumeLog
from roboto_dagster.disk.run_record import RunRecord

_UNRECORDED = owner.new_token()
"""For small files without a boundary: nobody can prove whose they are, so nobody cleans them up."""


class PartialFile:
    """One file being written under a temporary name; ends with `publish`, `discard` or `release`.

    Args:
        folder: The open folder of the final name; closed at the end.
        name: The final name.
        durability: What is forced to the disk when it is published.
        record: Proves that it is this run's; released at the end. None makes one only for what `keep_parts`.

    Attributes:
        fd: Its descriptor, for reading and writing.
        folder: The open folder.
    """

    __slots__ = (
        "_durability",
        "_has_parts",
        "_is_over",
        "_left",
        "_log",
        "_name",
        "_record",
        "_size_bytes",
        "_status",
        "_temporary",
        "fd",
        "folder",
    )

    def __init__(
        self,
        folder: Folder,
        name: str,
        durability: Durability = "none",
        record: RunRecord | None = None,
    ) -> None:
        self.folder = folder
        self.fd = -1
        self._name = name
        self._durability = durability
        self._record = record
        self._temporary = ""
        self._log: ResumeLog | None = None
        self._left: LeftParts | None = None
        self._size_bytes = 0
        self._status: os.stat_result | None = None
        self._has_parts = False
        self._is_over = False
        try:
            self._create()
        except BaseException:
            self._end()
            raise

    def _create(self) -> None:
        token = _UNRECORDED
        if self._record is not None:
            self._record.add_folder(self.folder.where)
            token = self._record.token
        while self.fd < 0:
            # Refused if it exists: a user's own file of that name is never touched.
            self._temporary = owner.new_name(self._name, token)
            try:
                self.fd = create_in(self.folder, self._temporary)
            except FileExistsError:
                continue

    def look(self) -> tuple[os.stat_result, os.stat_result | None]:
        """Look at the file, all of which was written, and at its place: once, just before it is published.

        Returns:
            The status of the open file, and of what it will replace; None if nothing is there.

        Raises:
            OSError: `FileExistsError` if something is in its place that was made on purpose, such as a FIFO.
        """
        in_place = status_of_replaced(self.folder, self._name)
        self._status = os.fstat(self.fd)
        return self._status, in_place

    def check_name(self) -> None:
        """Raise if the temporary name is no longer that of the open file: then writing on is of no use.

        Raises:
            OSError: `ESTALE`: another run has taken it over, or it was removed.
        """
        if not self.folder.is_own(self._temporary, self._status or os.fstat(self.fd)):
            reason = "its temporary file was removed or taken over by another run meanwhile"
            raise OSError(errno.ESTALE, reason, self._name)

    def publish(self) -> None:
        """Close the file and rename it to its final name, after `look`, which is done here if it was not yet.

        Raises:
            OSError: It cannot be published; the temporary file is then gone.
        """
        try:
            if self._left is not None and self._left.is_spoilt:
                reason = "parts of an earlier run changed while they were copied"
                raise OSError(errno.ESTALE, reason, self._name)
            if self._status is None:
                self.look()
            if self._durability != "none":
                os.fsync(self.fd)
            self.check_name()
            self.folder.rename(self._temporary, self._name)
            self._temporary = ""
            if self._log is not None:
                self._log.remove()
            if self._durability == "full":
                self.folder.flush()
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
                self.folder.remove_own(self._temporary, self.fd)
                if self._log is not None:
                    self._log.remove()
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
            OSError: The log cannot be made, or something is in its place that was made on purpose.
        """
        status_of_replaced(self.folder, self._name)  # of a big file, not only after its last byte
        record = self._record or self._record_beside()
        self._size_bytes = identity.size_bytes
        self.log.start(identity)
        found = leftovers_of(record).take(self.folder.where, owner.target_of(self._name))
        self._left = adopt(self, record, found, identity)
        self._has_parts = self._left is not None
        return self._left

    def _record_beside(self) -> RunRecord:
        """Keep a record in the file's own folder, where no boundary was given: only big files are worth that."""
        record = self._record = run_record.acquire(self.folder.path)
        record.add_folder(self.folder.where)
        name = owner.new_name(self._name, record.token)
        self.folder.rename(self._temporary, name)
        self._temporary = name
        return record

    @property
    def log(self) -> ResumeLog:
        """The log of its parts, made if need be."""
        if self._log is None:
            self._log = ResumeLog(self.folder, self._temporary)
        return self._log

    def replace_by(self, name: str, fd: int) -> None:
        """Take a file that an earlier run left in place of this one; see `adoption`.

        Args:
            name: Its name in the folder.
            fd: Its descriptor, which stays the caller's.

        Raises:
            OSError: `FileNotFoundError` if another run was quicker.
        """
        own = os.dup(fd)
        try:
            self.folder.rename(name, self._temporary)
        except BaseException:
            os.close(own)
            raise
        os.close(self.fd)
        self.fd = own
        if os.fstat(own).st_size > self._size_bytes:  # damaged: no part of the object is there
            os.ftruncate(own, self._size_bytes)

    def note_part(self, part: Part) -> None:
        """Log that a range is written; nothing without `keep_parts`.

        Args:
            part: The range.

        Raises:
            OSError: It cannot be logged, or the file is not ours any more (`check_name`).
        """
        if self._log is not None:
            self.check_name()
            self._log.add(part)
            self._has_parts = True

    def forget_parts(self) -> None:
        """Empty the file, to start again; what is fetched then cannot be resumed.

        Raises:
            OSError: It cannot be emptied.
        """
        if self._left is not None:
            self._left.void()
        os.ftruncate(self.fd, 0)
        self._has_parts = False
        log, self._log = self._log, None
        if log is not None:
            log.remove()
            log.close()

    def release(self, *, must_fit: bool = False) -> None:
        """Close the file and leave it to the next attempt or run; without any part it is discarded.

        Args:
            must_fit: Whether to discard it if there is no room for what is missing: it would keep the disk full.

        Raises:
            OSError: It can be neither left nor removed.
        """
        if self._is_over:
            return
        is_useful = self._has_parts and not (must_fit and not self._has_room())
        if not is_useful or not self.folder.is_own(self._temporary, os.fstat(self.fd)):
            self._discard()
            return
        try:
            name = owner.released_name(self._temporary)
            # The log first: without one, a file is not resumed, and is cleaned up.
            self.log.rename(name)
            self.folder.rename(self._temporary, name)
            self._leave(name)
            self._offer(Leftover(self.folder.where, name, is_certain=True))
        finally:
            self._end()

    def _has_room(self) -> bool:
        if not hasattr(os, "fstatvfs"):  # pragma: no cover - Windows
            return True
        room, present_bytes = os.fstatvfs(self.fd), os.fstat(self.fd).st_blocks * 512
        return room.f_bavail * room.f_frsize >= self._size_bytes - present_bytes

    def _leave(self, name: str) -> None:
        if self._record is not None:
            self._record.add_left(join(self.folder.where, name))

    def _offer(self, leftover: Leftover) -> None:
        if self._record is not None:
            leftovers_of(self._record).add(owner.target_of(self._name), leftover)

    def _end(self) -> None:
        """Close everything; nothing of it may be used after that."""
        if self._left is not None:
            self._left.void()
        if self.fd >= 0:
            os.close(self.fd)
        if self._log is not None:
            self._log.close()
        self.fd, self._log, self._temporary, self._is_over = -1, None, "", True
        self.folder.close()
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
        within: A parent of it below which no link is followed, and which keeps the record of this run. None trusts all of
            the path; then only a big file has a record, in its own folder.
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
