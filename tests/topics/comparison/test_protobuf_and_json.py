"""Topics of protobuf and JSON, row by row, beside mcap-protobuf-support and the standard library."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from mcap_protobuf.decoder import DecoderFactory

from benchmarks.topics.logs import mcap_logs, protobuf
from benchmarks.topics.logs.streams import messages
from tests.topics.comparison.peers import mcap_messages
from tests.topics.comparison.reading import Row, decode, differences

_WRAPPERS = {"DoubleValue", "FloatValue", "Int64Value", "StringValue", "BoolValue", "BytesValue"}
_JSON = {"Struct", "Value", "ListValue"}


def expected(message: Any, inside: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return a message of protobuf by the rules of the tables: absent is null, scalars without presence are 0.

    Args:
        message: The message.
        inside: The types of the messages that it is inside of.
    """
    inside |= {message.DESCRIPTOR.full_name}
    return {field.name: _value(message, field, inside) for field in message.DESCRIPTOR.fields}


def _value(message: Any, field: Any, inside: frozenset[str]) -> Any:
    value = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_one(each, field, inside) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(value, field, inside)


def _one(value: Any, field: Any, inside: frozenset[str]) -> Any:
    if field.message_type is None:
        return value
    name = field.message_type.name
    if name in _WRAPPERS:
        return value.value
    if name in _JSON:
        return MessageToDict(value)
    if field.message_type.full_name in inside:  # a message that holds itself
        return value.SerializeToString()
    return expected(value, inside)


def test_every_kind_of_field(tmp_path: pathlib.Path) -> None:
    """Set or not, with unknown numbers of enumerations, well-known types, maps, choices and recursion."""
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", [protobuf.protobuf_stream(payloads=40)], 80)
    ours = decode(path)
    assert ours.faults == []
    theirs = mcap_messages(path, DecoderFactory())["/state"]
    rows = [Row(m.log_time, m.publish_time, m.sequence, expected(state)) for m, state in theirs]
    found = ours.rows("/state")
    for row in found:  # JSON is compared as what it stands for
        for name in ("tree", "value"):
            if row.fields[name] is not None:
                row.fields[name] = json.loads(row.fields[name])  # type: ignore[index]  # a dictionary
    assert differences(found, rows) == []


def test_json_with_a_schema(tmp_path: pathlib.Path) -> None:
    """Its properties are columns."""
    stream = protobuf.json_stream()
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", [stream], 80)
    ours = decode(path)
    assert ours.faults == []
    theirs = [
        Row(sent.time_ns, sent.time_ns - 1000, sent.number, json.loads(sent.payload))
        for sent in messages([stream], 80)
    ]
    found = ours.rows("/json")
    for row in found:
        assert row.fields.get("_extra") is None
        row.fields.pop("_extra", None)  # type: ignore[attr-defined]  # a dictionary
    assert differences(found, theirs) == []


def test_json_without_a_schema(tmp_path: pathlib.Path) -> None:
    """One column of texts."""
    stream = protobuf.json_stream(has_schema=False)
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", [stream], 80)
    found = decode(path).rows("/json")
    assert [row.fields for row in found] == [
        {"json": sent.payload.decode()} for sent in messages([stream], 80)
    ]
