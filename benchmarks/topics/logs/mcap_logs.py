"""Writes generated topics as MCAP."""

import pathlib
from collections.abc import Sequence
from typing import Any

from mcap.writer import CompressionType, Writer

from benchmarks.topics.logs.streams import Stream, messages


def write_mcap(
    path: pathlib.Path,
    streams: Sequence[Stream],
    ticks: int,
    compression: CompressionType = CompressionType.ZSTD,
    **options: Any,
) -> pathlib.Path:
    """Write a log; the publish time of a message is a microsecond before its log time.

    Args:
        path: Where to.
        streams: The topics.
        ticks: How many moments the log has.
        compression: Of the chunks.
        options: Of `mcap.writer.Writer`.

    Returns:
        The path.
    """
    with path.open("wb") as file:
        writer = Writer(file, compression=compression, **options)
        writer.start()
        channels = [_register(writer, stream) for stream in streams]
        for sent in messages(streams, ticks):
            writer.add_message(
                channels[sent.stream],
                sent.time_ns,
                sent.payload,
                sent.time_ns - 1000,
                sent.number,
            )
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    return path


def _register(writer: Writer, stream: Stream) -> int:
    schema = 0
    if stream.schema_encoding:
        schema = writer.register_schema(stream.type_name, stream.schema_encoding, stream.definition)
    return writer.register_channel(stream.topic, stream.message_encoding, schema)
