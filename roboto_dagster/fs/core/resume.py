"""Checks what an earlier run left of a big file: a part is kept only if its bytes still have the logged checksum.

```
 left by a dead run ─► same object and version? ─► part by part: the logged checksum? ─► kept: not requested again
  (temporary file            │ no                         │ no
   and resume log)           ▼                            ▼
                        all is discarded          that range is requested again
```
"""

import os
from collections.abc import Mapping
from typing import cast

from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.resume_log import Part
from roboto_dagster.fs.core.checksums import Algorithm, CrcDigest, is_combinable, new_digest
from roboto_dagster.fs.core.content import Content
from roboto_dagster.fs.core.download import Download, RangeRequest

_CHUNK_BYTES = 1024 * 1024


def check_part(fd: int, part: Part, algorithm: str | None = None) -> CrcDigest | None:
    """Read a part back.

    Args:
        fd: Of the file it is in.
        part: As logged.
        algorithm: Of the checksum that is wanted of it. Default None: the logged one.

    Returns:
        Its checksum, to be combined with its neighbours'; None if the bytes on disk are not those logged.
    """
    logged, wanted = _new_digest(part.algorithm), _new_digest(algorithm or part.algorithm)
    if logged is None or wanted is None:
        return None
    if logged.algorithm == wanted.algorithm:
        wanted = logged
    offset = part.start
    while offset < part.stop:
        data = os.pread(fd, min(_CHUNK_BYTES, part.stop - offset), offset)
        if not data:
            return None
        for digest in {logged, wanted}:
            digest.update(data)
        offset += len(data)
    return wanted if logged.text() == part.checksum else None


def _new_digest(algorithm: str) -> CrcDigest | None:
    """Start a checksum; None for an algorithm that cannot be combined, or that is none: logs hold any text."""
    known = cast("Algorithm", algorithm)
    digest = new_digest(known) if is_combinable(known) else None
    return digest if isinstance(digest, CrcDigest) else None


def check_parts(left: LeftParts, algorithm: str | None) -> dict[Part, CrcDigest]:
    """Read parts back, copying those that have to be, and close them; for a thread that may wait for the disk.

    Args:
        left: From `PartialFile.keep_parts`.
        algorithm: Of the checksums that are wanted, which the run that logged the parts may not have used; None for
            any.

    Returns:
        The checksums of those that are in the file.

    Raises:
        OSError: The disk fails.
    """
    checked = {}
    try:
        for part in left.parts:
            digest = check_part(left.source_fd, part, algorithm)
            if digest is None or not left.take(part):
                continue
            if left.needs_copy and not _is_copied(left, part):
                continue
            checked[part] = digest
    finally:
        left.close()
    return checked


def _is_copied(left: LeftParts, part: Part) -> bool:
    if check_part(left.target_fd, part) is None:
        left.spoil()
        return False
    left.confirm(part)
    return True


def resume_with(download: Download, parts: Mapping[Part, CrcDigest]) -> bool:
    """Count in the parts that an earlier run left and that still match.

    Args:
        download: The file, whose initial stream may be under way, or have ended.
        parts: The parts, each with the checksum that was read back.

    Returns:
        True if nothing is left to fetch.
    """
    content, initial = download.content, download.initial
    ranges, digests = content.ranges, content.digests
    content.is_checking = False
    for part, digest in _joined(parts):
        if part.start == 0 and initial is not None:
            if part.stop > initial.position:  # else the stream has come further meanwhile
                _cut_initial_stream(content, initial, part.stop, digest)
        elif part.start >= ranges.next_start:  # what lies before is being fetched already
            ranges.add_done(part.start, part.stop)
            digests.put(part.start, digest)
            content.progress.add(part.stop - part.start)
    digests.combine()
    return ranges.is_complete


def _joined(parts: Mapping[Part, CrcDigest]) -> list[tuple[Part, CrcDigest]]:
    """Join what starts at the first byte with the parts that follow without a gap."""
    joined: list[tuple[Part, CrcDigest]] = []
    for part, digest in parts.items():
        first, complete = joined[0] if joined else (part, digest)
        if first.start == 0 and first.stop == part.start:
            complete.append(digest)
            joined[0] = (first._replace(stop=part.stop), complete)
        else:
            joined.append((part, digest))
    return joined


def _cut_initial_stream(
    content: Content, initial: RangeRequest, stop: int, digest: CrcDigest
) -> None:
    """Let the initial stream end, since the bytes up to `stop` are there."""
    content.progress.add(stop - initial.position)
    if 0 in content.digests:  # it has ended
        content.ranges.fetched_bytes += stop - initial.stop
        content.digests.put(0, digest)
    initial.position = initial.stop = stop
    initial.is_initial = False  # else it would extend, with bytes of where it really is
    content.ranges.continue_after(stop)
    initial.digest = digest
