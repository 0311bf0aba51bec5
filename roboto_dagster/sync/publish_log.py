"""What a running sync has published so far, so that a run that is killed costs its successor nothing.

```
<destination>/.roboto/<asset key>/.<partition key>.journal      beside the manifest, gone once that is written
```

A line is written just before a file's publishing rename. It counts in the next run only if the file
that lies at the destination has that very size and modification time: a kill between line and rename
leaves a line that describes no file.
"""

import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from roboto_dagster.disk.folder import Folder
from roboto_dagster.errors import ManifestError
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.sync.inventory import PlannedFile

_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_ROWS_AT_ONCE = 5_000


class PublishLog:
    """The journal of one partition; `note` may be called from any thread.

    Args:
        manifest: Path of the partition's manifest.
        within: A parent of it below which no link is followed.
    """

    def __init__(self, manifest: pathlib.Path, within: pathlib.Path) -> None:
        self._path = manifest.with_name(f".{manifest.stem}.journal")
        self._within = within
        self._fd = -1

    def read(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yields what a killed run published, in the order of `inventory.KNOWN_COLUMNS`, many rows at a time."""
        try:
            lines = self._path.open("rb")
        except OSError:
            return
        rows = []
        with lines:
            for line in lines:
                row = _parse(line)
                if row is not None:
                    rows.append(row)
                if len(rows) == _ROWS_AT_ONCE:
                    yield rows
                    rows = []
        yield rows

    def open(self) -> None:
        """Begins to write.

        Raises:
            ManifestError: It cannot be made.
        """
        try:
            with Folder.open(self._path.parent, self._within) as folder:
                self._fd = os.open(folder.name_of(self._path.name), _FLAGS, 0o666, dir_fd=folder.fd)
        except OSError as error:
            raise ManifestError(
                f"The journal {self._path} cannot be written: {error.strerror or error}. Nothing was fetched. Make room or "
                "correct the permissions, then run it again."
            ) from error

    def note(self, planned: PlannedFile, receipt: Receipt, status: os.stat_result) -> None:
        """Writes that a file is about to be published."""
        remote = planned.remote
        row = (
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
        # One write of one line: threads and runs that share the file do not tear each other's lines.
        os.write(self._fd, json.dumps(row).encode() + b"\n")

    def close(self, *, remove: bool) -> None:
        """Ends writing.

        Args:
            remove: Whether the manifest now says all that the journal does.
        """
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if remove:
            self._path.unlink(missing_ok=True)


def _parse(line: bytes) -> tuple[Any, ...] | None:
    """Reads one line; None for one that a kill has torn."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return tuple(row) if isinstance(row, list) and len(row) == _COLUMNS else None


_COLUMNS = 11
