"""Decodes ROS bags: `.bag` of ROS 1 and `.db3` of ROS 2."""

import pathlib
from collections.abc import Iterator

from roboto_dagster.topics.decoder import Found, TopicFault
from roboto_dagster.topics.extra_decoder import LibraryDecoder
from roboto_dagster.topics.topic_filter import TopicFilter

_CODEC = ("mcap", "mcap_codec", "pyarrow")


class BagDecoder(LibraryDecoder):
    """Reads bags of ROS 1 with rosbags."""

    name = "bag"
    extra = "topics-ros"
    modules = (*_CODEC, "rosbags.rosbag1", "lz4.frame")
    magic = b"#ROSBAG V"
    suffixes = (".bag", ".bag.active")

    def _read(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        from roboto_dagster.topics.ros.bag import bag_messages
        from roboto_dagster.topics.ros.tables import decode_messages

        return decode_messages(bag_messages(path, topics.includes), topics)


class Db3Decoder(LibraryDecoder):
    """Reads bags of ROS 2 in SQLite; each file of a split bag for itself.

    It claims them by their name alone: other programs keep databases, too.
    """

    name = "db3"
    extra = "topics-ros"
    modules = (*_CODEC, "zstandard")
    suffixes = (".db3",)

    def _read(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        from roboto_dagster.topics.ros.db3 import Db3Reader
        from roboto_dagster.topics.ros.tables import decode_messages

        return decode_messages(Db3Reader(path, topics.includes).messages(), topics)


class CompressedBagDecoder(LibraryDecoder):
    """Names bags that rosbag2 compressed as a file as what is not read."""

    name = "compressed_bag"
    suffixes = (".db3.zstd", ".db3.zst", ".mcap.zstd", ".mcap.zst")

    def _read(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        del topics
        reason = f"the file {path.name} itself is compressed"
        yield TopicFault(topic=None, code="UNSUPPORTED_COMPRESSION", reason=reason)
