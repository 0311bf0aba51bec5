"""The formats' own readers: every message as plain values, by topic, in the order of the file."""

import array
import keyword
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import Nodetype
from rosbags.rosbag1 import Reader as Bag1Reader
from rosbags.rosbag2 import Reader as Bag2Reader
from rosbags.typesys.store import Typestore

from tests.topics.comparison.reading import CanonicalTime, Row, SameBits

Rows = dict[str, list[Row]]


def mcap_rows(path: pathlib.Path, factory: Any) -> Rows:
    """Read an MCAP by the decoder of `mcap-ros1-support` or `mcap-ros2-support`.

    Args:
        path: The log.
        factory: Its `DecoderFactory`.
    """
    found: Rows = {}
    decoders: dict[int, Any] = {}
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with path.open("rb") as file:
        for record in StreamReader(file).records:  # in the order of the file
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                if channel.id not in decoders:
                    schema = schemas.get(channel.schema_id)
                    decoders[channel.id] = factory.decoder_for(channel.message_encoding, schema)
                message = plain(decoders[channel.id](record.data))
                row = Row(record.log_time, record.publish_time, record.sequence, message)
                found.setdefault(channel.topic, []).append(row)
    return found


def mcap_messages(path: pathlib.Path, factory: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Return the decoded objects of an MCAP that is in order of time, with their records, by topic.

    Args:
        path: The log.
        factory: A `DecoderFactory`.
    """
    found: dict[str, list[tuple[Any, Any]]] = {}
    with path.open("rb") as file:
        for each in make_reader(file, decoder_factories=[factory]).iter_decoded_messages():
            found.setdefault(each.channel.topic, []).append((each.message, each.decoded_message))
    return found


def bag_rows(path: pathlib.Path, store: Typestore) -> Rows:
    """Read a bag of ROS 1 by rosbags.

    Args:
        path: The log.
        store: The types.
    """
    with Bag1Reader(path) as reader:
        return _bag_rows(reader, store, store.deserialize_ros1)


def db3_rows(folder: pathlib.Path, store: Typestore) -> Rows:
    """Read a bag of ROS 2 by rosbags.

    Args:
        folder: Its folder.
        store: The types.
    """
    with Bag2Reader(folder) as reader:
        return _bag_rows(reader, store, store.deserialize_cdr)


def _bag_rows(
    reader: Bag1Reader | Bag2Reader, store: Typestore, deserialize: Callable[[bytes, str], Any]
) -> Rows:
    found: Rows = {}
    for connection, time_ns, raw in reader.messages():
        message = typed(store, connection.msgtype, deserialize(raw, connection.msgtype))
        found.setdefault(connection.topic, []).append(Row(time_ns, None, None, message))
    return found


def plain(value: Any) -> Any:
    """Return a message of mcap-ros1-support or mcap-ros2-support as mappings, lists and scalars."""
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview, array.array)):
        return list(value)
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if type(value).__name__ in {"Time", "Duration"} and hasattr(value, "secs"):  # genpy
        return CanonicalTime(sec=value.secs, nanosec=value.nsecs)
    return {_verbatim(name): plain(getattr(value, name)) for name in type(value).__slots__}


def _verbatim(name: str) -> str:
    """Return the name of a field as it was defined; readers that make attributes of them rename `class`."""
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


def typed(store: Typestore, type_name: str, message: Any) -> dict[str, Any]:
    """Return a message of rosbags as mappings, lists and scalars, its fields named as they were defined.

    Args:
        store: The types.
        type_name: Of the message.
        message: The message.
    """
    fields = store.fielddefs[type_name][1]
    values = {
        _verbatim(name): _typed(store, kind, getattr(message, name))
        for name, kind in fields
        if name != "structure_needs_at_least_one_member"
    }
    return SameBits(values) if values.keys() == {"sec", "nanosec"} else values


def _typed(store: Typestore, kind: Any, value: Any) -> Any:
    node, what = kind
    if node == Nodetype.NAME:
        return typed(store, what, value)
    if node == Nodetype.BASE:
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_typed(store, what[0], each) for each in value]


def ulog_rows(data: Any, offset_us: int) -> Sequence[Row]:
    """Return the rows of a topic of pyulog, its columns as they are: flat.

    Args:
        data: One of `ULog.data_list`.
        offset_us: From boot to 1970.
    """
    columns = {
        name: values.tolist() for name, values in data.data.items() if "_padding" not in name
    }
    times = columns["timestamp"]
    return [
        Row(
            (time + offset_us) * 1000 if time else None,
            None,
            None,
            {name: values[number] for name, values in columns.items()},
        )
        for number, time in enumerate(times)
    ]


def flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a decoded row of ULog with the columns that pyulog gives it.

    Args:
        fields: The row.
        prefix: Of the names.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        found.update(_flat(prefix + name, value))
    return found


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return flat(value, f"{name}.")
    if isinstance(value, (list, bytes)):
        parts = [_flat(f"{name}[{at}]", each) for at, each in enumerate(value)]
        return {key: each for part in parts for key, each in part.items()}
    return {name: int(value) if isinstance(value, bool) else value}
