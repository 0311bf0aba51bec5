"""What is taken from rosbags' reader of ROS 1: its records, read by its functions."""

import io
import struct

import pytest
from rosbags.rosbag1 import Reader
from rosbags.rosbag1.reader import Header, ReaderError, RecordType


def test_kinds_of_records() -> None:
    """Their numbers are the format's."""
    expected = {"MSGDATA": 2, "BAGHEADER": 3, "CHUNK": 5, "CHUNK_INFO": 6, "CONNECTION": 7}
    assert {name: RecordType[name].value for name in expected} == expected


def test_fields_of_a_header() -> None:
    """A header reads its fields, and gives them by their types."""
    fields = b"".join(
        struct.pack("<I", len(each)) + each
        for each in (b"op=\2", b"n=" + bytes(4), b"p=" + bytes(8), b"t=\1\0\0\0\2\0\0\0", b"s=a=b")
    )
    header = Header.read(io.BytesIO(struct.pack("<I", len(fields)) + fields))
    assert (header.get_uint8("op"), header.get_uint32("n"), header.get_uint64("p")) == (2, 0, 0)
    assert (header.get_time("t"), header.get_string("s")) == (1_000_000_002, "a=b")
    assert list(header) == ["op", "n", "p", "t", "s"]


@pytest.mark.parametrize("data", [b"", b"\4\0\0\0op", b"\4\0\0\0\1\0\0\0", b"\5\0\0\0\1\0\0\0x"])
def test_a_damaged_header(data: bytes) -> None:
    """It is an error of its own kind."""
    with pytest.raises(ReaderError):
        Header.read(io.BytesIO(data))


def test_a_missing_field() -> None:
    """It is an error of the same kind."""
    with pytest.raises(ReaderError):
        Header().get_uint32("conn")


def test_why_its_reader_is_not_used() -> None:
    """It keeps a record of each message in memory: look at it again when this fails."""
    assert (
        "indexes" in vars(Reader.__new__(Reader)) or "indexes" in Reader.__init__.__code__.co_names
    )
