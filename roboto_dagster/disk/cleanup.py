"""Finds what abandoned runs left below a destination; removes what is of no use, and offers the rest for resuming.

```
 record of an abandoned run ──► its folders, each listed once ──► its temporary files
     file and log, wanted, written within a week ──► Leftovers, for `PartialFile.keep_parts`
     any other, temporary folders as well        ──► removed
     nothing left                                ──► its record is removed
```

Never touched: what the record of an abandoned run does not prove, and paths that a listing or a manifest holds.
"""

import contextlib
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from roboto_dagster.disk import owner
from roboto_dagster.disk.abandoned import AbandonedRun
from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.leftovers import Leftover, Leftovers, join
from roboto_dagster.disk.resume_log import log_name
from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.disk.temp_folder import remove_temporary

RESUMABLE_AGE_SECONDS = 7 * 24 * 3600.0
"""What nobody resumed for so long is removed."""

_lock = threading.Lock()


class Reclaimed(NamedTuple):
    """The result of `reclaim`.

    Attributes:
        files_removed: How many temporary files were removed.
        resumable_bytes: What those that are kept take on the disk and need not be fetched again, in bytes.
    """

    files_removed: int
    resumable_bytes: int


class _Found(NamedTuple):
    """One temporary file of an abandoned run."""

    run: AbandonedRun
    name: str
    target: str
    is_certain: bool
    modified_at: float
    disk_bytes: int


def reclaim(
    record: RunRecord,
    scope: str | None = None,
    *,
    names_wanted: Callable[[str], Iterable[str]] | None = None,
    is_held: Callable[[str], bool] | None = None,
    now: float | None = None,
) -> Reclaimed:
    """Remove what abandoned runs left at a destination and nobody can use.

    Args:
        record: Of this run.
        scope: What this run writes, as given to `run_record.hold`: only parts left by runs of the same scope, and of no
            other, are judged by `names_wanted`. Another asset's are kept for its next run, for a week.
        names_wanted: Returns the names of the files that will be fetched into a folder, which is given relative to the
            destination. None takes all for wanted.
        is_held: Whether a path, relative to the destination, is in a listing or a manifest. Such a file is never
            touched, whatever its name.
        now: The time in seconds since the epoch.

    Returns:
        What was removed and what is kept.

    Raises:
        OSError: The records of this destination cannot be read.
    """
    return _Cleanup(record, scope, names_wanted, is_held, time.time() if now is None else now).run()


def leftovers_of(record: RunRecord) -> Leftovers:
    """Return what can be resumed, looking for it if `reclaim` has not; nothing is removed then.

    Args:
        record: Of this run.
    """
    if record.leftovers is None:
        with _lock:
            if record.leftovers is None:
                # Not known to others before it is complete: they would fetch again what is found later.
                found = Leftovers()
                with contextlib.suppress(OSError):  # then nothing is resumed
                    found = _Cleanup(record, None, None, None, time.time(), may_remove=False).find()
                record.leftovers = found
    return record.leftovers


