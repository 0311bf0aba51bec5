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


def mcap_of(definition: bytes, payloads: Sequence[bytes]) -> bytes:
    """Return an MCAP whose messages are the given ones.

    ```
    magic, Header │ Chunk (Schema, Channel, Message …) │ MessageIndex │ DataEnd │ Schema, Channel,
                  │ not compressed, without CRC        │              │         │ Statistics, ChunkIndex, Footer
    ```

    Args:
        definition: What `definition_records` returned.
        payloads: The messages; the numbers of the rows are their times.
    """
    from mcap.records import ChunkIndex, DataEnd, Footer, Header

    head = _MAGIC + _written(Header(profile="", library=""))
    last = len(payloads) - 1
    length = len(definition) + sum(map(len, payloads)) + _MESSAGE.size * len(payloads)
    chunk = _CHUNK.pack(6, _CHUNK_FIELDS + length, 0, last, length, 0, 0, length)
    index = _message_index(len(definition), payloads)
    index_start = len(head) + len(chunk) + length
    data_end = _written(DataEnd(data_section_crc=0))
    chunk_index = ChunkIndex(
        chunk_length=len(chunk) + length,
        chunk_start_offset=len(head),
        compression="",
        compressed_size=length,
        message_end_time=last,
        message_index_length=len(index),
        message_index_offsets={CHANNEL_ID: index_start},
        message_start_time=0,
        uncompressed_size=length,
    )
    summary_start = index_start + len(index) + len(data_end)
    footer = Footer(summary_start=summary_start, summary_offset_start=0, summary_crc=0)
    summary = definition + _written(_statistics(last + 1), chunk_index, footer)
    messages = _messages(payloads)
    return b"".join((head, chunk, definition, *messages, index, data_end, summary, _MAGIC))


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
