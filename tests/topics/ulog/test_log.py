"""ULog files as tables: rows, types, times, and what is damaged."""

import contextlib
import datetime as dt
import io
import json
import math
import pathlib
import struct
import sys

import pyarrow as pa
import pytest

from roboto_dagster.topics.topic_filter import TopicFilter
from roboto_dagster.topics.ulog import parser, subscriptions
from roboto_dagster.topics.ulog.decoder import UlogDecoder
from tests.topics.decoded import Decoded, decode
from tests.topics.ulog.writer import SYNC, UlogWriter, gyro_log

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
YEAR_2024_US = 1_704_067_200_000_000
DEEP = [*(f"d{number}:d{number + 1} x;" for number in range(300)), "d300:uint8_t x;"]


def utc(microseconds: int) -> dt.datetime:
    """Return a time since 1970."""
    return EPOCH + dt.timedelta(microseconds=microseconds)


def read(log: UlogWriter, tmp_path: pathlib.Path, topics: TopicFilter | None = None) -> Decoded:
    """Decode what a writer has collected."""
    return decode(UlogDecoder(), log.save(tmp_path / "log.ulg"), topics)


def test_rows_in_the_order_of_the_log(tmp_path: pathlib.Path) -> None:
    """A topic has its rows, with times from boot, and no fault."""
    decoded = read(gyro_log(3), tmp_path)
    assert decoded.column("gyro", "x") == [0.0, 1.0, 2.0]
    assert decoded.column("gyro", "timestamp") == [1_000_000, 1_001_000, 1_002_000]
    assert decoded.column("gyro", "log_time") == [utc(1_000_000), utc(1_001_000), utc(1_002_000)]
    assert decoded.metadata("gyro")["time_base"] == "boot"
    assert (decoded.faults, decoded.notes) == ([], [])


def test_the_first_columns_are_times_and_sequence(tmp_path: pathlib.Path) -> None:
    """As in every other format; ULog has no time of publication and no sequence."""
    table = read(gyro_log(2), tmp_path).table("gyro")
    assert table.schema.names == ["log_time", "publish_time", "sequence", "timestamp", "x"]
    assert table.schema.field("log_time").type == pa.timestamp("ns", "UTC")
    assert table["publish_time"].null_count == table["sequence"].null_count == 2


def test_types(tmp_path: pathlib.Path) -> None:
    """Texts end at the first NUL, arrays are lists, bytes binary, nested messages structs."""
    log = UlogWriter()
    log.flags()
    log.format("part:uint16_t a;bool[2] b;uint8_t[3] _padding0;")
    log.format(
        "all:uint64_t timestamp;bool on;char[4] name;char c;float[2] xy;uint8_t[3] raw;"
        "part one;uint8_t _padding1;part[2] many;int64_t last;uint8_t[4] _padding2;"
    )
    log.subscribe(1, "all")
    parts = (7, 1, 0, b"pad"), (8, 0, 1, b"pad"), (9, 1, 1, b"pad")
    log.row(
        *(1, "QB4sb2f3sHBB3sBHBB3sHBB3sq", 5, 2, b"a\0b\0", -1, 0.5, 1.5, b"\0\1\2"),
        *(*parts[0], 255, *parts[1], *parts[2], -(2**63)),
    )
    row = read(log, tmp_path).table("all").select(range(3, 12)).to_pylist()[0]
    assert row == {
        "timestamp": 5,
        "on": True,
        "name": "a",
        "c": -1,
        "xy": [0.5, 1.5],
        "raw": b"\0\1\2",
        "one": {"a": 7, "b": [True, False]},
        "many": [{"a": 8, "b": [False, True]}, {"a": 9, "b": [True, True]}],
        "last": -(2**63),
    }


def test_rows_with_padding_at_their_end(tmp_path: pathlib.Path) -> None:
    """Writers may log it or leave it out."""
    log = UlogWriter()
    log.flags()
    log.format("a:uint64_t timestamp;uint8_t x;uint8_t[7] _padding0;")
    log.subscribe(1, "a")
    log.row(1, "QB", 1, 1)
    log.row(1, "QB7x", 2, 2)
    decoded = read(log, tmp_path)
    assert (decoded.column("a", "x"), decoded.faults) == ([1, 2], [])


def test_lengths_of_arrays_are_in_the_schema(tmp_path: pathlib.Path) -> None:
    """A list of fixed length keeps it as metadata of its field."""
    log = UlogWriter()
    log.flags()
    log.format("a:uint64_t timestamp;float[3] v;")
    log.subscribe(1, "a")
    log.row(1, "Q3f", 1, 1, 2, 3)
    assert read(log, tmp_path).table("a").schema.field("v").metadata == {b"length": b"3"}


