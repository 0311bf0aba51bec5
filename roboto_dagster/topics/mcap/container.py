"""Reads an MCAP in the order of the file, once, and checks what can be checked on the way.

```
magic  Header ─► Schema, Channel, Message, Chunk, Attachment … ─► DataEnd ─► summary ─► Footer ─► magic
                 └───────── CRC of the data section ─────────┘              └─ CRC of the summary ─┘
       records in a chunk: Schema, Channel, Message (CRC of the chunk)       Statistics: numbers of messages
```
Neither footer nor index is needed to find a message, so messages beside chunks are not missed. A file
that ends before its closing magic is cut, wherever that is.
"""

import io
import pathlib
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.mcap.chunks import MAX_CHUNK_BYTES, chunk_records

if TYPE_CHECKING:
    from mcap.records import Channel, Schema

MAGIC = b"\x89MCAP0\r\n"
_MAX_RECORD_BYTES = MAX_CHUNK_BYTES + 1024
_PIECE_BYTES = 1024 * 1024
_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE_RECORD, _CHUNK = 1, 2, 3, 4, 5, 6
_STATISTICS, _DATA_END = 0x0B, 0x0F
_CRC_OF_DATA_END = struct.Struct("<I")
_PARSED = frozenset(
    {_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE_RECORD, _CHUNK, _STATISTICS, _DATA_END}
)

Includes = Callable[[str], bool]
MessageTuple = tuple[int, int, int, int, bytes]
"""Number of the channel, sequence, log time, publish time, payload."""


