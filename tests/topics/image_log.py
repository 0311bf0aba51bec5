"""Writes a log of large messages as a program of its own, whose memory is not the tests':
`python -m tests.topics.image_log LOG CAMERAS FRAMES SIZE_BYTES`.
"""

import os
import pathlib
import struct
import sys

from mcap.writer import CompressionType

from benchmarks.topics.logs.mcap_logs import write_mcap
from benchmarks.topics.logs.streams import Stream
from tests.topics.ros_data import CDR


def image_log(path: pathlib.Path, cameras: int, frames: int, size_bytes: int) -> None:
    """Write a log of cameras whose frames do not compress, and of a small topic beside them.

    Args:
        path: The log.
        cameras: How many topics of images it has.
        frames: How many messages each topic has.
        size_bytes: The size of an image.
    """
    image = CDR + struct.pack("<II", 0, size_bytes) + os.urandom(size_bytes)
    streams = [
        _stream(f"/camera_{number}", "a/msg/Image", b"uint32 n\nuint8[] data\n", image)
        for number in range(cameras)
    ]
    streams.append(_stream("/small", "a/msg/Small", b"uint32 n\n", CDR + bytes(4)))
    write_mcap(path, streams, frames, CompressionType.NONE)


def _stream(topic: str, type_name: str, definition: bytes, payload: bytes) -> Stream:
    return Stream(
        topic=topic,
        type_name=type_name,
        definition=definition,
        schema_encoding="ros2msg",
        message_encoding="cdr",
        payloads=[payload],
    )


if __name__ == "__main__":
    image_log(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
