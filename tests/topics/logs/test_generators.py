"""The generated logs: their formats' own readers read every message that was written."""

import collections
import pathlib
from typing import Any

import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory as ProtobufFactory
from mcap_ros1.decoder import DecoderFactory as Ros1Factory
from mcap_ros2.decoder import DecoderFactory as Ros2Factory
from pyulog import ULog
from rosbags.highlevel import AnyReader

from benchmarks.topics.logs import bags, mcap_logs, protobuf, ros, ulog
from benchmarks.topics.logs.streams import Stream, messages

TICKS = 7


def read_mcap(path: pathlib.Path, factory: Any) -> dict[str, int]:
    """Decode all messages; return their number by topic."""
    with path.open("rb") as file:
        decoded = make_reader(file, decoder_factories=[factory]).iter_decoded_messages()
        return collections.Counter(each.channel.topic for each in decoded)


def read_bag(path: pathlib.Path) -> dict[str, int]:
    """Decode all messages; return their number by topic."""
    with AnyReader([path]) as reader:
        return collections.Counter(
            connection.topic
            for connection, _, raw in reader.messages()
            if reader.deserialize(raw, connection.msgtype)
        )


def each_once(streams: list[Stream], ticks: int = TICKS) -> dict[str, int]:
    """Return how many messages each topic should have."""
    return {stream.topic: -(-ticks // stream.every) for stream in streams}


@pytest.mark.parametrize(("version", "factory"), [(1, Ros1Factory), (2, Ros2Factory)])
def test_mcap_with_messages_of_ros(tmp_path: pathlib.Path, version: Any, factory: Any) -> None:
    """Small messages, and images less often."""
    image = ros.image_stream(version, width=8, height=4, every=3)
    streams = [*ros.small_streams(version, payloads=3), image]
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", streams, TICKS)
    assert read_mcap(path, factory()) == each_once(streams)


def test_mcap_with_messages_of_protobuf(tmp_path: pathlib.Path) -> None:
    """With every kind of field, set or not."""
    streams = [protobuf.protobuf_stream(payloads=5)]
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", streams, TICKS)
    assert read_mcap(path, ProtobufFactory()) == each_once(streams)


@pytest.mark.parametrize("compression", ["none", "lz4", "bz2"])
def test_bags_of_ros_1(tmp_path: pathlib.Path, compression: bags.BagCompression) -> None:
    """In each of their compressions."""
    streams = list(ros.small_streams(1, payloads=3))
    path = bags.write_bag(tmp_path / "a.bag", streams, TICKS, compression)
    assert read_bag(path) == each_once(streams)


def test_bags_of_ros_2(tmp_path: pathlib.Path) -> None:
    """The file alone, which holds its definitions."""
    streams = list(ros.many_streams(2, topics=6))
    path = bags.write_db3(tmp_path / "a", streams, TICKS)
    assert read_bag(path) == each_once(streams)


def test_ulog(tmp_path: pathlib.Path) -> None:
    """Blocks of ticks make one log without corruption."""
    path = ulog.write_ulog(tmp_path / "a.ulg", TICKS, block=3)
    log = ULog(str(path))
    assert {(each.name, each.multi_id): len(each.data["timestamp"]) for each in log.data_list} == {
        (topic.name, topic.multi_id): TICKS for topic in ulog.TOPICS
    }
    assert (log.file_corruption, len(log.logged_messages), len(log.dropouts)) == (False, 3, 3)


def test_the_stamp_of_a_header_is_the_time_of_its_message() -> None:
    """In the messages of both versions of ROS."""
    for version in (1, 2):
        store = ros.type_store(version)
        stream = ros.ros_stream(version, "/imu", "sensor_msgs/msg/Imu", 2)
        for sent in messages([stream], 3):
            read = store.deserialize_ros1 if version == 1 else store.deserialize_cdr
            stamp: Any = read(sent.payload, "sensor_msgs/msg/Imu")
            stamp = stamp.header.stamp
            assert stamp.sec * 10**9 + stamp.nanosec == sent.time_ns


@pytest.mark.parametrize("version", [1, 2])
def test_every_type_can_be_made(version: ros.RosVersion) -> None:
    """With values at the edges of their types."""
    for name in ros.type_store(version).fielddefs:
        ros.ros_stream(version, "/x", name, 1, plain=False)
