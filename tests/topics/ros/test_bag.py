"""Bags of ROS 1 as tables, complete and damaged."""

import pathlib
import random
import struct
import sys

import pytest

from roboto_dagster.topics.ros import bag_records
from roboto_dagster.topics.ros.decoder import BagDecoder
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import Decoded, decode
from tests.topics.ros.bag_writer import BagWriter, connection, header, message, record, small_bag


def read(bag: BagWriter, tmp_path: pathlib.Path, topics: TopicFilter | None = None) -> Decoded:
    """Decode what a writer has collected."""
    return decode(BagDecoder(), bag.save(tmp_path / "log.bag"), topics)


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_chunks_of_every_compression(tmp_path: pathlib.Path, compression: str) -> None:
    """All messages of all chunks, in the order of the file."""
    decoded = read(small_bag(compression, chunks=3), tmp_path)
    assert decoded.column("/x", "x") == list(range(1, 10))
    assert (decoded.faults, decoded.notes) == ([], [])
    table = decoded.table("/x")
    assert [time.value for time in table["log_time"]] == list(range(1, 10))
    assert table["publish_time"].null_count == table["sequence"].null_count == 9


def test_each_connection_has_its_own_definition(tmp_path: pathlib.Path) -> None:
    """One type name with two texts makes two tables; rosbags decodes both by the last."""
    bag = BagWriter()
    connections = connection(0, "/x"), connection(1, "/x", definition="uint8 a\nuint8 b\nint16 c\n")
    bag.chunk(
        *connections, message(0, 7), message(1, 1 + (2 << 8) + (3 << 16)), counts={0: 1, 1: 1}
    )
    bag.finish(*connections)
    decoded = read(bag, tmp_path)
    first, second = decoded.batches
    assert first.rows["x"].to_pylist() == [7]
    assert [second.rows[name].to_pylist() for name in "abc"] == [[1], [2], [3]]
    assert first.schema_id != second.schema_id


def test_connections_of_one_definition_share_a_table(tmp_path: pathlib.Path) -> None:
    """Several publishers of a topic are one topic, in the order of the file."""
    bag = BagWriter()
    connections = connection(0, "/x"), connection(1, "/x")
    bag.chunk(*connections, *(message(each % 2, each) for each in range(4)), counts={0: 2, 1: 2})
    bag.finish(*connections)
    assert read(bag, tmp_path).column("/x", "x") == [0, 1, 2, 3]


def test_only_what_is_wanted(tmp_path: pathlib.Path) -> None:
    """Patterns choose topics, and counts are compared nevertheless."""
    bag = BagWriter()
    connections = connection(0, "/x"), connection(1, "/camera/image")
    bag.chunk(*connections, message(0, 1), message(1, 2), counts={0: 1, 1: 1})
    bag.finish(*connections)
    decoded = read(bag, tmp_path, TopicFilter(topics=["!/camera/**"]))
    assert (decoded.topics, decoded.faults) == ({"/x"}, [])


def test_fields_of_headers_in_any_order(tmp_path: pathlib.Path) -> None:
    """Recorders may write the fields of a message as they like, also differently each time."""

    def other(value: int) -> bytes:
        fields = {"time": bytes(8), "extra": b"=%c" % value, "op": b"\2", "conn": bytes(4)}
        return record(fields, struct.pack("<i", value))

    bag = BagWriter()
    messages = message(0, 1), other(2), other(3), message(0, 4), other(5)
    bag.chunk(connection(0, "/x"), *messages, counts={0: 5})
    bag.finish(connection(0, "/x"))
    decoded = read(bag, tmp_path)
    assert (decoded.column("/x", "x"), decoded.faults) == ([1, 2, 3, 4, 5], [])


def test_connections_that_stand_in_the_index_alone(tmp_path: pathlib.Path) -> None:
    """Some writers put them nowhere else."""
    bag = BagWriter()
    bag.chunk(message(0, 1), counts={0: 1})
    bag.finish(connection(0, "/x"))
    assert read(bag, tmp_path).column("/x", "x") == [1]


