"""Protobuf messages: a column a field, null only where nothing is set."""

import json
import pathlib
from typing import Any

import pytest
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message

from roboto_dagster.topics.mcap.decoder import McapDecoder
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import Decoded, decode
from tests.topics.mcap.logs import write

KINDS = {
    name.removeprefix("TYPE_").lower(): number
    for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()
}
KNOWN = [any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2]


def _field(number: int, name: str, kind: str, *, repeated: bool = False, **more: Any) -> Any:
    """Return a field; a kind with a dot in front is a message."""
    label = 3 if repeated else 1
    if kind.startswith("."):
        return descriptor_pb2.FieldDescriptorProto(
            name=name, number=number, type=11, type_name=kind, label=label, **more
        )
    return descriptor_pb2.FieldDescriptorProto(
        name=name, number=number, type=KINDS[kind], label=label, **more
    )


def _file(*messages: Any, enums: Any = ()) -> Any:
    return descriptor_pb2.FileDescriptorProto(
        name="t.proto",
        package="t",
        syntax="proto3",
        dependency=[each.DESCRIPTOR.name for each in KNOWN],
        message_type=messages,
        enum_type=enums,
    )


def _message(name: str, *fields: Any, **more: Any) -> Any:
    return descriptor_pb2.DescriptorProto(name=name, field=fields, **more)


def _set_of(file: Any) -> Any:
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(each.DESCRIPTOR.serialized_pb)
        for each in KNOWN
    ]
    return descriptor_pb2.FileDescriptorSet(file=[*files, file])


def _class(file: Any, name: str = "t.M") -> Any:
    pool = descriptor_pool.DescriptorPool()
    for each in _set_of(file).file:
        pool.Add(each)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def _decode(
    folder: pathlib.Path, file: Any, *messages: Message | bytes, topics: TopicFilter | None = None
) -> Decoded:
    definition = ("t.M", "protobuf", _set_of(file).SerializeToString())
    payloads = [each if isinstance(each, bytes) else each.SerializeToString() for each in messages]
    path = write(folder / "log.mcap", ("/p", "protobuf", definition, payloads))
    return decode(McapDecoder(), path, topics)


def test_scalars(tmp_path: pathlib.Path) -> None:
    """Without presence, what is not set is 0; numbers keep their width."""
    kinds = [
        "double",
        "float",
        "int32",
        "int64",
        "uint32",
        "uint64",
        "sint32",
        "fixed64",
        "bool",
        "string",
        "bytes",
    ]
    file = _file(
        _message("M", *(_field(number, f"f_{kind}", kind) for number, kind in enumerate(kinds, 1)))
    )
    made = _class(file)
    full = made(
        f_double=0.1,
        f_int64=-(2**63),
        f_uint64=2**64 - 1,
        f_bool=True,
        f_string="é",
        f_bytes=b"\xff",
    )
    found = _decode(tmp_path, file, full, made())
    first, second = found.rows("/p")
    assert (first["f_double"], first["f_int64"], first["f_uint64"]) == (0.1, -(2**63), 2**64 - 1)
    assert (first["f_bool"], first["f_string"], first["f_bytes"]) == (True, "é", b"\xff")
    assert [*second.values()] == [0.0, 0.0, 0, 0, 0, 0, 0, 0, False, "", b""]
    types = [str(each.type) for each in found.table("/p").schema][3:]
    assert types == [
        *(
            "double",
            "float",
            "int32",
            "int64",
            "uint32",
            "uint64",
            "int32",
            "uint64",
            "bool",
            "string",
            "binary",
        )
    ]


def test_presence(tmp_path: pathlib.Path) -> None:
    """Messages, optional fields and those of a oneof are null where they are not set."""
    file = _file(
        _message(
            "M",
            _field(1, "n", ".t.N"),
            _field(2, "o", "int32", proto3_optional=True, oneof_index=1),
            _field(3, "a", "int32", oneof_index=0),
            _field(4, "b", "string", oneof_index=0),
            oneof_decl=[{"name": "choice"}, {"name": "_o"}],
        ),
        _message("N", _field(1, "x", "int32"), _field(2, "n", ".t.N2")),
        _message("N2", _field(1, "y", "int32")),
    )
    made = _class(file)
    found = _decode(tmp_path, file, made(o=0, b=""), made(n={"x": 1}), made(n={"n": {}}, a=3))
    assert found.rows("/p") == [
        {"n": None, "o": 0, "a": None, "b": ""},
        {"n": {"x": 1, "n": None}, "o": None, "a": None, "b": None},
        {"n": {"x": 0, "n": {"y": 0}}, "o": None, "a": 3, "b": None},
    ]


