"""Bags of ROS 2 in SQLite as tables, complete and damaged."""

import pathlib
import sqlite3
import struct
import sys
from collections.abc import Iterable

import pytest
import zstandard
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import Stores, get_typestore

from roboto_dagster.topics.ros import db3
from roboto_dagster.topics.ros.decoder import CompressedBagDecoder, Db3Decoder
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import decode

DEFINITION = "int32 x\n"


def cdr(value: int) -> bytes:
    """Return a message of one int32."""
    return b"\0\1\0\0" + struct.pack("<i", value)


def write(
    path: pathlib.Path,
    messages: Iterable[tuple[int, int, object]],
    *,
    topics: Iterable[tuple[int, str, str, str]] = ((1, "/x", "a/msg/B", "cdr"),),
    definitions: Iterable[tuple[str, str, str]] | None = (("a/msg/B", "ros2msg", DEFINITION),),
) -> pathlib.Path:
    """Write a database as rosbag2 does; without definitions as before Iron."""
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)"
        )
        database.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)"
        )
        database.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
        database.executemany("INSERT INTO topics VALUES (?, ?, ?, ?)", topics)
        rows = ((number, *message) for number, message in enumerate(messages))
        database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
        if definitions is not None:
            database.execute(
                "CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT,"
                " encoding TEXT, encoded_message_definition TEXT)"
            )
            database.executemany(
                "INSERT INTO message_definitions VALUES (NULL, ?, ?, ?)", definitions
            )
    database.close()
    return path


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("compression", ["NONE", "MESSAGE"])
def test_what_rosbags_writes(tmp_path: pathlib.Path, version: int, compression: str) -> None:
    """A file opened alone has its rows, also if each message is compressed."""
    store = get_typestore(Stores.ROS2_JAZZY)
    kind = "std_msgs/msg/String"
    writer = Writer(tmp_path / "bag", version=version)  # type: ignore[arg-type]  # 8 or 9
    if compression != "NONE":
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/s", kind, typestore=store)
        for number in range(3):
            text = store.types[kind](data=str(number))
            writer.write(connection, number, store.serialize_cdr(text, kind))
    decoded = decode(Db3Decoder(), tmp_path / "bag" / "bag.db3")
    assert (decoded.column("/s", "data"), decoded.faults) == (["0", "1", "2"], [])
    assert [time.value for time in decoded.table("/s")["log_time"]] == [0, 1, 2]


def test_rows_in_the_order_of_the_file(tmp_path: pathlib.Path) -> None:
    """Rosbags sorts them by time."""
    messages = [(1, 30, cdr(1)), (1, 10, cdr(2)), (1, 20, cdr(3))]
    decoded = decode(Db3Decoder(), write(tmp_path / "a.db3", messages))
    assert decoded.column("/x", "x") == [1, 2, 3]
    assert [time.value for time in decoded.table("/x")["log_time"]] == [30, 10, 20]


def test_only_what_is_wanted(tmp_path: pathlib.Path) -> None:
    """Others are not read."""
    topics = (1, "/x", "a/msg/B", "cdr"), (2, "/y", "a/msg/B", "cdr")
    path = write(tmp_path / "a.db3", [(1, 1, cdr(1)), (2, 2, cdr(2))], topics=topics)
    decoded = decode(Db3Decoder(), path, TopicFilter(topics=["/y"]))
    assert (decoded.topics, decoded.column("/y", "x"), decoded.faults) == ({"/y"}, [2], [])
    assert decode(Db3Decoder(), path, TopicFilter(topics=["/z"])).batches == []


@pytest.mark.parametrize(
    "definitions", [None, [], [("a/msg/B", "unknown", "")], [("a/msg/B", "", "")]]
)
def test_without_definitions(
    tmp_path: pathlib.Path, definitions: list[tuple[str, str, str]] | None
) -> None:
    """Recorded before Iron, or the recorder did not find them: they may be given."""
    path = write(tmp_path / "a.db3", [(1, 1, cdr(7)), (1, 2, cdr(0))], definitions=definitions)
    assert decode(Db3Decoder(), path).codes == [("/x", "MISSING_DEFINITION")]
    given = decode(Db3Decoder(), path, TopicFilter(ros_definitions={"a/msg/B": DEFINITION}))
    assert (given.column("/x", "x"), given.faults) == ([7, 0], [])
    raw = decode(Db3Decoder(), path, TopicFilter(raw=True))
    assert (raw.column("/x", "data"), raw.faults) == ([cdr(7), cdr(0)], [])


