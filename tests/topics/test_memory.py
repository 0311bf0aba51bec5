"""How much memory decoding takes where messages are large, or many topics have large ones."""

import os
import pathlib
import struct
import subprocess
import sys

import pytest
from mcap.writer import CompressionType, Writer

from tests.topics.ros_data import CDR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="Linux has it"),
]


def image_log(path: pathlib.Path, cameras: int, frames: int, size_bytes: int) -> pathlib.Path:
    """Write a log of cameras whose frames do not compress, and of a small topic beside them."""
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
    return path


def peak_mib(log: pathlib.Path, folder: pathlib.Path) -> tuple[int, int]:
    """Decode a log in a process of its own; return its peak memory in MiB, and the number of rows."""
    command = [sys.executable, "-m", "tests.topics.peak", str(log), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak, rows = map(int, done.stdout.split())
    return peak, rows


@pytest.mark.parametrize(
    ("cameras", "frames", "size_bytes"),
    [(1, 2, 60_000_000), (6, 2, 20_000_000)],
    ids=["one-of-60-MB", "six-of-20-MB"],
)
def test_large_messages_fit(
    tmp_path: pathlib.Path, cameras: int, frames: int, size_bytes: int
) -> None:
    """Neither their copies nor the pages of their tables are kept beside each other."""
    log = image_log(tmp_path / "a.mcap", cameras, frames, size_bytes)
    peak, rows = peak_mib(log, tmp_path / "topics")
    assert rows == (cameras + 1) * frames
    assert peak <= 400
