"""MCAP logs: what is read, and what is wrong with damaged ones."""

import pathlib
import struct
import zlib

import pyarrow as pa
import pytest
from mcap.writer import CompressionType, IndexType, Writer

from roboto_dagster.topics import message_table
from roboto_dagster.topics.mcap.decoder import McapDecoder
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import decode
from tests.topics.mcap.logs import CDR, INT, integer, integers, write

DECODER = McapDecoder()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """A place for a log."""
    return tmp_path / "log.mcap"


@pytest.mark.parametrize("compression", list(CompressionType))
def test_messages_in_the_order_of_the_file(
    path: pathlib.Path, compression: CompressionType
) -> None:
    """Each compression of the format is read; times and sequences stand in front."""
    found = decode(DECODER, integers(path, compression=compression))
    assert (found.codes, found.notes) == ([], [])
    assert found.column("/int", "x") == list(range(300))
    assert found.column("/int", "sequence") == list(range(300))
    table = found.table("/int")
    assert table["log_time"].cast(pa.int64()).to_pylist() == [
        1000 * (each + 1) for each in range(300)
    ]
    assert table["publish_time"].cast(pa.int64()).to_pylist()[0] == 999


def test_without_chunks_and_statistics(path: pathlib.Path) -> None:
    """Neither is needed."""
    found = decode(DECODER, integers(path, use_chunking=False, use_statistics=False))
    assert (found.codes, found.column("/int", "x")) == ([], list(range(300)))


def test_without_a_summary(path: pathlib.Path) -> None:
    """Neither index nor footer is needed to find messages; attachments and metadata are passed over."""
    with path.open("wb") as stream:
        writer = Writer(
            stream,
            index_types=IndexType.NONE,
            repeat_channels=False,
            repeat_schemas=False,
            use_statistics=False,
            use_summary_offsets=False,
        )
        writer.start()
        channel = writer.register_channel("/int", "cdr", writer.register_schema(*INT))
        for number in range(5):
            writer.add_message(channel, number, integer(number), number)
            writer.add_attachment(0, 0, "a", "text/plain", bytes(3_000_000))
            writer.add_metadata("m", {"k": "v"})
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    found = decode(DECODER, path)
    assert (found.codes, found.column("/int", "x")) == ([], list(range(5)))


def test_every_cut_is_named(path: pathlib.Path) -> None:
    """Wherever the file ends too early, the rows before are right, and the log is TRUNCATED."""
    data = integers(path, count=120).read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        found = decode(DECODER, path)
        assert found.codes == [(None, "TRUNCATED")], length
        rows = found.column("/int", "x") if found.batches else []
        assert rows == list(range(len(rows)))


@pytest.mark.parametrize("compression", list(CompressionType))
def test_a_flipped_bit_is_named_or_does_no_harm(
    path: pathlib.Path, compression: CompressionType
) -> None:
    """Chunks have a CRC, and numbers of messages are stated; what is left are indexes, which are not used."""
    data = integers(path, count=60, compression=compression).read_bytes()
    for position in range(0, len(data), 11):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x40]) + data[position + 1 :])
        found = decode(DECODER, path)
        rows = found.column("/int", "x") if found.batches else []
        assert rows == list(range(len(rows))), position
        assert found.codes or len(rows) == 60, position


def test_a_wrong_crc_of_the_data_section(path: pathlib.Path) -> None:
    """Where the recorder has written one, nothing of the file can change unnoticed."""
    with path.open("wb") as stream:
        writer = Writer(stream, enable_data_crcs=True)
        writer.start(library="recorder")
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    assert decode(DECODER, path).codes == []
    path.write_bytes(path.read_bytes().replace(b"recorder", b"recordeR"))
    found = decode(DECODER, path)
    assert found.codes == [(None, "CORRUPT")]
    assert "CRC of the data section" in found.faults[0].reason


