"""Tables of ROS messages, whatever container they come from."""

from collections.abc import Mapping

from roboto_dagster.topics.codec import RosPayloads
from roboto_dagster.topics.definitions import read_definition
from roboto_dagster.topics.faults import DEFINITION_FAULTS, UndecodableError
from roboto_dagster.topics.idl import check_idl
from roboto_dagster.topics.message_table import MessageTable
from roboto_dagster.topics.payloads import PayloadDecoder, RawPayloads
from roboto_dagster.topics.topic_filter import TopicFilter

_MESSAGES = {"ros1msg": "ros1", "ros2msg": "cdr", "ros2idl": "cdr", "omgidl": "cdr"}
ROS_ENCODINGS = frozenset(_MESSAGES)
_IDL_ENCODINGS = frozenset({"ros2idl", "omgidl"})


def ros_table(
    *, topic: str, type_name: str, schema_encoding: str, definition: bytes, topics: TopicFilter
) -> MessageTable:
    """Return the table of a topic of ROS messages.

    Args:
        topic: Name of the topic.
        type_name: Name of the type, as in the log.
        schema_encoding: `ros1msg`, `ros2msg`, `ros2idl` or `omgidl`.
        definition: The definition as it stands in the log, empty if there is none.
        topics: What was asked for: fields, raw bytes, definitions that logs do not carry.

    Returns:
        The table.

    Raises:
        UndecodableError: The definition is incomplete or not supported, and raw bytes were not asked for.
    """
    metadata: Mapping[str, str] = {}
    payloads: PayloadDecoder
    try:
        payloads, metadata = _payloads(topic, type_name, schema_encoding, definition, topics)
    except UndecodableError as error:
        if not topics.raw or error.code not in DEFINITION_FAULTS:
            raise
        payloads = RawPayloads()
    return MessageTable(
        topic=topic,
        type_name=type_name,
        message_encoding=_MESSAGES[schema_encoding],
        schema_encoding=schema_encoding,
        definition=definition,
        payloads=payloads,
        metadata=metadata,
        or_raw=topics.raw,
    )


def _payloads(
    topic: str, type_name: str, schema_encoding: str, definition: bytes, topics: TopicFilter
) -> tuple[PayloadDecoder, Mapping[str, str]]:
    fields = topics.fields_of(topic)
    encoding = _MESSAGES[schema_encoding]
    if schema_encoding in _IDL_ENCODINGS:
        check_idl(type_name, definition)
        payloads = RosPayloads(
            type_name=type_name,
            message_encoding=encoding,
            schema_encoding=schema_encoding,
            text=definition,
            fields=fields,
        )
        return payloads, {}
    read = read_definition(
        type_name, definition, is_ros1=encoding == "ros1", known=topics.ros_definitions
    )
    payloads = RosPayloads(
        type_name=type_name,
        message_encoding=encoding,
        schema_encoding=schema_encoding,
        text=read.codec_text().encode(),
        definition=read,
        fields=fields,
    )
    return payloads, {"constants": read.constants_text()}