class McapLog:
    """The messages of an MCAP, with the channels they belong to.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        self.skipped: set[int] = set()
        """Numbers of the channels whose messages are counted, and not yielded."""
        self._counts: Counter[int] = Counter()
        self._declared: dict[tuple[int, bytes], bytes] = {}
        self._stated: dict[int, int] | None = None
        self._stated_total = 0

    def messages(self, includes: Includes) -> Iterator[MessageTuple]:
        """Yield the messages in the order of the file.

        Args:
            includes: Returns for a topic whether its messages are wanted.

        Yields:
            Messages of wanted channels.

        Raises:
            UndecodableError: The file is damaged; what was yielded before is right.
        """
        with self._path.open("rb", buffering=_PIECE_BYTES) as stream:
            source = _Source(stream, self._path.stat().st_size)
            for opcode, body in source.records():
                held = [body]
                body = b""  # noqa: PLW2901 - a record may be large, and is not kept while it is decoded
                if opcode == _MESSAGE_RECORD:
                    size = len(held[0])
                    yield from self._records(_RECORD.pack(opcode, size) + held.pop(), includes)
                elif opcode == _CHUNK:
                    yield from self._records(chunk_records(held.pop()), includes)
                elif opcode in {_SCHEMA, _CHANNEL}:
                    self._declare(opcode, held.pop(), includes)
                elif opcode == _STATISTICS:
                    self._read_statistics(held.pop())
        self._check_counts()

    def _records(self, records: bytes | memoryview, includes: Includes) -> Iterator[MessageTuple]:
        """Yield the messages among records that follow each other."""
        offset, size = 0, len(records)
        while offset < size:
            if size - offset < _RECORD.size:
                raise UndecodableError("CORRUPT", "a chunk ends within a record")
            opcode, length = _RECORD.unpack_from(records, offset)
            start = offset + _RECORD.size
            offset = start + length
            if offset > size:
                raise UndecodableError("CORRUPT", "a record of a chunk is longer than the chunk")
            if opcode == _MESSAGE_RECORD:
                head = self._counted(records, start, offset)
                start += _MESSAGE.size
                if head is not None and offset < size:
                    yield (*head, bytes(records[start:offset]))
                elif head is not None:
                    last = [bytes(records[start:])]
                    records = b""  # its only message may be as large as the chunk
                    yield (*head, last.pop())
            elif opcode in {_SCHEMA, _CHANNEL}:
                self._declare(opcode, bytes(records[start:offset]), includes)

    def _counted(
        self, records: bytes | memoryview, start: int, end: int
    ) -> tuple[int, int, int, int] | None:
        """Count a message, and return its head; None if its topic is skipped."""
        if end - start < _MESSAGE.size:
            raise UndecodableError("CORRUPT", "a message is shorter than its header")
        head: tuple[int, int, int, int] = _MESSAGE.unpack_from(records, start)
        channel_id = head[0]
        if channel_id not in self.channels:
            raise UndecodableError(
                "CORRUPT", f"a message is of channel {channel_id}, which is not declared"
            )
        self._counts[channel_id] += 1
        return None if channel_id in self.skipped else head

    def _declare(self, opcode: int, body: bytes, includes: Includes) -> None:
        from mcap.records import Channel, Schema

        key = (opcode, body[:2])
        if self._declared.get(key) == body:
            return  # writers repeat all declarations in each chunk
        if opcode == _SCHEMA:
            schema = _parsed(Schema, body)
            if self.schemas.setdefault(schema.id, schema) != schema:
                raise UndecodableError(
                    "CORRUPT", f"schema {schema.id} is declared twice, differently"
                )
        else:
            channel = _parsed(Channel, body)
            if _identity(self.channels.setdefault(channel.id, channel)) != _identity(channel):
                raise UndecodableError(
                    "CORRUPT", f"channel {channel.id} is declared twice, differently"
                )
            if not includes(channel.topic):
                self.skipped.add(channel.id)
        self._declared[key] = body

    def _read_statistics(self, body: bytes) -> None:
        from mcap.records import Statistics

        statistics = _parsed(Statistics, body)
        self._stated = dict(statistics.channel_message_counts)
        self._stated_total = statistics.message_count

    def _check_counts(self) -> None:
        if self._stated is None:
            return
        total = self._counts.total()
        if total != self._stated_total:
            raise UndecodableError(
                "COUNT_MISMATCH", f"the log states {self._stated_total} messages and holds {total}"
            )
        for channel_id, stated in self._stated.items():
            if self._counts[channel_id] != stated:
                topic = (
                    self.channels[channel_id].topic
                    if channel_id in self.channels
                    else f"channel {channel_id}"
                )
                raise UndecodableError(
                    "COUNT_MISMATCH",
                    f"the log states {stated} messages of {topic} and holds {self._counts[channel_id]}",
                )


class _Source:
    """Reads records one by one, with the CRC of what was read."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size
        self._crc = 0

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield type and body of each record that is of use here."""
        self._read_magic("first")
        is_ended = False
        while True:
            crc = self._crc
            head = self._read(9)
            opcode, length = _RECORD.unpack(head)
            if opcode == 0:
                raise UndecodableError(
                    "CORRUPT", "a record has the type 0, as in a file that was filled up with zeros"
                )
            if opcode not in _PARSED:
                self._skip(length)
                continue
            if length > _MAX_RECORD_BYTES and length <= self._left:
                raise UndecodableError(
                    "TOO_LARGE",
                    f"a record has {length} bytes; {_MAX_RECORD_BYTES} are read at most",
                )
            if opcode == _DATA_END:
                _check_crc(self._read(length)[:4], crc, "data section")
                is_ended, self._crc = True, 0
            elif opcode == _FOOTER:
                if not is_ended:
                    raise UndecodableError(
                        "CORRUPT", "the footer comes before the end of the data section"
                    )
                self._read_footer(head, length, crc)
                return
            elif is_ended == (opcode == _STATISTICS):
                yield opcode, self._read(length)
            else:
                self._skip(length)

    def _read_footer(self, head: bytes, length: int, crc: int) -> None:
        body = self._read(length)
        if len(body) >= 20:
            _check_crc(body[16:20], zlib.crc32(head + body[:16], crc), "summary")
        self._read_magic("last")

    def _read_magic(self, which: str) -> None:
        magic = self._read(len(MAGIC))
        if magic != MAGIC and magic.startswith(MAGIC[:5]) and magic.endswith(MAGIC[6:]):
            raise UndecodableError(
                "UNSUPPORTED_VERSION", f"the file is of version {magic[5:6]!r} of MCAP, not 0"
            )
        if magic != MAGIC:
            raise UndecodableError(
                "CORRUPT", f"the {which} bytes of the file are not those of an MCAP file"
            )

    def _read(self, length: int) -> bytes:
        if length > self._left:
            raise UndecodableError(
                "TRUNCATED", f"the file ends {length - self._left} bytes before the end of a record"
            )
        data = self._stream.read(length)
        if len(data) < length:
            raise UndecodableError("TRUNCATED", "the file was cut while it was read")
        self._left -= length
        self._crc = zlib.crc32(data, self._crc)
        return data

    def _skip(self, length: int) -> None:
        if length > self._left:
            self._read(length)  # raises
        while length:
            length -= len(self._read(min(length, _PIECE_BYTES)))


def _check_crc(stated: bytes, actual: int, what: str) -> None:
    crc = _CRC_OF_DATA_END.unpack(stated)[0] if len(stated) == 4 else 0
    if crc not in {0, actual}:
        raise UndecodableError("CORRUPT", f"the CRC of the {what} is wrong")


def _identity(channel: "Channel") -> tuple[str, str, int]:
    """Return what its messages depend on; its metadata may change within a log."""
    return channel.topic, channel.message_encoding, channel.schema_id


def _parsed(kind: Any, body: bytes) -> Any:
    """Return a record read by mcap; a text that is longer than its record fails."""
    from mcap.data_stream import ReadDataStream
    from mcap.exceptions import McapError

    try:
        return kind.read(ReadDataStream(_Exact(body)))
    except (McapError, EOFError, ValueError, struct.error) as error:
        raise UndecodableError(
            "CORRUPT", f"a record of type {kind.__name__} cannot be read: {error}"
        ) from None


class _Exact(io.BytesIO):
    """A stream that fails where it has less than was asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            raise EOFError("it is longer than stated")
        return data
