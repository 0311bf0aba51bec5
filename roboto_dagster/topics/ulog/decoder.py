"""Decodes ULog files, the logs of PX4."""

import dataclasses
import pathlib
from collections.abc import Iterator

from roboto_dagster.topics.decoder import TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.extras import missing_extra
from roboto_dagster.topics.topic_filter import TopicFilter

_MAGIC = b"ULog\x01\x12\x35"
_SUFFIXES = {".ulg", ".ulog"}


@dataclasses.dataclass(frozen=True, slots=True)
class UlogDecoder:
    """Reads ULog files with pyulog, which the extra `topics-px4` installs."""

    name: str = dataclasses.field(default="ulog", init=False)
    version: str = dataclasses.field(default="1", init=False)

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Return whether the file is a ULog, by its first bytes or by its name.

        Args:
            path: Of the log.
            head: Its first bytes.
        """
        return head.startswith(_MAGIC) or path.suffix.lower() in _SUFFIXES

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Decode one log.

        Args:
            path: The log.
            topics: Which topics, and which fields of them.

        Yields:
            Rows, and what was wrong.
        """
        fault = missing_extra("topics-px4", "pyarrow", "pyulog")
        if fault is not None:
            yield fault
            return
        from roboto_dagster.topics.ulog.log import read_ulog

        yield from read_ulog(path, topics)
