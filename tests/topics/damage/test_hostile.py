"""Logs that would exhaust memory, time or the stack of a reader that believes them."""

import json
import pathlib
import struct

import lz4.frame  # type: ignore[import-untyped]  # it has no annotations
import pytest
import zstandard
from mcap.writer import Writer

from tests.topics.comparison.reading import decode

MAGIC = b"\x89MCAP0\r\n"
CDR = b"\0\1\0\0"
SEPARATOR = "=" * 80 + "\n"


def record(kind: int, body: bytes) -> bytes:
    """Return a record of MCAP."""
    return struct.pack("<BQ", kind, len(body)) + body


def text(value: bytes) -> bytes:
    """Return a text of MCAP."""
    return struct.pack("<I", len(value)) + value


HEAD = MAGIC + record(1, text(b"") + text(b""))
TAIL = record(15, bytes(4)) + record(2, bytes(20)) + MAGIC


def write_topic(
    path: pathlib.Path, encodings: tuple[str, str], definition: bytes, *payloads: bytes
) -> pathlib.Path:
    """Write a log of one topic, `/a`, of the type `own/msg/A`."""
    schema_encoding, message_encoding = encodings
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("own/msg/A", schema_encoding, definition)
        channel = writer.register_channel("/a", message_encoding, schema)
        for number, payload in enumerate(payloads):
            writer.add_message(channel, number, payload, number)
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    return path


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize(
    ("stated", "codes"),
    [(100, {"CORRUPT"}), (0, {"CORRUPT"}), (2**40, {"TOO_LARGE"}), (2**63, {"TOO_LARGE"})],
)
def test_a_chunk_that_unpacks_to_another_size(
    tmp_path: pathlib.Path, compression: str, stated: int, codes: set[str]
) -> None:
    """Neither what it states nor what it unpacks to is taken into memory."""
    zeros = bytes(64 * 2**20)
    packed = (
        zstandard.ZstdCompressor().compress(zeros)
        if compression == "zstd"
        else lz4.frame.compress(zeros)
    )
    chunk = struct.pack("<QQQI", 0, 0, stated, 0) + text(compression.encode())
    path = tmp_path / "a.mcap"
    path.write_bytes(HEAD + record(6, chunk + struct.pack("<Q", len(packed)) + packed) + TAIL)
    assert {code for _, code in decode(path).codes()} == codes


@pytest.mark.parametrize("kind", [3, 4, 5, 6, 9, 200])
def test_a_record_that_is_longer_than_the_log(tmp_path: pathlib.Path, kind: int) -> None:
    """It is cut, whatever kind of record it is."""
    path = tmp_path / "a.mcap"
    path.write_bytes(HEAD + struct.pack("<BQ", kind, 2**62) + bytes(100))
    assert decode(path).codes() == {(None, "TRUNCATED")}


def nested(depth: int, width: int) -> str:
    """Return types in types, with several members of the next type in each."""
    members = [
        "".join(f"own/N{level + 1} m{number}\n" for number in range(width))
        if level < depth
        else "int32 x\n"
        for level in range(depth + 1)
    ]
    sections = [f"MSG: own/N{level}\n{each}" for level, each in enumerate(members)]
    return SEPARATOR.join(["own/N0 x\n", *sections])


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        ("own/A[] x\n", "INVALID_DEFINITION"),
        (f"own/B x\n{SEPARATOR}MSG: own/B\nown/A[] x\n", "INVALID_DEFINITION"),
        (nested(600, 1), "INVALID_DEFINITION"),
        (nested(30, 2), "UNSUPPORTED_TYPE"),
        ("int32[1000000000] x\n", "UNSUPPORTED_TYPE"),
    ],
)
def test_a_definition_without_end(tmp_path: pathlib.Path, definition: str, code: str) -> None:
    """Types that hold themselves, are nested deeply, or are larger than any message."""
    path = write_topic(tmp_path / "a.mcap", ("ros2msg", "cdr"), definition.encode(), CDR + bytes(8))
    assert decode(path).codes() == {("/a", code)}


@pytest.mark.parametrize("kind", ["uint8", "string", "int32"])
def test_an_array_that_is_longer_than_its_message(tmp_path: pathlib.Path, kind: str) -> None:
    """It is damage; no memory is taken for what it states."""
    path = write_topic(
        tmp_path / "a.mcap",
        ("ros2msg", "cdr"),
        f"{kind}[] x\n".encode(),
        CDR + b"\xff\xff\xff\x7f",
    )
    assert decode(path).codes() == {("/a", "CORRUPT")}


def test_json_that_is_nested_deeply(tmp_path: pathlib.Path) -> None:
    """It is a failure of its topic, not of the stack."""
    schema = json.dumps({"type": "object", "properties": {"x": {"type": "number"}}}).encode()
    deep = b'{"z": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path = write_topic(tmp_path / "a.mcap", ("jsonschema", "json"), schema, b'{"x": 1}', deep)
    found = decode(path)
    assert {topic for topic, _ in found.codes()} == {"/a"}
    assert len(found.rows("/a")) == 1
