"""Messages of protobuf with every kind of field, made from a descriptor, and JSON objects."""

import functools
import json
import random
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from mcap_protobuf.schema import build_file_descriptor_set

from benchmarks.topics.logs.streams import Stream

_SCALARS = (
    "DOUBLE",
    "FLOAT",
    "INT64",
    "UINT64",
    "INT32",
    "FIXED64",
    "FIXED32",
    "BOOL",
    "STRING",
    "BYTES",
    "UINT32",
    "SFIXED32",
    "SFIXED64",
    "SINT32",
    "SINT64",
)
_WELL_KNOWN = {
    "stamp": timestamp_pb2.Timestamp,
    "took": duration_pb2.Duration,
    "wrapped": wrappers_pb2.DoubleValue,
    "note": wrappers_pb2.StringValue,
    "anything": any_pb2.Any,
    "tree": struct_pb2.Struct,
    "value": struct_pb2.Value,
}


@functools.cache
def message_class(name: str = "State") -> Any:
    """Return the class of a message: `State` has every kind of field, `Point`, `Scan` and `Imu` are small.

    Args:
        name: Of the message.
    """
    file = descriptor_pb2.FileDescriptorProto(name="robot.proto", package="robot", syntax="proto3")
    known = {each.DESCRIPTOR.file.name: each.DESCRIPTOR.file for each in _WELL_KNOWN.values()}
    file.dependency.extend(sorted(known))
    mode = file.enum_type.add(name="Mode")
    for number, value in enumerate(("OFF", "ON", "FAULT")):
        mode.value.add(name=value, number=number)
    point = file.message_type.add(name="Point")
    for number, axis in enumerate("xyz", 1):
        point.field.add(
            name=axis, number=number, type=Field.TYPE_DOUBLE, label=Field.LABEL_OPTIONAL
        )
    tree = file.message_type.add(name="Node")  # recursive
    tree.field.add(name="id", number=1, type=Field.TYPE_INT32, label=Field.LABEL_OPTIONAL)
    _nested(tree, "children", 2, ".robot.Node", Field.LABEL_REPEATED)
    _state(file.message_type.add(name="State"))
    _scan(file.message_type.add(name="Scan"))
    _imu(file.message_type.add(name="Imu"))
    pool = descriptor_pool.DescriptorPool()
    for each in known.values():
        copy = descriptor_pb2.FileDescriptorProto()
        each.CopyToProto(copy)
        pool.Add(copy)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"robot.{name}"))


def _scan(scan: Any) -> None:
    _stamp_and_frame(scan)
    scan.field.add(name="ranges", number=3, type=Field.TYPE_FLOAT, label=Field.LABEL_REPEATED)
    _nested(scan, "at", 4, ".robot.Point")


def _imu(imu: Any) -> None:
    _stamp_and_frame(imu)
    for number, name in enumerate(("orientation", "angular_velocity", "linear_acceleration"), 3):
        _nested(imu, name, number, ".robot.Point")
    imu.field.add(name="covariance", number=6, type=Field.TYPE_DOUBLE, label=Field.LABEL_REPEATED)


def _stamp_and_frame(message: Any) -> None:
    _nested(message, "stamp", 1, ".google.protobuf.Timestamp")
    message.field.add(name="frame_id", number=2, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)


def _nested(
    message: Any, name: str, number: int, type_name: str, label: Any = Field.LABEL_OPTIONAL
) -> None:
    """Add a field whose values are messages themselves."""
    message.field.add(
        name=name, number=number, type=Field.TYPE_MESSAGE, type_name=type_name, label=label
    )


def _state(state: Any) -> None:
    numbers = iter(range(1, 200))
    for kind in _SCALARS:
        of_kind = getattr(Field, f"TYPE_{kind}")
        name = kind.lower()
        state.field.add(name=name, number=next(numbers), type=of_kind, label=Field.LABEL_OPTIONAL)
        state.field.add(
            name=f"{name}_list", number=next(numbers), type=of_kind, label=Field.LABEL_REPEATED
        )
    for name, known in _WELL_KNOWN.items():
        _nested(state, name, next(numbers), f".{known.DESCRIPTOR.full_name}")
    _nested(state, "position", next(numbers), ".robot.Point")
    _nested(state, "path", next(numbers), ".robot.Point", Field.LABEL_REPEATED)
    _nested(state, "root", next(numbers), ".robot.Node")
    state.field.add(
        name="mode",
        number=next(numbers),
        type=Field.TYPE_ENUM,
        type_name=".robot.Mode",
        label=Field.LABEL_OPTIONAL,
    )
    _presence_and_map(state, numbers)