class _Cleanup:
    """One pass over the abandoned runs of a destination."""

    def __init__(
        self,
        record: RunRecord,
        scope: str | None,
        names_wanted: Callable[[str], Iterable[str]] | None,
        is_held: Callable[[str], bool] | None,
        now: float,
        *,
        may_remove: bool = True,
    ) -> None:
        self._record = record
        self._scope = scope
        self._names_wanted = names_wanted
        self._is_held = is_held
        self._now = now
        self._may_remove = may_remove
        self._leftovers = Leftovers()
        self._kept: set[str] = set()
        self._removed = 0
        self._resumable_bytes = 0

    def run(self) -> Reclaimed:
        found = self.find()
        with _lock:
            if self._record.leftovers is not None:  # another partition's run has looked before
                found.add_all(self._record.leftovers)
            self._record.leftovers = found
        return Reclaimed(self._removed, self._resumable_bytes)

    def find(self) -> Leftovers:
        """Look at what there is, remove what is of no use, and return the rest."""
        runs = self._record.abandoned_runs()
        folders: dict[str, dict[str, AbandonedRun]] = {}
        for run in runs:
            for folder in run.folders:
                folders.setdefault(folder, {})[run.token] = run
        for folder, by_token in folders.items():
            self._clean(folder, by_token)
        if self._may_remove:
            for run in runs:
                if run.token not in self._kept:
                    with contextlib.suppress(OSError):
                        self._record.remove_run(run)
        return self._leftovers

    def _clean(self, path: str, runs: dict[str, AbandonedRun]) -> None:
        root = self._record.destination
        try:
            with Folder.open(root / path, root, create=False) as folder:
                self._sort_out(folder, path, list(self._find(folder, path, runs)))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:  # a link or missing permissions: checked again by the next run
            self._kept.update(runs)

    def _find(self, folder: Folder, path: str, runs: dict[str, AbandonedRun]) -> Iterator[_Found]:
        names = [name for name in folder.names() if name.startswith(".")]
        for name in names:
            parsed = owner.parse_name(name)
            run = runs.get(parsed.token) if parsed else None
            if parsed is None or run is None or self._is_protected(path, name):
                continue
            with contextlib.suppress(FileNotFoundError):
                status = folder.lstat(name)
                if stat.S_ISDIR(status.st_mode) and not parsed.is_log:
                    self._remove_folder(folder, name, run)
                elif stat.S_ISREG(status.st_mode):
                    blocks = getattr(status, "st_blocks", 0) * 512
                    is_certain = run.is_certain or parsed.is_released
                    yield _Found(run, name, parsed.target, is_certain, status.st_mtime, blocks)

    def _remove_folder(self, folder: Folder, name: str, run: AbandonedRun) -> None:
        """Remove a temporary folder: nobody goes on filling it."""
        if not self._may_remove:
            self._kept.add(run.token)
            return
        try:
            remove_temporary(folder, name)
        except OSError as error:
            # What somebody has put into it stays there.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                self._kept.add(run.token)
            return
        self._removed += 1

    def _is_protected(self, path: str, name: str) -> bool:
        return self._is_held is not None and self._is_held(join(path, name))

    def _sort_out(self, folder: Folder, path: str, found: Sequence[_Found]) -> None:
        wanted = self._targets_wanted(path) if found else None
        names = {each.name for each in found}
        useful: set[str] = set()
        for each in found:
            if log_name(each.name) in names and self._is_useful(each, wanted):
                useful |= {each.name, log_name(each.name)}
                self._offer(path, each)
        for each in found:
            if each.name in useful:
                self._kept.add(each.run.token)
            elif self._may_remove:
                self._remove(folder, each)

    def _targets_wanted(self, path: str) -> set[str] | None:
        if self._names_wanted is None:
            return None
        return {owner.target_of(name) for name in self._names_wanted(path)}

    def _is_useful(self, found: _Found, wanted: set[str] | None) -> bool:
        is_judged = wanted is not None and found.run.scopes <= {self._scope}
        if is_judged and wanted is not None and found.target not in wanted:
            return False
        return self._now - found.modified_at < RESUMABLE_AGE_SECONDS

    def _offer(self, path: str, found: _Found) -> None:
        leftover = Leftover(path, found.name, found.is_certain)
        self._leftovers.add(found.target, leftover)
        self._record.add_left(leftover.path)
        if found.is_certain:  # others are copied, which takes as much again
            self._resumable_bytes += found.disk_bytes

    def _remove(self, folder: Folder, found: _Found) -> None:
        try:
            os.unlink(folder.name_of(found.name), dir_fd=folder.fd)
        except FileNotFoundError:  # another run was quicker
            return
        except OSError:
            self._kept.add(found.run.token)
            return
        self._removed += 1
