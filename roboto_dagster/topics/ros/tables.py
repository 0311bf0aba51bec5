"""Raw messages of a bag, grouped and decoded table by table."""

import functools
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from roboto_dagster.topics.decoder import Found
from roboto_dagster.topics.definitions import canonical_name
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.log_tables import LogTables
from roboto_dagster.topics.message_table import MessageTable
from roboto_dagster.topics.payloads import RawPayloads
from roboto_dagster.topics.ros.container import BagConnection
from roboto_dagster.topics.ros_messages import ros_table
from roboto_dagster.topics.topic_filter import TopicFilter

Messages: TypeAlias = "Iterable[tuple[BagConnection, int, bytes | UndecodableError]]"

_DECODED = {"ros1", "cdr"}


def decode_messages(messages: Messages, topics: TopicFilter) -> Iterator[Found]:
    """Decode the messages of a bag.

    Args:
        messages: Connection, time in nanoseconds and payload of each, or why it cannot be read; where the
            bag is damaged, and at its end, an `UndecodableError` is raised.
        topics: Which fields, and how.

    Returns:
        Rows, and what was wrong.
    """
    tables: LogTables[BagConnection] = LogTables()
    return tables.decoded(_rows(messages, topics, tables))


def _rows(
    messages: Messages, topics: TopicFilter, tables: LogTables[BagConnection]
) -> Iterator[Found]:
    """Group messages, and decode those of a table that are due."""
    of_connection, add = tables.of_source, tables.groups.add
    for connection, time_ns, payload in messages:
        if connection not in of_connection:
            make = functools.partial(_table_of, connection, topics)
            yield from tables.start(connection, connection.topic, _definition_of(connection), make)
        table = of_connection[connection]
        if table is None:
            continue
        if isinstance(payload, UndecodableError):
            yield from tables.decode_all()
            yield from tables.fail(connection.topic, payload)
            continue
        due = add(table, payload, time_ns)
        payload = b""  # noqa: PLW2901 - a large one is not kept while it is decoded
        for each in due:
            yield from tables.decode(*each)


def _definition_of(connection: BagConnection) -> tuple[object, ...]:
    return (
        *(connection.type_name, connection.message_encoding),
        *(connection.schema_encoding, connection.definition),
    )


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
