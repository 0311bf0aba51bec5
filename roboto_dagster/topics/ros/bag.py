"""Messages of a ROS 1 bag (version 2.0), in the order of the file.

rosbags' reader keeps an index of all messages in memory and yields them by time; here the records are read
one after the other, by its functions. So memory does not grow with the bag, and a bag that was cut or
never closed yields what it has:

```
version ─► bag header ─► chunks: connections and messages ─► index: connections, counts by chunk
   │           │            │                                  │
UNSUPPORTED_  ENCRYPTED   TRUNCATED, CORRUPT, UNSUPPORTED_   TRUNCATED, COUNT_MISMATCH;
VERSION                   COMPRESSION                        no index: UNINDEXED
```
"""

import collections
import contextlib
import io
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeAlias

from rosbags.rosbag1.reader import Header, RecordType

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.message_table import MAX_MESSAGE_BYTES
from roboto_dagster.topics.ros.bag_records import (
    MAX_CHUNK_BYTES,
    MAX_HEADER_BYTES,
    MessageHeaders,
    beginning_of,
    decompressed,
    field,
    header_of,
    read_exactly,
    required_size,
)
from roboto_dagster.topics.ros.bag_stream import BagStream, stated_counts
from roboto_dagster.topics.ros.container import BagConnection

_Message: TypeAlias = "tuple[BagConnection, int, bytes | UndecodableError]"

_VERSION = re.compile(rb"#ROSBAG V(\d{1,3})\.(\d{1,3})\n")
_BUFFER_BYTES = 1024 * 1024
_HELD_CHUNK_BYTES = 16 * 1024 * 1024


def bag_messages(path: pathlib.Path, wanted: Callable[[str], bool]) -> Iterator[_Message]:
    """Yield connection, time in nanoseconds and payload of each message of a bag, or why there is none.

    Args:
        path: The bag.
        wanted: Which topics.

    Raises:
        UndecodableError: What is wrong with the bag, after all messages that could be read.
    """
    with path.open("rb", buffering=_BUFFER_BYTES) as stream:
        yield from BagReader(stream, wanted).messages()


