"""ROS messages for tests: serialized by rosbags, and the tables that are made of them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from roboto_dagster.topics.batching import RawMessages
from roboto_dagster.topics.decoder import Found, TopicBatch, TopicFault
from roboto_dagster.topics.ros_messages import ros_table
from roboto_dagster.topics.topic_filter import TopicFilter

SEPARATOR = "=" * 80 + "\n"
TIME = f"{SEPARATOR}MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
HEADER2 = f"{SEPARATOR}MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n{TIME}"
HEADER1 = f"{SEPARATOR}MSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
CDR = b"\x00\x01\x00\x00"


def raw(payloads: Sequence[bytes], given: Sequence[int] | None = None) -> RawMessages:
    """Return messages of one table, one nanosecond apart unless times are given."""
    log_times = list(given or range(len(payloads)))
    count = len(payloads)
    return RawMessages(log_times, list(log_times), list(range(count)), list(payloads), 0)


def decode(
    definition: str | bytes,
    payloads: Sequence[bytes],
    *,
    encoding: str = "ros2msg",
    type_name: str = "a/msg/B",
    log_times: Sequence[int] | None = None,
    topics: TopicFilter | None = None,
) -> list[Found]:
    """Return all that a table of the topic `/t` yields, notes included."""
    table = ros_table(
        topic="/t",
        type_name=type_name,
        schema_encoding=encoding,
        definition=definition.encode() if isinstance(definition, str) else definition,
        topics=topics or TopicFilter(),
    )
    return [*table.batches(raw(payloads, log_times)), *table.notes()]


def rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return the rows of all batches, checked to be valid arrays, without the columns that are ours."""
    own = ["log_time", "publish_time", "sequence", "header_time"]
    result = []
    for each in found:
        if isinstance(each, TopicBatch):
            each.rows.validate(full=True)
            names = [name for name in each.rows.schema.names if name not in own]
            result += [{name: row[name] for name in names} for row in _plain(each)]
    return result


def _plain(batch: TopicBatch) -> list[dict[str, Any]]:
    columns = [
        (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for column in batch.rows.columns
    ]
    return [
        dict(zip(batch.rows.schema.names, [column[row] for column in columns], strict=True))
        for row in range(batch.rows.num_rows)
    ]


def times(found: Sequence[Found], column: str = "log_time") -> list[int | None]:
    """Return a column of times, in nanoseconds since 1970."""
    batches = [each for each in found if isinstance(each, TopicBatch)]
    return [
        value for each in batches for value in each.rows.column(column).cast(pa.int64()).to_pylist()
    ]


def faults(found: Sequence[Found]) -> list[str]:
    """Return the codes of all faults."""
    return [each.code for each in found if isinstance(each, TopicFault)]


def one_batch(found: Sequence[Found]) -> TopicBatch:
    """Return the only batch."""
    (batch,) = [each for each in found if isinstance(each, TopicBatch)]
    return batch
