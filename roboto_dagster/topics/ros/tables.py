"""Raw messages of a bag, grouped and decoded table by table."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from roboto_dagster.topics.batching import MessageGroups, RawMessages
from roboto_dagster.topics.decoder import TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.definitions import canonical_name
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.message_table import MessageTable
from roboto_dagster.topics.payloads import RawPayloads
from roboto_dagster.topics.ros.container import BagConnection
from roboto_dagster.topics.ros_messages import ros_table
from roboto_dagster.topics.topic_filter import TopicFilter

Found: TypeAlias = "TopicBatch | TopicFault | TopicNote"
Messages: TypeAlias = "Iterable[tuple[BagConnection, int, bytes | UndecodableError]]"

_DECODED = {"ros1", "cdr"}


def decode_messages(messages: Messages, topics: TopicFilter) -> Iterator[Found]:
    """Decode the messages of a bag.

    Args:
        messages: Connection, time in nanoseconds and payload of each, or why it cannot be read; where the
            bag is damaged, and at its end, an `UndecodableError` is raised.
        topics: Which fields, and how.

    Yields:
        Rows, and what was wrong.
    """
    tables = _BagTables(topics)
    fault: TopicFault | None = None
    try:
        yield from tables.rows(messages)
    except UndecodableError as error:
        fault = TopicFault(topic=None, code=error.code, reason=error.reason)
    except OSError as error:
        fault = TopicFault(topic=None, code="LOG_IO", reason=f"{error.strerror or error}")
    yield from tables.rest()
    if fault is not None:
        yield fault


class _BagTables:
    """The tables of a bag, and messages that are not decoded yet.

    Args:
        topics: Which fields, and how.
    """

    def __init__(self, topics: TopicFilter) -> None:
        self._topics = topics
        self._groups: MessageGroups[MessageTable] = MessageGroups()
        self._of_connection: dict[BagConnection, MessageTable | None] = {}  # None: has failed
        self._of_definition: dict[tuple[object, ...], MessageTable] = {}
        self._failed: set[str] = set()

    def rows(self, messages: Messages) -> Iterator[Found]:
        """Group messages, and decode those of a table that are due.

        Args:
            messages: As `decode_messages` takes them.
        """
        tables, add = self._of_connection, self._groups.add
        for connection, time_ns, payload in messages:
            if connection not in tables:
                yield from self._start(connection)
            table = tables[connection]
            if table is None:
                continue
            if isinstance(payload, UndecodableError):
                yield from self._decode_all()
                yield from self._fail(connection.topic, payload)
                continue
            due = add(table, payload, time_ns)
            if due is not None:
                yield from self._decode(*due)

    def rest(self) -> Iterator[Found]:
        """Decode what is left, and yield notes of all tables."""
        yield from self._decode_all()
        for table in self._of_definition.values():
            yield from table.notes()

    def _start(self, connection: BagConnection) -> Iterator[Found]:
        self._of_connection[connection] = None
        if connection.topic in self._failed:
            return
        key = (
            *(connection.topic, connection.type_name, connection.message_encoding),
            *(connection.schema_encoding, connection.definition),
        )
        try:
            if key not in self._of_definition:
                self._of_definition[key] = _table_of(connection, self._topics)
            self._of_connection[connection] = self._of_definition[key]
        except UndecodableError as error:
            yield from self._fail(connection.topic, error)

    def _decode_all(self) -> Iterator[Found]:
        for table, messages in self._groups.drain():
            yield from self._decode(table, messages)

    def _decode(self, table: MessageTable, messages: RawMessages) -> Iterator[Found]:
        if table.topic in self._failed:
            return
        yield from table.batches(messages)
        if table.failed:
            self._leave_out(table.topic)

    def _fail(self, topic: str, error: UndecodableError) -> Iterator[TopicFault]:
        if topic not in self._failed:
            self._leave_out(topic)
            yield TopicFault(topic=topic, code=error.code, reason=error.reason)

    def _leave_out(self, topic: str) -> None:
        """Read no more messages of a topic, whichever connection sends them."""
        self._failed.add(topic)
        for connection in self._of_connection:
            if connection.topic == topic:
                self._of_connection[connection] = None


def _table_of(connection: BagConnection, topics: TopicFilter) -> MessageTable:
    """Return the table of a connection, whose messages are delivered as they are if that was asked for."""
    reason = _undecodable(connection, topics)
    if reason is None:
        return ros_table(
            topic=connection.topic,
            type_name=connection.type_name,
            schema_encoding=connection.schema_encoding,
            definition=connection.definition or b"",
            topics=topics,
        )
    if not topics.raw:
        raise reason
    return MessageTable(
        topic=connection.topic,
        type_name=connection.type_name,
        message_encoding=connection.message_encoding,
        schema_encoding=connection.schema_encoding,
        definition=connection.definition or b"",
        payloads=RawPayloads(),
    )


def _undecodable(connection: BagConnection, topics: TopicFilter) -> UndecodableError | None:
    if connection.message_encoding not in _DECODED:
        encoding = connection.message_encoding
        return UndecodableError(
            "UNSUPPORTED_ENCODING", f"its messages are serialized as {encoding!r}"
        )
    known = {"std_msgs/Empty", *map(canonical_name, topics.ros_definitions)}
    if connection.definition is None and canonical_name(connection.type_name) not in known:
        reason = f"the bag has no definition of {connection.type_name}"
        return UndecodableError("MISSING_DEFINITION", reason)
    return None
