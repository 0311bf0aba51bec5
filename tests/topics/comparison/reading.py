"""What a decoder yields, put together by topic, and comparison with what a format's own reader returns."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from roboto_dagster.topics.decoder import Found, LogDecoder, TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.decoders import decoder_for
from roboto_dagster.topics.topic_filter import TopicFilter


class CanonicalTime(dict[str, int]):
    """A time of a reader that carries nanoseconds of a second and more over to the seconds; ours keeps them exactly."""

    def is_of(self, other: Any) -> bool:
        """Return whether it is the time of another mapping."""
        return isinstance(other, Mapping) and _nanoseconds(self) == _nanoseconds(other)


class SameBits(dict[str, int]):
    """A time of rosbags, which takes the bits of times of ROS 1 for those of ROS 2."""

    def is_of(self, other: Any) -> bool:
        """Return whether another mapping has the same bits."""
        return isinstance(other, Mapping) and {
            name: value % 2**32 for name, value in other.items()
        } == {name: value % 2**32 for name, value in self.items()}


def _nanoseconds(time: Mapping[str, int]) -> int:
    return time["sec"] * 1_000_000_000 + time["nanosec"]


OWN_COLUMNS = ("log_time", "publish_time", "sequence")
_TIME = pa.timestamp("ns", "UTC")


class Row(NamedTuple):
    """One message.

    Attributes:
        log_time: In nanoseconds since 1970, or None.
        publish_time: The same.
        sequence: Or None.
        fields: The message, nested ones as mappings.
    """

    log_time: int | None
    publish_time: int | None
    sequence: int | None
    fields: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Decoded:
    """What a log holds.

    Attributes:
        tables: By topic, in the order in which they appeared; one a schema.
        faults: What went wrong.
        notes: What is worth knowing.
    """

    tables: Mapping[str, Sequence[pa.Table]]
    faults: Sequence[TopicFault]
    notes: Sequence[TopicNote]

    def rows(self, topic: str) -> list[Row]:
        """Return the rows of a topic of one table."""
        (table,) = self.tables[topic]
        return rows_of(table)

    def codes(self) -> set[tuple[str | None, str]]:
        """Return topic and code of each fault."""
        return {(fault.topic, fault.code) for fault in self.faults}


def decoder_of(path: pathlib.Path) -> LogDecoder:
    """Return the decoder that claims a log."""
    found = decoder_for(path)
    assert found is not None, f"no decoder claims {path.name}"
    assert not isinstance(found, TopicFault), str(found)
    return found


def decode(path: pathlib.Path, **options: Any) -> Decoded:
    """Decode a log.

    Args:
        path: The log.
        options: Of `TopicFilter`.
    """
    return together(decoder_of(path).batches(path, TopicFilter(**options)))


def together(yielded: Iterable[Found]) -> Decoded:
    """Put batches together, and check what is to hold of each."""
    batches: dict[tuple[str, str], list[pa.RecordBatch]] = {}
    facts: dict[tuple[str, str], Any] = {}
    faults: list[TopicFault] = []
    notes: list[TopicNote] = []
    for each in yielded:
        if isinstance(each, TopicFault):
            assert all(fault.topic for fault in faults), f"{each} behind the fault of the log"
            faults.append(each)
        elif isinstance(each, TopicNote):
            notes.append(each)
        else:
            _check_batch(each, faults)
            table = (each.topic, each.schema_id)
            batches.setdefault(table, []).append(each.rows)
            assert facts.setdefault(table, (each.type_name, each.metadata)) == (
                each.type_name,
                each.metadata,
            )
    tables: dict[str, list[pa.Table]] = {}
    for (topic, _), parts in batches.items():
        tables.setdefault(topic, []).append(pa.Table.from_batches(parts))
    return Decoded(tables, faults, notes)


def _check_batch(batch: TopicBatch, faults: Sequence[TopicFault]) -> None:
    failed = {fault.topic for fault in faults}
    assert None not in failed
    assert batch.topic not in failed, f"rows of {batch.topic} behind its fault"
    schema = batch.rows.schema
    assert tuple(schema.names[:3]) == OWN_COLUMNS
    assert [field.type for field in schema][:3] == [_TIME, _TIME, pa.uint32()]
    assert len(set(schema.names)) == len(schema.names)
    assert batch.rows.num_rows > 0
    batch.rows.validate(full=True)


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of a table, without the derived column `header_time`."""
    columns = {name: _values(table.column(name)) for name in table.column_names}
    own = [columns.pop(name) for name in OWN_COLUMNS]
    columns.pop("header_time", None)
    names = list(columns)
    messages = (
        [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if names
        else [{}] * table.num_rows
    )
    return [Row(*row) for row in zip(*own, messages, strict=True)]


def _values(column: Any) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return list(column.cast(pa.int64()).to_pylist())
    return list(column.to_pylist(maps_as_pydicts="strict"))


def differences(ours: Sequence[Row], theirs: Sequence[Row]) -> list[str]:
    """Return in which rows and fields two readers differ; the first ten.

    Args:
        ours: What was decoded.
        theirs: What a format's own reader returns.
    """
    if len(ours) != len(theirs):
        return [f"{len(ours)} rows instead of {len(theirs)}"]
    found: list[str] = []
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if our[:3] != their[:3]:
            found.append(f"row {number}: times {our[:3]} instead of {their[:3]}")
        found.extend(f"row {number}{text}" for text in _unlike(our.fields, their.fields))
        if len(found) > 10:
            break
    return found[:10]


def _unlike(ours: Any, theirs: Any) -> list[str]:
    """Return where two values differ: paths and both values."""
    if isinstance(theirs, (CanonicalTime, SameBits)) and theirs.is_of(ours):
        return []
    if isinstance(theirs, Mapping):
        return _unlike_mappings(ours, theirs)
    if isinstance(theirs, (list, tuple)):
        return _unlike_lists(ours, theirs)
    if isinstance(theirs, float) and isinstance(ours, float):
        same = ours == theirs or (math.isnan(ours) and math.isnan(theirs))
        return [] if same else [f": {ours!r:.100} instead of {theirs!r:.100}"]
    same = type(ours) is type(theirs) and ours == theirs
    # byte and char are bytes; some readers take them for signed integers.
    same |= type(ours) is type(theirs) is int and -128 <= theirs < 0 and ours == theirs + 256
    if same:
        return []
    return [f": {ours!r:.100} instead of {theirs!r:.100}"]


def _unlike_mappings(ours: Any, theirs: Mapping[str, Any]) -> list[str]:
    if theirs == {} and ours in ({}, {"_empty": None}, {"_empty": True}, {"_empty": False}):
        return []  # Parquet has no struct without fields
    if not isinstance(ours, Mapping) or ours.keys() != theirs.keys():
        theirs_not_ours = (
            list(theirs) if not isinstance(ours, Mapping) else theirs.keys() ^ ours.keys()
        )
        return [f": {ours!r:.100}: {theirs_not_ours!s:.100}"]
    return [f".{name}{text}" for name in theirs for text in _unlike(ours[name], theirs[name])]


def _unlike_lists(ours: Any, theirs: Sequence[Any]) -> list[str]:
    if isinstance(ours, bytes):  # byte arrays are binary
        ours = list(ours)
        theirs = [each % 256 for each in theirs]
    if not isinstance(ours, list) or len(ours) != len(theirs):
        return [f": {ours!r:.100} instead of {theirs!r:.100}"]
    return [
        f"[{at}]{text}"
        for at, (our, their) in enumerate(zip(ours, theirs, strict=True))
        for text in _unlike(our, their)
    ]
