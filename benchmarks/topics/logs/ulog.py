"""Writes ULog, the format of PX4: parts that tests put together, and a log of real shape of any size."""

import dataclasses
import pathlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAGIC = b"ULog\x01\x12\x35"
SYNC = bytes.fromhex("2f731320250cbb12")
TYPES = {
    "int8_t": "i1",
    "uint8_t": "u1",
    "int16_t": "<i2",
    "uint16_t": "<u2",
    "int32_t": "<i4",
    "uint32_t": "<u4",
    "int64_t": "<i8",
    "uint64_t": "<u8",
    "float": "<f4",
    "double": "<f8",
    "bool": "?",
    "char": "S1",
}


def header(start_us: int = 0, version: int = 1) -> bytes:
    """Return the first 16 bytes of a file.

    Args:
        start_us: When the log starts, in microseconds since boot.
        version: Of the format.
    """
    return MAGIC + struct.pack("<BQ", version, start_us)


def record(kind: str, body: bytes) -> bytes:
    """Return one record.

    Args:
        kind: The letter of its kind, such as `D`.
        body: What it holds.
    """
    return struct.pack("<HB", len(body), ord(kind)) + body


def flags(
    compat: Sequence[int] = (), incompat: Sequence[int] = (), appended: Sequence[int] = ()
) -> bytes:
    """Return the record of flags.

    Args:
        compat: Up to 8 bytes.
        incompat: Up to 8 bytes, of what a reader must know.
        appended: Up to three offsets of data that were appended.
    """
    body = bytes(compat).ljust(8, b"\0") + bytes(incompat).ljust(8, b"\0")
    return record("B", body + struct.pack("<3Q", *[*appended, 0, 0, 0][:3]))


def definition(name: str, fields: str) -> bytes:
    """Return the record of a format.

    Args:
        name: Of the message.
        fields: Such as `uint64_t timestamp;float x;`.
    """
    return record("F", f"{name}:{fields}".encode())


def info(kind: str, key: str, value: bytes, letter: str = "I") -> bytes:
    """Return an information, or a parameter.

    Args:
        kind: Its type, such as `char[5]`.
        key: Its name.
        value: Its bytes.
        letter: `I`, or `P` for a parameter.
    """
    name = f"{kind} {key}".encode()
    return record(letter, bytes([len(name)]) + name + value)


def parameter(key: str, value: float) -> bytes:
    """Return a parameter, an integer or a float.

    Args:
        key: Its name.
        value: Its value.
    """
    if isinstance(value, int):
        return info("int32_t", key, struct.pack("<i", value), "P")
    return info("float", key, struct.pack("<f", value), "P")


def subscribe(msg_id: int, name: str, multi_id: int = 0) -> bytes:
    """Return the record that names a topic.

    Args:
        msg_id: By which data records name it.
        name: Of the format.
        multi_id: Which of several of that name.
    """
    return record("A", struct.pack("<BH", multi_id, msg_id) + name.encode())


def data(msg_id: int, body: bytes) -> bytes:
    """Return a record of data.

    Args:
        msg_id: The topic's.
        body: The message.
    """
    return record("D", struct.pack("<H", msg_id) + body)


def text(time_us: int, message: str, level: str = "6") -> bytes:
    """Return a logged text.

    Args:
        time_us: When, in microseconds since boot.
        message: The text.
        level: `0` (emergency) to `7` (debug).
    """
    return record("L", struct.pack("<BQ", ord(level), time_us) + message.encode())


def dropout(duration_ms: int) -> bytes:
    """Return the record of a dropout, in milliseconds."""
    return record("O", struct.pack("<H", duration_ms))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UlogTopic:
    """A topic of plain fields.

    Attributes:
        name: Of the format.
        fields: Type by name, behind `timestamp`; `float[3]` is an array.
        multi_id: Which of several of that name.
    """

    name: str
    fields: Mapping[str, str]
    multi_id: int = 0

    def dtype(self) -> "np.dtype[Any]":
        """Return the message as numpy lays it out."""
        fields: list[Any] = [("timestamp", "<u8")]
        for name, kind in self.fields.items():
            base, _, length = kind.rstrip("]").partition("[")
            fields.append((name, TYPES[base], (int(length),)) if length else (name, TYPES[base]))
        return np.dtype(fields)

    def format(self) -> bytes:
        """Return the record of the format."""
        fields = "".join(f"{kind} {name};" for name, kind in self.fields.items())
        return definition(self.name, "uint64_t timestamp;" + fields)


IMU = UlogTopic(
    name="sensor_combined",
    fields={
        "gyro_rad": "float[3]",
        "accelerometer_m_s2": "float[3]",
        "gyro_integral_dt": "uint32_t",
        "clipping": "uint8_t",
    },
)
ATTITUDE = UlogTopic(
    name="vehicle_attitude",
    fields={"q": "float[4]", "delta_q_reset": "float[4]", "quat_reset_counter": "uint8_t"},
)
POSITION = UlogTopic(
    name="vehicle_local_position",
    fields={
        "x": "float",
        "y": "double",
        "xy_valid": "bool",
        "ref": "int16_t",
        "big": "int64_t",
        "name": "char[8]",
    },
)
TOPICS = (IMU, dataclasses.replace(IMU, multi_id=1), ATTITUDE, POSITION)


def write_ulog(
    path: pathlib.Path, ticks: int, topics: Sequence[UlogTopic] = TOPICS, block: int = 20_000
) -> pathlib.Path:
    """Write a log: definitions, then in each tick a message of each topic.

    Args:
        path: Where to.
        ticks: How many; 4 ms each.
        topics: What it holds.
        block: Ticks that are put together at a time.

    Returns:
        The path.
    """
    with path.open("wb") as file:
        file.write(header() + flags())
        file.write(b"".join(dict.fromkeys(topic.format() for topic in topics)))
        file.write(info("char[4]", "sys_name", b"PX4\0") + parameter("MC_ROLL_P", 6.5))
        file.writelines(
            subscribe(number, topic.name, topic.multi_id) for number, topic in enumerate(topics)
        )
        for first in range(0, ticks, block):
            file.write(_block(topics, first, min(block, ticks - first)))
            file.write(text(first * 4000, f"at tick {first}") + dropout(17))
    return path


def _block(topics: Sequence[UlogTopic], first: int, ticks: int) -> bytes:
    """Return the records of some ticks, laid out by numpy at once."""
    head = np.dtype([("size", "<u2"), ("kind", "u1"), ("msg_id", "<u2")])
    frame = np.dtype(
        [
            (f"{what}{number}", kind)
            for number, topic in enumerate(topics)
            for what, kind in (("head", head), ("body", topic.dtype()))
        ]
    )
    random = np.random.default_rng(first)
    frames = np.frombuffer(random.bytes(frame.itemsize * ticks), frame).copy()
    for number, topic in enumerate(topics):
        head_of, body = frames[f"head{number}"], frames[f"body{number}"]
        head_of["size"], head_of["kind"], head_of["msg_id"] = (
            topic.dtype().itemsize + 2,
            ord("D"),
            number,
        )
        body["timestamp"] = 1_000_000 + (first + np.arange(ticks)) * 4000 + number
        for name, kind in topic.fields.items():
            if kind.startswith(("float", "double")):
                body[name] = random.normal(size=body[name].shape)
            elif kind == "bool":
                body[name] = body["timestamp"] % 3 == 0
            elif kind.startswith("char"):
                body[name] = [b"a", b"b", b"c", b"", b"\0", b"", b"", b""][: body[name].shape[1]]
    return bytes(frames.tobytes())