def test_an_empty_nested_message(tmp_path: pathlib.Path) -> None:
    """Parquet has no struct without fields."""
    log = UlogWriter()
    log.flags()
    log.format("nothing:")
    log.format("a:uint64_t timestamp;nothing n;")
    log.subscribe(1, "a")
    log.row(1, "Q", 1)
    assert read(log, tmp_path).column("a", "n") == [{"_empty": None}]


def test_text_that_is_not_utf8(tmp_path: pathlib.Path) -> None:
    """Bytes that are not UTF-8 are replaced, and counted."""
    log = UlogWriter()
    log.flags()
    log.format("a:uint64_t timestamp;char[2] name;")
    log.subscribe(1, "a")
    log.row(1, "Q2s", 1, b"\xff!")
    log.text(2, b"\xfe")
    decoded = read(log, tmp_path)
    assert decoded.column("a", "name") == ["\ufffd!"]
    assert decoded.column("logged_messages", "message") == ["\ufffd"]
    replaced = "replaced_characters"
    assert decoded.note_counts == {("a", replaced): 1, ("logged_messages", replaced): 1}


def test_instances_are_topics_of_their_own(tmp_path: pathlib.Path) -> None:
    """The first is called as its message, the others have their number."""
    log = gyro_log(1)
    log.subscribe(2, "gyro", multi_id=1)
    log.row(2, "Qf", 5, 5)
    decoded = read(log, tmp_path)
    assert decoded.topics == {"gyro", "gyro/1"}
    assert decoded.column("gyro/1", "x") == [5.0]


def test_only_what_is_wanted(tmp_path: pathlib.Path) -> None:
    """Patterns choose topics, instances and events alike."""
    log = gyro_log(2)
    log.subscribe(2, "gyro", multi_id=1)
    log.row(2, "Qf", 5, 5)
    log.text(6, b"hello")
    assert read(log, tmp_path, TopicFilter(topics=["gyro/1"])).topics == {"gyro/1"}
    assert read(log, tmp_path, TopicFilter(topics=["!gyro"])).topics == {"logged_messages"}


def test_fields_that_are_called_like_our_columns(tmp_path: pathlib.Path) -> None:
    """They are renamed, and their name is in the metadata of the field."""
    log = UlogWriter()
    log.flags()
    log.format("m:uint64_t timestamp;uint32_t sequence;")
    log.subscribe(1, "m")
    log.row(1, "QI", 5, 7)
    decoded = read(log, tmp_path)
    assert decoded.column("m", "sequence_") == [7]
    assert decoded.table("m").schema.field("sequence_").metadata == {b"name": b"sequence"}


def test_some_fields(tmp_path: pathlib.Path) -> None:
    """Nested ones are named with dots, also below arrays; times are always there."""
    log = UlogWriter()
    log.flags()
    log.format("part:uint8_t a;uint8_t b;")
    log.format("m:uint64_t timestamp;float x;part p;part[2] ps;")
    log.subscribe(1, "m")
    log.row(1, "Qf6B", 5, 0.5, 1, 2, 3, 4, 5, 6)
    log.text(6, b"hello")
    fields = {"m": ["p.b", "ps.a", "x"], "logged_messages": ["message"]}
    decoded = read(log, tmp_path, TopicFilter(fields=fields))
    row = decoded.table("m").drop_columns(["publish_time", "sequence"]).to_pylist()[0]
    assert row == {"log_time": utc(5), "x": 0.5, "p": {"b": 2}, "ps": [{"a": 3}, {"a": 5}]}
    assert decoded.table("logged_messages").schema.names[3:] == ["message"]


@pytest.mark.parametrize("field", ["y", "x.y", "p.c", "timestamp.x"])
def test_unknown_fields(tmp_path: pathlib.Path, field: str) -> None:
    """The topic fails, and the message names the fields that there are."""
    log = UlogWriter()
    log.flags()
    log.format("part:uint8_t a;")
    log.format("m:uint64_t timestamp;float x;part p;")
    log.subscribe(1, "m")
    log.row(1, "QfB", 5, 0.5, 1)
    log.text(6, b"hello")
    decoded = read(
        log, tmp_path, TopicFilter(fields={"m": [field], "logged_messages": ["nothing"]})
    )
    assert decoded.codes == [("m", "UNKNOWN_FIELD"), ("logged_messages", "UNKNOWN_FIELD")]


