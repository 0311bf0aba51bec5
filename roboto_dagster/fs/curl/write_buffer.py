"""Gathers what arrives, so that it is written and checked in few calls.

libcurl hands over 16 KiB at a time, whatever it has received; a system call for each, and the GIL
taken twice, costs more than all else that Python does for a big file.
"""

from typing import Protocol

BUFFER_BYTES = 128 * 1024
"""Small enough to stay in the processor's cache between being received and written."""


class Writer(Protocol):
    """Who the gathered bytes belong to."""

    def write_body(self, data: memoryview) -> bool:
        """Write them; False if no more are wanted, or can be written."""
        ...


class WriteBuffer:
    """Holds the bytes of one request at a time, for all requests of one loop.

    It is flushed as soon as libcurl has read one socket, so that memory does not grow with the
    connections.
    """

    __slots__ = ("_bytes", "_limit", "_owner", "_used")

    def __init__(self) -> None:
        self._bytes = memoryview(bytearray(BUFFER_BYTES))
        self._owner: Writer | None = None
        self._used = 0
        self._limit = 0

    def add(self, owner: Writer, data: bytes) -> bool:
        """Take bytes in; False if the buffer is not lent to this owner, or they would fill it.

        Args:
            owner: Whose bytes they are.
            data: The bytes.
        """
        end = self._used + len(data)
        if owner is not self._owner or end >= self._limit:
            return False
        self._bytes[self._used : end] = data
        self._used = end
        return True

    def lend(self, owner: Writer, missing_bytes: int) -> None:
        """Give the buffer, which must be empty, to an owner that waits for so many bytes.

        Args:
            owner: The owner.
            missing_bytes: How many bytes it waits for.
        """
        self._owner, self._limit = owner, min(missing_bytes, BUFFER_BYTES)

    def flush(self) -> bool:
        """Have the owner write what is held; return whether it takes more."""
        owner, used = self._owner, self._used
        if owner is None:
            return True
        self._owner, self._used = None, 0
        return owner.write_body(self._bytes[:used])
