"""Where the last complete message of a ULog ends."""

import io
from typing import BinaryIO

_HEADER_BYTES = 3


def position_of(stream: BinaryIO) -> int:
    """Return the position in a log."""
    return stream.seek(0, io.SEEK_CUR)


def cut_bytes(stream: BinaryIO, start: int, end: int) -> int:
    """Return how many bytes there are after the last complete message, and leave the stream at the end.

    Args:
        stream: The log.
        start: Where a message begins.
        end: Where the part ends; it is held in memory.
    """
    stream.seek(start)
    data = stream.read(end - start)
    position = 0
    while position + _HEADER_BYTES <= len(data):
        following = position + _HEADER_BYTES + (data[position] | data[position + 1] << 8)
        if following > len(data):
            break
        position = following
    return len(data) - position
