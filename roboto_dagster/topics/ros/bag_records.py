"""Records of a ROS 1 bag: a header of named fields, then data. What they mean is `bag.py`'s.

```
record:  size │ field │ field │ …  │ size │ data            sizes are 32 bits wide
                │                           │
                size │ name=value           of a chunk: records, compressed or not
```
"""

import bz2
import io
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import lz4.frame  # type: ignore[import-untyped]  # lz4 has no types
from rosbags.rosbag1.reader import Header, ReaderError

from roboto_dagster.topics.faults import UndecodableError

MAX_HEADER_BYTES = 16 * 1024 * 1024
"""The headers of connections are the largest: they hold definitions."""
MAX_CHUNK_BYTES = 96 * 1024 * 1024
"""How large a compressed chunk may be; recorders make them of 768 KiB, or of one larger message."""

_UINT32 = struct.Struct("<I")
_DAMAGES = (ReaderError, ValueError, AssertionError, struct.error)
_BROKEN = (OSError, RuntimeError, ValueError, EOFError)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "bz2": bz2.BZ2Decompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


def read_size(stream: BinaryIO) -> int | None:
    """Return the next size, or None at the end of the file."""
    data = stream.read(_UINT32.size)
    if len(data) == _UINT32.size:
        return int(_UINT32.unpack(data)[0])
    if data:
        raise UndecodableError("TRUNCATED", "the bag ends within a record")
    return None


def required_size(stream: BinaryIO) -> int:
    """Return the next size.

    Raises:
        UndecodableError: There is none.
    """
    size = read_size(stream)
    if size is None:
        raise UndecodableError("TRUNCATED", "the bag ends within a record")
    return size


def read_exactly(stream: BinaryIO, size: int, most: int) -> bytes:
    """Return that many bytes.

    Args:
        stream: The bag.
        size: How many the bag states.
        most: How many there can be.

    Raises:
        UndecodableError: There are fewer, or a size is damaged.
    """
    if size > most:
        raise UndecodableError("CORRUPT", f"a record states a size of {size} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise UndecodableError(
            "TRUNCATED", f"the bag ends {size - len(data)} bytes before the end of a record"
        )
    return data


def header_of(raw: bytes) -> Header:
    """Return the fields of a header.

    Raises:
        UndecodableError: It is damaged.
    """
    try:
        return Header.read(io.BytesIO(_UINT32.pack(len(raw)) + raw))
    except _DAMAGES as error:
        raise UndecodableError(
            "CORRUPT", f"the header of a record cannot be read: {error}"
        ) from None


def field(header: Header, kind: str, name: str) -> Any:
    """Return the value of a header's field.

    Args:
        header: Of a record.
        kind: `uint8`, `uint32`, `uint64`, `time` or `string`.
        name: Of the field.

    Raises:
        UndecodableError: It is missing or damaged.
    """
    try:
        return getattr(header, f"get_{kind}")(name)
    except _DAMAGES as error:
        raise UndecodableError("CORRUPT", f"a record lacks a field: {error}") from None


def decompressed(data: bytes, compression: str, size: int) -> bytes:
    """Return the records of a chunk.

    Args:
        data: As it is in the bag.
        compression: `none`, `bz2` or `lz4`.
        size: Of the records, as the bag states it.

    Raises:
        UndecodableError: The chunk is damaged, or its compression unknown.
    """
    if size > MAX_CHUNK_BYTES:
        raise UndecodableError("TOO_LARGE", f"a chunk of the bag has {size} bytes")
    if compression == "none":
        records = data
    elif compression in _DECOMPRESSORS:
        records = _unpacked(data, _DECOMPRESSORS[compression](), size)
    else:
        raise UndecodableError(
            "UNSUPPORTED_COMPRESSION", f"a chunk is compressed with {compression!r}"
        )
    if len(records) != size:
        raise UndecodableError("CORRUPT", f"a chunk does not have the {size} bytes that it states")
    return records


def beginning_of(data: bytes, compression: str) -> bytes:
    """Return the records with which a chunk begins that was cut.

    Args:
        data: What there is of it.
        compression: `none`, `bz2` or `lz4`; of another one there are no records.
    """
    if compression == "none":
        return data
    if compression not in _DECOMPRESSORS:
        return b""
    try:
        return _DECOMPRESSORS[compression]().decompress(data, MAX_CHUNK_BYTES)
    except _BROKEN:
        return b""


def _unpacked(data: bytes, decompressor: _Decompressor, size: int) -> bytes:
    try:
        records = decompressor.decompress(data, size + 1)
        # Both stop when they have given what was asked for, and see the end of the data only then.
        if not decompressor.eof:
            records += decompressor.decompress(b"", 1)
    except _BROKEN as error:
        raise UndecodableError("CORRUPT", f"a chunk cannot be decompressed: {error}") from None
    return records


class MessageHeaders:
    """Finds connection and time in the headers of messages.

    Recorders write the same three fields in the same order each time. The first header is read field by
    field, and becomes the pattern of those that follow.
    """

    def __init__(self) -> None:
        self._match = re.compile(rb"(?!)").match

    def match(self, chunk: bytes, position: int) -> tuple[int, int, int, int] | None:
        """Return the fields of a header that looks like the one before.

        Args:
            chunk: Records.
            position: Where the record begins.

        Returns:
            Connection, time in nanoseconds, where the data begins, and its size; None if it looks otherwise.
        """
        found = self._match(chunk, position)
        if found is None:
            return None
        connection, seconds, nanoseconds, size = _MESSAGE.unpack(
            b"".join(found.group("conn", "time", "size"))
        )
        return connection, seconds * 1_000_000_000 + nanoseconds, found.end(), size

    def learn(self, header: Header) -> None:
        """Take the header of a message as the pattern of those that follow."""
        parts = []
        for name, value in header.items():
            text = re.escape(_UINT32.pack(len(name) + 1 + len(value)) + name.encode() + b"=")
            parts.append(text + _VALUES.get(name, re.escape(value)))
        size = sum(4 + len(name.encode()) + 1 + len(value) for name, value in header.items())
        start = re.escape(_UINT32.pack(size))
        pattern = re.compile(start + b"".join(parts) + rb"(?P<size>.{4})", re.DOTALL)
        self._match = pattern.match


_MESSAGE = struct.Struct("<IIII")
_VALUES = {"conn": rb"(?P<conn>.{4})", "time": rb"(?P<time>.{8})"}
