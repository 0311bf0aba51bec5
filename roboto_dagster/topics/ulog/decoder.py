"""Decodes ULog files, the logs of PX4."""

import pathlib
from collections.abc import Iterator

from roboto_dagster.topics.decoder import Found
from roboto_dagster.topics.extra_decoder import LibraryDecoder
from roboto_dagster.topics.topic_filter import TopicFilter


class UlogDecoder(LibraryDecoder):
    """Reads ULog files with pyulog."""

    name = "ulog"
    extra = "topics-px4"
    modules = ("pyarrow", "pyulog")
    magic = b"ULog\x01\x12\x35"
    suffixes = (".ulg", ".ulog")

    def _read(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        from roboto_dagster.topics.ulog.log import read_ulog

        return read_ulog(path, topics)