def test_events_are_topics(tmp_path: pathlib.Path) -> None:
    """Logged texts, parameters and dropouts have tables."""
    log = UlogWriter(start_us=1)
    log.flags()
    log.parameter("int32_t", "A", 3)
    log.format("gyro:uint64_t timestamp;float x;")
    log.message("Q", b"\3" + b"\x07float B" + struct.pack("<f", 0.5))
    log.subscribe(1, "gyro")
    log.text(2, b"first")
    log.text(3, b"second", tag=7)
    log.row(1, "Qf", 4, 0)
    log.dropout(20)
    log.parameter("float", "B", 2.5)
    decoded = read(log, tmp_path)
    parameters = decoded.table("parameters").select(
        ["timestamp", "name", "value", "type", "origin"]
    )
    assert [tuple(row.values()) for row in parameters.to_pylist()] == [
        (1, "A", 3.0, "int32_t", "initial"),
        (1, "B", 0.5, "float", "system_default"),
        (1, "B", 0.5, "float", "setup_default"),
        (4, "B", 2.5, "float", "changed"),
    ]
    assert decoded.column("logged_messages", "message") == ["first", "second"]
    assert decoded.column("logged_messages", "tag") == [None, 7]
    assert decoded.column("logged_messages", "level") == ["INFO", "INFO"]
    assert decoded.column("dropouts", "duration") == [20]
    assert decoded.column("dropouts", "log_time") == [utc(4)]
    assert decoded.note_counts == {(None, "dropouts"): 1}


@pytest.mark.parametrize("is_first", [True, False])
def test_boot_time_of_the_log(tmp_path: pathlib.Path, *, is_first: bool) -> None:
    """An info message has the offset to UTC; it may come when a receiver knew the time."""
    log = UlogWriter()
    log.flags()
    boot_time = "uint64_t", "boot_time_utc_us", struct.pack("<Q", YEAR_2024_US)
    if is_first:
        log.information(*boot_time)
    log.format("gyro:uint64_t timestamp;float x;")
    log.subscribe(1, "gyro")
    log.row(1, "Qf", 7, 0)
    if not is_first:
        log.information(*boot_time)
    decoded = read(log, tmp_path)
    assert decoded.column("gyro", "log_time") == [utc(YEAR_2024_US + 7)]
    assert decoded.metadata("gyro")["time_base"] == "utc"


def test_time_of_the_first_gps_fix(tmp_path: pathlib.Path) -> None:
    """Rows before it have UTC too; a receiver without a fix, or without a time, has no say."""
    log = gyro_log(2)
    log.data[24:24] = b""
    gps = UlogWriter()
    gps.flags()
    gps.format("gyro:uint64_t timestamp;float x;")
    gps.format(
        "sensor_gps:uint64_t timestamp;uint64_t time_utc_usec;uint8_t fix_type;uint8_t _padding0;"
    )
    gps.subscribe(1, "gyro")
    gps.row(1, "Qf", 7, 0)
    gps.subscribe(2, "sensor_gps")
    gps.row(2, "QQB", 10, YEAR_2024_US, 2)
    gps.row(2, "QQB", 20, 0, 3)
    gps.row(2, "QQB", 30, YEAR_2024_US + 30, 3)
    gps.row(2, "QQB", 40, YEAR_2024_US + 99, 3)
    decoded = read(gps, tmp_path, TopicFilter(topics=["gyro"]))
    assert decoded.column("gyro", "log_time") == [utc(YEAR_2024_US + 7)]
    assert decoded.metadata("gyro")["time_base_source"] == "gps"


@pytest.mark.parametrize("boot_time", [0, YEAR_2024_US])
@pytest.mark.parametrize("start_us", [0, YEAR_2024_US])
def test_stamps_that_are_utc_already(tmp_path: pathlib.Path, start_us: int, boot_time: int) -> None:
    """A simulation counts from 1970: nothing is added, whatever its header says."""
    log = UlogWriter(start_us=start_us)
    log.flags()
    log.information("uint64_t", "boot_time_utc_us", struct.pack("<Q", boot_time))
    log.format("gyro:uint64_t timestamp;float x;")
    log.subscribe(1, "gyro")
    log.row(1, "Qf", YEAR_2024_US, 0)
    decoded = read(log, tmp_path)
    assert decoded.column("gyro", "log_time") == [utc(YEAR_2024_US)]
    assert decoded.metadata("gyro")["time_base"] == "utc"


