"""The checksums and entity tags that S3 keeps with an object, put in one request or in parts."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from awscrt import checksums as crt

from roboto_dagster.testing.server.content import BodyContent, Window, pieces

ChecksumAlgorithm = Literal["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"]
ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A CRC of awscrt, in the shape of hashlib's objects."""

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._function = {"CRC64NVME": crt.crc64nvme, "CRC32C": crt.crc32c, "CRC32": crt.crc32}[
            algorithm
        ]
        self._size = 8 if algorithm == "CRC64NVME" else 4
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _hasher(algorithm: ChecksumAlgorithm) -> _Hash:
    if algorithm == "SHA256":
        return hashlib.sha256()
    if algorithm == "SHA1":
        return hashlib.sha1(usedforsecurity=False)
    return _Crc(algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What S3 keeps about an object's bytes: the ETag, and a checksum if one was asked for."""

    etag: str
    algorithm: ChecksumAlgorithm | None
    value: str | None
    type: ChecksumType | None
    parts: int | None


def fingerprint(
    content: BodyContent,
    *,
    algorithm: ChecksumAlgorithm | None,
    part_bytes: int | None = None,
    type: ChecksumType = "FULL_OBJECT",  # noqa: A002 - S3's own word for it
) -> Fingerprint:
    """Return what S3 would keep for *content*, put in one request or in parts of *part_bytes*.

    A multipart ETag is the MD5 of the parts' MD5s with their number, and so is a `COMPOSITE`
    checksum in its algorithm.

    Args:
        content: The object's bytes.
        algorithm: The checksum to keep, or None for none.
        part_bytes: Size of its parts; None for an object of one piece.
        type: Whether the checksum is of all bytes or of the parts' checksums.
    """
    parts = list(_split(content, part_bytes or max(len(content), 1)))
    total = None if algorithm is None else _hasher(algorithm)
    composite = part_bytes is not None and type == "COMPOSITE"
    md5s, checksums = [], []
    for part in parts:
        md5, checksum = _hash_part(part, total, algorithm, per_part=composite)
        md5s.append(md5)
        checksums.append(checksum)
    etag = hashlib.md5(b"".join(md5s), usedforsecurity=False).hexdigest() + f"-{len(parts)}"
    return Fingerprint(
        etag=md5s[0].hex() if part_bytes is None else etag,
        algorithm=algorithm,
        value=None if total is None else _value(total, checksums, algorithm, composite=composite),
        type=None if total is None else ("COMPOSITE" if composite else "FULL_OBJECT"),
        parts=None if part_bytes is None else len(parts),
    )


def _split(content: BodyContent, part_bytes: int) -> Iterator[BodyContent]:
    for start in range(0, max(len(content), 1), part_bytes):
        yield Window(content, start, min(start + part_bytes, len(content)))


def _hash_part(
    part: BodyContent, total: _Hash | None, algorithm: ChecksumAlgorithm | None, *, per_part: bool
) -> tuple[bytes, bytes]:
    md5 = hashlib.md5(usedforsecurity=False)
    own = None if algorithm is None or not per_part else _hasher(algorithm)
    for piece in pieces(part):
        md5.update(piece)
        if total is not None:
            total.update(piece)
        if own is not None:
            own.update(piece)
    return md5.digest(), b"" if own is None else own.digest()


def _value(
    total: _Hash, parts: list[bytes], algorithm: ChecksumAlgorithm | None, *, composite: bool
) -> str:
    if composite and algorithm is not None:
        total = _hasher(algorithm)
        total.update(b"".join(parts))
    return base64.b64encode(total.digest()).decode()
