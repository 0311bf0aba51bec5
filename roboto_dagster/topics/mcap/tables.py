"""Which decoder the messages of a channel get, by their encodings."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from roboto_dagster.topics.definitions import canonical_name
from roboto_dagster.topics.extras import missing_extra
from roboto_dagster.topics.faults import DEFINITION_FAULTS, UndecodableError
from roboto_dagster.topics.message_table import MessageTable
from roboto_dagster.topics.payloads import PayloadDecoder, RawPayloads
from roboto_dagster.topics.ros_messages import ROS_ENCODINGS, ros_table
from roboto_dagster.topics.topic_filter import TopicFilter

if TYPE_CHECKING:
    from mcap.records import Channel, Schema

_MakePayloads = Callable[[str, bytes, tuple[str, ...] | None], PayloadDecoder]


def channel_table(channel: "Channel", schema: "Schema | None", topics: TopicFilter) -> MessageTable:
    """Return the table of a channel's messages.

    Args:
        channel: The channel.
        schema: Its definition; None if it has none.
        topics: What was asked for.

    Raises:
        UndecodableError: The messages cannot be decoded, and raw bytes were not asked for.
    """
    name, encoding = (schema.name, schema.encoding) if schema is not None else ("", "")
    data = schema.data if schema is not None else b""
    ros_encoding = _ros_encoding(channel, encoding, name, topics)
    if ros_encoding is not None:
        return ros_table(
            topic=channel.topic,
            type_name=name,
            schema_encoding=ros_encoding,
            definition=data,
            topics=topics,
        )
    try:
        make = _payloads_for(channel.message_encoding, encoding)
        payloads = make(name, data, topics.fields_of(channel.topic))
    except UndecodableError as error:
        if not topics.raw or error.code not in DEFINITION_FAULTS:
            raise
        payloads = RawPayloads()
    return MessageTable(
        topic=channel.topic,
        type_name=name,
        message_encoding=channel.message_encoding,
        schema_encoding=encoding,
        definition=data,
        payloads=payloads,
        or_raw=topics.raw,
    )


def _ros_encoding(channel: "Channel", encoding: str, name: str, topics: TopicFilter) -> str | None:
    """Return the encoding of the definition of ROS messages; None for others."""
    if channel.message_encoding == "ros1" and encoding in {"ros1msg", ""}:
        return _known_or(encoding, "ros1msg", name, topics)
    if channel.message_encoding == "cdr" and encoding in ROS_ENCODINGS | {""}:
        return _known_or(encoding, "ros2msg", name, topics)
    return None


def _known_or(encoding: str, assumed: str, name: str, topics: TopicFilter) -> str | None:
    """Return the encoding; one that is not stated is assumed only for types that the user defines."""
    if encoding:
        return encoding
    known = {canonical_name(each) for each in topics.ros_definitions}
    return assumed if canonical_name(name) in known else None


def _payloads_for(message_encoding: str, schema_encoding: str) -> _MakePayloads:
    """Return what makes the decoder of messages that are no ROS messages."""
    if (message_encoding, schema_encoding) == ("protobuf", "protobuf"):
        return _protobuf
    if message_encoding == "json" and schema_encoding in {"jsonschema", ""}:
        return _json
    if not schema_encoding and message_encoding in {"cdr", "ros1", "protobuf"}:
        raise UndecodableError(
            "MISSING_DEFINITION", f"the log has no definition of the {message_encoding} messages"
        )
    raise UndecodableError(
        "UNSUPPORTED_ENCODING",
        f"messages are encoded as {message_encoding!r}, and their definitions as {schema_encoding!r}",
    )


def _protobuf(type_name: str, data: bytes, fields: tuple[str, ...] | None) -> PayloadDecoder:
    fault = missing_extra("topics", "mcap_protobuf", "google.protobuf")
    if fault is not None:
        raise UndecodableError("EXTRA_MISSING", fault.reason)
    from roboto_dagster.topics.mcap.protobuf import ProtobufPayloads

    return ProtobufPayloads(type_name, data, fields)


def _json(type_name: str, data: bytes, fields: tuple[str, ...] | None) -> PayloadDecoder:
    from roboto_dagster.topics.mcap.json_messages import json_payloads

    return json_payloads(type_name, data, fields)
