"""The record of a run that writes to a destination: it proves whose temporary files are, and where to look for them.

```
<destination>/.roboto/.runs/<token>.jsonl
    {"host": …, "boot_id": …, "pid_namespace": …, "pid": …, "start": …}
    {"scope": "logs/ds_1"}      for what it writes
    {"folder": "ds_1/sub"}      before its first temporary file there
    {"ended": true}             only if it left parts for the next run
```

```
 acquire ──► held, touched every HEARTBEAT_SECONDS ──► last user releases ──► removed, nothing is left
                              │                                          └──► ended, parts are left
                              └── killed ──► dead or silent (`owner.liveness`) ──► `cleanup` removes it
```

One process has one record a destination, however many threads and files write to it.
"""

import contextlib
import errno
import json
import os
import pathlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from roboto_dagster.disk import owner
from roboto_dagster.disk.abandoned import RUNS, AbandonedRun, find_abandoned, record_name
from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.heartbeat import Heartbeat
from roboto_dagster.disk.leftovers import Leftovers
from roboto_dagster.disk.local_file import create_in

_TOUCH_BY_FD = os.utime in os.supports_fd

_lock = threading.RLock()
_records: "weakref.WeakValueDictionary[pathlib.Path, RunRecord]" = weakref.WeakValueDictionary()


class RunRecord:
    """The record of this process for one destination; got by `acquire` or `hold`.

    Attributes:
        destination: The folder that the user chose.
        token: By which its temporary files are named.
        leftovers: What abandoned runs left, and this one released; None until they were looked for.
    """

    def __init__(self, destination: pathlib.Path) -> None:
        self.destination = destination
        self.token = owner.new_token()
        self.leftovers: Leftovers | None = None
        self._pid = os.getpid()
        self._users = 0
        self._scopes: set[str] = set()
        self._noted: set[str] = set()
        self._left: dict[str, set[str]] = {}
        self._fd = -1
        self._folder: Folder | None = None
        try:
            self._create()
        except BaseException:
            self._drop()
            raise
        self._heartbeat = Heartbeat(self.beat)

    def __del__(self) -> None:
        # Only after an interrupt between `acquire` and its `try`.
        if getattr(self, "_fd", -1) >= 0 and self._pid == os.getpid():
            # Without the lock, which nobody needs for what nobody else has: the garbage collector calls this in any
            # thread, also in one that another waits for while it holds the lock.
            self._left.setdefault(self.token, set()).add("whatever its forgotten users left")
            self._close()

    def add_scope(self, scope: str) -> None:
        """Note what is written; see `cleanup.reclaim`.

        Args:
            scope: Such as an asset and its partition.
        """
        with _lock:
            if scope not in self._scopes:
                self._scopes.add(scope)
                self._write({"scope": scope})

    def add_folder(self, folder: str) -> None:
        """Note a folder before a temporary file is made in it.

        Args:
            folder: Relative to the destination, with `/`; empty for the destination itself.

        Raises:
            OSError: The record cannot be written.
        """
        if folder not in self._noted:
            with _lock:
                self._write({"folder": folder})
                self._noted.add(folder)

    def add_left(self, path: str) -> None:
        """Note that a temporary file, of this run or an abandoned one, stays: then the record of that run has to stay.

        Args:
            path: Relative to the destination.
        """
        name = owner.parse_name(path.rpartition("/")[2])
        with _lock:  # syncs of several threads share the record
            self._left.setdefault(name.token if name else self.token, set()).add(path)

    def drop_left(self, path: str) -> None:
        """Note that a file of `add_left` is gone or in use again.

        Args:
            path: Relative to the destination.
        """
        with _lock:
            for paths in self._left.values():
                paths.discard(path)

    def beat(self) -> float:
        """Touch the record, making it again if it was removed.

        Returns:
            The time by the clock of the destination's filesystem, in seconds since the epoch.

        Raises:
            OSError: The record cannot be written.
        """
        with _lock:
            if not self._is_there():
                self._drop()
                self._create()
            self._touch()
            return os.fstat(self._fd).st_mtime

    def _is_there(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            if self._folder is not None and self._fd >= 0:
                return os.path.samestat(os.fstat(self._fd), self._folder.lstat(self._name))
        return False

    def release(self) -> None:
        """Count one user less; the last one removes or ends the record."""
        with _lock:
            self._users -= 1
            if self._users > 0 or self._pid != os.getpid():
                return
            if _records.get(self.destination) is self:
                del _records[self.destination]
            self._close()

    def abandoned_runs(self) -> list[AbandonedRun]:
        """Return the runs that left a record at this destination and do not write any more."""
        now = self.beat()
        with Folder.open(self.destination / RUNS, self.destination) as folder:
            return find_abandoned(folder, now, _tokens_here())

    def remove_run(self, run: AbandonedRun) -> None:
        """Remove the record of a run of which nothing is left."""
        self._unlink(record_name(run.token))

    @property
    def _name(self) -> str:
        return record_name(self.token)

    def _create(self) -> None:
        """Make the record, with all that was noted before if it was removed."""
        for is_last in (False, False, True):
            try:
                self._folder = Folder.open(self.destination / RUNS, self.destination)
                self._fd = create_in(self._folder, self._name, append=True)
                break
            except FileNotFoundError:  # the folder was removed meanwhile, since it was empty
                if is_last:
                    raise
        lines: list[dict[str, Any]] = [owner.this_process()._asdict()]
        lines += [{"scope": scope} for scope in sorted(self._scopes)]
        lines += [{"folder": folder} for folder in sorted(self._noted)]
        self._write(*lines)

    def _drop(self) -> None:
        """Close the record's file and its folder."""
        fd, self._fd = self._fd, -1
        folder, self._folder = self._folder, None
        if fd >= 0:
            os.close(fd)
        if folder is not None:
            folder.close()

    def _write(self, *lines: dict[str, Any]) -> None:
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        if os.write(self._fd, data) < len(data):  # a disk that fills up takes a part of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._name)

    def _touch(self) -> None:
        if _TOUCH_BY_FD:
            os.utime(self._fd)
        else:  # pragma: no cover - Windows
            os.utime(self.destination / RUNS / self._name)

    def _close(self) -> None:
        self._heartbeat.stop()
        with contextlib.suppress(OSError):
            if self._left.setdefault(self.token, set()):
                self._write({"ended": True})
            for token in [token for token, paths in self._left.items() if not paths]:
                self._unlink(record_name(token))
        self._drop()
        _remove_if_empty(self.destination)

    def _unlink(self, name: str) -> None:
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):  # another run was quicker
                os.unlink(self._folder.name_of(name), dir_fd=self._folder.fd)


