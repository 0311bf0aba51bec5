"""All tables of one log, while it is read: one a topic and schema, with a bound on what all have gathered."""

import collections
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping

from roboto_dagster.disk.temp_folder import UNFINISHED_SUFFIX, PartialFolder
from roboto_dagster.topics.decoder import TopicBatch, TopicFault
from roboto_dagster.topics.tables.encodings import column_types
from roboto_dagster.topics.tables.names import TableNames
from roboto_dagster.topics.tables.writer import (
    LEAST_BYTES_PER_GROUP,
    TableWriter,
    UnusableBatchError,
)

MAX_PENDING_BYTES = 48 * 1024 * 1024
"""What all tables of a log have gathered together, at most: beyond it the largest one is relieved."""

MAX_HELD_BYTES = 64 * 1024 * 1024
"""What open writers keep together, at most: tables beyond it wait on the disk. 31 tables of small rows have room."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A table as it was published.

    Attributes:
        topic: The topic, verbatim.
        type_name: The message type.
        schema_id: Distinguishes tables of one topic.
        name: Of its file, in the folder of the log.
        size_bytes: Its size.
        mtime_ns: Its modification time, in ns since the epoch.
        rows: How many rows it has.
        null_times: How many of them have no time.
        first_ns: The earliest time, in ns since the epoch; None without any.
        last_ns: The latest time, in ns since the epoch; None without any.
        max_gap_ns: The longest time without a row, in ns; None with fewer than two times.
        steps_back: How many rows are earlier than the row before them.
        columns: Names of the columns and their Arrow types.
    """

    topic: str
    type_name: str
    schema_id: str
    name: str
    size_bytes: int
    mtime_ns: int
    rows: int
    null_times: int
    first_ns: int | None
    last_ns: int | None
    max_gap_ns: int | None
    steps_back: int
    columns: Mapping[str, str]


@dataclasses.dataclass(slots=True, kw_only=True)
class _Table:
    topic: str
    type_name: str
    schema_id: str
    metadata: Mapping[str, str]
    writer: TableWriter
    part: str
    name: str


class TableSet:
    """The tables of one log. For one thread.

    A table that cannot be written for its content fails its topic alone.

    Args:
        folder: Where they are written.
        metadata: Of each table, besides what its batches have.
        flush: Whether each file is forced to the disk.

    Attributes:
        faults: Topics that failed here, in order.
    """

    def __init__(self, folder: PartialFolder, metadata: Mapping[str, str], *, flush: bool) -> None:
        self.faults: list[TopicFault] = []
        self._folder = folder
        self._metadata = metadata
        self._flush = flush
        self._names = TableNames()
        self._numbers = itertools.count()
        self._tables: dict[tuple[str, str], _Table] = {}
        self._schemas: collections.Counter[str] = collections.Counter()
        self._failed: set[str] = set()
        self._pending_bytes = 0

    def add(self, batch: TopicBatch) -> None:
        """Take the next rows of a table; those of a topic that failed are left out.

        Args:
            batch: The rows.

        Raises:
            OSError: They cannot be written.
        """
        if batch.rows.nbytes > LEAST_BYTES_PER_GROUP:
            self._make_room(batch.rows.nbytes)  # before it, as writing takes a multiple of it
        if batch.topic in self._failed:
            return
        try:
            table = self._table_of(batch)
        except UnusableBatchError as error:
            self._fail(batch.topic, error)
            return
        self._change(table, lambda writer: writer.add(batch.rows))
        self._make_room(0)

    def _table_of(self, batch: TopicBatch) -> _Table:
        key = (batch.topic, batch.schema_id)
        if key not in self._tables:
            part = f"{next(self._numbers)}{UNFINISHED_SUFFIX}"
            writer = TableWriter(batch.rows.schema, self._folder, part, self._may_hold)
            self._schemas[batch.topic] += 1
            self._tables[key] = _Table(
                topic=batch.topic,
                type_name=batch.type_name,
                schema_id=batch.schema_id,
                metadata=batch.metadata,
                writer=writer,
                part=part,
                name=self._names.add(batch.topic, self._schemas[batch.topic]),
            )
        return self._tables[key]

    def _may_hold(self, more_bytes: int) -> bool:
        held_bytes = sum(table.writer.held_bytes for table in self._tables.values())
        return held_bytes + more_bytes <= MAX_HELD_BYTES

    def _make_room(self, size_bytes: int) -> None:
        """Relieve the largest tables until there is room for so many bytes."""
        while self._pending_bytes and self._pending_bytes + size_bytes > MAX_PENDING_BYTES:
            largest = max(self._tables.values(), key=lambda each: each.writer.pending_bytes)
            self._change(largest, TableWriter.relieve)

    def _change(self, table: _Table, change: Callable[[TableWriter], None]) -> None:
        self._pending_bytes -= table.writer.pending_bytes
        try:
            change(table.writer)
        except UnusableBatchError as error:
            self._fail(table.topic, error)
        else:
            self._pending_bytes += table.writer.pending_bytes

    def _fail(self, topic: str, error: UnusableBatchError) -> None:
        self.faults.append(TopicFault(topic=topic, code="DECODER_FAILED", reason=str(error)))
        self.drop(topic)

    def drop(self, topic: str) -> None:
        """Remove the tables of a topic, and take no more rows of it.

        Raises:
            OSError: They cannot be removed.
        """
        self._failed.add(topic)
        for key in [key for key in self._tables if key[0] == topic]:
            table = self._tables.pop(key)
            table.writer.abandon()
        self._pending_bytes = sum(each.writer.pending_bytes for each in self._tables.values())

    def finish(self) -> list[TableFacts]:
        """Close all tables and give them their names.

        Raises:
            OSError: They cannot be written.
        """
        tables = sorted(self._tables.values(), key=lambda each: not each.writer.is_open)
        for table in tables:  # first those whose end leaves room for the others
            metadata = self._metadata_of(table)
            self._change(table, lambda writer, it=metadata: writer.finish(it, flush=self._flush))  # type: ignore[misc] # bound at once
        return [self._publish(table) for table in self._tables.values()]

    def _metadata_of(self, table: _Table) -> dict[str, str]:
        own = {
            "topic": table.topic,
            "type": table.type_name,
            "schema_id": table.schema_id,
            "sorted": str(table.writer.times.is_sorted).lower(),
        }
        return {**table.metadata, **self._metadata, **own}

    def _publish(self, table: _Table) -> TableFacts:
        self._folder.finish(table.part, table.name)
        status, times = self._folder.lstat(table.name), table.writer.times
        return TableFacts(
            topic=table.topic,
            type_name=table.type_name,
            schema_id=table.schema_id,
            name=table.name,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            rows=times.rows,
            null_times=times.nulls,
            first_ns=times.first,
            last_ns=times.last,
            max_gap_ns=times.max_gap,
            steps_back=times.steps_back,
            columns=column_types(table.writer.schema),
        )

    def close(self) -> None:
        """Close what is still open, whatever is in it."""
        for table in self._tables.values():
            with contextlib.suppress(OSError):  # its folder is removed as well
                table.writer.abandon()
