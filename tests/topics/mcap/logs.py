"""Small MCAP files, complete ones and damaged ones."""

import pathlib
import struct
from collections.abc import Sequence

from mcap.writer import CompressionType, Writer

CDR = b"\x00\x01\x00\x00"
INT = ("a/msg/Int", "ros2msg", b"int32 x\n")


def integer(value: int) -> bytes:
    """Return a message of the type `INT`."""
    return CDR + struct.pack("<i", value)


def write(
    path: pathlib.Path,
    *channels: tuple[str, str, tuple[str, str, bytes] | None, Sequence[bytes]],
    compression: CompressionType = CompressionType.ZSTD,
    chunk_size: int = 1024,
    use_chunking: bool = True,
    use_statistics: bool = True,
) -> pathlib.Path:
    """Write channels of messages one microsecond apart: topic, message encoding, definition, messages."""
    with path.open("wb") as stream:
        writer = Writer(
            stream,
            chunk_size=chunk_size,
            compression=compression,
            use_chunking=use_chunking,
            use_statistics=use_statistics,
        )
        writer.start()
        for topic, encoding, schema, payloads in channels:
            schema_id = writer.register_schema(*schema) if schema else 0
            channel = writer.register_channel(topic, encoding, schema_id)
            for number, payload in enumerate(payloads):
                time = (number + 1) * 1000
                writer.add_message(channel, time, payload, time - 1, number)
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    return path


def integers(path: pathlib.Path, count: int = 300, **options: object) -> pathlib.Path:
    """Write one topic `/int` of integers."""
    channel = ("/int", "cdr", INT, [integer(number) for number in range(count)])
    return write(path, channel, **options)  # type: ignore[arg-type]  # options of write
