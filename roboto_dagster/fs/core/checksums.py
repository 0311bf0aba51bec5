"""What a store reports about an object's content, and the verdict on the bytes that arrived. Pure.

Only a checksum of the complete object counts. That of a multipart upload over its parts' checksums
(`COMPOSITE`, or a value ending in `-<parts>`) proves nothing about the bytes alone
(https://github.com/boto/botocore/issues/3346), and an ETag is the content's MD5 only after one
plain, unencrypted upload. Where the store sends none, the verdict is `size`.
"""

import base64
import dataclasses
import errno
import functools
import hashlib
import importlib
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Literal, Protocol

from roboto_dagster.fs.core import crc_combine
from roboto_dagster.fs.core.response import pinning_etag

try:  # of boto3[crt]; without it CRC64NVME and CRC32C cannot be checked, and CRC32 is zlib's
    # By name: some releases of it are typed and some are not.
    _crt: ModuleType | None = importlib.import_module("awscrt.checksums")
except ImportError:  # pragma: no cover - every supported platform has awscrt wheels
    _crt = None

Algorithm = Literal["crc64nvme", "crc32c", "crc32", "sha256", "md5"]
"""Algorithms that can be checked, strongest first."""

NO_CHECKSUM = (
    'the store sends no checksum of the complete object, and verify="checksum" asks for one'
)
"""Reason of the failure of a file without a checksum, where one is asked for."""

READ_BACK_BYTES = 1024 * 1024

_MD5_HEX_DIGITS = 32
# Decoding takes four times as long as this.
_BASE64_OF = {
    width: re.compile(f"[A-Za-z0-9+/]{{{digits}}}={{{padding}}}")
    for width, digits, padding in ((4, 6, 2), (8, 11, 1), (32, 43, 1))
}
_MULTIPART_ETAG = re.compile(r".+-\d+")
_CRC_WIDTHS: dict[Algorithm, int] = {"crc64nvme": 8, "crc32c": 4, "crc32": 4}
# S3 Express ETags are random, see "Working with directory buckets" in the S3 user guide.
_STORAGE_CLASS_WITHOUT_MD5 = "EXPRESS_ONEZONE"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredChecksum:
    """The checksum of a complete object.

    Attributes:
        algorithm: How it is computed.
        value: As the store sent it: base64, or hexadecimal for `md5`.
    """

    algorithm: Algorithm
    value: str

    @property
    def text(self) -> str:
        """The form in receipts and manifests, such as `crc32c:yZRlqg==`."""
        return f"{self.algorithm}:{self.value}"


class ChecksumMismatchError(ValueError):
    """The bytes are not those that the store has a checksum of; the message names both checksums."""

    def __init__(self, stored: StoredChecksum, computed: str) -> None:
        super().__init__(stored, computed)
        self.stored = stored
        self.computed = computed

    def __str__(self) -> str:
        stored = self.stored
        return (
            f"{stored.algorithm} of the bytes is {self.computed}, the store reports {stored.value}"
        )


def stored_checksum(headers: Mapping[str, str]) -> StoredChecksum | None:
    """Find the strongest checksum of the complete object that can be checked here.

    Args:
        headers: Of a GET of the complete object or of a HEAD, names in lower case.

    Returns:
        The checksum, or None if the headers have none that can be checked.
    """
    for algorithm, header, width in _HEADERS:
        value = headers.get(header)
        if value and _is_base64_of(value, width) and _is_of_complete_object(headers):
            return StoredChecksum(algorithm=algorithm, value=value)
    return _md5_of_etag(headers)


def _is_of_complete_object(headers: Mapping[str, str]) -> bool:
    """Report whether a checksum is known to be that of the bytes, not of the parts' checksums.

    Stores that do not report which it is have been seen to send that of the parts of a multipart
    upload without its suffix; such an object is known by the `-<parts>` of its ETag.
    """
    kind = headers.get("x-amz-checksum-type", "").upper()
    if kind:
        return kind == "FULL_OBJECT"
    return _MULTIPART_ETAG.fullmatch(headers.get("etag", "").strip('"')) is None


def _md5_of_etag(headers: Mapping[str, str]) -> StoredChecksum | None:
    etag = pinning_etag(headers) or ""
    if len(etag) != _MD5_HEX_DIGITS:
        return None
    encrypted = headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    customer_key = "x-amz-server-side-encryption-customer-algorithm" in headers
    random = headers.get("x-amz-storage-class") == _STORAGE_CLASS_WITHOUT_MD5
    is_hex = all(digit in "0123456789abcdef" for digit in etag.lower())
    if encrypted or customer_key or random or not is_hex:
        return None
    return StoredChecksum(algorithm="md5", value=etag.lower())


def _is_base64_of(value: str, width: int) -> bool:
    # False for composite values too, whose `-<parts>` is not base64.
    return _BASE64_OF[width].fullmatch(value) is not None


class Digest(Protocol):
    """The checksum of the bytes seen so far."""

    size_bytes: int

    def update(self, data: bytes | memoryview) -> None:
        """Add the bytes that follow."""
        ...

    def text(self) -> str:
        """Return the checksum in the form in which stores send it."""
        ...


