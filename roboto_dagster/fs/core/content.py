"""What has arrived of one file: its temporary file, the checksums of its ranges, its progress.

```
 open ─► write … log_part ─► publish: renamed into place
   │                └──────► discard: removed, or left to a later run
   └ adopted from a killed run: its parts are checked, then counted in
```

The temporary file stays open while a worker uses it in another thread.
"""

import logging
import os
from collections.abc import Callable

from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.resume_log import Identity, Part
from roboto_dagster.disk.temp_file import PartialFile
from roboto_dagster.fs.core.checksums import (
    CrcDigest,
    HashDigest,
    StoredChecksum,
    is_combinable,
    new_digest,
)
from roboto_dagster.fs.core.digests import PART_ALGORITHM, RangeDigests
from roboto_dagster.fs.core.progress import NO_PROGRESS, ProgressReport
from roboto_dagster.fs.core.ranges import RangePlan

logger = logging.getLogger(__name__)


class Content:
    """The bytes of one file on this machine.

    Args:
        part_size: How many bytes one range has at most.
        progress: Reports bytes to the caller.

    Attributes:
        ranges: Which bytes are requested, and which have arrived.
        digests: The checksums of what has arrived.
        partial: The temporary file, or None while there is none.
        must_be_read_back: Whether its checksum goes by order, while its ranges come in any.
        is_checking: Whether the parts that a killed run left are being checked.
    """

    __slots__ = (
        "_fd",
        "_is_over",
        "_leaves_parts",
        "_must_fit",
        "_part_size",
        "_set_aside",
        "_stored",
        "_workers",
        "digests",
        "is_checking",
        "must_be_read_back",
        "partial",
        "progress",
        "ranges",
    )

    def __init__(self, part_size: int, progress: ProgressReport) -> None:
        self._part_size = part_size
        self.progress = progress
        self.partial: PartialFile | None = None
        self._fd = -1
        self._workers = 0
        self._is_over = False
        self._leaves_parts = False
        self._must_fit = False
        self._set_aside: tuple[PartialFile, ...] = ()
        self._start()

    def _start(self) -> None:
        self.ranges = RangePlan(self._part_size)
        self.digests = RangeDigests()
        self._stored: StoredChecksum | None = None
        self.is_checking = False
        self.must_be_read_back = False

    def divide(self, size_bytes: int, stored: StoredChecksum | None, *, in_ranges: bool) -> int:
        """Take in what the first answer reports.

        Args:
            size_bytes: The object's size.
            stored: The checksum of all of it, or None.
            in_ranges: Whether ranges of it can be requested.

        Returns:
            Where the initial stream ends for now.
        """
        stop = self.ranges.divide(size_bytes, in_ranges=in_ranges)
        self._stored = stored
        by_order = stored is not None and not is_combinable(stored.algorithm)
        self.must_be_read_back = self.ranges.is_divided and by_order
        return stop

    def expect(self, stored: StoredChecksum | None) -> None:
        """Take in the checksum of a stream whose size is not known."""
        self._stored = stored

    def new_digest(self) -> CrcDigest | HashDigest | None:
        """Return the checksum of a range that has not started; None if it needs none."""
        if self._stored is not None and not self.must_be_read_back:
            return new_digest(self._stored.algorithm)
        return new_digest(PART_ALGORITHM) if self.ranges.is_divided else None

    # The temporary file

    def open(self, partial: PartialFile, identity: Identity) -> LeftParts | None:
        """Take the temporary file that the bytes go to.

        Args:
            partial: The file, open and empty.
            identity: Which version of which object comes.

        Returns:
            What a killed run has left of this version, to be checked.

        Raises:
            OSError: The log of its parts cannot be made.
        """
        self.partial = partial
        left = partial.keep_parts(identity) if self.ranges.is_divided else None
        self._fd = partial.fd
        self.is_checking = left is not None
        return left

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write bytes where they belong, and report them.

        Args:
            data: The bytes.
            offset: Where they go in the file.

        Raises:
            OSError: They cannot be written.
        """
        size = len(data)
        written = _pwrite(self._fd, data, offset)
        while written < size:  # a disk that fills up takes a part of what it is given
            written += _pwrite(self._fd, data[written:], offset + written)
        if self.progress is not NO_PROGRESS:
            self.progress.add(size)

    def log_part(self, start: int, stop: int, digest: CrcDigest | HashDigest | None) -> None:
        """Log what a request has received, for a later run in case this one is killed.

        Args:
            start: The first byte.
            stop: The byte after the last.
            digest: The checksum of these bytes.

        Raises:
            OSError: It cannot be written, or the file is not ours any more.
        """
        if self.ranges.is_divided and self.partial is not None and isinstance(digest, CrcDigest):
            self.partial.note_part(Part(start, stop, digest.algorithm, digest.text()))

    def add(self, start: int, stop: int, digest: CrcDigest | HashDigest | None) -> bool:
        """Count a complete range in; True if it was the last.

        Args:
            start: Its first byte.
            stop: The byte after its last.
            digest: Its checksum.
        """
        ranges = self.ranges
        ranges.fetched_bytes += stop - start
        if ranges.is_divided:
            self.log_part(start, stop, digest)
        if digest is not None:
            self.digests.put(start, digest)
            self.digests.combine()
        return ranges.is_complete

    def forget(self) -> None:
        """Forget what arrived, and take the progress back.

        Raises:
            OSError: The temporary file cannot be emptied.
        """
        self.progress.take_back()
        self._start()
        if self.partial is None:
            return
        if self._workers:  # which may still write what the run before left: not into the new bytes
            self._set_aside = (*self._set_aside, self.partial)
            self.partial, self._fd = None, -1
        else:
            self.partial.forget_parts()

    # The end

    def worker_started(self) -> None:
        """Keep the temporary file open for work in another thread."""
        self._workers += 1

    def worker_ended(self) -> None:
        """End `worker_started`."""
        self._workers -= 1
        if self._workers:
            return
        aside, self._set_aside = self._set_aside, ()
        for partial in aside:
            _remove(partial)
        if self._is_over:
            self._close()

    def discard(self, *, leave_parts: bool = False, must_fit: bool = False) -> None:
        """Remove what was written, once no worker uses it; nothing if it is published.

        Args:
            leave_parts: Whether to leave it to the next run, which looks for it.
            must_fit: Whether to leave it only if there is room for what is missing.
        """
        self._is_over = True
        self._leaves_parts = leave_parts
        self._must_fit = must_fit
        self._fd = -1
        if not self._workers:
            self._close()

    def _close(self) -> None:
        partial, self.partial = self.partial, None
        if partial is not None:
            _remove(partial, leave_parts=self._leaves_parts, must_fit=self._must_fit)


def _remove(partial: PartialFile, *, leave_parts: bool = False, must_fit: bool = False) -> None:
    try:
        if leave_parts:
            partial.release(must_fit=must_fit)
        else:
            partial.discard()
    except OSError as error:
        logger.warning("Could not remove a temporary file: %s", error.strerror)


def _seek_and_write(
    fd: int, data: bytes | memoryview, offset: int
) -> int:  # pragma: no cover - Windows
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)


_pwrite: Callable[[int, bytes | memoryview, int], int] = getattr(os, "pwrite", _seek_and_write)