def test_repeated_maps_and_enums(tmp_path: pathlib.Path) -> None:
    """Lists, maps and numbers; the names of an enum are in the metadata, unknown numbers are kept."""
    entry = _message("PEntry", _field(1, "key", "string"), _field(2, "value", ".t.N"))
    entry.options.map_entry = True
    enum = descriptor_pb2.EnumDescriptorProto(
        name="E", value=[{"name": "ZERO", "number": 0}, {"name": "ONE", "number": 1}]
    )
    file = _file(
        _message(
            "M",
            _field(1, "i", "int32", repeated=True),
            _field(2, "n", ".t.N", repeated=True),
            _field(3, "p", ".t.M.PEntry", repeated=True),
            descriptor_pb2.FieldDescriptorProto(
                name="e", number=4, type=14, type_name=".t.E", label=1
            ),
            nested_type=[entry],
        ),
        _message("N", _field(1, "x", "int32")),
        enums=[enum],
    )
    made = _class(file)
    full = made(i=[1, 2], n=[{"x": 3}, {}], e=7)
    full.p["k"].x = 4
    found = _decode(tmp_path, file, full, made())
    assert found.rows("/p") == [
        {"i": [1, 2], "n": [{"x": 3}, {"x": 0}], "p": [("k", {"x": 4})], "e": 7},
        {"i": [], "n": [], "p": [], "e": 0},
    ]
    metadata = found.table("/p").schema.field("e").metadata or {}
    assert json.loads(metadata[b"enum"]) == {"0": "ZERO", "1": "ONE"}


def test_well_known_types(tmp_path: pathlib.Path) -> None:
    """Wrappers are their values, structs JSON, any its url and bytes; what contains itself is bytes."""
    names = ["Timestamp", "Duration", "DoubleValue", "Struct", "Any", "Empty"]
    fields = [
        _field(number, name.lower(), f".google.protobuf.{name}")
        for number, name in enumerate(names, 1)
    ]
    file = _file(_message("M", *fields, _field(9, "self", ".t.M")))
    made = _class(file)
    full = made(
        timestamp={"seconds": -1, "nanos": 5},
        duration={"seconds": 2},
        doublevalue={"value": 0.0},
        any={"type_url": "u", "value": b"v"},
        empty={},
        self={"doublevalue": {"value": 1.0}},
    )
    full.struct.update({"k": [1.0, None]})
    found = _decode(tmp_path, file, full, made()).rows("/p")
    assert json.loads(found[0].pop("struct")) == {"k": [1.0, None]}
    assert made.FromString(found[0].pop("self")).doublevalue.value == 1.0
    assert found[0] == {
        "timestamp": {"seconds": -1, "nanos": 5},
        "duration": {"seconds": 2, "nanos": 0},
        "doublevalue": 0.0,
        "any": {"type_url": "u", "value": b"v"},
        "empty": {"_empty": True},
    }
    assert set(found[1].values()) == {None}


def test_a_damaged_message(tmp_path: pathlib.Path) -> None:
    """It fails the topic after the rows before it."""
    file = _file(_message("M", _field(1, "s", "string")))
    made = _class(file)
    found = _decode(tmp_path, file, made(s="a"), b"\x0a\x05ab", made(s="b"))
    assert (found.codes, found.rows("/p")) == ([("/p", "CORRUPT")], [{"s": "a"}])
    assert "message 2: " in found.faults[0].reason


@pytest.mark.parametrize("left_out", ["t.proto", "google/protobuf/timestamp.proto"])
def test_an_incomplete_descriptor(tmp_path: pathlib.Path, left_out: str) -> None:
    """Nothing is decoded against it."""
    files = _set_of(_file(_message("M", _field(1, "t", ".google.protobuf.Timestamp"))))
    kept = [each for each in files.file if each.name != left_out]
    data = descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString()
    path = write(tmp_path / "log.mcap", ("/p", "protobuf", ("t.M", "protobuf", data), [b""]))
    assert decode(McapDecoder(), path).codes == [("/p", "MISSING_DEFINITION")]


def test_fields(tmp_path: pathlib.Path) -> None:
    """Only what is asked for is kept; a wrong name is a failure of the topic."""
    file = _file(
        _message("M", _field(1, "a", "int32"), _field(2, "n", ".t.N")),
        _message("N", _field(1, "x", "int32"), _field(2, "y", "int32")),
    )
    message = _class(file)(a=1, n={"x": 2, "y": 3})
    topics = TopicFilter(fields={"/p": ["n.y"]})
    assert _decode(tmp_path, file, message, topics=topics).rows("/p") == [{"n": {"y": 3}}]
    for name in ("z", "n.z", "a.z"):
        topics = TopicFilter(fields={"/p": [name]})
        assert _decode(tmp_path, file, message, topics=topics).codes == [("/p", "UNKNOWN_FIELD")]


def test_types_that_multiply(tmp_path: pathlib.Path) -> None:
    """A short descriptor may describe more columns than there is memory for."""
    levels = [
        _message(f"L{number}", *(_field(at, f"f{at}", f".t.L{number + 1}") for at in range(1, 9)))
        for number in range(9)
    ]
    file = _file(
        _message("M", _field(1, "l", ".t.L0")), *levels, _message("L9", _field(1, "x", "int32"))
    )
    assert _decode(tmp_path, file, b"").codes == [("/p", "TOO_LARGE")]
