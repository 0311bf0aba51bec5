"""Writes generated topics as bags: `.bag` of ROS 1, and `.db3` of ROS 2."""

import pathlib
from collections.abc import Sequence
from typing import Literal

from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode
from rosbags.rosbag2 import Writer as Writer2

from benchmarks.topics.logs.streams import Stream, messages

BagCompression = Literal["none", "lz4", "bz2"]


def write_bag(
    path: pathlib.Path, streams: Sequence[Stream], ticks: int, compression: BagCompression = "lz4"
) -> pathlib.Path:
    """Write a bag of ROS 1.

    Args:
        path: Where to; it must not exist.
        streams: The topics, of ROS 1.
        ticks: How many moments the log has.
        compression: Of the chunks.

    Returns:
        The path.
    """
    writer = Writer1(path)
    if compression != "none":
        writer.set_compression(Writer1.CompressionFormat[compression.upper()])
    with writer:
        connections = [
            writer.add_connection(
                stream.topic,
                stream.type_name.replace("/", "/msg/"),
                msgdef=stream.definition.decode(),
                md5sum=stream.digest,
            )
            for stream in streams
        ]
        for sent in messages(streams, ticks):
            writer.write(connections[sent.stream], sent.time_ns, sent.payload)
    return path


def write_db3(
    folder: pathlib.Path,
    streams: Sequence[Stream],
    ticks: int,
    compression: Literal["none", "message", "file"] = "none",
    version: Literal[8, 9] = 9,
) -> pathlib.Path:
    """Write a bag of ROS 2: a folder with `metadata.yaml` and one file.

    Args:
        folder: Where to; it must not exist.
        streams: The topics, of ROS 2.
        ticks: How many moments the log has.
        compression: Of each message, or of the file.
        version: Of the format.

    Returns:
        The path of the file, `<folder>/<folder's name>.db3`.
    """
    writer = Writer2(folder, version=version)
    if compression != "none":
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with writer:
        connections = [
            writer.add_connection(
                stream.topic,
                stream.type_name,
                msgdef=stream.definition.decode(),
                rihs01=stream.digest,
            )
            for stream in streams
        ]
        for sent in messages(streams, ticks):
            writer.write(connections[sent.stream], sent.time_ns, sent.payload)
    return next(path for path in folder.iterdir() if ".db3" in path.suffixes)
