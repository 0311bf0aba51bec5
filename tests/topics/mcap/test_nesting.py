"""Definitions that are nested deeper than a program can follow."""

import json
import pathlib
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from roboto_dagster.topics.mcap.decoder import McapDecoder
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import decode
from tests.topics.mcap.logs import CDR, write

DEPTH = 3000


def _ros() -> bytes:
    sections = [f"MSG: a/T{number}\nT{number + 1} x\n" for number in range(DEPTH)]
    return ("=" * 80 + "\n").join(["T0 x\n", *sections, f"MSG: a/T{DEPTH}\nint32 y\n"]).encode()


def _json() -> bytes:
    schema: Any = {"type": "integer"}
    for _ in range(300):
        schema = {"type": "array", "items": schema}
    return json.dumps({"type": "object", "properties": {"x": schema}}).encode()


def _protobuf() -> bytes:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    for number in range(DEPTH):
        message = file.message_type.add(name=f"T{number}")
        if number < DEPTH - 1:
            message.field.add(name="x", number=1, type=11, type_name=f".t.T{number + 1}", label=1)
    data: bytes = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("encoding", "schema", "expected"),
    [
        ("cdr", ("a/msg/A", "ros2msg", _ros()), ["INVALID_DEFINITION"]),
        (
            "cdr",
            ("a", "omgidl", b"module a {" * DEPTH + b"struct A {long x;};"),
            ["INVALID_DEFINITION"],
        ),
        ("json", ("A", "jsonschema", _json()), []),
        ("protobuf", ("t.T0", "protobuf", _protobuf()), ["INVALID_DEFINITION"]),
    ],
)
def test_it_is_a_failure_of_the_topic(
    tmp_path: pathlib.Path, encoding: str, schema: tuple[str, str, bytes], expected: list[str]
) -> None:
    """It is named, and is no crash; deep JSON is kept as text, and raw bytes are delivered where that was asked for."""
    payload = b"{}" if encoding == "json" else b"" if encoding == "protobuf" else CDR + bytes(4)
    path = write(tmp_path / "log.mcap", ("/t", encoding, schema, [payload]))
    assert [code for _, code in decode(McapDecoder(), path).codes] == expected
    assert decode(McapDecoder(), path, TopicFilter(raw=True)).codes == []