class BagReader:
    """One bag, read once.

    Args:
        stream: The bag, opened for reading in binary mode.
        wanted: Which topics.
    """

    def __init__(self, stream: BinaryIO, wanted: Callable[[str], bool]) -> None:
        self._stream = BagStream(stream)
        self._wanted = wanted
        self._connections: dict[int, BagConnection | None] = {}  # None: not wanted
        self._message_headers = MessageHeaders()
        self._read: collections.Counter[int] = collections.Counter()

    def messages(self) -> Iterator[_Message]:
        """Yield connection, time in nanoseconds and payload of each message, or why there is none.

        Raises:
            UndecodableError: What is wrong with the bag, after all messages that could be read.
        """
        self._check_version()
        index, connections, chunks = self._bag_header()
        start = self._stream.position
        is_indexed = start <= index <= self._stream.size
        if is_indexed:
            self._read_connections_ahead(index, connections)
            self._stream.seek(start)
        try:
            yield from self._records(index if is_indexed else self._stream.size)
        except UndecodableError as error:
            if index or error.code != "TRUNCATED":
                raise
        if index == 0:  # and it may end within a record
            raise UndecodableError(
                "UNINDEXED", "the bag has no index, as its recorder did not close it"
            )
        if not is_indexed:
            raise UndecodableError("TRUNCATED", f"the bag ends before its index at byte {index}")
        self._stream.seek(index)
        stated = stated_counts(self._stream, connections, chunks)
        if stated != self._read:
            counts = sum(self._read.values()), sum(stated.values())
            raise UndecodableError(
                "COUNT_MISMATCH", "the bag holds {} messages and states {}".format(*counts)
            )

    def _check_version(self) -> None:
        line = self._stream.first_line()
        found = _VERSION.fullmatch(line)
        if not line:
            raise UndecodableError("TRUNCATED", "the file is empty")
        if found is None:
            is_cut = self._stream.size < len(b"#ROSBAG V2.0\n")
            raise UndecodableError(
                "TRUNCATED" if is_cut else "CORRUPT",
                "the first line of the file is not that of a bag",
            )
        if found.groups() != (b"2", b"0"):
            version = line.decode().strip()
            raise UndecodableError(
                "UNSUPPORTED_VERSION", f"the format is {version}; `rosbag fix` converts the bag"
            )

    def _bag_header(self) -> tuple[int, int, int]:
        """Return where the index begins, how many connections there are, and how many chunks."""
        header = self._stream.header()
        if header is None:
            raise UndecodableError("TRUNCATED", "the bag ends after its first line")
        if field(header, "uint8", "op") != RecordType.BAGHEADER:
            raise UndecodableError("CORRUPT", "the file does not begin with the header of a bag")
        if header.get("encryptor"):
            raise UndecodableError(
                "ENCRYPTED", f"the bag is encrypted by {field(header, 'string', 'encryptor')}"
            )
        self._stream.skip_data()
        counts = (field(header, "uint32", name) for name in ("conn_count", "chunk_count"))
        return field(header, "uint64", "index_pos"), *counts

    def _read_connections_ahead(self, index: int, count: int) -> None:
        """Read the connections of the index, as some writers put them nowhere else; damage is found later."""
        self._stream.seek(index)
        try:
            for _ in range(count):
                header = self._stream.header()
                if header is None or field(header, "uint8", "op") != RecordType.CONNECTION:
                    return
                self._add_connection(header, self._stream.data())
        except UndecodableError:
            return

    def _add_connection(self, header: Header, data: bytes) -> None:
        number, topic = field(header, "uint32", "conn"), field(header, "string", "topic")
        if number in self._connections:
            return
        details = header_of(data)
        connection = BagConnection(
            topic=topic,
            type_name=field(details, "string", "type"),
            message_encoding="ros1",
            schema_encoding="ros1msg",
            definition=details.get("message_definition"),
        )
        self._connections[number] = connection if self._wanted(topic) else None

    def _records(self, end: int) -> Iterator[_Message]:
        """Yield messages of all records up to an offset; a damaged chunk does not keep others from being read."""
        damage: UndecodableError | None = None
        while self._stream.position < end:
            header = self._stream.header()
            if header is None:
                break
            kind = field(header, "uint8", "op")
            if kind == RecordType.CHUNK:
                try:
                    yield from self._chunk(header)
                except _DamagedChunkError as error:
                    damage = damage or error.reason
            elif kind == RecordType.MSGDATA:
                yield from self._message(header)
            elif kind == RecordType.CONNECTION:
                self._add_connection(header, self._stream.data())
            else:
                self._stream.skip_data()
        if damage is not None:
            raise damage

    def _chunk(self, header: Header) -> Iterator[_Message]:
        compression, size = field(header, "string", "compression"), field(header, "uint32", "size")
        stored = self._stream.data_size()
        if compression == "none" and stored > _HELD_CHUNK_BYTES:
            return  # its records are read as those around it, one by one
        if self._stream.position + stored > self._stream.size:
            yield from self._cut_chunk(compression)
        held = [self._stream.read(stored, MAX_CHUNK_BYTES)]
        try:
            yield from self._chunk_messages(decompressed(held.pop(), compression, size))
        except UndecodableError as error:
            raise _DamagedChunkError(error) from None

    def _cut_chunk(self, compression: str) -> Iterator[_Message]:
        """Yield the messages of the last chunk of a bag that was cut, as far as they are complete.

        Raises:
            UndecodableError: TRUNCATED.
        """
        stored = self._stream.rest(MAX_CHUNK_BYTES)
        with contextlib.suppress(UndecodableError):
            yield from self._chunk_messages(beginning_of(stored, compression))
        raise UndecodableError("TRUNCATED", "the bag ends within a chunk")

    def _chunk_messages(self, chunk: bytes) -> Iterator[_Message]:
        position = 0
        while position < len(chunk):
            found = self._message_headers.match(chunk, position) or self._other(chunk, position)
            number, time_ns, start, size = found
            position = start + size
            if position > len(chunk):
                raise UndecodableError("CORRUPT", "a record is longer than its chunk")
            if number >= 0:
                self._read[number] += 1
                connection = self._connection(number)
                if connection is not None and position < len(chunk):
                    yield connection, time_ns, chunk[start:position]
                elif connection is not None:
                    last = [chunk[start:]]
                    chunk = b""  # its only message may be as large as the chunk
                    yield connection, time_ns, last.pop()

    def _other(self, chunk: bytes, position: int) -> tuple[int, int, int, int]:
        """Return what `MessageHeaders.match` does, for any record; the connection is -1 if it is no message."""
        stream = io.BytesIO(chunk)
        stream.seek(position)
        try:
            header = header_of(read_exactly(stream, required_size(stream), MAX_HEADER_BYTES))
            size = required_size(stream)
            start = stream.seek(0, io.SEEK_CUR)
            kind = field(header, "uint8", "op")
            if kind == RecordType.MSGDATA:
                self._message_headers.learn(header)
                return field(header, "uint32", "conn"), field(header, "time", "time"), start, size
            if kind == RecordType.CONNECTION:
                self._add_connection(header, read_exactly(stream, size, MAX_HEADER_BYTES))
        except UndecodableError as error:
            raise UndecodableError("CORRUPT", f"a chunk is damaged: {error.reason}") from None
        return -1, 0, start, size

    def _message(self, header: Header) -> Iterator[_Message]:
        """Yield a message of a chunk that is too large to be held, or of none."""
        number, time_ns = field(header, "uint32", "conn"), field(header, "time", "time")
        connection = self._connection(number)
        self._read[number] += 1
        size = self._stream.data_size()
        if connection is None:
            self._stream.skip(size)
        elif size > MAX_MESSAGE_BYTES:
            self._stream.skip(size)
            reason = f"a message has {size} bytes; {MAX_MESSAGE_BYTES} are read at most"
            yield connection, time_ns, UndecodableError("TOO_LARGE", reason)
        else:
            yield connection, time_ns, self._stream.read(size, MAX_MESSAGE_BYTES)

    def _connection(self, number: int) -> BagConnection | None:
        try:
            return self._connections[number]
        except KeyError:
            raise UndecodableError("CORRUPT", f"connection {number} is not defined") from None


class _DamagedChunkError(Exception):
    """A chunk cannot be read; those after it can."""

    def __init__(self, reason: UndecodableError) -> None:
        super().__init__(reason)
        self.reason = reason