def test_a_bag_without_messages(tmp_path: pathlib.Path) -> None:
    """It has no tables, and nothing is wrong with it."""
    bag = BagWriter()
    bag.finish(connection(0, "/x"))
    decoded = read(bag, tmp_path)
    assert (decoded.batches, decoded.faults) == ([], [])


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"#ROSBAG V1.2\n", "UNSUPPORTED_VERSION"),
        (b"#ROSBAG V3.0\n", "UNSUPPORTED_VERSION"),
        (b"#ROS", "TRUNCATED"),
        (b"", "TRUNCATED"),
        (b"#ROSBAG V2.0\n", "TRUNCATED"),
        (b"\x89MCAP0\r\n and so on and on", "CORRUPT"),
    ],
)
def test_the_first_line(tmp_path: pathlib.Path, start: bytes, code: str) -> None:
    """Other versions are named, and so is what is no bag."""
    path = tmp_path / "log.bag"
    path.write_bytes(start)
    assert decode(BagDecoder(), path).codes == [(None, code)]


def test_an_encrypted_bag(tmp_path: pathlib.Path) -> None:
    """Its header names the plugin."""
    bag = BagWriter(header_fields={"encryptor": b"rosbag/AesCbcEncryptor"})
    bag.finish()
    decoded = read(bag, tmp_path)
    assert decoded.codes == [(None, "ENCRYPTED")]
    assert "AesCbc" in decoded.faults[0].reason


@pytest.mark.parametrize("name", ["log.bag", "log.bag.active"])
def test_a_bag_that_was_not_closed(tmp_path: pathlib.Path, name: str) -> None:
    """What was recorded is there; what to do is in the message."""
    bag = BagWriter()
    bag.chunk(connection(0, "/x"), message(0, 1), message(0, 2), counts={0: 2})
    path = bag.save(tmp_path / name)
    assert BagDecoder().claims(path, b"")
    decoded = decode(BagDecoder(), path)
    assert decoded.codes == [(None, "UNINDEXED")]
    assert decoded.column("/x", "x") == [1, 2]
    assert "rosbag reindex" in str(decoded.faults[0])


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_a_cut_anywhere(tmp_path: pathlib.Path, compression: str) -> None:
    """Wherever a bag is cut, it is named, and all messages before the cut are read."""
    bag = small_bag(compression)
    data = bytes(bag.data)
    ends = bag.chunks[1], len(data)
    for size in [*range(0, 40, 3), *range(4100, len(data), 3)]:
        path = tmp_path / "cut.bag"
        path.write_bytes(data[:size])
        decoded = decode(BagDecoder(), path)
        assert decoded.codes == [(None, "TRUNCATED")], size
        rows = decoded.column("/x", "x") if decoded.topics else []
        assert rows == [1, 2, 3, 4, 5, 6][: len(rows)]
        assert len(rows) >= 3 * sum(size >= end for end in ends)


@pytest.mark.parametrize(("compression", "rows"), [("none", 70), ("lz4", 60), ("bz2", 0)])
def test_a_cut_within_a_chunk(tmp_path: pathlib.Path, compression: str, rows: int) -> None:
    """Its first messages are there; bz2 compresses up to 900 kB at once."""
    bag = BagWriter()
    payloads = [random.Random(each).randbytes(4000) for each in range(100)]  # noqa: S311 - no secret
    messages = [message(0, each, data=payload) for each, payload in enumerate(payloads)]
    definition = "uint8[4000] x\n"
    start = bag.chunk(
        connection(0, "/x", definition=definition),
        *messages,
        counts={0: 100},
        compression=compression,
    )
    bag.finish(connection(0, "/x", definition=definition))
    del bag.data[start + 300_000 :]
    decoded = read(bag, tmp_path)
    assert decoded.codes == [(None, "TRUNCATED")]
    read_back = decoded.column("/x", "x") if decoded.topics else []
    assert read_back == payloads[: len(read_back)]
    assert len(read_back) >= rows


