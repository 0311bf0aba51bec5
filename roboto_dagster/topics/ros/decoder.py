"""Decodes ROS bags: `.bag` of ROS 1 and `.db3` of ROS 2."""

import dataclasses
import pathlib
from collections.abc import Iterator

from roboto_dagster.topics.decoder import TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.extras import missing_extra
from roboto_dagster.topics.topic_filter import TopicFilter

EXTRA = "topics-ros"
_MODULES = ("mcap", "mcap_codec", "pyarrow")
_BAG_START = b"#ROSBAG V"


@dataclasses.dataclass(frozen=True, slots=True)
class BagDecoder:
    """Reads bags of ROS 1 with rosbags, which the extra `topics-ros` installs."""

    name: str = dataclasses.field(default="bag", init=False)
    version: str = dataclasses.field(default="1", init=False)

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Return whether the file is a bag of ROS 1, by its first bytes or by its name.

        Args:
            path: Of the log.
            head: Its first bytes.
        """
        return head.startswith(_BAG_START) or path.name.lower().endswith((".bag", ".bag.active"))

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Decode one bag.

        Args:
            path: The log.
            topics: Which topics, which fields of them, and how.

        Yields:
            Rows, and what was wrong.
        """
        fault = missing_extra(EXTRA, *_MODULES, "rosbags.rosbag1", "lz4.frame")
        if fault is not None:
            yield fault
            return
        from roboto_dagster.topics.ros.bag import bag_messages
        from roboto_dagster.topics.ros.tables import decode_messages

        yield from decode_messages(bag_messages(path, topics.includes), topics)


@dataclasses.dataclass(frozen=True, slots=True)
class Db3Decoder:
    """Reads bags of ROS 2 in SQLite; each file of a split bag for itself."""

    name: str = dataclasses.field(default="db3", init=False)
    version: str = dataclasses.field(default="1", init=False)

    def claims(self, path: pathlib.Path, _head: bytes) -> bool:
        """Return whether the file is a bag of ROS 2 in SQLite, by its name: others keep databases, too.

        Args:
            path: Of the log.
            _head: Its first bytes.
        """
        return path.suffix.lower() == ".db3"

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Decode one database.

        Args:
            path: The log.
            topics: Which topics, which fields of them, and how.

        Yields:
            Rows, and what was wrong.
        """
        fault = missing_extra(EXTRA, *_MODULES, "zstandard")
        if fault is not None:
            yield fault
            return
        from roboto_dagster.topics.ros.db3 import Db3Reader
        from roboto_dagster.topics.ros.tables import decode_messages

        yield from decode_messages(Db3Reader(path, topics.includes).messages(), topics)


@dataclasses.dataclass(frozen=True, slots=True)
class CompressedBagDecoder:
    """Names bags that rosbag2 compressed as a file, `.db3.zstd` and `.mcap.zstd`, as what is not read."""

    name: str = dataclasses.field(default="compressed_bag", init=False)
    version: str = dataclasses.field(default="1", init=False)

    def claims(self, path: pathlib.Path, _head: bytes) -> bool:
        """Return whether the file is such a bag, by its name.

        Args:
            path: Of the log.
            _head: Its first bytes.
        """
        names = [suffix.lower() for suffix in path.suffixes[-2:]]
        return names[:1] in ([".db3"], [".mcap"]) and names[1:] in ([".zstd"], [".zst"])

    def batches(
        self, path: pathlib.Path, _topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Report that the bag has to be unpacked.

        Args:
            path: The log.
            _topics: Which topics.

        Yields:
            The fault.
        """
        reason = f"{path.name} is compressed as a file"
        yield TopicFault(topic=None, code="UNSUPPORTED_COMPRESSION", reason=reason)
