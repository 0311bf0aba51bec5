"""JSON messages: by their schema, or as text; nothing is lost, and nothing is made null that is not."""

import json
import pathlib
from typing import Any

import pyarrow as pa
import pytest

from roboto_dagster.topics.mcap.decoder import McapDecoder
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import Decoded, decode
from tests.topics.mcap.logs import write

SCALARS = {
    "type": "object",
    "properties": {
        "b": {"type": "boolean"},
        "i": {"type": "integer"},
        "n": {"type": "number"},
        "s": {"type": ["string", "null"]},
    },
}


def _decode(
    folder: pathlib.Path, schema: Any, *messages: Any, topics: TopicFilter | None = None
) -> Decoded:
    payloads = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages]
    definition = None if schema is None else ("S", "jsonschema", json.dumps(schema).encode())
    path = write(folder / "log.mcap", ("/j", "json", definition, payloads))
    return decode(McapDecoder(), path, topics)


def test_scalars(tmp_path: pathlib.Path) -> None:
    """What is missing or null is null; an integer is a number, and 1.0 is an integer."""
    messages = [{"b": True, "i": 1, "n": 2, "s": "x"}, {"i": 1.0, "n": 0.5, "s": None}]
    found = _decode(tmp_path, SCALARS, *messages)
    assert found.rows("/j") == [
        {"b": True, "i": 1, "n": 2.0, "s": "x", "_extra": None},
        {"b": None, "i": 1, "n": 0.5, "s": None, "_extra": None},
    ]
    assert found.table("/j").schema.field("i").type == pa.int64()


@pytest.mark.parametrize(
    "message",
    [
        *(
            {"i": 1.5},
            {"i": True},
            {"i": "1"},
            {"i": 2**63},
            {"n": True},
            {"n": "x"},
            {"n": 10**400},
        ),
        *({"s": 1}, {"s": ["x"]}, {"b": 0}, {"s": "\ud800"}, [], "x", None),
    ],
)
def test_a_value_of_another_type_fails_the_topic(tmp_path: pathlib.Path, message: Any) -> None:
    """A null in its place would look like a missing value; the rows before are kept."""
    found = _decode(tmp_path, SCALARS, {"i": 1}, message, {"i": 2})
    assert found.codes == [("/j", "TYPE_MISMATCH")]
    assert "message 2: " in found.faults[0].reason
    assert [row["i"] for row in found.rows("/j")] == [1]


def test_nested_values(tmp_path: pathlib.Path) -> None:
    """Objects are structs, arrays lists, references are followed, and anything else is JSON text."""
    schema = {
        "$defs": {"v": {"type": "object", "properties": {"x": {"type": "number"}}}},
        "type": "object",
        "properties": {
            "o": {"$ref": "#/$defs/v"},
            "a": {"type": "array", "items": {"$ref": "#/$defs/v"}},
            "m": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            "any": {},
            "free": {"type": "object"},
            "self": {"$ref": "#"},
        },
    }
    full = {
        "o": {"x": 1},
        "a": [{"x": 2}, None, {}],
        "m": [[1], [], None],
        "any": [1, "a"],
        "free": {"k": 1},
    }
    found = _decode(tmp_path, schema, full, {}, {"o": None, "a": []})
    assert found.rows("/j")[0] == {
        "o": {"x": 1.0},
        "a": [{"x": 2.0}, None, {"x": None}],
        "m": [[1], [], None],
        "any": '[1, "a"]',
        "free": '{"k": 1}',
        "_extra": None,
        "self": {**dict.fromkeys(["o", "a", "m", "any", "free", "self"])}
        if found.rows("/j")[0]["self"]
        else None,
    }
    assert {found.rows("/j")[1][name] for name in ("o", "any", "free")} == {None}
    assert found.rows("/j")[2]["a"] == []
    assert found.table("/j").schema.field("any").metadata == {b"format": b"json"}


