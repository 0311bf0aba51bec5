"""What users would write: the bare loop of each format's library over all messages, keeping nothing."""

import pathlib
from typing import Any


def mcap_loop(path: pathlib.Path, factory: Any) -> int:
    """Decode all messages of an MCAP.

    Args:
        path: The log.
        factory: The library's `DecoderFactory`.

    Returns:
        How many there were.
    """
    from mcap.reader import make_reader

    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[factory])
        return sum(1 for _ in reader.iter_decoded_messages())


def ros1_loop(path: pathlib.Path) -> int:
    """Decode all messages with mcap-ros1-support."""
    from mcap_ros1.decoder import DecoderFactory

    return mcap_loop(path, DecoderFactory())


def ros2_loop(path: pathlib.Path) -> int:
    """Decode all messages with mcap-ros2-support."""
    from mcap_ros2.decoder import DecoderFactory

    return mcap_loop(path, DecoderFactory())


def protobuf_loop(path: pathlib.Path) -> int:
    """Decode all messages with mcap-protobuf-support."""
    from mcap_protobuf.decoder import DecoderFactory

    return mcap_loop(path, DecoderFactory())


def json_loop(path: pathlib.Path) -> int:
    """Decode all messages with the standard library, as mcap has no decoder of JSON."""
    import json

    from mcap.reader import make_reader

    with path.open("rb") as file:
        messages = make_reader(file).iter_messages()
        return sum(1 for _, _, message in messages if json.loads(message.data) is not None)


def bag_loop(path: pathlib.Path) -> int:
    """Decode all messages with rosbags."""
    from rosbags.highlevel import AnyReader

    with AnyReader([path]) as reader:
        return sum(
            1
            for connection, _, raw in reader.messages()
            if reader.deserialize(raw, connection.msgtype) is not None
        )


def ulog_loop(path: pathlib.Path) -> int:
    """Read all messages with pyulog, which keeps them."""
    from pyulog import ULog

    return sum(len(each.data["timestamp"]) for each in ULog(str(path)).data_list)


def write_bytes(path: pathlib.Path, target: pathlib.Path) -> int:
    """Write as many random bytes as the log has to Parquet, with what the tables are written with.

    Args:
        path: The log.
        target: The file.

    Returns:
        How many rows there are, of 1 MiB each.
    """
    import os

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = path.stat().st_size // 2**20
    block = [os.urandom(2**20) for _ in range(8)]
    schema = pa.schema([("data", pa.binary())])
    with pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_page_checksum=True,
    ) as writer:
        for first in range(0, rows, 32):
            count = min(32, rows - first)
            column = pa.array([block[number % 8] for number in range(count)], pa.binary())
            writer.write_batch(pa.record_batch([column], schema=schema))
    return rows