def test_a_bag_that_was_not_closed_and_is_cut(tmp_path: pathlib.Path) -> None:
    """As after a power loss: `rosbag reindex` does what can be done."""
    bag = BagWriter()
    bag.chunk(connection(0, "/x"), message(0, 1), message(0, 2), counts={})
    del bag.data[-3:]
    decoded = read(bag, tmp_path)
    assert decoded.codes == [(None, "UNINDEXED")]
    assert decoded.column("/x", "x") == [1]


@pytest.mark.parametrize("compression", ["bz2", "lz4"])
def test_a_damaged_chunk(tmp_path: pathlib.Path, compression: str) -> None:
    """It is named; the chunks before and after it are read."""
    bag = BagWriter()
    bag.chunk(connection(0, "/x"), message(0, 1), counts={0: 1}, compression=compression)
    start = bag.chunk(message(0, 2), counts={0: 1}, compression=compression)
    bag.chunk(message(0, 3), counts={0: 1}, compression=compression)
    bag.finish(connection(0, "/x"))
    bag.data[start + 8 : start + 30] = b"\xaa" * 22
    decoded = read(bag, tmp_path)
    assert decoded.codes == [(None, "CORRUPT")]
    assert decoded.column("/x", "x") == [1, 3]


@pytest.mark.parametrize("change", [-1, 1])
def test_a_chunk_of_another_size(tmp_path: pathlib.Path, change: int) -> None:
    """It does not decompress to what its header states: no bomb is unpacked either."""
    bag = small_bag("lz4", chunks=1)
    place = bag.data.index(b"size=") + 5
    (size,) = struct.unpack_from("<I", bag.data, place)
    struct.pack_into("<I", bag.data, place, size + change)
    assert read(bag, tmp_path).codes == [(None, "CORRUPT")]


def test_a_chunk_that_is_too_large(tmp_path: pathlib.Path) -> None:
    """Its stated size is not allocated."""
    bag = small_bag("lz4", chunks=1)
    struct.pack_into("<I", bag.data, bag.data.index(b"size=") + 5, 2**31)
    assert read(bag, tmp_path).codes == [(None, "TOO_LARGE")]


