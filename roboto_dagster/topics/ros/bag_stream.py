"""The file of a ROS 1 bag: records one after the other, and the index that states how many messages there are."""

import collections
import io
import os
import struct
from typing import BinaryIO

from rosbags.rosbag1.reader import Header, RecordType

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.ros.bag_records import (
    MAX_HEADER_BYTES,
    field,
    header_of,
    read_exactly,
    read_size,
    required_size,
)

_COUNT = struct.Struct("<II")


class BagStream:
    """Reads records of a bag; each ends with its data, which is read or skipped.

    Args:
        stream: The bag, opened for reading in binary mode.

    Attributes:
        size: Of the file, in bytes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = os.fstat(stream.fileno()).st_size

    @property
    def position(self) -> int:
        """Where the next byte is read."""
        return self._stream.seek(0, io.SEEK_CUR)

    def seek(self, position: int) -> None:
        """Read on somewhere else."""
        self._stream.seek(position)

    def first_line(self) -> bytes:
        """Return the line with the version."""
        return self._stream.readline(64)

    def header(self) -> Header | None:
        """Return the header of the next record; None at the end of the file."""
        size = read_size(self._stream)
        if size is None:
            return None
        return header_of(read_exactly(self._stream, size, MAX_HEADER_BYTES))

    def data_size(self) -> int:
        """Return the size of the data behind a header."""
        return required_size(self._stream)

    def data(self) -> bytes:
        """Return the data of anything but chunks and messages."""
        return self.read(self.data_size(), MAX_HEADER_BYTES)

    def read(self, size: int, most: int) -> bytes:
        """Return data whose size was read.

        Args:
            size: How many bytes.
            most: How many there can be.
        """
        return read_exactly(self._stream, size, most)

    def rest(self, most: int) -> bytes:
        """Return what there is up to the end of the file."""
        return self._stream.read(most)

    def skip_data(self) -> None:
        """Leave out the data behind a header."""
        self.skip(self.data_size())

    def skip(self, size: int) -> None:
        """Leave out data whose size was read."""
        if self._stream.seek(size, io.SEEK_CUR) > self.size:
            raise UndecodableError("TRUNCATED", "the bag ends within a record")


def stated_counts(stream: BagStream, connections: int, chunks: int) -> collections.Counter[int]:
    """Return how many messages there are by connection, as the index states it.

    Args:
        stream: The bag, at its index.
        connections: How many the index has.
        chunks: Likewise.

    Raises:
        UndecodableError: The index is cut or damaged.
    """
    for _ in range(connections):
        _index_header(stream, RecordType.CONNECTION)
        stream.skip_data()
    stated: collections.Counter[int] = collections.Counter()
    for _ in range(chunks):
        _index_header(stream, RecordType.CHUNK_INFO)
        data = stream.data()
        for number, count in _COUNT.iter_unpack(data[: len(data) // 8 * 8]):
            stated[number] += count
    return stated


def _index_header(stream: BagStream, expected: RecordType) -> None:
    header = stream.header()
    if header is None:
        raise UndecodableError("TRUNCATED", "the bag ends within its index")
    if field(header, "uint8", "op") != expected:
        raise UndecodableError("CORRUPT", "its index is damaged")
