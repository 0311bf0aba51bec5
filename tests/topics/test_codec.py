"""What roboto-mcap-codec does, well or not, and what is made of it: its contract, held release by release."""

import io
import struct
from typing import Any

import mcap_codec  # type: ignore[import-untyped]  # it has no type hints
import pyarrow as pa
import pytest
from mcap.writer import CompressionType, Writer

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.ros_data import (
    CDR,
    HEADER1,
    HEADER2,
    SEPARATOR,
    TIME,
    decode,
    faults,
    one_batch,
    rows,
    times,
)


def _cursor(definition: str, payload: bytes, encoding: str = "ros2msg") -> Any:
    """Open one message with the codec itself."""
    stream = io.BytesIO()
    writer = Writer(stream, compression=CompressionType.NONE)
    writer.start()
    schema = writer.register_schema("a/msg/B", encoding, definition.encode())
    channel = writer.register_channel("/t", "cdr", schema)
    writer.add_message(channel, 0, payload, 0)
    writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    data = stream.getvalue()
    return mcap_codec.open_mcap_file(
        lambda offset, length: data[offset : offset + length],
        len(data),
        timestamp=mcap_codec.TimestampSource("message_log_time"),
    )


def test_the_codec_yields_two_columns_of_its_own_first() -> None:
    """They are dropped: the number of the row, and its time."""
    (batch,) = list(_cursor("int32 x\n", CDR + struct.pack("<i", 7)))
    assert batch.schema.names == ["_row", "_index", "x"]
    assert batch.to_pylist() == [{"_row": 0, "_index": 0, "x": 7}]


def test_the_codec_skips_undefined_members() -> None:
    """Which is why no definition reaches it before it is checked: x is read from the wrong place."""
    definition = "other/Missing m\nint32 x\n"
    (batch,) = list(_cursor(definition, CDR + struct.pack("<ii", 1, 2)))
    assert batch.schema.names[2:] == ["x"]
    with pytest.raises(Exception, match="MISSING_DEFINITION"):
        decode(definition, [CDR + struct.pack("<ii", 1, 2)])


def test_the_codec_panics_on_empty_structures() -> None:
    """A panic is no Exception; definitions are written so that it does not meet any."""
    definition = f"a/E e\nint32 x\n{SEPARATOR}MSG: a/E\n"
    with pytest.raises(BaseException, match="StructArray") as caught:
        list(_cursor(definition, CDR + struct.pack("<Bxxxi", 0, 2)))
    assert type(caught.value).__name__ == "PanicException"
    assert rows(decode(definition, [CDR + struct.pack("<Bxxxi", 0, 2)])) == [
        {"e": {"_empty": True}, "x": 2}
    ]


def test_the_codec_reads_xcdr2_as_xcdr1() -> None:
    """In XCDR2 a double stands at a multiple of 4, which the codec does not know."""
    payload = b"\0\7\0\0" + struct.pack("<idi", 1, 2.5, 9)
    (batch,) = list(_cursor("int32 x\nfloat64 y\n", payload))
    assert batch.to_pylist()[0]["y"] != 2.5
    found = decode("int32 x\nfloat64 y\n", [CDR + struct.pack("<iid", 1, 0, 2.5), payload])
    assert (rows(found), faults(found)) == ([{"x": 1, "y": 2.5}], ["UNSUPPORTED_TYPE"])