def test_rows_that_were_never_stamped(tmp_path: pathlib.Path) -> None:
    """A timestamp of 0 is no time: null, and counted."""
    log = gyro_log(1)
    log.row(1, "Qf", 0, 9)
    decoded = read(log, tmp_path)
    assert decoded.column("gyro", "log_time") == [utc(1_000_000), None]
    assert decoded.column("gyro", "timestamp") == [1_000_000, 0]
    assert decoded.note_counts == {("gyro", "unstamped_rows"): 1}
    assert [note.text for note in decoded.notes] == ["1 row never stamped: log_time is null there"]


def test_a_time_beyond_64_bits_fails_its_topic(tmp_path: pathlib.Path) -> None:
    """Others have their rows."""
    log = gyro_log(1)
    log.format("acc:uint64_t timestamp;")  # in the data section it is too late for a format
    log = UlogWriter()
    log.flags()
    log.format("a:uint64_t timestamp;")
    log.format("b:uint64_t timestamp;")
    log.subscribe(1, "a")
    log.subscribe(2, "b")
    log.row(1, "Q", 2**64 - 1)
    log.row(2, "Q", 1)
    decoded = read(log, tmp_path)
    assert decoded.codes == [("a", "TIME_RANGE")]
    assert decoded.topics == {"b"}


@pytest.mark.parametrize(
    "fields", ["float x;", "uint32_t timestamp;float x;", "float[2] timestamp;"]
)
def test_a_topic_without_timestamp_fails_alone(tmp_path: pathlib.Path, fields: str) -> None:
    """Pyulog takes its rows for the end of the log."""
    log = UlogWriter()
    log.flags()
    log.format(f"untimed:{fields}")
    log.format("gyro:uint64_t timestamp;float x;")
    log.subscribe(1, "untimed")
    log.subscribe(2, "gyro")
    log.row(1, "8s" if "[2]" in fields or "uint32" in fields else "4s", b"")
    log.row(2, "Qf", 1, 1)
    decoded = read(log, tmp_path)
    assert decoded.codes == [("untimed", "NO_TIMESTAMP")]
    assert decoded.column("gyro", "x") == [1.0]


def test_an_id_that_is_subscribed_twice(tmp_path: pathlib.Path) -> None:
    """Pyulog drops the rows before the second subscription; here each has its own."""
    log = UlogWriter()
    log.flags()
    log.format("a:uint64_t timestamp;float x;")
    log.format("b:uint64_t timestamp;float y;")
    log.subscribe(1, "a")
    log.row(1, "Qf", 1, 1)
    log.subscribe(1, "b")
    log.row(1, "Qf", 2, 2)
    log.subscribe(1, "a")
    log.row(1, "Qf", 3, 3)
    decoded = read(log, tmp_path)
    assert decoded.column("a", "x") == [1.0, 3.0]
    assert decoded.column("b", "y") == [2.0]
    only_a = read(log, tmp_path, TopicFilter(topics=["a"]))
    assert only_a.column("a", "x") == [1.0, 3.0]
    assert (only_a.topics, only_a.faults) == ({"a"}, [])


@pytest.mark.parametrize("cut", [1, 2, 3, 8])
def test_a_log_cut_by_power_loss(tmp_path: pathlib.Path, cut: int) -> None:
    """The usual end of a flight: rows, and a note of the bytes of the last message."""
    log = gyro_log(3)
    last = log.row(1, "Qf", 9, 9)
    del log.data[last + cut :]
    decoded = read(log, tmp_path)
    assert decoded.column("gyro", "x") == [0.0, 1.0, 2.0]
    assert (decoded.faults, decoded.note_counts) == ([], {(None, "cut_bytes"): cut})


@pytest.mark.parametrize("size", [0, 5, 15, 40, 65, 70])
def test_a_log_cut_in_its_definitions(tmp_path: pathlib.Path, size: int) -> None:
    """Without definitions there are no rows: the log failed."""
    log = gyro_log(3)
    del log.data[size:]
    assert read(log, tmp_path).codes == [(None, "TRUNCATED")]


def test_zeros_within_a_log(tmp_path: pathlib.Path) -> None:
    """Pyulog goes on from a synchronization message; the rows around are kept, the log failed."""
    log = gyro_log(3)
    log.data += bytes(500)
    log.message("S", SYNC)
    log.row(1, "Qf", 9, 9)
    decoded = read(log, tmp_path)
    assert decoded.codes == [(None, "CORRUPT")]
    assert decoded.column("gyro", "x") == [0.0, 1.0, 2.0, 9.0]