def test_the_time_of_a_header(tmp_path: pathlib.Path) -> None:
    """It is null where it is 0 or missing, or beyond what a timestamp holds."""
    integers = {name: {"type": "integer"} for name in ("sec", "nanosec")}
    stamp = {"type": "object", "properties": integers}
    header = {"type": "object", "properties": {"stamp": stamp}}
    schema = {"type": "object", "properties": {"header": header}}
    stamps: list[Any] = [
        {"sec": 1, "nanosec": 2},
        {"sec": 0, "nanosec": 0},
        None,
        {"sec": 2**62, "nanosec": 0},
    ]
    found = _decode(tmp_path, schema, *({"header": {"stamp": each}} for each in stamps), {})
    times = found.table("/j")["header_time"].cast(pa.int64()).to_pylist()
    assert (found.codes, times) == ([], [1_000_000_002, None, None, None, None])


def test_what_no_property_names_is_kept(tmp_path: pathlib.Path) -> None:
    """As JSON, nested members in their place."""
    schema = {
        "type": "object",
        "properties": {
            "o": {"type": "object", "properties": {"x": {"type": "integer"}}},
            "a": {
                "type": "array",
                "items": {"type": "object", "properties": {"x": {"type": "integer"}}},
            },
        },
    }
    message = {"o": {"x": 1, "y": 2}, "a": [{"x": 1}, {"z": [3]}], "w": None}
    (row,) = _decode(tmp_path, schema, message).rows("/j")
    assert (row["o"], row["a"]) == ({"x": 1}, [{"x": 1}, {"x": None}])
    assert json.loads(row["_extra"]) == {"o": {"y": 2}, "a": [{}, {"z": [3]}], "w": None}


def test_large_integers_of_a_number_are_rounded_and_counted(tmp_path: pathlib.Path) -> None:
    """Times in nanoseconds are often declared as numbers; those of JSON are 64 bits wide."""
    found = _decode(tmp_path, SCALARS, {"n": 2**53 + 1}, {"n": 2**60})
    assert (found.codes, found.note_counts) == ([], {("/j", "rounded_numbers"): 1})
    assert [row["n"] for row in found.rows("/j")] == [float(2**53), float(2**60)]


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "array"}, True])
def test_without_properties_messages_are_texts(tmp_path: pathlib.Path, schema: Any) -> None:
    """They are checked to be JSON, and kept as they are."""
    found = _decode(tmp_path, schema, b'{"a": 1}', b" [1,2] ", b'{"a": ')
    assert found.rows("/j") == [{"json": '{"a": 1}'}, {"json": " [1,2] "}]
    assert found.codes == [("/j", "CORRUPT")]


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json(tmp_path: pathlib.Path, message: bytes) -> None:
    """It fails the topic after the rows before it."""
    found = _decode(tmp_path, SCALARS, {"i": 1}, message)
    assert (found.codes, len(found.rows("/j"))) == ([("/j", "CORRUPT")], 1)


def test_fields(tmp_path: pathlib.Path) -> None:
    """Only what is asked for is kept; a property with a dot in its name is found."""
    schema = {
        "type": "object",
        "properties": {
            "a.b": {"type": "integer"},
            "o": {
                "type": "object",
                "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
            },
        },
    }
    message = {"a.b": 1, "o": {"x": 2, "y": 3}, "other": 4}
    topics = TopicFilter(fields={"/j": ["o.y", "a.b"]})
    assert _decode(tmp_path, schema, message, topics=topics).rows("/j") == [
        {"a.b": 1, "o": {"y": 3}}
    ]
    for name in ("z", "o.z", "a.b.c"):
        topics = TopicFilter(fields={"/j": [name]})
        assert _decode(tmp_path, schema, message, topics=topics).codes == [("/j", "UNKNOWN_FIELD")]


def test_a_schema_that_multiplies(tmp_path: pathlib.Path) -> None:
    """References may describe more properties than there is memory for."""
    level = {"type": "object", "properties": {name: {"$ref": "#/$defs/0"} for name in "abcdefgh"}}
    defs: dict[str, Any] = {}
    for number in range(9):
        defs[str(number)] = {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/{number + 1}"} for name in "abcdefgh"},
        }
    defs["9"] = {"type": "integer"}
    found = _decode(tmp_path, {**level, "$defs": defs}, {})
    assert found.codes == [("/j", "TOO_LARGE")]