@pytest.mark.parametrize(
    ("code", "definition", "payload"),
    [
        ("corrupt_input", "int32 x\nint32 y\n", struct.pack("<i", 1)),
        ("corrupt_input", "bool x\n", b"\x02"),
        ("resource_limit", "int32[] x\n", struct.pack("<I", 2**31)),
        ("unsupported_materialization", "wstring x\n", bytes(8)),
        ("unsupported_encoding", "\x00", bytes(8)),
    ],
)
def test_error_codes(code: str, definition: str, payload: bytes) -> None:
    """Errors are recognized by these codes."""
    encoding = "ros2idl" if code == "unsupported_encoding" else "ros2msg"
    with pytest.raises(mcap_codec.CodecError) as caught:
        list(_cursor(definition, CDR + payload, encoding))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("code", "definition", "payload"),
    [
        ("CORRUPT", "int32 x\nint32 y\n", struct.pack("<i", 1)),
        ("CORRUPT", "bool x\n", b"\x02"),
        ("CORRUPT", "int32[] x\n", struct.pack("<I", 2**31)),
        ("CORRUPT", "string[] x\n", struct.pack("<I", 2**31)),
        ("CORRUPT", "string x\n", struct.pack("<I", 2**31)),
    ],
)
def test_a_message_that_cannot_be_read_fails_its_topic(
    code: str, definition: str, payload: bytes
) -> None:
    """The rows before it are yielded; none after it."""
    good = CDR + bytes(16)
    found = decode(definition, [good, good, CDR + payload, good])
    assert (len(rows(found)), faults(found)) == (2, [code])
    assert "message 3: " in str(found[-1])


def test_an_empty_payload_is_corrupt() -> None:
    """A CDR message has four bytes at least."""
    assert faults(decode("int32 x\n", [b""])) == ["CORRUPT"]


def test_messages_that_are_compressed_one_by_one() -> None:
    """The codec would take them for messages of an unknown encapsulation."""
    found = decode("int32 x\n", [b"\x28\xb5\x2f\xfd" + bytes(20)])
    assert faults(found) == ["UNSUPPORTED_COMPRESSION"]


def test_ros2_types() -> None:
    """Each type of ROS 2 has its column type; bytes are binary, and fixed lengths stand in the metadata."""
    definition = (
        "byte a\nchar b\nuint8[] c\nchar[] d\nint8[] e\nbyte[3] f\nfloat32[2] g\nstring<=5 h\nbool i\n"
        "float64 j 0.5\nuint64 k\nIn[<=2] l\nuint8 K=3 # a constant\n"
        f"{SEPARATOR}MSG: a/msg/In\nint8 x -1\n"
    )
    payload = CDR + struct.pack(
        "<BbxxI2sxxI2sxxI2s3sxxxffI3s?dQIbb",
        *(255, -1, 2, b"ab", 2, b"cd", 2, b"\xff\x01", b"xyz", 1.5, 2.5, 3, b"hi\0", True),
        *(0.25, 2**64 - 1, 2, 5, -6),
    )
    batch = one_batch(decode(definition, [payload]))
    assert rows([batch]) == [
        {
            "a": 255,
            "b": 255,
            "c": b"ab",
            "d": b"cd",
            "e": [-1, 1],
            "f": b"xyz",
            "g": [1.5, 2.5],
            "h": "hi",
            "i": True,
            "j": 0.25,
            "k": 2**64 - 1,
            "l": [{"x": 5}, {"x": -6}],
        }
    ]
    schema = batch.rows.schema
    assert schema.field("b").type == pa.uint8()
    assert schema.field("g").type == pa.list_(pa.float32())
    assert (schema.field("f").metadata, schema.field("g").metadata) == (
        {b"length": b"3"},
        {b"length": b"2"},
    )
    assert batch.metadata["constants"] == '{"a/B": {"K": 3}}'


def test_ros1_types() -> None:
    """Times are structs of sec and nanosec, byte is signed, and messages without fields have no bytes."""
    definition = (
        f"time t\nduration d\nbyte a\nchar b\nbyte[] c\nEmpty e\nHeader header\nuint8[2] f\n{HEADER1}"
        f"{SEPARATOR}MSG: a/Empty\n# nothing\n"
    )
    payload = struct.pack(
        "<IIiiBBI2sIIII1s2s", 1, 2, -1, 3, 255, 255, 2, b"\xff\0", 9, 4, 5, 1, b"m", b"uv"
    )
    batch = one_batch(decode(definition, [payload], encoding="ros1msg", type_name="a/B"))
    assert times([batch], "header_time") == [4_000_000_005]
    assert rows([batch]) == [
        {
            "t": {"sec": 1, "nanosec": 2},
            "d": {"sec": -1, "nanosec": 3},
            "a": -1,
            "b": 255,
            "c": b"\xff\0",
            "e": {"_empty": True},
            "f": b"uv",
            "header": {"seq": 9, "stamp": {"sec": 4, "nanosec": 5}, "frame_id": "m"},
        }
    ]