def test_a_wrong_crc_of_a_chunk(path: pathlib.Path) -> None:
    """Rows of the chunks before are yielded; none of the damaged one."""
    data = bytearray(integers(path, compression=CompressionType.NONE).read_bytes())
    at = data.index(integer(200))
    data[at + 4] ^= 1
    path.write_bytes(data)
    found = decode(DECODER, path)
    assert found.codes == [(None, "CORRUPT")]
    assert "CRC of a chunk" in found.faults[0].reason
    rows = found.column("/int", "x")
    assert rows == list(range(len(rows)))
    assert 100 < len(rows) < 200


def test_zeros_after_a_power_loss(path: pathlib.Path) -> None:
    """A tail of zeros is damage, and is not read record by record."""
    data = integers(path).read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(10_000_000))
    assert decode(DECODER, path).codes == [(None, "CORRUPT")]


def test_an_empty_file_and_one_of_another_format(path: pathlib.Path) -> None:
    """A name may be all that says that it was an MCAP."""
    path.write_bytes(b"")
    assert DECODER.claims(path, b"")
    assert decode(DECODER, path).codes == [(None, "TRUNCATED")]
    path.write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    assert decode(DECODER, path).codes == [(None, "CORRUPT")]
    path.write_bytes(b"\x89MCAP1\r\n" + bytes(100))
    assert decode(DECODER, path).codes == [(None, "UNSUPPORTED_VERSION")]


def _record(opcode: int, body: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(body)) + body


def _chunk(compression: bytes, data: bytes, size: int, crc: int = 0) -> bytes:
    name = struct.pack("<I", len(compression)) + compression
    head = struct.pack("<QQQI", 0, 0, size, crc)
    return _record(6, head + name + struct.pack("<Q", len(data)) + data)


def _with_records(path: pathlib.Path, *records: bytes) -> pathlib.Path:
    """Write a log of these records after its header."""
    magic = b"\x89MCAP0\r\n"
    end = _record(0x0F, bytes(4)) + _record(2, bytes(20)) + magic
    path.write_bytes(magic + _record(1, bytes(8)) + b"".join(records) + end)
    return path


@pytest.mark.parametrize(
    ("code", "chunk"),
    [
        ("UNSUPPORTED_COMPRESSION", _chunk(b"brotli", b"abc", 3)),
        ("CORRUPT", _chunk(b"zstd", b"abc", 3)),
        ("CORRUPT", _chunk(b"lz4", b"abc", 3)),
        ("CORRUPT", _chunk(b"", b"abc", 4)),
        ("CORRUPT", _chunk(b"", b"abc", 3)),
        ("CORRUPT", _chunk(b"", _record(5, bytes(21)), 30)),
        ("CORRUPT", _chunk(b"", _record(5, bytes(22)), 31)),
        ("CORRUPT", _chunk(b"", struct.pack("<BQ", 5, 2**63), 9)),
        ("CORRUPT", _chunk(b"", b"abc", 3, crc=zlib.crc32(b"abd"))),
        ("TOO_LARGE", _chunk(b"zstd", b"abc", 2**40)),
        ("CORRUPT", _record(6, b"abc")),
        ("CORRUPT", _record(4, b"abc")),
        ("CORRUPT", _record(3, struct.pack("<HI", 1, 2**31) + b"abc")),
        ("TRUNCATED", struct.pack("<BQ", 9, 2**63)),
    ],
)
def test_records_that_cannot_be_right(path: pathlib.Path, code: str, chunk: bytes) -> None:
    """Nothing that a record states about itself is believed; unknown compression is not taken for none."""
    assert decode(DECODER, _with_records(path, chunk)).codes == [(None, code)]


def test_what_a_chunk_packs_is_not_larger_than_it_states(path: pathlib.Path) -> None:
    """A small chunk cannot fill the memory."""
    import lz4.frame  # type: ignore[import-untyped]  # it has no type hints
    import zstandard

    for name, compress in ((b"zstd", zstandard.compress), (b"lz4", lz4.frame.compress)):
        data = compress(bytes(50_000_000))
        found = decode(DECODER, _with_records(path, _chunk(name, data, 1000)))
        assert found.codes == [(None, "CORRUPT")]


def test_unknown_records_are_skipped(path: pathlib.Path) -> None:
    """Newer releases of the format may have more types."""
    assert decode(DECODER, _with_records(path, _record(0x7F, bytes(100)))).codes == []