@pytest.mark.parametrize(
    ("name", "definitions"),
    [("std_msgs/msg/Empty", None), ("a/msg/E", [("a/msg/E", "ros2msg", "")])],
)
def test_messages_without_fields(
    tmp_path: pathlib.Path, name: str, definitions: list[tuple[str, str, str]] | None
) -> None:
    """Their definition is an empty text, or known: a row has times alone."""
    topics = [(1, "/e", name, "cdr")]
    rows = [(1, 1, b"\0\1\0\0\0")]
    path = write(tmp_path / "a.db3", rows, topics=topics, definitions=definitions)
    decoded = decode(Db3Decoder(), path)
    assert (decoded.table("/e").num_rows, decoded.faults) == (1, [])


def test_a_definition_without_the_fields_of_its_messages(tmp_path: pathlib.Path) -> None:
    """It is empty and the messages are not."""
    path = write(tmp_path / "a.db3", [(1, 1, cdr(7))], definitions=[("a/msg/B", "ros2msg", "")])
    assert decode(Db3Decoder(), path).codes == [("/x", "MISSING_DEFINITION")]


def test_idl_definitions(tmp_path: pathlib.Path) -> None:
    """Packages that define their messages in IDL."""
    text = "module a { module msg { struct B { long x; }; }; };"
    idl = f"{'=' * 80}\nIDL: a/msg/B\n{text}\n"
    path = write(tmp_path / "a.db3", [(1, 1, cdr(7))], definitions=[("a/msg/B", "ros2idl", idl)])
    decoded = decode(Db3Decoder(), path)
    assert (decoded.faults, decoded.column("/x", "x")) == ([], [7])


def test_an_idl_definition_nested_too_deeply(tmp_path: pathlib.Path) -> None:
    """It is a failure of its topic alone, whose messages are delivered as they are where that was asked for."""
    definition = "module a {" * 3000 + "struct Deep { long x; };"
    path = write(
        tmp_path / "a.db3",
        [(1, 1, cdr(1)), (2, 2, cdr(2))],
        topics=[(1, "/deep", "a/msg/Deep", "cdr"), (2, "/x", "a/msg/B", "cdr")],
        definitions=[("a/msg/Deep", "ros2idl", definition), ("a/msg/B", "ros2msg", DEFINITION)],
    )
    decoded = decode(Db3Decoder(), path)
    assert decoded.codes == [("/deep", "INVALID_DEFINITION")]
    assert decoded.column("/x", "x") == [2]
    raw = decode(Db3Decoder(), path, TopicFilter(raw=True))
    assert (raw.codes, raw.column("/deep", "data"), raw.column("/x", "x")) == ([], [cdr(1)], [2])


def test_another_serialization(tmp_path: pathlib.Path) -> None:
    """It is the topic's failure, or delivered as it is."""
    topics = (1, "/x", "a/msg/B", "cdr"), (2, "/p", "a/msg/B", "protobuf")
    path = write(tmp_path / "a.db3", [(1, 1, cdr(1)), (2, 2, b"\x08\x01")], topics=topics)
    decoded = decode(Db3Decoder(), path)
    assert decoded.codes == [("/p", "UNSUPPORTED_ENCODING")]
    assert decoded.column("/x", "x") == [1]
    raw = decode(Db3Decoder(), path, TopicFilter(raw=True))
    assert (raw.column("/p", "data"), raw.column("/x", "x")) == ([b"\x08\x01"], [1])


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_rows_beside_the_database(tmp_path: pathlib.Path, suffix: str) -> None:
    """The recorder did not close it: its own rows are complete, unless it was in the middle of a change."""
    path = write(tmp_path / "a.db3", [(1, 1, cdr(1))])
    beside = path.with_name(f"a.db3{suffix}")
    beside.write_bytes(b"")
    assert decode(Db3Decoder(), path).faults == []
    beside.write_bytes(b"rows")
    decoded = decode(Db3Decoder(), path)
    assert decoded.codes == [(None, "UNFINISHED")]
    assert decoded.topics == ({"/x"} if suffix == "-wal" else set())
    assert f"a.db3{suffix}" in decoded.faults[0].reason


