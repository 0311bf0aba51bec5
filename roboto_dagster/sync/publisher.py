"""What happens just before a file is renamed into place: a check, a line in the publish log, and a note of its facts.

Two runs may deliver the same file at once, from listings of different age. The slower one must not put older bytes over
newer ones, so a file is published only if its place is as the plan saw it:

```
temporary file verified ─► place as planned? ── yes ─► line in the publish log ─► renamed ─► noted as fetched
                               │ no
                               └─► conflict ─► facts of the other run match the disk?
                                                  ├─ this version ──► kept
                                                  ├─ a newer one ───► CHANGED: this run's listing is out of date
                                                  └─ none ──────────► fetched again
```
"""

import errno
import os
import stat
from typing import NamedTuple

from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.sync.inventory import PlannedFile
from roboto_dagster.sync.progress import Progress
from roboto_dagster.sync.publish_log import PublishLog


class Published(NamedTuple):
    """Facts about a file that is renamed into place, from its open temporary file.

    Attributes:
        receipt: What the store knows of it.
        size_bytes: Its size.
        mtime_ns: Its modification time, in ns since the epoch.
    """

    receipt: Receipt
    size_bytes: int
    mtime_ns: int


class Publisher:
    """Is called by a store before it publishes a file, from any thread.

    Args:
        log: The publish log.
        progress: Counts completed files.
    """

    def __init__(self, log: PublishLog, progress: Progress) -> None:
        self._log = log
        self._progress = progress
        # Single operations on these are atomic; each key is used by one thread at a time.
        self._published: dict[int, Published] = {}
        self._conflicts: set[int] = set()

    def before_publish(
        self,
        planned: PlannedFile,
        receipt: Receipt,
        status: os.stat_result,
        in_place: os.stat_result | None,
    ) -> None:
        """Check the place of a file and note its facts; `before_renames` has to be called, too.

        Args:
            planned: The file; bound by the caller.
            receipt: What is known of it.
            status: Of the open temporary file.
            in_place: Of what it replaces; None if there is nothing.

        Raises:
            FileExistsError: Another run, or another program, has changed what is in its place since the plan.
        """
        if not _is_as_planned(planned, in_place):
            self._conflicts.add(planned.seq)
            raise FileExistsError(errno.EEXIST, "another run published this file meanwhile")
        self._log.note(planned, receipt, status)
        self._published[planned.seq] = Published(receipt, status.st_size, status.st_mtime_ns)
        self._progress.add_files(1)

    def before_renames(self) -> None:
        """Write what this thread has noted to the publish log.

        Raises:
            OSError: It cannot be written; no file that was noted may be renamed.
        """
        self._log.write()

    def before_single_publish(
        self,
        planned: PlannedFile,
        receipt: Receipt,
        status: os.stat_result,
        in_place: os.stat_result | None,
    ) -> None:
        """Do both for one file, for stores that rename each alone.

        Args:
            planned: The file; bound by the caller.
            receipt: What is known of it.
            status: Of the open temporary file.
            in_place: Of what it replaces; None if there is nothing.

        Raises:
            OSError: As for both.
        """
        self.before_publish(planned, receipt, status, in_place)
        self.before_renames()

    def take(self, seq: int) -> Published | None:
        """Return the facts of a file that has ended, once; None if it was not about to be published."""
        return self._published.pop(seq, None)

    def take_all(self) -> dict[int, Published]:
        """Return the facts, by number, of all files whose end nobody has noticed; to be called once their store is closed."""
        published, self._published = self._published, {}
        return published

    def take_conflict(self, seq: int) -> bool:
        """Return, once, whether a file was not published because its place had changed."""
        if seq not in self._conflicts:
            return False
        self._conflicts.discard(seq)
        return True


def _is_as_planned(planned: PlannedFile, in_place: os.stat_result | None) -> bool:
    if in_place is None or not stat.S_ISREG(in_place.st_mode):
        return True  # a link is replaced, and a folder is the rename's own error
    return planned.on_disk == (in_place.st_size, in_place.st_mtime_ns, in_place.st_ino)