def test_messages_beside_chunks(path: pathlib.Path) -> None:
    """Messages outside of chunks are read, and a number that is stated wrong is a failure."""
    data = integers(path, count=10, use_statistics=True).read_bytes()
    message = _record(5, struct.pack("<HIQQ", 1, 10, 99, 99) + integer(10))
    end = data.index(struct.pack("<BQ", 0x0F, 4))
    path.write_bytes(
        data[:end] + message + data[end:].replace(data[end + 9 : end + 13], bytes(4), 1)
    )
    found = decode(DECODER, path)
    assert found.codes == [(None, "COUNT_MISMATCH")]
    assert "states 10 messages and holds 11" in found.faults[0].reason
    assert found.column("/int", "x") == list(range(11))


def test_a_channel_declared_in_two_ways(path: pathlib.Path) -> None:
    """It would be unclear which messages are whose."""
    first = _record(4, struct.pack("<HHI1sII", 1, 0, 1, b"a", 0, 0))
    second = _record(4, struct.pack("<HHI1sII", 1, 0, 1, b"b", 0, 0))
    assert decode(DECODER, _with_records(path, first, first)).codes == []
    assert decode(DECODER, _with_records(path, first, second)).codes == [(None, "CORRUPT")]


def test_a_topic_that_fails_alone(path: pathlib.Path) -> None:
    """Other topics go on; of the failed one, the rows before the failure are yielded."""
    bad = [integer(1), CDR + b"\1", integer(2)]
    write(path, ("/bad", "cdr", INT, bad), ("/int", "cdr", INT, [integer(7)]))
    found = decode(DECODER, path)
    assert found.codes == [("/bad", "CORRUPT")]
    assert (found.column("/bad", "x"), found.column("/int", "x")) == ([1], [7])


@pytest.mark.parametrize("count", [1, 5000])
def test_a_topic_of_two_definitions_that_fails(path: pathlib.Path, count: int) -> None:
    """After its fault it has no rows of the other definition, wherever that is declared; other topics go on."""
    other = ("a/msg/Other", "ros2msg", b"int32 y\n")
    bad = ("/bad", "cdr", INT, [integer(1), *[CDR + b"\1"] * count])
    write(path, bad, ("/bad", "cdr", other, [integer(2)]), ("/int", "cdr", INT, [integer(7)]))
    found = decode(DECODER, path)
    assert found.codes == [("/bad", "CORRUPT")]
    assert (found.column("/bad", "x"), found.column("/int", "x")) == ([1], [7])


def test_a_topic_whose_definitions_are_all_missing(path: pathlib.Path) -> None:
    """It has one fault, however many channels it has."""
    bad = ("/t", "cdr", None, [integer(1)])
    write(path, bad, ("/t", "cdr", ("a/msg/A", "ros2msg", b""), [integer(2)]))
    assert decode(DECODER, path).codes == [("/t", "MISSING_DEFINITION")]


