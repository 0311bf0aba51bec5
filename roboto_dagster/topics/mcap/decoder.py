"""Decodes MCAP logs: one pass over the file, messages grouped by topic and definition."""

import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from roboto_dagster.topics.batching import MessageGroups, RawMessages
from roboto_dagster.topics.decoder import TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.extra_decoder import LibraryDecoder
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.mcap.container import MAGIC, McapLog
from roboto_dagster.topics.mcap.tables import channel_table
from roboto_dagster.topics.message_table import MessageTable
from roboto_dagster.topics.topic_filter import TopicFilter

if TYPE_CHECKING:
    from mcap.records import Schema


class McapDecoder(LibraryDecoder):
    """Decodes MCAP with messages of ROS 1, ROS 2, IDL, protobuf and JSON."""

    name = "mcap"
    extra = "topics"
    modules = ("mcap", "mcap_codec", "pyarrow")
    magic = MAGIC
    suffixes = (".mcap",)

    def _read(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        return _McapDecoding(path, topics).batches()


class _McapDecoding:
    """One log on its way: channels of equal topic and definition share a table."""

    def __init__(self, path: pathlib.Path, topics: TopicFilter) -> None:
        self._log = McapLog(path)
        self._topics = topics
        self._tables: dict[tuple[object, ...], MessageTable] = {}
        self._by_channel: dict[int, MessageTable] = {}
        self._groups: MessageGroups[MessageTable] = MessageGroups()

    def batches(self) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        fault = None
        try:
            yield from self._messages()
        except UndecodableError as error:
            fault = TopicFault(topic=None, code=error.code, reason=error.reason)
        except OSError as error:
            fault = TopicFault(topic=None, code="LOG_IO", reason=f"{error.strerror or error}")
        for table, messages in self._groups.drain():
            yield from self._decoded(table, messages)
        for table in self._tables.values():
            yield from table.notes()
        if fault is not None:
            yield fault

    def _messages(self) -> Iterator[TopicBatch | TopicFault]:
        tables, add = self._by_channel, self._groups.add
        for channel_id, sequence, log_time, publish_time, payload in self._log.messages(
            self._topics.includes
        ):
            table = tables.get(channel_id)
            if table is None:
                try:
                    table = self._table(channel_id)
                except UndecodableError as error:
                    yield from self._failed(
                        TopicFault(
                            topic=self._log.channels[channel_id].topic,
                            code=error.code,
                            reason=error.reason,
                        )
                    )
                    continue
            due = add(table, payload, log_time, publish_time, sequence)
            payload = b""  # noqa: PLW2901 - a large one is not kept while it is decoded
            if due is not None:
                yield from self._decoded(*due)

    def _table(self, channel_id: int) -> MessageTable:
        channel = self._log.channels[channel_id]
        schema: Schema | None = self._log.schemas.get(channel.schema_id)
        if channel.schema_id and schema is None:
            raise UndecodableError(
                "MISSING_DEFINITION", f"schema {channel.schema_id} is not in the log"
            )
        definition = (schema.name, schema.encoding, schema.data) if schema is not None else ()
        key = (channel.topic, channel.message_encoding, *definition)
        if key not in self._tables:
            try:
                self._tables[key] = channel_table(channel, schema, self._topics)
            except RecursionError:
                raise UndecodableError(
                    "INVALID_DEFINITION", "the definition is nested too deeply"
                ) from None
        self._by_channel[channel_id] = self._tables[key]
        return self._tables[key]

    def _decoded(
        self, table: MessageTable, messages: RawMessages
    ) -> Iterator[TopicBatch | TopicFault]:
        for each in table.batches(messages):
            if isinstance(each, TopicFault):
                yield from self._failed(each)
            else:
                yield each

    def _failed(self, fault: TopicFault) -> Iterator[TopicFault]:
        """Drop what is left of a topic; its messages are only counted from here on."""
        for channel in self._log.channels.values():
            if channel.topic == fault.topic:
                self._log.skipped.add(channel.id)
        for table in self._tables.values():
            if table.topic == fault.topic:
                table.failed = True
                self._groups.discard(table)
        yield fault