def test_a_write_ahead_log_that_sqlite_wrote(tmp_path: pathlib.Path) -> None:
    """As of a recorder that lost its power: nothing beside the database is touched."""
    path = write(tmp_path / "a.db3", [(1, 1, cdr(1))])
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("INSERT INTO messages VALUES (9, 1, 2, ?)", [cdr(2)])
        database.commit()
        (tmp_path / "copy").mkdir()
        for each in tmp_path.glob("a.db3*"):
            (tmp_path / "copy" / each.name).write_bytes(each.read_bytes())
    database.close()
    (tmp_path / "copy" / "a.db3-shm").unlink()
    decoded = decode(Db3Decoder(), tmp_path / "copy" / "a.db3")
    assert decoded.codes == [(None, "UNFINISHED")]
    assert {each.name for each in (tmp_path / "copy").iterdir()} == {"a.db3", "a.db3-wal"}


def test_a_cut_at_every_page(tmp_path: pathlib.Path) -> None:
    """Wherever it is cut, it is named; SQLite would give zeros for what is missing, so no row is."""
    path = write(tmp_path / "a.db3", [(1, each, cdr(each)) for each in range(2000)])
    data = path.read_bytes()
    cut = tmp_path / "cut.db3"
    for size in [0, 1, 16, 50, 99, 100, 1000, *range(4096, len(data), 4096), len(data) - 1]:
        cut.write_bytes(data[:size])
        decoded = decode(Db3Decoder(), cut)
        assert (decoded.codes, decoded.batches) == ([(None, "TRUNCATED")], []), size


@pytest.mark.parametrize("content", [b"#ROSBAG V2.0\n" * 20, b"SQLite format 3\0" + bytes(5000)])
def test_what_is_no_database(tmp_path: pathlib.Path, content: bytes) -> None:
    """Only its name says that it is one."""
    path = tmp_path / "a.db3"
    path.write_bytes(content)
    assert decode(Db3Decoder(), path).codes == [(None, "CORRUPT")]


@pytest.mark.parametrize("text", [b"DEFINITION", b"/topic", b"a/msg/Type"])
def test_text_that_is_not_utf8(tmp_path: pathlib.Path, text: bytes) -> None:
    """A damaged name or definition is named."""
    path = write(
        tmp_path / "a.db3",
        [(1, 1, cdr(1))],
        topics=[(1, "/topic", "a/msg/Type", "cdr")],
        definitions=[("a/msg/Type", "ros2msg", "# DEFINITION\nint32 x\n")],
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(text, b"\xff" * len(text)))
    assert decode(Db3Decoder(), path).codes == [(None, "CORRUPT")]


def test_tables_without_a_column(tmp_path: pathlib.Path) -> None:
    """They are named as no bag's."""
    with sqlite3.connect(tmp_path / "a.db3") as database:
        database.execute("CREATE TABLE topics(id INTEGER, name TEXT)")
        database.execute("CREATE TABLE messages(id INTEGER)")
        database.execute("INSERT INTO topics VALUES (1, '/x')")
    database.close()
    assert decode(Db3Decoder(), tmp_path / "a.db3").codes == [(None, "CORRUPT")]


def test_another_database(tmp_path: pathlib.Path) -> None:
    """It has other tables."""
    with sqlite3.connect(tmp_path / "a.db3") as database:
        database.execute("CREATE TABLE cats(name TEXT)")
    database.close()
    decoded = decode(Db3Decoder(), tmp_path / "a.db3")
    assert decoded.codes == [(None, "CORRUPT")]
    assert "no bag" in decoded.faults[0].reason