class CrcDigest:
    """A running CRC; those of neighbouring ranges combine, so ranges may arrive in any order."""

    __slots__ = ("_add", "_combine", "_width", "algorithm", "size_bytes", "value")

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm: Algorithm = algorithm
        self._add, self._combine = _CRC_FUNCTIONS[algorithm]
        self._width = _WIDTHS[algorithm]
        self.value = 0
        self.size_bytes = 0

    def update(self, data: bytes | memoryview) -> None:
        """Add the bytes that follow."""
        self.value = self._add(data, self.value)
        self.size_bytes += len(data)

    def append(self, following: "CrcDigest") -> None:
        """Take in the range that starts where this one ends."""
        self.value = self._combine(self.value, following.value, following.size_bytes)
        self.size_bytes += following.size_bytes

    def text(self) -> str:
        """Return the checksum as stores send it: base64 of the big-endian number."""
        return base64.b64encode(self.value.to_bytes(self._width, "big")).decode("ascii")


class HashDigest:
    """A running hash; only for bytes that arrive in order."""

    __slots__ = ("_hash", "_is_hex", "size_bytes")

    def __init__(self, algorithm: Algorithm) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._is_hex = algorithm == "md5"
        self.size_bytes = 0

    def update(self, data: bytes | memoryview) -> None:
        """Add the bytes that follow."""
        self._hash.update(data)
        self.size_bytes += len(data)

    def text(self) -> str:
        """Return the checksum as stores send it: hexadecimal for MD5, base64 for SHA-256."""
        if self._is_hex:
            return self._hash.hexdigest()
        return base64.b64encode(self._hash.digest()).decode("ascii")


def new_digest(algorithm: Algorithm) -> CrcDigest | HashDigest:
    """Begin the checksum of a stream, or of one range where `is_combinable`."""
    return CrcDigest(algorithm) if algorithm in _CRC_FUNCTIONS else HashDigest(algorithm)


def is_combinable(algorithm: Algorithm) -> bool:
    """Report whether checksums of ranges can be combined into that of the object."""
    return algorithm in _CRC_FUNCTIONS


def verdict(stored: StoredChecksum | None, digest: Digest | None) -> str:
    """Give the verdict on bytes whose number is already known to be right.

    Args:
        stored: What their checksum must be, or None.
        digest: Their checksum, or None.

    Returns:
        The algorithm that matched, or `size` if there is nothing to compare with.

    Raises:
        ChecksumMismatchError: The bytes are not those that the store holds.
    """
    if stored is None or digest is None:
        return "size"
    computed = digest.text()
    if computed != stored.value:
        raise ChecksumMismatchError(stored, computed)
    return stored.algorithm


def verify_file(
    fd: int, stored: StoredChecksum | None, is_wanted: Callable[[], bool] = lambda: True
) -> str:
    """Give the verdict on a file by reading it back; for bytes that did not pass in order.

    Args:
        fd: The file.
        stored: What its checksum must be, or None.
        is_wanted: Asked between chunks; once it returns False, the reading ends with an error.

    Raises:
        ChecksumMismatchError: The bytes are not those that the store holds.
        OSError: The file cannot be read, or was not to be read on.
    """
    if stored is None:
        return "size"
    digest = new_digest(stored.algorithm)
    for chunk in _chunks(fd):
        if not is_wanted():
            raise InterruptedError(errno.EINTR, "the verdict is not wanted any more")
        digest.update(chunk)
    return verdict(stored, digest)


def _chunks(fd: int) -> Iterator[bytes]:
    offset = 0
    while chunk := _read_at(fd, offset):
        yield chunk
        offset += len(chunk)


def _read_at(fd: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, READ_BACK_BYTES, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # pragma: no cover - Windows has no pread
    return os.read(fd, READ_BACK_BYTES)  # pragma: no cover


_Add = Callable[[bytes | memoryview, int], int]
_Combine = Callable[[int, int, int], int]


def _crc_functions() -> dict[str, tuple[_Add, _Combine]]:
    """Return how each CRC that can be computed here is continued and combined.

    Before release 0.31, awscrt has no `combine_*`, or not all of them.
    """
    functions: dict[str, tuple[_Add, _Combine]] = {}
    for name in ("crc64nvme", "crc32c", "crc32"):
        add = getattr(_crt, name, None)
        if add is not None:
            combine = functools.partial(crc_combine.combine, name)
            functions[name] = (add, getattr(_crt, f"combine_{name}", combine))
    return functions or {"crc32": (zlib.crc32, functools.partial(crc_combine.combine, "crc32"))}


_CRC_FUNCTIONS = _crc_functions()
# Bytes of each checksum that has a header, strongest first; only those that can be computed here.
_WIDTHS: dict[Algorithm, int] = {
    **{name: width for name, width in _CRC_WIDTHS.items() if name in _CRC_FUNCTIONS},
    "sha256": 32,
}
_HEADERS = tuple((name, f"x-amz-checksum-{name}", width) for name, width in _WIDTHS.items())
