"""Writes small ULog files, message by message, so that each may be damaged on purpose."""

import pathlib
import struct

MAGIC = b"ULog\x01\x12\x35"
SYNC = b"\x2f\x73\x13\x20\x25\x0c\xbb\x12"


class UlogWriter:
    """Collects the bytes of a log; its methods return their offset."""

    def __init__(self, *, start_us: int = 0, version: int = 1) -> None:
        self.data = bytearray(MAGIC + struct.pack("<BQ", version, start_us))

    def message(self, kind: str, payload: bytes) -> int:
        """Append any message."""
        offset = len(self.data)
        self.data += struct.pack("<Hc", len(payload), kind.encode()) + payload
        return offset

    def flags(self, *, incompatible: int = 0, appended: tuple[int, ...] = ()) -> int:
        """Append the flags, which stand first."""
        offsets = (*appended, 0, 0, 0)[:3]
        return self.message("B", struct.pack("<8x8s3Q", bytes([incompatible]), *offsets))

    def format(self, text: str) -> int:
        """Append the format of a message, such as `gyro:uint64_t timestamp;float x`."""
        return self.message("F", text.encode())

    def information(self, kind: str, name: str, value: bytes) -> int:
        """Append an info message."""
        return self.message("I", _keyed(kind, name, value))

    def parameter(self, kind: str, name: str, value: float) -> int:
        """Append a parameter of type `int32_t` or `float`."""
        code = {"int32_t": "<i", "float": "<f"}[kind]
        return self.message("P", _keyed(kind, name, struct.pack(code, value)))

    def subscribe(self, msg_id: int, name: str, multi_id: int = 0) -> int:
        """Append a subscription."""
        return self.message("A", struct.pack("<BH", multi_id, msg_id) + name.encode())

    def row(self, msg_id: int, layout: str, *values: object) -> int:
        """Append a row, its fields packed as a layout of `struct` without padding says."""
        return self.message("D", struct.pack("<H" + layout, msg_id, *values))

    def text(self, timestamp: int, text: bytes, *, tag: int | None = None) -> int:
        """Append a logged line of level INFO."""
        if tag is None:
            return self.message("L", struct.pack("<BQ", ord("6"), timestamp) + text)
        return self.message("C", struct.pack("<BHQ", ord("6"), tag, timestamp) + text)

    def dropout(self, duration_ms: int) -> int:
        """Append a dropout."""
        return self.message("O", struct.pack("<H", duration_ms))

    def save(self, path: pathlib.Path) -> pathlib.Path:
        """Write the log."""
        path.write_bytes(self.data)
        return path


def _keyed(kind: str, name: str, value: bytes) -> bytes:
    key = f"{kind} {name}".encode()
    return bytes([len(key)]) + key + value


def gyro_log(rows: int = 10, *, start_us: int = 1_000_000) -> UlogWriter:
    """Return a log of one topic `gyro` with fields `timestamp` and `x`, a row a millisecond."""
    log = UlogWriter(start_us=start_us)
    log.flags()
    log.format("gyro:uint64_t timestamp;float x;")
    log.subscribe(1, "gyro")
    for number in range(rows):
        log.row(1, "Qf", start_us + number * 1000, number)
    return log