@pytest.mark.parametrize(
    ("code", "encoding", "schema"),
    [
        ("MISSING_DEFINITION", "cdr", None),
        ("MISSING_DEFINITION", "cdr", ("a/msg/A", "", b"")),
        ("MISSING_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"")),
        ("MISSING_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"# nothing\n")),
        ("MISSING_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"b/Missing m\n")),
        ("MISSING_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"builtin_interfaces/Time t\n")),
        ("MISSING_DEFINITION", "cdr", ("a/msg/A", "ros2idl", b"")),
        ("MISSING_DEFINITION", "ros1", ("a/A", "ros1msg", b"")),
        ("MISSING_DEFINITION", "protobuf", None),
        ("MISSING_DEFINITION", "protobuf", ("a.A", "protobuf", b"")),
        ("INVALID_DEFINITION", "protobuf", ("a.A", "protobuf", b"\xff\xff")),
        ("INVALID_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"int32\n")),
        ("INVALID_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"\xff\xfe")),
        ("INVALID_DEFINITION", "cdr", ("a/msg/A", "ros2msg", b"A a\n")),
        ("INVALID_DEFINITION", "json", ("A", "jsonschema", b"{")),
        ("UNSUPPORTED_TYPE", "cdr", ("a/msg/A", "ros2msg", b"wstring w\n")),
        ("UNSUPPORTED_ENCODING", "cbor", None),
        ("UNSUPPORTED_ENCODING", "flatbuffer", ("A", "flatbuffer", b"abc")),
        ("UNSUPPORTED_ENCODING", "cdr", ("A", "protobuf", b"abc")),
    ],
)
def test_definitions_that_do_not_do(
    path: pathlib.Path, code: str, encoding: str, schema: tuple[str, str, bytes] | None
) -> None:
    """Nothing is decoded against them; the messages are there as bytes if asked for."""
    payload = CDR + bytes(20)
    write(path, ("/t", encoding, schema, [payload]))
    found = decode(DECODER, path)
    assert (found.codes, found.batches) == ([("/t", code)], [])
    raw = decode(DECODER, path, TopicFilter(raw=True))
    assert (raw.codes, raw.column("/t", "data")) == ([], [payload])
    assert raw.metadata("/t")["raw"] == "true"


def test_a_topic_without_messages(path: pathlib.Path) -> None:
    """It has no table, and its definition is not looked at."""
    write(path, ("/t", "cdr", ("a/msg/A", "ros2msg", b"b/Missing m\n"), []))
    found = decode(DECODER, path)
    assert (found.codes, found.batches) == ([], [])


def test_tables_of_a_topic(path: pathlib.Path) -> None:
    """Two definitions are two tables; two channels of one definition share theirs, in the order of the file."""
    other = ("a/msg/Int", "ros2msg", b"int32 y\n")
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        schemas = [writer.register_schema(*each) for each in (INT, INT, other)]
        channels = [writer.register_channel("/t", "cdr", each) for each in schemas]
        for number in range(9):
            writer.add_message(channels[number % 3], number, integer(number), number)
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    found = decode(DECODER, path)
    tables = {each.schema_id: each.rows.column(3).to_pylist() for each in found.batches}
    assert (found.codes, list(tables.values())) == ([], [[0, 1, 3, 4, 6, 7], [2, 5, 8]])


def test_only_the_topics_asked_for(path: pathlib.Path) -> None:
    """Messages of others are counted, and not decoded: their damage is nobody's."""
    write(path, ("/bad", "cdr", INT, [b""]), ("/int", "cdr", INT, [integer(7)]))
    found = decode(DECODER, path, TopicFilter(topics=["!/bad"]))
    assert (found.codes, found.topics) == ([], {"/int"})


def test_definitions_given_by_the_user(path: pathlib.Path) -> None:
    """Logs of CDR without definitions are decoded by them, if their types are named."""
    write(path, ("/t", "cdr", ("a/msg/Int", "", b""), [integer(5)]))
    found = decode(DECODER, path, TopicFilter(ros_definitions={"a/msg/Int": "int32 x"}))
    assert (found.codes, found.column("/t", "x")) == ([], [5])


def test_a_message_that_is_too_large(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a failure of its topic, and is named."""
    monkeypatch.setattr(message_table, "MAX_MESSAGE_BYTES", 1000)
    large = CDR + struct.pack("<I", 1000) + bytes(1000)
    data = ("a/msg/Data", "ros2msg", b"uint8[] data\n")
    write(path, ("/large", "cdr", data, [large]), ("/int", "cdr", INT, [integer(7)]))
    found = decode(DECODER, path)
    assert (found.codes, found.column("/int", "x")) == ([("/large", "TOO_LARGE")], [7])


def test_a_file_that_cannot_be_opened(path: pathlib.Path) -> None:
    """It is a failure of the log, not a crash."""
    path.mkdir()
    assert decode(DECODER, path).codes == [(None, "LOG_IO")]


def test_a_missing_extra(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "mcap_codec", None)
    found = decode(DECODER, integers(path))
    assert found.codes == [(None, "EXTRA_MISSING")]
    assert "pip install 'roboto-dagster[topics]'" in str(found.faults[0])
