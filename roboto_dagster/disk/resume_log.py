"""The log of the parts of a big file that are on disk already, so that the next run fetches only the others.

```
.<…>.part           the file as far as it came, see `owner`
.<…>.parts.part     its log: a line of identity, then a line for each part with its checksum
```

A part counts only for the very same version of the object, and only if the bytes on disk still have the checksum that
was logged (`fs.core.resume`). A log is untrusted: whatever it contains, it causes no error and refers to no other file.
"""

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.local_file import create_in

MAX_LOG_BYTES = 64 * 1024 * 1024
"""More than a file of the largest size S3 allows can need; a larger log is ignored."""


class Identity(NamedTuple):
    """Which version of which object a partial file is of.

    Attributes:
        uri: Its URI.
        size_bytes: The size of the complete object, in bytes.
        etag: Its ETag.
    """

    uri: str
    size_bytes: int
    etag: str


class Part(NamedTuple):
    """One range that was written.

    Attributes:
        start: Its first byte.
        stop: The byte after its last.
        algorithm: How its checksum was computed.
        checksum: The checksum as text.
    """

    start: int
    stop: int
    algorithm: str
    checksum: str


def log_name(temporary_name: str) -> str:
    """Return the name of the log of a temporary file."""
    return temporary_name.removesuffix(".part") + ".parts.part"


class ResumeLog:
    """The log of one temporary file, open for writing.

    Args:
        folder: The open folder of both.
        file_name: The temporary file's name.

    Attributes:
        fd: Its descriptor.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Folder, file_name: str) -> None:
        self._folder = folder
        self._name = log_name(file_name)
        self.fd = create_in(folder, self._name, append=True)

    def start(self, identity: Identity) -> None:
        """Empty it, and log which version of the object the file is of."""
        os.ftruncate(self.fd, 0)
        os.write(self.fd, json.dumps(identity).encode() + b"\n")

    def add(self, part: Part) -> None:
        """Log a part that was written to the file before."""
        write_part(self.fd, part)

    def rename(self, file_name: str) -> None:
        """Rename it after its file.

        Args:
            file_name: The new name of the temporary file.

        Raises:
            OSError: It cannot be renamed.
        """
        name = log_name(file_name)
        self._folder.rename(self._name, name)
        self._name = name

    def remove(self) -> None:
        """Remove it, if its name is still its own."""
        self._folder.remove_own(self._name, self.fd)

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)


def write_part(fd: int, part: Part) -> None:
    """Log a part, in one write, so that a kill tears at most the last line.

    Args:
        fd: Of the log, open for appending.
        part: What was written to the file before.
    """
    os.write(fd, json.dumps(part).encode() + b"\n")


def read_log(fd: int, identity: Identity) -> list[Part] | None:
    """Read a log.

    Args:
        fd: Of the log, open for reading.
        identity: The version of the object that is wanted.

    Returns:
        Its parts, none of them overlapping; None if it is garbage or of another version.
    """
    if os.fstat(fd).st_size > MAX_LOG_BYTES:
        return None
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        lines = [_parse(line) for line in file]
    if not lines or lines[0] != list(identity):
        return None
    # Of those that start together the longest: the initial stream is logged again as it runs on.
    parts = sorted(
        _parts(lines[1:], identity.size_bytes), key=lambda part: (part.start, -part.stop)
    )
    apart: list[Part] = []
    for part in parts:
        if not apart or apart[-1].stop <= part.start:
            apart.append(part)
    return apart


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _parts(lines: list[Any], size_bytes: int) -> Iterator[Part]:
    for line in lines:
        match line:
            case [int(start), int(stop), str(algorithm), str(checksum)] if (
                0 <= start < stop <= size_bytes
            ):
                yield Part(start, stop, algorithm, checksum)
