"""Takes over the parts of a big file that an earlier attempt or run left.

```
                 certainly dead   log written under our name ─► file renamed to our name ─► its log removed
 file and log ──┤
                 presumed dead    read where it is ─► checked parts copied to our file ─► file and log removed
```

A file is never written by two: one whose writer may still have it open is copied. Killed between any two steps, the next
run finds either the old pair, or both, or ours, and never fails for it.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.leftovers import Leftover
from roboto_dagster.disk.local_file import open_in
from roboto_dagster.disk.resume_log import (
    Identity,
    Part,
    ResumeLog,
    log_name,
    read_log,
    write_part,
)
from roboto_dagster.disk.run_record import RunRecord

_CHUNK_BYTES = 1024 * 1024


class AdoptingFile(Protocol):
    """The new file that takes over what is left; a `PartialFile`."""

    fd: int
    folder: Folder

    @property
    def log(self) -> ResumeLog:
        """Its log."""
        ...

    def replace_by(self, name: str, fd: int, /) -> None:
        """Take a file of the folder in place of this one.

        Raises:
            OSError: `FileNotFoundError` if another run was quicker.
        """
        ...


class Origin(NamedTuple):
    """Where parts are copied from.

    Attributes:
        folder: The open folder, which is closed at the end.
        leftover: What was found in it.
        record: Of this run.
    """

    folder: Folder
    leftover: Leftover
    record: RunRecord


class LeftParts:
    """Parts that are on disk already, to be checked on any thread before they count; `close` it after that.

    Attributes:
        parts: As logged.
        source_fd: Where to read them.
        target_fd: Where they are to be copied to; -1 if they are in place.
    """

    def __init__(self, parts: list[Part], source_fd: int) -> None:
        self.parts = parts
        self.source_fd = source_fd
        self.target_fd = -1
        self.is_spoilt = False
        self._log_fd = -1
        self._origin: Origin | None = None
        self._is_void = False
        self._lock = threading.Lock()

    def copy_to(self, fd: int, log_fd: int, origin: Origin) -> None:
        """Have parts copied instead of used in place.

        Args:
            fd: The file that they are copied to.
            log_fd: Its log.
            origin: Where they come from; removed at the end.
        """
        self.target_fd, self._log_fd, self._origin = os.dup(fd), os.dup(log_fd), origin

    @property
    def size_bytes(self) -> int:
        """How many bytes the parts have together."""
        return sum(part.stop - part.start for part in self.parts)

    @property
    def needs_copy(self) -> bool:
        """Whether `take` copies."""
        return self._origin is not None

    def take(self, part: Part) -> bool:
        """Copy one part, if parts have to be copied.

        Args:
            part: One whose checksum has matched.

        Returns:
            Whether all its bytes are in the file now; False if they could not be copied, or are no longer wanted.
        """
        if self._is_void:
            return False
        if not self.needs_copy:
            return True
        offset = part.start
        try:
            while offset < part.stop:
                data = os.pread(self.source_fd, min(_CHUNK_BYTES, part.stop - offset), offset)
                if not data or not self._write(data, offset):
                    return False
                offset += len(data)
        except OSError:  # a full disk: what is missing is fetched
            return False
        return True

    def confirm(self, part: Part) -> None:
        """Log a part that was copied and whose checksum matches in the copy too.

        Args:
            part: One for which `take` returned True.
        """
        with self._lock:
            if self.needs_copy and not self._is_void:
                write_part(self._log_fd, part)

    def spoil(self) -> None:
        """Note that bytes were copied which are not those of the part: the file must not be published."""
        self.is_spoilt = True

    def void(self) -> None:
        """Stop copying: the file was ended or emptied meanwhile."""
        with self._lock:
            self._is_void = True
            for fd in (self.target_fd, self._log_fd):
                if fd >= 0:
                    os.close(fd)
            self.target_fd = self._log_fd = -1

    def close(self) -> None:
        """Close what is open, and remove what was copied."""
        fd, self.source_fd = self.source_fd, -1
        origin, was_void = self._origin, self._is_void
        self.void()
        if fd < 0:
            return
        if origin is not None:
            with origin.folder, contextlib.suppress(OSError):
                status = origin.folder.lstat(origin.leftover.name)
                if not was_void and os.path.samestat(os.fstat(fd), status):
                    _remove_pair(origin.folder, origin.leftover.name)
                    origin.record.drop_left(origin.leftover.path)
        os.close(fd)

    def _write(self, data: bytes, offset: int) -> bool:
        with self._lock:
            while data and not self._is_void:
                written = os.pwrite(self.target_fd, data, offset)
                data, offset = data[written:], offset + written
            return not self._is_void


def adopt(
    partial: AdoptingFile, record: RunRecord, leftovers: Sequence[Leftover], identity: Identity
) -> LeftParts | None:
    """Take over the first of several leftovers that can be.

    Args:
        partial: The file that its parts go to.
        record: Of this run.
        leftovers: What is there for it.
        identity: The version that is wanted.

    Returns:
        Its parts, to be checked; None if there are none.

    Raises:
        OSError: The log cannot be written.
    """
    opened = _open_all(partial.folder, record, leftovers, identity)
    taken: LeftParts | None = None
    try:
        for leftover, left in opened:
            if _take_over(partial, record, leftover, left):
                taken = left
                break
            partial.log.start(identity)
    finally:
        for leftover, left in opened:
            if left is not taken:
                left.close()
                _drop(partial.folder, record, leftover, is_superseded=taken is not None)
    return taken


def _open_all(
    folder: Folder, record: RunRecord, leftovers: Sequence[Leftover], identity: Identity
) -> list[tuple[Leftover, LeftParts]]:
    """Open the leftovers of the wanted version, the one with most bytes first."""
    opened = []
    for leftover in leftovers:
        left = _open_leftover(folder, leftover, identity)
        if left is None:
            _drop(folder, record, leftover)
        else:
            opened.append((leftover, left))
    return sorted(opened, key=lambda pair: (-pair[1].size_bytes, not pair[0].is_certain))


def _take_over(
    partial: AdoptingFile, record: RunRecord, leftover: Leftover, left: LeftParts
) -> bool:
    if not leftover.is_certain:
        origin = Origin(partial.folder.share(), leftover, record)
        left.copy_to(partial.fd, partial.log.fd, origin)
        return True
    for part in left.parts:  # before the rename: a kill leaves either pair to be resumed
        partial.log.add(part)
    try:
        partial.replace_by(leftover.name, left.source_fd)
    except FileNotFoundError:  # another run was quicker
        return False
    record.drop_left(leftover.path)
    with contextlib.suppress(OSError):  # without its file it is cleaned up
        partial.folder.remove(log_name(leftover.name))
    return True


def _open_leftover(folder: Folder, leftover: Leftover, identity: Identity) -> LeftParts | None:
    """Open a leftover; one that is of another version or damaged is removed."""
    try:
        log_fd = open_in(folder, log_name(leftover.name), os.O_RDONLY)
        try:
            parts = read_log(log_fd, identity) or []
        finally:
            os.close(log_fd)
        left = _open_file(folder, leftover, parts)
    except OSError:  # somebody else's, or taken by another run: cleaned up later
        return None
    if left is None:
        _remove_pair(folder, leftover.name)
    return left


def _open_file(folder: Folder, leftover: Leftover, parts: list[Part]) -> LeftParts | None:
    fd = open_in(folder, leftover.name, os.O_RDWR if leftover.is_certain else os.O_RDONLY)
    size_bytes = os.fstat(fd).st_size
    present = [part for part in parts if part.stop <= size_bytes]
    if not present:
        os.close(fd)
        return None
    return LeftParts(present, fd)


def _drop(
    folder: Folder, record: RunRecord, leftover: Leftover, *, is_superseded: bool = False
) -> None:
    if is_superseded:
        _remove_pair(folder, leftover.name)
    try:
        folder.lstat(leftover.name)
    except FileNotFoundError:
        record.drop_left(leftover.path)


def _remove_pair(folder: Folder, name: str) -> None:
    """Remove a temporary file and its log; what cannot be removed is cleaned up by a later run."""
    for each in (name, log_name(name)):
        with contextlib.suppress(OSError):
            folder.remove(each)
