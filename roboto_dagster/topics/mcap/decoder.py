"""Decodes MCAP logs: one pass over the file, messages grouped by topic and definition."""

import functools
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from roboto_dagster.topics.decoder import Found, TopicFault
from roboto_dagster.topics.extra_decoder import LibraryDecoder
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.log_tables import LogTables
from roboto_dagster.topics.mcap.container import MAGIC, McapLog
from roboto_dagster.topics.mcap.tables import channel_table
from roboto_dagster.topics.message_table import MessageTable
from roboto_dagster.topics.topic_filter import TopicFilter

if TYPE_CHECKING:
    from mcap.records import Channel, Schema


class McapDecoder(LibraryDecoder):
    """Decodes MCAP with messages of ROS 1, ROS 2, IDL, protobuf and JSON."""

    name = "mcap"
    extra = "topics"
    modules = ("mcap", "mcap_codec", "pyarrow")
    magic = MAGIC
    suffixes = (".mcap",)

    def _read(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        return _McapDecoding(path, topics).batches()


class _McapDecoding:
    """One log on its way."""

    def __init__(self, path: pathlib.Path, topics: TopicFilter) -> None:
        self._log = McapLog(path)
        self._topics = topics
        self._tables: LogTables[int] = LogTables()

    def batches(self) -> Iterator[Found]:
        return self._tables.decoded(self._rows())

    def _rows(self) -> Iterator[Found]:
        """Group messages, and decode those of a table that are due."""
        of_channel, add = self._tables.of_source, self._tables.groups.add
        for channel_id, sequence, log_time, publish_time, payload in self._log.messages(
            self._topics.includes
        ):
            if channel_id not in of_channel:
                yield from self._start(channel_id)
            table = of_channel[channel_id]
            if table is None:
                self._log.skipped.add(channel_id)  # its messages are only counted from here on
                continue
            due = add(table, payload, log_time, publish_time, sequence)
            payload = b""  # noqa: PLW2901 - a large one is not kept while it is decoded
            for each in due:
                yield from self._tables.decode(*each)

    def _start(self, channel_id: int) -> Iterator[TopicFault]:
        channel = self._log.channels[channel_id]
        schema = self._log.schemas.get(channel.schema_id)
        about: tuple[object, ...] = (channel.schema_id,)
        if schema is not None:
            about = (schema.name, schema.encoding, schema.data)
        definition = (channel.message_encoding, *about)
        make = functools.partial(_table_of, channel, schema, self._topics)
        yield from self._tables.start(channel_id, channel.topic, definition, make)


def _table_of(channel: "Channel", schema: "Schema | None", topics: TopicFilter) -> MessageTable:
    if channel.schema_id and schema is None:
        raise UndecodableError(
            "MISSING_DEFINITION", f"schema {channel.schema_id} is not in the log"
        )
    return channel_table(channel, schema, topics)
