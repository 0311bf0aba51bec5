"""Messages of ROS 1 and ROS 2 with random values, of any type there is a definition of."""

import dataclasses
import functools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from benchmarks.topics.logs.streams import Stream

RosVersion = Literal[1, 2]
# Small messages of a robot, and of each kind of field: nested, arrays of fixed and of free length, texts.
SMALL_TYPES = (
    "sensor_msgs/msg/Imu",
    "nav_msgs/msg/Odometry",
    "tf2_msgs/msg/TFMessage",
    "sensor_msgs/msg/JointState",
    "std_msgs/msg/Float64",
)
_NOT_IN_NOETIC = {"tf2_msgs/msg/TFMessage": "geometry_msgs/TransformStamped[] transforms"}
_TEXTS = (
    "",
    "odom",
    "base_link",
    "Größe",
    "\N{CJK UNIFIED IDEOGRAPH-65E5}\N{ROBOT FACE}",
    "a" * 40,
)
_INTEGERS = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
} | {"byte": (-128, 127), "char": (0, 255), "octet": (0, 255)}
_ARRAY_TYPES = {"bool": np.bool_, "byte": np.uint8, "char": np.uint8, "octet": np.uint8}


@functools.cache
def type_store(version: RosVersion) -> Typestore:
    """Return the types of ROS 1 Noetic or ROS 2 Humble; nothing is to be added to it."""
    return own_types(version, {} if version == 2 else _NOT_IN_NOETIC)


def own_types(version: RosVersion, definitions: Mapping[str, str]) -> Typestore:
    """Return a new store with the types of ROS, and types of one's own.

    Args:
        version: Of ROS.
        definitions: Texts of `.msg` files by name (`package/msg/Name`).
    """
    store = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
    types: dict[str, Any] = {}
    for name, text in definitions.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RandomMessages:
    """Makes messages with random values.

    Attributes:
        store: The types.
        random: The numbers; the same seed gives the same messages.
        lengths: How long the arrays of that field name are; others have up to four elements.
        plain: Whether values are finite and small, as those of real robots, rather than at the edges of their types.
    """

    store: Typestore
    random: random.Random
    lengths: Mapping[str, int] = dataclasses.field(default_factory=dict)
    plain: bool = False

    def message(self, type_name: str) -> Any:
        """Return a message of a type.

        Args:
            type_name: Such as `sensor_msgs/msg/Imu`.
        """
        fields = self.store.fielddefs[type_name][1]
        values = [self._value(name, kind) for name, kind in fields]
        return self.store.types[type_name](*values)

    def _value(self, name: str, kind: Any) -> Any:
        node, what = kind
        if node == Nodetype.NAME:
            return self.message(what)
        if (
            name == "structure_needs_at_least_one_member"
        ):  # what ROS 2 puts into messages without fields
            return 0
        if node == Nodetype.BASE:
            return self._scalar(what[0])
        element, bound = what
        length = bound if node == Nodetype.ARRAY else self._length(name, bound)
        if element[0] == Nodetype.BASE and element[1][0] != "string":
            return self._array(element[1][0], length)
        return [self._value(name, element) for _ in range(length)]

    def _length(self, name: str, bound: int) -> int:
        wanted = self.lengths.get(name, self.random.randrange(5))
        return min(wanted, bound) if bound else wanted

    def _array(self, kind: str, length: int) -> Any:
        dtype = _ARRAY_TYPES.get(kind) or np.dtype(kind)
        if kind in ("uint8", "byte", "char", "octet"):
            return np.frombuffer(self.random.randbytes(length), np.uint8)
        return np.array([self._scalar(kind) for _ in range(length)], dtype)

    def _scalar(self, kind: str) -> Any:
        if kind == "bool":
            return self.random.random() < 0.5
        if kind == "string":
            return self.random.choice(_TEXTS)
        if kind in ("float32", "float64"):
            return self._float(kind)
        low, high = _INTEGERS[kind]
        if self.plain:
            return self.random.randint(max(low, -100), min(high, 100))
        return self.random.choice((low, high, 0, 1, self.random.randint(low, high)))

    def _float(self, kind: str) -> float:
        value = self.random.gauss(0, 10)
        if not self.plain:
            value = self.random.choice((value, value, value, math.inf, -math.inf, math.nan, -0.0))
        return float(np.float32(value)) if kind == "float32" else value


def ros_stream(
    version: RosVersion,
    topic: str,
    type_name: str,
    payloads: int = 50,
    *,
    seed: int = 0,
    store: Typestore | None = None,
    lengths: Mapping[str, int] | None = None,
    every: int = 1,
    plain: bool = True,
) -> Stream:
    """Make a topic of random messages of ROS.

    Args:
        version: Of ROS.
        topic: The topic.
        type_name: Such as `sensor_msgs/msg/Imu`.
        payloads: How many different messages.
        seed: Of the random values.
        store: The types; default: those of Noetic or Humble.
        lengths: How long the arrays of that field name are.
        every: The topic has a message in each so many ticks.
        plain: Whether values are those of real robots, rather than at the edges of their types.
    """
    store = store or type_store(version)
    generator = RandomMessages(
        store=store,
        random=random.Random(seed),  # noqa: S311 - test data
        lengths=lengths or {},
        plain=plain,
    )
    text, md5 = store.generate_msgdef(type_name, ros_version=version)
    made = [generator.message(type_name) for _ in range(payloads)]
    serialize = store.serialize_ros1 if version == 1 else store.serialize_cdr
    fields = store.fielddefs[type_name][1]
    has_header = bool(fields) and fields[0] == ("header", (Nodetype.NAME, "std_msgs/msg/Header"))
    return Stream(
        topic=topic,
        type_name=type_name.replace("/msg/", "/") if version == 1 else type_name,
        definition=text.encode(),
        schema_encoding=f"ros{version}msg",
        message_encoding="ros1" if version == 1 else "cdr",
        payloads=[bytes(serialize(each, type_name)) for each in made],
        digest=md5 if version == 1 else store.hash_rihs01(type_name),
        stamp_offset=4
        if has_header
        else None,  # behind the header's `seq`, or behind the CDR header
        every=every,
    )


def small_streams(version: RosVersion, payloads: int = 100) -> Sequence[Stream]:
    """Make topics of small messages, one of each of `SMALL_TYPES`.

    Args:
        version: Of ROS.
        payloads: How many different messages of each.
    """
    return [
        ros_stream(version, f"/{name.rpartition('/')[2].lower()}", name, payloads)
        for name in SMALL_TYPES
    ]


def many_streams(version: RosVersion, topics: int = 150) -> Sequence[Stream]:
    """Make many topics of small messages.

    Args:
        version: Of ROS.
        topics: How many.
    """
    return [
        ros_stream(
            version,
            f"/robot_{number}/{SMALL_TYPES[number % 5][-5:]}",
            SMALL_TYPES[number % 5],
            10,
            seed=number,
        )
        for number in range(topics)
    ]


def image_stream(
    version: RosVersion, width: int = 640, height: int = 480, every: int = 1
) -> Stream:
    """Make a topic of images, three bytes a pixel, of random bytes.

    Args:
        version: Of ROS.
        width: In pixels.
        height: In pixels.
        every: The topic has a message in each so many ticks.
    """
    lengths = {"data": width * height * 3}
    return ros_stream(
        version, "/camera/image", "sensor_msgs/msg/Image", 8, lengths=lengths, every=every
    )
