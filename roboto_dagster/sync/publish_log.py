"""The publish log: what a running sync has published so far, so that a killed run costs the next one nothing.

```
<destination>/.roboto/<asset key>/.publish-logs/.<partition key>@<random>.publish-log     one per run
```

They have a folder of their own, which is there as long as there are any: to look for them among the manifests of ten
thousand partitions would take as long as the rest of a partition that has not changed.

A line is written just before a file's publishing rename, together with those of files that are renamed with it. It is a
fact only if the file at the destination has that very size and modification time: a kill between line and rename leaves a
line that describes no file.

```
run starts ─► log made ─► a line per file, and a new modification time every few seconds ─► manifest written ─► log removed
                              │ killed
                              └─► read by the next run, and removed once it is old and the manifest has its facts
```
"""

import contextlib
import errno
import functools
import json
import os
import pathlib
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, BinaryIO

from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.local_file import open_in
from roboto_dagster.errors import ManifestError
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.sync.inventory import PlannedFile
from roboto_dagster.sync.known import KnownRow, known_row

LOGS_FOLDER = ".publish-logs"
"""The name of the folder of the logs, in that of the manifests."""

ABANDONED_AGE_SECONDS = 120.0
"""A log that was not written to for so long belongs to no running sync."""

_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_SUFFIX = ".publish-log"
_OLD_SUFFIX = ".journal"  # of releases before 0.2, one for all runs, beside the manifest
# The folder goes with the last log in it, which may be between opening it and making one.
_MAKE_ATTEMPTS = 10
_MAX_LINE_BYTES = 64 * 1024


