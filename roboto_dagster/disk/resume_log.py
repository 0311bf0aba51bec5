"""The parts of a big file that are on disk already, so that the next run goes on where a dead one stopped.

```
.<…>.part           the file as far as it came, see `owner`
.<…>.parts.part     its journal: a line of identity, then a line for each part with its checksum
```

A part counts only for the very same version of the object, and only if what lies on disk still has
the checksum that was noted.
"""

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # it imports awscrt, and only a run needs that
    from roboto_dagster.fs.core.checksums import Algorithm, CrcDigest

_CHUNK_BYTES = 1024 * 1024


class Identity(NamedTuple):
    """Which version of which object a partial file is of.

    Attributes:
        uri: Its URI.
        size_bytes: Its whole size.
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
        checksum: The same, as text.
    """

    start: int
    stop: int
    algorithm: "Algorithm"
    checksum: str


def journal_name(temporary_name: str) -> str:
    """Returns the name of the journal of a temporary file."""
    return temporary_name.removesuffix(".part") + ".parts.part"


def write_identity(fd: int, identity: Identity) -> None:
    """Begins a journal anew, for this version of the object."""
    os.ftruncate(fd, 0)
    os.write(fd, json.dumps(identity).encode() + b"\n")


def write_part(fd: int, part: Part) -> None:
    """Notes a part, in one write, so that a kill tears at most the last line."""
    os.write(fd, json.dumps(part).encode() + b"\n")


def read_journal(fd: int, identity: Identity) -> list[Part] | None:
    """Reads a journal.

    Args:
        fd: Of the journal, open for reading.
        identity: The version of the object that is wanted.

    Returns:
        Its parts, none of them overlapping; None if it is garbage or of another version.
    """
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        lines = [_parse(line) for line in file]
    if not lines or lines[0] != list(identity):
        return None
    # Of those that begin together the longest: the front of a file is noted again as it runs on.
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
    except ValueError:
        return None


def _parts(lines: list[Any], size_bytes: int) -> Iterator[Part]:
    from roboto_dagster.fs.core.checksums import is_combinable

    for line in lines:
        match line:
            case [int(start), int(stop), str(algorithm), str(checksum)] if (
                0 <= start < stop <= size_bytes and is_combinable(algorithm)  # type: ignore[arg-type]  # read from disk
            ):
                yield Part(start, stop, algorithm, checksum)  # type: ignore[arg-type]


def check_part(fd: int, part: Part) -> "CrcDigest | None":
    """Reads a part back; returns its checksum if it still holds, to be combined with its neighbours'."""
    from roboto_dagster.fs.core.checksums import CrcDigest, new_digest

    digest = new_digest(part.algorithm)
    offset = part.start
    while offset < part.stop:
        data = os.pread(fd, min(_CHUNK_BYTES, part.stop - offset), offset)
        if not data:
            return None
        digest.update(data)
        offset += len(data)
    return digest if isinstance(digest, CrcDigest) and digest.text() == part.checksum else None


def check_parts(fd: int, parts: list[Part]) -> "dict[Part, CrcDigest]":
    """Reads parts back; returns the checksums of those that still hold."""
    checked = {part: check_part(fd, part) for part in parts}
    return {part: digest for part, digest in checked.items() if digest is not None}