def _remove_if_empty(destination: pathlib.Path) -> None:
    """Remove the folder of records, and the one that it is in, unless there is something in them."""
    for path in (RUNS, RUNS.parent):
        with (
            contextlib.suppress(OSError),
            Folder.open((destination / path).parent, destination, create=False) as folder,
        ):
            folder.remove_folder(path.name)


def _tokens_here() -> set[str]:
    with _lock:
        return {record.token for record in _records.values()}


def acquire(destination: pathlib.Path) -> RunRecord:
    """Return this process's record for a destination, making it if need be.

    Args:
        destination: The folder that the user chose.

    Returns:
        The record, to be released by the caller.

    Raises:
        OSError: It cannot be written.
    """
    with _lock:
        record = _records.get(destination)
        if record is None:
            record = _records[destination] = RunRecord(destination)
        record._users += 1  # noqa: SLF001 - of this module
        return record


@contextlib.contextmanager
def hold(destination: pathlib.Path, scope: str) -> Iterator[RunRecord]:
    """Keep a record until the end of a run.

    Args:
        destination: The folder that the user chose.
        scope: What is written, such as an asset and its partition; see `cleanup.reclaim`.

    Raises:
        OSError: The record cannot be written.
    """
    record = acquire(destination)
    try:
        record.add_scope(scope)
        yield record
    finally:
        record.release()


def _forget_parents_records() -> None:
    """In a forked child: what its parent has is the parent's."""
    global _lock  # noqa: PLW0603 - it may have been held by a thread that the child does not have
    _lock = threading.RLock()
    _records.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents_records)