def test_big_endian_cdr() -> None:
    """Both byte orders of CDR may stand in one topic."""
    found = decode("int32 x\n", [CDR + struct.pack("<i", 5), b"\0\0\0\0" + struct.pack(">i", 5)])
    assert rows(found) == [{"x": 5}, {"x": 5}]


def test_header_time_is_null_where_the_stamp_is_zero() -> None:
    """0 stands for never stamped; nanoseconds above 1e9 are exact in the struct and in the time."""
    definition = f"std_msgs/Header header\n{HEADER2}"
    payloads = [
        CDR + struct.pack("<iII1s", *stamp, 1, b"\0") for stamp in ((0, 0), (1, 2_000_000_001))
    ]
    batch = one_batch(decode(definition, payloads))
    assert batch.rows.schema.names[:4] == ["log_time", "publish_time", "sequence", "header_time"]
    assert times([batch], "header_time") == [None, 3_000_000_001]
    assert rows([batch])[1]["header"]["stamp"] == {"sec": 1, "nanosec": 2_000_000_001}


def test_texts_that_are_not_utf8_are_replaced_and_counted() -> None:
    """A text of another encoding does not fail the topic."""
    payload = CDR + struct.pack("<I3s", 3, b"a\xff\0")
    found = decode("string s\n", [payload, CDR + struct.pack("<I2s", 2, b"b\0")])
    assert rows(found) == [{"s": "a\ufffd"}, {"s": "b"}]
    assert [(each.kind, each.count) for each in found[1:]] == [("replaced_characters", 1)]  # type: ignore[union-attr]  # notes


def test_fields_that_are_named_like_ours() -> None:
    """Our columns keep their names; the message's have an underscore more, and their name in the metadata."""
    batch = one_batch(
        decode("int32 sequence\nint32 log_time_\nint32 log_time\n", [CDR + bytes(12)])
    )
    assert batch.rows.schema.names == [
        *("log_time", "publish_time", "sequence", "sequence_", "log_time_", "log_time__"),
    ]
    assert batch.rows.schema.field("log_time__").metadata == {b"name": b"log_time"}


def test_only_the_fields_asked_for() -> None:
    """Nested fields are named with dots; the time of the header is there all the same."""
    definition = f"std_msgs/Header header\nIn in\n{HEADER2}{SEPARATOR}MSG: a/In\nint32 x\nint32 y\n"
    payload = CDR + struct.pack("<iII1sxxxii", 1, 2, 1, b"\0", 3, 4)
    topics = TopicFilter(fields={"/t": ["in.y"]})
    found = decode(definition, [payload], topics=topics)
    assert times(found, "header_time") == [1_000_000_002]
    assert rows(found) == [{"in": {"y": 4}}]


def test_a_field_that_is_not_there() -> None:
    """A wrong name in the options is a failure of the topic that names it."""
    for is_raw in (False, True):
        topics = TopicFilter(fields={"/t": ["y"]}, raw=is_raw)
        with pytest.raises(UndecodableError, match=r"UNKNOWN_FIELD.*'y'; it has x"):
            decode("int32 x\n", [CDR + bytes(4)], topics=topics)


def test_times_beyond_what_a_timestamp_holds() -> None:
    """Zero is a time; what does not fit is a failure of the topic, after the rows before it."""
    found = decode("int32 x\n", [CDR + bytes(4)] * 3, log_times=[0, 2**63 - 1, 2**63])
    assert (len(rows(found)), faults(found)) == (2, ["TIME_RANGE"])