def _presence_and_map(state: Any, numbers: Any) -> None:
    state.oneof_decl.add(name="choice")
    for name, kind in (("left", Field.TYPE_INT32), ("right", Field.TYPE_STRING)):
        state.field.add(
            name=name, number=next(numbers), type=kind, label=Field.LABEL_OPTIONAL, oneof_index=0
        )
    state.oneof_decl.add(name="_maybe")
    state.field.add(
        name="maybe",
        number=next(numbers),
        type=Field.TYPE_INT32,
        label=Field.LABEL_OPTIONAL,
        oneof_index=1,
        proto3_optional=True,
    )
    entry = state.nested_type.add(name="GainsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=Field.TYPE_DOUBLE, label=Field.LABEL_OPTIONAL)
    _nested(state, "gains", next(numbers), ".robot.State.GainsEntry", Field.LABEL_REPEATED)


def random_imu(seed: int) -> Any:
    """Return a message of an inertial unit, every field of it set.

    Args:
        seed: The same one gives the same message.
    """
    numbers = random.Random(seed)  # noqa: S311 - test data
    imu = message_class("Imu")(frame_id="imu_link")
    imu.stamp.seconds, imu.stamp.nanos = numbers.randrange(2**31), numbers.randrange(10**9)
    for vector in (imu.orientation, imu.angular_velocity, imu.linear_acceleration):
        vector.x, vector.y, vector.z = (numbers.gauss(0, 1) for _ in range(3))
    imu.covariance.extend(numbers.random() for _ in range(9))
    return imu


def random_scan(seed: int) -> Any:
    """Return a scan of up to 20 ranges.

    Args:
        seed: The same one gives the same message.
    """
    numbers = random.Random(seed)  # noqa: S311 - test data
    scan = message_class("Scan")(frame_id="laser")
    scan.stamp.seconds = numbers.randrange(2**31)
    scan.ranges.extend(numbers.random() for _ in range(numbers.randrange(20)))
    scan.at.x = numbers.random()
    return scan


def random_state(seed: int) -> Any:
    """Return a message whose fields are set or not, by chance.

    Args:
        seed: The same one gives the same message.
    """
    numbers = random.Random(seed)  # noqa: S311 - test data
    state = message_class()()
    for kind in _SCALARS:
        if numbers.random() < 0.8:
            setattr(state, kind.lower(), _scalar(kind, numbers))
        getattr(state, f"{kind.lower()}_list").extend(
            _scalar(kind, numbers) for _ in range(numbers.randrange(4))
        )
    if numbers.random() < 0.8:
        state.position.x, state.position.z = numbers.random(), -1.0
        state.stamp.seconds, state.stamp.nanos = numbers.randrange(-10, 2**31), 999_999_999
        state.took.seconds, state.took.nanos = -3, -5
        state.wrapped.value = numbers.choice((0.0, 1.5))
        state.root.id = 1
        state.root.children.add(id=2).children.add(id=3)
        state.maybe = numbers.choice((0, 7))
        state.anything.Pack(timestamp_pb2.Timestamp(seconds=5))
        state.tree.update({"a": [1, None, "b"], "c": {"d": True}})
        state.value.string_value = "text"
    for _ in range(numbers.randrange(3)):
        state.path.add(x=numbers.random(), y=2.0)
    state.mode = numbers.choice((0, 1, 2, 9))  # 9 is a number that the schema does not know
    if numbers.random() < 0.6:
        setattr(state, *numbers.choice((("left", 0), ("left", 5), ("right", ""), ("right", "r"))))
    for key in numbers.sample("abcd", numbers.randrange(4)):
        state.gains[key] = numbers.random()
    return state


def _scalar(kind: str, numbers: random.Random) -> Any:
    if kind in ("DOUBLE", "FLOAT"):
        return numbers.choice((0.0, 1.5, float("inf"), float("nan"), -2.25))
    if kind == "BOOL":
        return numbers.random() < 0.5
    if kind == "STRING":
        return numbers.choice(("", "text", "Größe"))
    if kind == "BYTES":
        return numbers.randbytes(numbers.randrange(5))
    bits = 64 if "64" in kind else 32
    if kind.startswith(("U", "FIXED")):
        return numbers.choice((0, 1, 2**bits - 1))
    return numbers.choice((0, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))))


def protobuf_stream(topic: str = "/state", payloads: int = 50) -> Stream:
    """Make a topic of protobuf messages with every kind of field.

    Args:
        topic: The topic.
        payloads: How many different messages.
    """
    return stream_of(topic, [random_state(seed) for seed in range(payloads)])


def stream_of(topic: str, made: Any) -> Stream:
    """Make a topic of protobuf messages.

    Args:
        topic: The topic.
        made: The messages, of one class.
    """
    return Stream(
        topic=topic,
        type_name=made[0].DESCRIPTOR.full_name,
        definition=build_file_descriptor_set(type(made[0])).SerializeToString(),
        schema_encoding="protobuf",
        message_encoding="protobuf",
        payloads=[each.SerializeToString() for each in made],
    )


JSON_SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "number"},
        "count": {"type": "integer"},
        "name": {"type": "string"},
        "ok": {"type": "boolean"},
        "ranges": {"type": "array", "items": {"type": "number"}},
        "pose": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
        },
    },
}


def json_stream(topic: str = "/json", payloads: int = 50, *, has_schema: bool = True) -> Stream:
    """Make a topic of JSON objects.

    Args:
        topic: The topic.
        payloads: How many different messages.
        has_schema: Whether it has a JSON schema, or none.
    """
    numbers = random.Random(5)  # noqa: S311 - test data
    made = [
        {
            "x": numbers.gauss(0, 1),
            "count": numbers.randrange(2**40),
            "name": numbers.choice(("rover", "Größe", "")),
            "ok": numbers.random() < 0.5,
            "ranges": [numbers.random() for _ in range(numbers.randrange(4))],
            "pose": {"x": 1.5, "y": numbers.random()},
        }
        for _ in range(payloads)
    ]
    return Stream(
        topic=topic,
        type_name="Pose" if has_schema else "",
        definition=json.dumps(JSON_SCHEMA).encode() if has_schema else b"",
        schema_encoding="jsonschema" if has_schema else "",
        message_encoding="json",
        payloads=[json.dumps(each).encode() for each in made],
    )