@pytest.mark.parametrize(
    ("kind", "payload"), [("D", b"\1"), ("L", b"6"), ("C", b"6"), ("O", b"\1"), ("A", b"\0")]
)
def test_a_message_that_is_too_short(tmp_path: pathlib.Path, kind: str, payload: bytes) -> None:
    """Pyulog takes it for the end of the log, without an error."""
    log = gyro_log(1)
    log.message(kind, payload)
    log.row(1, "Qf", 9, 9)
    decoded = read(log, tmp_path)
    assert decoded.codes == [(None, "CORRUPT")]
    assert decoded.column("gyro", "x") == [0.0, 9.0]


@pytest.mark.parametrize(
    "formats",
    [
        ["a:uint64_t timestamp;a inner;"],
        ["a:uint64_t timestamp;b[60000] x;", "b:c[60000] y;", "c:uint8_t z;"],
        ["a:uint64_t timestamp;b[60000] x;", "b:c[60000] y;", "c:"],
        ["a:uint64_t timestamp;unknown x;"],
        ["a:uint64_t timestamp;d0 x;", *DEEP],
        ["a:uint64_t timestamp;d250 u;d200 v;d150 w;d100 x;d50 y;d0 z;", *DEEP],
    ],
    ids=["endless", "huge", "empty", "unknown", "deep", "deep-in-steps"],
)
def test_a_format_that_cannot_be_unfolded(tmp_path: pathlib.Path, formats: list[str]) -> None:
    """It neither takes all memory nor ends the program."""
    log = UlogWriter()
    log.flags()
    for text in formats:
        log.format(text)
    log.format("gyro:uint64_t timestamp;float x;")
    log.subscribe(1, "a")
    log.subscribe(2, "gyro")
    log.row(2, "Qf", 1, 1)
    decoded = read(log, tmp_path)
    assert decoded.codes == [(None, "CORRUPT")]
    assert decoded.column("gyro", "x") == [1.0]


def test_an_unknown_flag(tmp_path: pathlib.Path) -> None:
    """A later version of the format is not guessed at."""
    log = UlogWriter()
    log.flags(incompatible=2)
    assert read(log, tmp_path).codes == [(None, "UNSUPPORTED_VERSION")]


def test_what_is_no_ulog(tmp_path: pathlib.Path) -> None:
    """Only its name says that it is one."""
    log = gyro_log()
    log.data[0:4] = b"PDF "
    assert read(log, tmp_path).codes == [(None, "CORRUPT")]


def test_appended_data(tmp_path: pathlib.Path) -> None:
    """What a crash dump appends is read too, and the message cut in front of it counted."""
    log = gyro_log(2)
    del log.data[log.row(1, "Qf", 9, 9) + 5 :]
    appended = len(log.data)
    log.text(7, b"hardfault")
    struct.pack_into("<Q", log.data, 16 + 3 + 16, appended)
    log.data[16 + 3 + 8] = 1
    decoded = read(log, tmp_path)
    assert decoded.column("logged_messages", "message") == ["hardfault"]
    assert decoded.column("gyro", "x") == [0.0, 1.0]
    assert (decoded.faults, decoded.note_counts) == ([], {(None, "cut_bytes"): 5})


def test_an_offset_of_appended_data_that_leads_back(tmp_path: pathlib.Path) -> None:
    """Rows are not read twice."""
    log = gyro_log(5)
    struct.pack_into("<Q", log.data, 16 + 3 + 16, 20)
    log.data[16 + 3 + 8] = 1
    decoded = read(log, tmp_path)
    assert decoded.column("gyro", "x") == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert decoded.codes == [(None, "CORRUPT")]


