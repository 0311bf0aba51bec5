"""Checks what an earlier run left of a big file: a part is kept only if its bytes still have the logged checksum."""

import os
from collections.abc import Sequence
from typing import cast

from roboto_dagster.disk.resume_log import Part
from roboto_dagster.fs.core.checksums import Algorithm, CrcDigest, is_combinable, new_digest

_CHUNK_BYTES = 1024 * 1024


def check_part(fd: int, part: Part) -> CrcDigest | None:
    """Read a part back.

    Args:
        fd: Of the file it is in.
        part: As logged.

    Returns:
        Its checksum, to be combined with its neighbours'; None if the bytes on disk have another one.
    """
    algorithm = cast("Algorithm", part.algorithm)  # read from disk: any text
    if not is_combinable(algorithm):
        return None
    digest = new_digest(algorithm)
    offset = part.start
    while offset < part.stop:
        data = os.pread(fd, min(_CHUNK_BYTES, part.stop - offset), offset)
        if not data:
            return None
        digest.update(data)
        offset += len(data)
    return digest if isinstance(digest, CrcDigest) and digest.text() == part.checksum else None


def check_parts(fd: int, parts: Sequence[Part]) -> dict[Part, CrcDigest]:
    """Read parts back.

    Args:
        fd: Of the file they are in.
        parts: As logged.

    Returns:
        The checksums of those that still match.
    """
    checked = {part: check_part(fd, part) for part in parts}
    return {part: digest for part, digest in checked.items() if digest is not None}
