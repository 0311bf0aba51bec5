"""Writes the small MCAP in memory by which the codec is given messages."""

import struct
from collections.abc import Sequence
from typing import Any

CHANNEL_ID = 1
_MAGIC = b"\x89MCAP0\r\n"
_CHUNK = struct.Struct("<BQQQQIIQ")
_CHUNK_FIELDS = _CHUNK.size - 9  # without opcode and length
_INDEX = struct.Struct("<BQHI")
_MESSAGE = struct.Struct("<BQHIQQ")
_MESSAGE_FIELDS = _MESSAGE.size - 9


def definition_records(
    message_encoding: str, schema_encoding: str, type_name: str, text: bytes
) -> bytes:
    """Return the records of schema and channel, which are the same in each file of a table.

    Args:
        message_encoding: Encoding of the messages.
        schema_encoding: Encoding of the definition.
        type_name: Name of the type.
        text: The definition.
    """
    from mcap.records import Channel, Schema

    return _written(
        Schema(id=1, data=text, encoding=schema_encoding, name=type_name),
        Channel(
            id=CHANNEL_ID, topic="t", message_encoding=message_encoding, metadata={}, schema_id=1
        ),
    )


class McapInMemory:
    """An MCAP whose messages are the given ones; it is put together as it is read.

    ```
    magic, Header │ Chunk (Schema, Channel, Message …) │ MessageIndex │ DataEnd │ Schema, Channel,
                  │ not compressed, without CRC        │              │         │ Statistics, ChunkIndex, Footer
    └─── head ────┴──────────────── chunk ─────────────┴──────────────────── tail ───────────────────────────┘
    ```

    Args:
        definition: What `definition_records` returned.
        payloads: The messages; the numbers of the rows are their times. The list is emptied when they are read.
    """

    def __init__(self, definition: bytes, payloads: list[bytes]) -> None:
        from mcap.records import Header

        self._payloads = payloads
        self._head = _MAGIC + _written(Header(profile="", library=""))
        self._length = len(definition) + sum(map(len, payloads)) + _MESSAGE.size * len(payloads)
        last = len(payloads) - 1
        size = _CHUNK_FIELDS + self._length
        self._chunk_head = (
            _CHUNK.pack(6, size, 0, last, self._length, 0, 0, self._length) + definition
        )
        self._chunk_size = _CHUNK.size + self._length
        self._tail = self._tail_of(definition, last)
        self.size = len(self._head) + self._chunk_size + len(self._tail)
        """Length of the file in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file.

        Args:
            offset: Of the first one.
            length: How many.
        """
        start = offset - len(self._head)
        if start + length <= 0:
            return self._head[offset : offset + length]
        if (start, length) == (0, self._chunk_size):  # the codec asks for a chunk at once
            return self._chunk()
        if start >= self._chunk_size:
            start -= self._chunk_size
            return self._tail[start : start + length]
        return (self._head + self._chunk() + self._tail)[offset : offset + length]

    def _chunk(self) -> bytes:
        pieces = (self._chunk_head, *_messages(self._payloads))
        self._payloads.clear()  # the codec asks for the chunk once, and copies it
        return b"".join(pieces)

    def _tail_of(self, definition: bytes, last: int) -> bytes:
        from mcap.records import ChunkIndex, DataEnd, Footer

        index = _message_index(len(definition), self._payloads)
        index_start = len(self._head) + self._chunk_size
        chunk_index = ChunkIndex(
            chunk_length=self._chunk_size,
            chunk_start_offset=len(self._head),
            compression="",
            compressed_size=self._length,
            message_end_time=last,
            message_index_length=len(index),
            message_index_offsets={CHANNEL_ID: index_start},
            message_start_time=0,
            uncompressed_size=self._length,
        )
        data_end = _written(DataEnd(data_section_crc=0))
        start = index_start + len(index) + len(data_end)
        footer = Footer(summary_start=start, summary_offset_start=0, summary_crc=0)
        summary = definition + _written(_statistics(last + 1), chunk_index, footer)
        return b"".join((index, data_end, summary, _MAGIC))


def _messages(payloads: Sequence[bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    pack = _MESSAGE.pack
    for number, payload in enumerate(payloads):
        pieces += (pack(5, len(payload) + _MESSAGE_FIELDS, CHANNEL_ID, 0, number, 0), payload)
    return pieces


def _message_index(start: int, payloads: Sequence[bytes]) -> bytes:
    entries: list[int] = []
    offset = start
    for number, payload in enumerate(payloads):
        entries += (number, offset)
        offset += len(payload) + _MESSAGE.size
    length = 8 * len(entries)
    return _INDEX.pack(7, 6 + length, CHANNEL_ID, length) + struct.pack(
        f"<{len(entries)}Q", *entries
    )


def _statistics(count: int) -> Any:
    from mcap.records import Statistics

    return Statistics(
        attachment_count=0,
        channel_count=1,
        channel_message_counts={CHANNEL_ID: count},
        chunk_count=1,
        message_count=count,
        message_end_time=count - 1,
        message_start_time=0,
        metadata_count=0,
        schema_count=1,
    )


def _written(*records: Any) -> bytes:
    from mcap.data_stream import RecordBuilder

    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return bytes(builder.end())  # type: ignore[no-untyped-call]  # mcap does not declare it