def test_large_chunks_without_compression(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their records are read one by one."""
    monkeypatch.setattr("roboto_dagster.topics.ros.bag._HELD_CHUNK_BYTES", 100)
    monkeypatch.setattr("roboto_dagster.topics.ros.bag.MAX_MESSAGE_BYTES", 40)
    decoded = read(small_bag(chunks=2), tmp_path)
    assert (decoded.column("/x", "x"), decoded.faults) == ([1, 2, 3, 4, 5, 6], [])
    bag = BagWriter()
    connections = connection(0, "/x"), connection(1, "/large"), connection(2, "/not_wanted")
    large = message(1, 1, data=bytes(41)), message(2, 1, data=bytes(41))
    bag.chunk(*connections, message(0, 1), *large, message(0, 2), counts={0: 2, 1: 1, 2: 1})
    bag.finish(*connections)
    decoded = read(bag, tmp_path, TopicFilter(topics=["!/not_wanted"]))
    assert (decoded.column("/x", "x"), decoded.codes) == ([1, 2], [("/large", "TOO_LARGE")])


def test_an_unknown_compression(tmp_path: pathlib.Path) -> None:
    """It is named."""
    bag = BagWriter()
    bag.chunk(connection(0, "/x"), message(0, 1), counts={0: 1}, stated_as="zstd")
    bag.finish(connection(0, "/x"))
    decoded = read(bag, tmp_path)
    assert decoded.codes == [(None, "UNSUPPORTED_COMPRESSION")]
    assert "zstd" in decoded.faults[0].reason


def test_messages_that_are_missing(tmp_path: pathlib.Path) -> None:
    """The index states how many there are."""
    bag = BagWriter()
    bag.chunk(connection(0, "/x"), message(0, 1), counts={0: 2})
    bag.finish(connection(0, "/x"))
    decoded = read(bag, tmp_path)
    assert decoded.codes == [(None, "COUNT_MISMATCH")]
    assert decoded.column("/x", "x") == [1]


def test_a_message_of_an_unknown_connection(tmp_path: pathlib.Path) -> None:
    """Nobody knows what it is."""
    bag = BagWriter()
    bag.chunk(connection(0, "/x"), message(0, 1), message(9, 2), counts={0: 1, 9: 1})
    bag.finish(connection(0, "/x"))
    assert read(bag, tmp_path).codes == [(None, "CORRUPT")]


def test_a_topic_without_definition_fails_alone(tmp_path: pathlib.Path) -> None:
    """Others have their rows; definitions may be given."""
    bag = BagWriter()
    connections = connection(0, "/x"), connection(1, "/y", "c/D", definition="")
    bag.chunk(*connections, message(1, 5), message(0, 1), counts={0: 1, 1: 1})
    bag.finish(*connections)
    decoded = read(bag, tmp_path)
    assert decoded.codes == [("/y", "MISSING_DEFINITION")]
    assert decoded.topics == {"/x"}
    given = read(bag, tmp_path, TopicFilter(ros_definitions={"c/D": "int32 z\n"}))
    assert (given.column("/y", "z"), given.faults) == ([5], [])
    raw = read(bag, tmp_path, TopicFilter(raw=True))
    assert raw.column("/y", "data") == [struct.pack("<i", 5)]


def test_a_message_that_is_too_short(tmp_path: pathlib.Path) -> None:
    """The topic fails, after the rows before."""
    bag = BagWriter()
    connections = connection(0, "/x"), connection(1, "/y")
    messages = message(0, 1), message(0, 2, data=b"\1"), message(1, 3), message(0, 4)
    bag.chunk(*connections, *messages, counts={0: 3, 1: 1})
    bag.finish(*connections)
    decoded = read(bag, tmp_path)
    assert decoded.codes == [("/x", "CORRUPT")]
    assert (decoded.column("/x", "x"), decoded.column("/y", "x")) == ([1], [3])


def test_flipped_bits_never_escape(tmp_path: pathlib.Path) -> None:
    """Whatever is damaged in a header, decoding ends with rows, a fault, or both."""
    data = small_bag("none", chunks=1).data
    for place in range(4109, len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x84
        path = tmp_path / "damaged.bag"
        path.write_bytes(damaged)
        decoded = decode(BagDecoder(), path)
        assert decoded.faults or len(decoded.column("/x", "x")) == 3 or not decoded.topics, place


def test_headers_are_learned_once() -> None:
    """The next header of the same layout is matched without reading its fields."""
    headers = bag_records.MessageHeaders()
    chunk = message(3, 7, time_ns=5_000_000_001)
    assert headers.match(chunk, 0) is None
    size = struct.unpack_from("<I", chunk)[0]
    headers.learn(bag_records.header_of(chunk[4 : 4 + size]))
    assert headers.match(b"??" + chunk, 2) == (3, 5_000_000_001, 2 + 4 + size + 4, 4)
    assert headers.match(record({"op": b"\7", "conn": bytes(4), "time": bytes(8)}), 0) is None
    assert header({}) == bytes(4)


def test_a_bag_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    """Its disk or its permissions are named."""
    assert decode(BagDecoder(), tmp_path / "missing.bag").codes == [(None, "LOG_IO")]


def test_without_the_extra(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log fails, and the message says how to install what is missing."""
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    decoded = decode(BagDecoder(), small_bag().save(tmp_path / "log.bag"))
    assert decoded.codes == [(None, "EXTRA_MISSING")]
    assert "pip install 'roboto-dagster[topics-ros]'" in decoded.faults[0].reason


def test_claims(tmp_path: pathlib.Path) -> None:
    """By its first bytes, or by its name."""
    assert BagDecoder().claims(tmp_path / "a", b"#ROSBAG V2.0\n")
    assert BagDecoder().claims(tmp_path / "a.BAG", b"")
    assert not BagDecoder().claims(tmp_path / "a.mcap", b"\x89MCAP0\r\n")
