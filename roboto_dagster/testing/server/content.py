"""What a body is made of: bytes in memory, a file on disk, or a changed view of either.

Everything that is served or stored is a `BodyContent`, read piece by piece, so that an object of any
size costs one piece of memory per connection.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 256 * 1024
"""How much of a body is in memory at once, per connection."""


class BodyContent(Protocol):
    """Bytes that can be read anywhere, in pieces."""

    def __len__(self) -> int:
        """Return the size in bytes."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop*.

        Args:
            start: The first byte.
            stop: The byte after the last one.
        """
        ...


class BytesContent:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def read(self, start: int, stop: int) -> bytes:
        """Return a stretch of them.

        Args:
            start: The first byte.
            stop: The byte after the last one.
        """
        return self._data[start:stop]


class FileContent:
    """Content of a file, read where it lies; its size is taken once, when this is made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        """Return a stretch of the file as it is now.

        Args:
            start: The first byte.
            stop: The byte after the last one.
        """
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


class Window:
    """A part of another content."""

    def __init__(self, content: BodyContent, start: int, stop: int) -> None:
        self.content = content
        self.start = start
        self.stop = max(start, stop)

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self, start: int, stop: int) -> bytes:
        """Return a stretch of the part.

        Args:
            start: The first byte.
            stop: The byte after the last one.
        """
        return self.content.read(self.start + start, min(self.start + stop, self.stop))


class BitFlipped:
    """Another content with one bit changed."""

    def __init__(self, content: BodyContent, at: int) -> None:
        self._content = content
        self._at = at

    def __len__(self) -> int:
        return len(self._content)

    def read(self, start: int, stop: int) -> bytes:
        """Return a stretch, with the bit changed if it lies there.

        Args:
            start: The first byte.
            stop: The byte after the last one.
        """
        data = self._content.read(start, stop)
        if not start <= self._at < start + len(data):
            return data
        changed = bytearray(data)
        changed[self._at - start] ^= 1
        return bytes(changed)


def pieces(content: BodyContent, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yield *content* from front to back, at most *size* bytes at a time.

    Args:
        content: The bytes.
        size: How many bytes a piece has at most.
    """
    for start in range(0, len(content), size):
        yield content.read(start, min(start + size, len(content)))


def as_content(data: bytes | Path) -> BodyContent:
    """Return *data* as content: bytes as they are, a path as the file it names."""
    return FileContent(data) if isinstance(data, Path) else BytesContent(data)
