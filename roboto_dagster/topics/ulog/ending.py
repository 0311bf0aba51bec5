"""How a ULog ends: with a complete message, within one, or in the middle of damage."""

import io
import struct
from collections.abc import Mapping
from typing import BinaryIO, Literal

HEADER_BYTES = 3
MAX_STEPS_BACK = 100_000
"""A log without damage goes back once, at the first message of the data."""
LONGEST_MESSAGE_BYTES = HEADER_BYTES + 0xFFFF

_HEADER = struct.Struct("<HB")
# The least sizes of messages that a log may end with, by kind.
_LEAST_SIZES = {
    ord(kind): size
    for kind, size in {"A": 4, "C": 11, "I": 3, "L": 9, "M": 4, "P": 3, "Q": 4}.items()
}
_TEXT_STARTS = {"A": 3, "C": 11, "L": 9}
_KEY_STARTS = {"I": 1, "M": 2, "P": 1, "Q": 2}  # behind the byte with the size of the key
_FIXED_SIZES = {ord("O"): 2, ord("R"): 2, ord("S"): 8}


def position_of(stream: BinaryIO) -> int:
    """Return the position in a log."""
    return stream.seek(0, io.SEEK_CUR)


def incomplete_message(stream: BinaryIO, start: int, end: int) -> bytes:
    """Return what there is after the last complete message, and leave the stream at the end.

    Args:
        stream: The log.
        start: Where a message begins.
        end: Where the part ends; it is held in memory.
    """
    stream.seek(start)
    data = stream.read(end - start)
    position = 0
    while position + HEADER_BYTES <= len(data):
        following = position + HEADER_BYTES + (data[position] | data[position + 1] << 8)
        if following > len(data):
            break
        position = following
    return data[position:]


def is_plausible(message: bytes, row_sizes: Mapping[int, tuple[int, int]]) -> bool:
    """Return whether a message may have been cut by a power loss, and is no damage of its header.

    Args:
        message: What there is of it.
        row_sizes: The least and the greatest size of rows by message id.
    """
    if len(message) < HEADER_BYTES:
        return True
    size: int
    size, kind = _HEADER.unpack_from(message)
    if kind == ord("D"):
        sizes = list(row_sizes.values())
        if len(message) >= HEADER_BYTES + 2:
            msg_id = message[HEADER_BYTES] | message[HEADER_BYTES + 1] << 8
            sizes = [row_sizes.get(msg_id, (1, 0))]
        return any(least <= size - 2 <= most for least, most in sizes)
    if kind in _FIXED_SIZES:
        return size == _FIXED_SIZES[kind]
    least = _LEAST_SIZES.get(kind)
    return (
        least is not None
        and size >= least
        and _is_text(_text_of(chr(kind), message[HEADER_BYTES:]))
    )


def _text_of(kind: str, payload: bytes) -> bytes:
    """Return the part of a message that is text: what was logged, or a name."""
    if kind in _TEXT_STARTS:
        return payload[_TEXT_STARTS[kind] :]
    start = _KEY_STARTS[kind]
    size = payload[start - 1] if len(payload) >= start else 1
    return payload[start : start + size] if size else b"\0"  # every key has a type and a name


def _is_text(text: bytes) -> bool:
    return all(byte >= ord(" ") or byte in b"\t\r\n" for byte in text)


class DefinitionsFile:
    """A log while its definitions are read; it ends at the first message that is cut.

    pyulog goes back by the size of such a message instead of what there was of it, and may do so forever.
    Through damage it goes byte by byte, which takes minutes in a large log: it ends after `MAX_STEPS_BACK`, too.

    Args:
        stream: The log.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._is_header_next = True
        self._is_cut = False
        self._steps_back = 0

    @property
    def fault(self) -> Literal["TRUNCATED", "CORRUPT"] | None:
        """What is wrong with the definitions, after they were read."""
        if not self._is_cut:
            return None
        return "TRUNCATED" if self._steps_back == 0 else "CORRUPT"

    def read(self, size: int) -> bytes:
        """Return that many bytes, or those before the end; after that, none."""
        if self._is_cut:
            return b""
        data = self._stream.read(size)
        is_header, self._is_header_next = self._is_header_next, not self._is_header_next
        self._is_cut = len(data) < size and bool(data or not is_header)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, unless the log has ended.

        Args:
            offset: In bytes.
            whence: As of any file.
        """
        if self._is_cut or self._steps_back >= MAX_STEPS_BACK:
            self._is_cut = True
            return position_of(self._stream)
        self._steps_back += 1
        self._is_header_next = True
        return self._stream.seek(offset, whence)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