def test_messages_of_many_batches() -> None:
    """Rows of several batches of the codec have the times of their messages."""
    payloads = [CDR + struct.pack("<I", 6 << 20) + bytes(6 << 20)] * 4
    batches = decode("uint8[] x\n", payloads, log_times=[5, 6, 7, 8])
    assert len(batches) > 1
    assert times(batches) == [5, 6, 7, 8]


def test_raw_bytes_where_a_definition_is_missing() -> None:
    """They are delivered if asked for, and are not decoded."""
    found = decode("other/Missing m\n", [b"abc"], topics=TopicFilter(raw=True))
    assert rows(found) == [{"data": b"abc"}]
    assert one_batch(found).metadata["raw"] == "true"


def test_definitions_that_logs_do_not_carry() -> None:
    """Definitions given by the user stand in for missing ones, nested or of the topic's own type."""
    known = {
        "other/msg/Missing": "int32 y\n",
        "a/msg/B": f"int32 x\nbuiltin_interfaces/Time t\n{TIME}",
    }
    topics = TopicFilter(ros_definitions=known)
    assert rows(decode("other/Missing m\n", [CDR + struct.pack("<i", 3)], topics=topics)) == [
        {"m": {"y": 3}}
    ]
    assert rows(decode("", [CDR + struct.pack("<iiI", 1, 2, 3)], topics=topics)) == [
        {"x": 1, "t": {"sec": 2, "nanosec": 3}}
    ]


@pytest.mark.parametrize("encoding", ["ros1msg", "ros2msg"])
def test_messages_longer_than_their_definition(encoding: str) -> None:
    """They are decoded, and counted if there are 8 bytes or more behind the last field."""
    head = CDR if encoding == "ros2msg" else b""
    good = head + struct.pack("<I2sxxi" if head else "<I2si", 2, b"a\0", 7)
    payloads = [good, good + bytes(7), good + bytes(8), good + bytes(100)]
    found = decode("string s\nint32 x\n", payloads, encoding=encoding, type_name="a/B")
    assert [row["x"] for row in rows(found)] == [7] * 4
    assert [(each.kind, each.count) for each in found[1:]] == [("longer_payloads", 2)]  # type: ignore[union-attr]  # notes


@pytest.mark.parametrize(
    ("encoding", "payload", "expected"),
    [
        ("ros1msg", b"", []),
        ("ros1msg", b"\0", ["MISSING_DEFINITION"]),
        ("ros2msg", CDR + b"\0", []),
        ("ros2msg", CDR + bytes(4), []),
        ("ros2msg", CDR + b"\7\0\0\0", ["MISSING_DEFINITION"]),
        ("ros2msg", CDR + bytes(5), ["MISSING_DEFINITION"]),
    ],
)
def test_a_message_type_without_fields(encoding: str, payload: bytes, expected: list[str]) -> None:
    """Its rows are times; where messages have content, their definition is missing."""
    found = decode("# nothing\n", [payload], encoding=encoding, type_name="std_msgs/Empty")
    assert faults(found) == expected
    assert rows(found) == ([] if expected else [{}])
    assert times(found) == ([] if expected else [0])


def test_fields_of_ros1() -> None:
    """Times have the names of their columns, and messages without fields can be asked for."""
    definition = f"Header header\nEmpty e\nint32 x\n{HEADER1}{SEPARATOR}MSG: a/Empty\n"
    payload = struct.pack("<IIII1si", 9, 4, 5, 1, b"m", 7)

    def of(*names: str) -> list[Any]:
        topics = TopicFilter(fields={"/t": names})
        return decode(definition, [payload], encoding="ros1msg", type_name="a/B", topics=topics)

    assert rows(of("x")) == [{"x": 7}]
    assert rows(of("e")) == [{"e": {"_empty": True}}]
    found = of("header.stamp.nanosec", "e")
    assert rows(found) == [{"header": {"stamp": {"nanosec": 5}}, "e": {"_empty": True}}]
    with pytest.raises(UndecodableError, match="UNKNOWN_FIELD"):
        of("header.stamp.nsec")
