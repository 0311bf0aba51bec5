"""Tables of messages, whatever decodes them."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest

from roboto_dagster.topics import message_table
from roboto_dagster.topics.decoder import TopicBatch, TopicFault
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.message_table import MessageTable, schema_id
from roboto_dagster.topics.payloads import Columns, PayloadDecoder
from tests.topics.ros_data import faults, raw, times


class Lengths:
    """Decodes messages to their lengths; those that start with `!` fail as they say."""

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Yield the lengths of those before a failing one."""
        good = next((at for at, each in enumerate(payloads) if each[:1] == b"!"), len(payloads))
        values = pa.array([len(each) for each in payloads[:good]], pa.int32())
        yield Columns(rows=good, fields=[pa.field("length", pa.int32())], arrays=[values])
        if good < len(payloads):
            if payloads[good] == b"!memory":
                raise MemoryError
            if payloads[good] == b"!bug":
                raise ZeroDivisionError("a bug")
            raise UndecodableError("CORRUPT", "it says so")


def _table(payloads: PayloadDecoder | None = None, *, or_raw: bool = False) -> MessageTable:
    return MessageTable(
        topic="/t",
        type_name="T",
        message_encoding="m",
        schema_encoding="s",
        definition=b"d",
        payloads=payloads or Lengths(),
        metadata={"constants": "", "unit": "m"},
        or_raw=or_raw,
    )


def test_metadata_and_schema() -> None:
    """Texts that are empty are left out; the id is that of type, encodings and definition."""
    (batch,) = _table().batches(raw([b"a", b"bc"]))
    assert isinstance(batch, TopicBatch)
    assert batch.rows.schema.names == ["log_time", "publish_time", "sequence", "length"]
    assert set(batch.metadata) == {
        "type",
        "message_encoding",
        "schema_encoding",
        "schema_sha256",
        "time_base",
        "unit",
    }
    assert batch.schema_id == schema_id("m", "s", "T", b"d")
    others = [
        ("m", "s", "T", b""),
        ("m", "sT", "", b"d"),
        ("m", "s", "Td", b""),
        ("ms", "", "T", b"d"),
    ]
    assert len({batch.schema_id, *(schema_id(*each) for each in others)}) == 5


def test_the_number_of_the_message_that_fails() -> None:
    """It is that in the topic, not in the batch; nothing is decoded after it."""
    table = _table()
    found = [
        *table.batches(raw([b"a"] * 10)),
        *table.batches(raw([b"a", b"!"])),
        *table.batches(raw([b"a"])),
    ]
    assert [type(each) for each in found] == [TopicBatch, TopicBatch, TopicFault]
    assert "message 12: it says so" in str(found[-1])
    assert table.failed


def test_a_first_message_that_fails_leaves_no_batch() -> None:
    """An empty one would become an empty table."""
    assert [type(each) for each in _table().batches(raw([b"!"]))] == [TopicFault]


def test_a_bug_fails_the_topic_alone() -> None:
    """Other topics of the log go on; too little memory is a failure of all."""
    found = list(_table().batches(raw([b"a", b"!bug", b"a"])))
    assert faults(found) == ["DECODER_FAILED"]
    assert "ZeroDivisionError: a bug" in str(found[-1])
    with pytest.raises(MemoryError):
        list(_table().batches(raw([b"!memory"])))


@pytest.mark.parametrize("time", [2**63, 2**64 - 1])
def test_times_that_do_not_fit(time: int) -> None:
    """Neither log times nor publish times; the rows before are there."""
    for is_published in (False, True):
        messages = raw([b"a"] * 3, [1, 2, 3])
        if is_published:
            messages.publish_times[2] = time
        else:
            messages.log_times[2] = time
        found = list(_table().batches(messages))
        assert (times(found), faults(found)) == ([1, 2], ["TIME_RANGE"])


def test_a_message_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the largest size is read, one of a byte more is not."""
    monkeypatch.setattr(message_table, "MAX_MESSAGE_BYTES", 1000)
    found = list(_table().batches(raw([bytes(1000), bytes(1001)])))
    assert (times(found), faults(found)) == ([0], ["TOO_LARGE"])


def test_raw_bytes_take_no_damage_for_a_missing_definition() -> None:
    """Only what no definition could decode is delivered as it is."""
    assert faults(list(_table(or_raw=True).batches(raw([b"!"])))) == ["CORRUPT"]