def test_nothing_is_printed(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """What pyulog prints is in the log, and standard output the program's own."""
    log = gyro_log(1)
    log.row(77, "Qf", 9, 9)
    caplog.set_level("INFO")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert read(log, tmp_path).codes == [(None, "CORRUPT")]
    assert output.getvalue() == ""
    assert "no subscription found for message id 77" in caplog.text


def test_rows_are_handed_over_in_parts(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with the log: large buffers leave at a pause, small ones when all are too much."""
    monkeypatch.setattr(parser, "PART_BYTES", 70_000)
    monkeypatch.setattr(subscriptions, "HANDED_OVER_BYTES", 30_000)
    monkeypatch.setattr(subscriptions, "HELD_BYTES", 50_000)
    log = gyro_log(10_000)
    log.subscribe(2, "gyro", 1)
    for number in range(10_000):
        log.row(2, "Qf", number + 1, number)
        log.row(1, "Qf", number + 1, number)
        log.text(number + 1, b"x" * (number % 50))
    decoded = read(log, tmp_path)
    numbers = list(map(float, range(10_000)))
    assert decoded.column("gyro", "x") == [*numbers, *numbers]
    assert decoded.column("gyro/1", "x") == numbers
    assert len(decoded.column("logged_messages", "message")) == 10_000
    assert max(len(batch.rows) for batch in decoded.batches) < 70_000 / 12
    assert (decoded.faults, decoded.notes) == ([], [])


def test_without_the_extra(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log fails, and the message says how to install what is missing."""
    monkeypatch.setitem(sys.modules, "pyulog", None)
    decoded = decode(UlogDecoder(), gyro_log().save(tmp_path / "log.ulg"))
    assert decoded.codes == [(None, "EXTRA_MISSING")]
    assert "pip install 'roboto-dagster[topics-px4]'" in decoded.faults[0].reason


def test_claims(tmp_path: pathlib.Path) -> None:
    """By its first bytes, or by its name."""
    assert UlogDecoder().claims(tmp_path / "a.bin", bytes(gyro_log().data))
    assert UlogDecoder().claims(tmp_path / "a.ULG", b"")
    assert not UlogDecoder().claims(tmp_path / "a.bag", b"#ROSBAG V2.0\n")


def test_damage_that_looks_like_a_cut(tmp_path: pathlib.Path) -> None:
    """A size that leads beyond the end is no power loss if what follows is no such message."""
    for kind, payload in (("D", b"\1\0"), ("D", b"\7\0"), ("L", b"6" + bytes(80)), ("?", b"x")):
        log = gyro_log(3)
        log.data += struct.pack("<Hc", 5000, kind.encode()) + payload
        log.row(1, "Qf", 9, 9)
        assert read(log, tmp_path).codes == [(None, "CORRUPT")], kind


@pytest.mark.parametrize("size", [200, 100_000])
def test_zeros_from_the_definitions_to_the_end(tmp_path: pathlib.Path, size: int) -> None:
    """With such a log pyulog comes to no end, or goes byte by byte."""
    log = gyro_log(0)
    log.data[60:] = bytes(size)
    assert read(log, tmp_path).codes == [(None, "CORRUPT")]


def test_zeros_from_the_data_to_the_end(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be allocated before it is written: what was written is there, and the rest is left."""
    monkeypatch.setattr(parser, "PART_BYTES", 70_000)
    log = gyro_log(5_000)
    log.data += bytes(1_000_000)
    decoded = read(log, tmp_path)
    assert decoded.codes == [(None, "CORRUPT")]
    assert len(decoded.column("gyro", "x")) == 5_000


def test_a_log_without_data(tmp_path: pathlib.Path) -> None:
    """It was stopped after its definitions: parameters alone."""
    log = UlogWriter(start_us=1)
    log.flags()
    log.parameter("float", "A", 1)
    decoded = read(log, tmp_path)
    assert (decoded.topics, decoded.faults) == ({"parameters"}, [])


def test_a_size_in_the_definitions_that_leads_beyond_the_end(tmp_path: pathlib.Path) -> None:
    """With such a log pyulog goes back in front of its beginning."""
    log = gyro_log(3)
    struct.pack_into("<H", log.data, 16 + 3 + 40, 0xFFFF)
    assert read(log, tmp_path).codes == [(None, "TRUNCATED")]


def test_what_a_log_states_about_itself(tmp_path: pathlib.Path) -> None:
    """It is metadata of all tables, as JSON, so that the firmware and the vehicle of a table are known."""
    log = gyro_log()
    log.information("char[3]", "sys_name", b"PX4")
    log.information("uint32_t", "ver_sw_release", struct.pack("<I", 17))
    log.information("float", "scale", struct.pack("<f", math.nan))  # JSON has no such number
    log.information("char[900]", "long", b"x" * 900)
    log.parameter("int32_t", "A", 1)
    decoded = read(log, tmp_path)
    for topic in ("gyro", "parameters"):
        found = json.loads(decoded.metadata(topic)["information"])
        assert found == {"sys_name": "PX4", "ver_sw_release": 17, "long": "x" * 200}
    assert "information" not in read(gyro_log(), tmp_path).metadata("gyro")