@pytest.mark.parametrize(
    "row",
    [
        *[(7, 1, cdr(1)), (1, "noon", cdr(1)), (1, 1, "text"), (1, None, b""), (1, 1, None)],
        (1, 1, "x" * 2_000_000),
    ],
)
def test_rows_that_are_no_messages(tmp_path: pathlib.Path, row: tuple[int, int, object]) -> None:
    """SQLite keeps whatever it is given."""
    path = write(tmp_path / "a.db3", [(1, 1, cdr(5)), row])
    decoded = decode(Db3Decoder(), path)
    assert decoded.codes == [(None, "CORRUPT")]
    assert decoded.column("/x", "x") == [5]


def test_large_messages_stay_in_their_order(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read by themselves, so that SQLite does not keep them as well."""
    monkeypatch.setattr(db3, "_HELD_BYTES", 20)
    rows = [(1, number, cdr(number) + bytes(number % 3 * 30)) for number in range(9)]
    decoded = decode(Db3Decoder(), write(tmp_path / "a.db3", rows))
    assert (decoded.column("/x", "x"), decoded.codes) == (list(range(9)), [])


@pytest.mark.parametrize("pack", [bytes, zstandard.compress], ids=["plain", "compressed"])
def test_a_message_that_is_too_large(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, pack: type[bytes]
) -> None:
    """Its topic fails, after the rows before it; it is not loaded."""
    monkeypatch.setattr(db3, "MAX_MESSAGE_BYTES", 1000)
    topics = (1, "/x", "a/msg/B", "cdr"), (2, "/y", "a/msg/B", "cdr")
    rows = [(1, 1, cdr(1)), (1, 2, pack(cdr(2) + bytes(5000))), (1, 3, cdr(3)), (2, 4, cdr(4))]
    decoded = decode(Db3Decoder(), write(tmp_path / "a.db3", rows, topics=topics))
    assert decoded.codes == [("/x", "TOO_LARGE")]
    assert (decoded.column("/x", "x"), decoded.column("/y", "x")) == ([1], [4])


def test_a_compressed_message_that_is_damaged(tmp_path: pathlib.Path) -> None:
    """Its topic fails."""
    packed = bytearray(zstandard.compress(cdr(2) * 100))
    packed[6:] = bytes(len(packed) - 6)
    path = write(tmp_path / "a.db3", [(1, 1, cdr(1)), (1, 2, bytes(packed))])
    decoded = decode(Db3Decoder(), path)
    assert decoded.codes == [("/x", "CORRUPT")]
    assert decoded.column("/x", "x") == [1]


@pytest.mark.parametrize("name", ["a.db3.zstd", "a.mcap.zstd", "A.DB3.ZST"])
def test_bags_compressed_as_a_file(tmp_path: pathlib.Path, name: str) -> None:
    """They are named as what they are."""
    path = tmp_path / name
    path.write_bytes(zstandard.compress(b"x"))
    assert CompressedBagDecoder().claims(path, b"")
    assert not Db3Decoder().claims(path, b"")
    assert decode(CompressedBagDecoder(), path).codes == [(None, "UNSUPPORTED_COMPRESSION")]


def test_without_the_extra(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log fails, and the message says how to install what is missing."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    decoded = decode(Db3Decoder(), write(tmp_path / "a.db3", [(1, 1, cdr(1))]))
    assert decoded.codes == [(None, "EXTRA_MISSING")]
    assert "pip install 'roboto-dagster[topics-ros]'" in decoded.faults[0].reason


def test_claims(tmp_path: pathlib.Path) -> None:
    """By its name: other programs keep databases, too."""
    assert Db3Decoder().claims(tmp_path / "a.db3", b"SQLite format 3\0")
    assert not Db3Decoder().claims(tmp_path / "a.sqlite", b"SQLite format 3\0")
    assert not CompressedBagDecoder().claims(tmp_path / "a.csv.zst", b"")
