"""Writes a log of large messages as a program of its own, whose memory is not the tests':
`python -m tests.topics.image_log LOG CAMERAS FRAMES SIZE_BYTES`.
"""

import os
import pathlib
import struct
import sys

from mcap.writer import CompressionType, Writer

from tests.topics.ros_data import CDR


def image_log(path: pathlib.Path, cameras: int, frames: int, size_bytes: int) -> None:
    """Write a log of cameras whose frames do not compress, and of a small topic beside them.

    Args:
        path: The log.
        cameras: How many topics of images it has.
        frames: How many messages each topic has.
        size_bytes: The size of an image.
    """
    data = os.urandom(size_bytes)
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start()
        image = writer.register_schema("a/msg/Image", "ros2msg", b"uint32 n\nuint8[] data\n")
        small = writer.register_schema("a/msg/Small", "ros2msg", b"uint32 n\n")
        channels = [
            writer.register_channel(f"/camera_{number}", "cdr", image) for number in range(cameras)
        ]
        channels.append(writer.register_channel("/small", "cdr", small))
        for frame in range(frames):
            for channel in channels:
                payload = CDR + struct.pack("<I", frame)
                if channel != channels[-1]:
                    payload += struct.pack("<I", size_bytes) + data
                writer.add_message(channel, frame, payload, frame)
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare it


if __name__ == "__main__":
    image_log(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