class PublishLog:
    """The log of one run of one partition; any thread may note files, and writes those that it has noted.

    Args:
        manifest: Path of the partition's manifest.
        within: A parent of it below which no link is followed.
    """

    def __init__(self, manifest: pathlib.Path, within: pathlib.Path) -> None:
        self._manifest = manifest
        self._within = within
        self._name = f".{manifest.stem}@{uuid.uuid4().hex[:12]}{_SUFFIX}"
        self._fd = -1
        self._noted = _Noted()
        self._found: frozenset[str] = frozenset()

    def open(self, found: Collection[str] | None = None) -> None:
        """Make the log.

        Args:
            found: Names of the logs that are there and were read. Default: they are looked for.

        Raises:
            ManifestError: It cannot be made.
        """
        folder = self._manifest.parent / LOGS_FOLDER
        try:
            self._found = frozenset(self._find() if found is None else found)
            self._fd = _make_log(folder, self._within, self._name)
        except OSError as error:
            raise ManifestError(
                f"The publish log {folder / self._name} cannot be written: {error.strerror or error}. "
                "Nothing was fetched. Make room or correct the permissions, then run it again."
            ) from error

    def _find(self) -> Iterator[str]:
        for folder in _folders_of_logs(self._manifest, self._within):
            yield from _logs_of(folder, self._manifest)

    def note(self, planned: PlannedFile, receipt: Receipt, status: os.stat_result) -> None:
        """Note that a file is about to be published; `write` has to be called before it is, by the same thread.

        Args:
            planned: The file.
            receipt: What is known of it.
            status: Of the open temporary file.
        """
        remote = planned.remote
        row = KnownRow(
            planned.dataset_id,
            remote.relative_path,
            remote.file_id,
            remote.version,
            status.st_size,
            status.st_mtime_ns,
            remote.uri,
            receipt.etag,
            receipt.checksum,
            receipt.verified,
            time.time_ns() // 1000,
        )
        self._noted.rows.append(row)

    def write(self) -> None:
        """Write what this thread has noted.

        Raises:
            OSError: It cannot be written.
        """
        rows, self._noted.rows = self._noted.rows, []
        to_json = _json()  # which takes twice as long for a named tuple
        data = b"".join([to_json(tuple(row)) + b"\n" for row in rows])
        # One write of complete lines, so that threads do not tear each other's lines.
        if data and os.write(self._fd, data) < len(data):  # a disk that fills up takes a part of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._name)

    def beat(self) -> None:
        """Show that the run is alive, although it publishes nothing just now."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.utime(self._fd)

    def close(self, *, remove: bool) -> None:
        """End writing.

        Args:
            remove: Whether the manifest has all that the log has. Then the logs of runs that were killed go, too.
        """
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if remove:
            with contextlib.suppress(OSError):
                self._remove_logs()

    def _remove_logs(self) -> None:
        for folder in _folders_of_logs(self._manifest, self._within):
            folder.remove(self._name)
            for name in self._found:
                with contextlib.suppress(FileNotFoundError):  # in the other folder, or gone
                    if _is_abandoned(folder, name):
                        folder.remove(name)
        with Folder.open(self._manifest.parent, self._within, create=False) as folder:
            folder.remove_folder(LOGS_FOLDER)  # fails while there is another log in it


class _Noted(threading.local):
    """What each thread has noted and not written yet."""

    def __init__(self) -> None:
        self.rows: list[KnownRow] = []


def read_publish_logs(
    manifest: pathlib.Path,
    within: pathlib.Path,
    on_unreadable: Callable[[pathlib.Path, OSError], None] | None = None,
    on_found: Callable[[str], None] = lambda _: None,
) -> Iterator[KnownRow]:
    """Yield what runs have published that are under way or were killed; each row has to be compared with the disk.

    Reads only, waits for nobody, and leaves out what is no line of ours.

    Args:
        manifest: Path of the partition's manifest.
        within: A parent of it below which no link is followed.
        on_unreadable: Called with the path of a log that cannot be read, and the error.
        on_found: Called with the name of each log, before it is read.
    """

    def logs(folder: Folder) -> Iterator[str]:
        for name in _logs_of(folder, manifest):
            on_found(name)
            yield name

    return _read(_folders_of_logs(manifest, within), logs, on_unreadable)


def read_folder_logs(folder: pathlib.Path, within: pathlib.Path) -> Iterator[KnownRow]:
    """Yield the same of all partitions of an asset.

    Args:
        folder: The folder of the asset's manifests.
        within: A parent of it below which no link is followed.
    """
    return _read(_open_folders([folder / LOGS_FOLDER, folder], within), _all_logs, None)


def _make_log(path: pathlib.Path, within: pathlib.Path, name: str) -> int:
    """Make a log in the folder of the logs, which another run that ends may remove meanwhile."""
    for _ in range(_MAKE_ATTEMPTS - 1):
        with contextlib.suppress(FileNotFoundError):
            return _make_file(path, within, name)
    return _make_file(path, within, name)


def _make_file(path: pathlib.Path, within: pathlib.Path, name: str) -> int:
    with Folder.open(path, within) as folder:
        return os.open(folder.name_of(name), _FLAGS, 0o666, dir_fd=folder.fd)


def _folders_of_logs(manifest: pathlib.Path, within: pathlib.Path) -> Iterator[Folder]:
    """Yield the folders where logs of a partition may be, open, one after the other."""
    old = manifest.with_name(f".{manifest.stem}{_OLD_SUFFIX}")
    parents = [manifest.parent] if os.path.lexists(old) else []
    return _open_folders([manifest.parent / LOGS_FOLDER, *parents], within)


def _open_folders(paths: Iterable[pathlib.Path], within: pathlib.Path) -> Iterator[Folder]:
    for path in paths:
        try:
            folder = Folder.open(path, within, create=False)
        except OSError:
            continue
        with folder:
            yield folder


def _read(
    folders: Iterable[Folder],
    logs: Callable[[Folder], Iterable[str]],
    on_unreadable: Callable[[pathlib.Path, OSError], None] | None,
) -> Iterator[KnownRow]:
    for folder in folders:
        for name in logs(folder):
            try:
                file = os.fdopen(open_in(folder, name, os.O_RDONLY), "rb")
            except OSError as error:
                if on_unreadable is not None:
                    on_unreadable(folder.path / name, error)
                continue
            with file:
                yield from _rows(file)


def _all_logs(folder: Folder) -> list[str]:
    return sorted(each for each in _names(folder) if each.endswith((_SUFFIX, _OLD_SUFFIX)))


def _logs_of(folder: Folder, manifest: pathlib.Path) -> list[str]:
    """Return the names of a partition's logs: its file name has no @, see `manifest.file_name`."""
    start, old = f".{manifest.stem}@", f".{manifest.stem}{_OLD_SUFFIX}"
    own = [each for each in _names(folder) if each.startswith(start) or each == old]
    return sorted(each for each in own if each.endswith((_SUFFIX, _OLD_SUFFIX)))


def _names(folder: Folder) -> list[str]:
    try:
        return os.listdir(folder.path if folder.fd is None else folder.fd)  # noqa: PTH208 - names alone
    except FileNotFoundError:  # removed meanwhile, with the last log in it
        return []


def _is_abandoned(folder: Folder, name: str) -> bool:
    return time.time() - folder.lstat(name).st_mtime > ABANDONED_AGE_SECONDS


def _rows(file: BinaryIO) -> Iterator[KnownRow]:
    while line := file.readline(_MAX_LINE_BYTES):
        row = _parse(line)
        if row is not None:
            yield row


@functools.cache
def _json() -> Callable[[object], bytes]:
    """Return what makes JSON: pydantic's, in half the time of `json`, which counts where a line is written for each file."""
    from pydantic import TypeAdapter

    return TypeAdapter(Any).dump_json


def _parse(line: bytes) -> KnownRow | None:
    """Read one line; None for one that a kill has torn, or that is none of ours."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return known_row(values) if isinstance(values, list) else None
