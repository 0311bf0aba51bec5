"""Writes small bags of ROS 1, record by record, so that each may be damaged on purpose."""

import bz2
import pathlib
import struct

import lz4.frame  # type: ignore[import-untyped]  # lz4 has no types

U32 = struct.Struct("<I").pack
COMPRESSORS = {"none": bytes, "bz2": bz2.compress, "lz4": lz4.frame.compress}


def record(fields: dict[str, bytes], data: bytes = b"") -> bytes:
    """Return a record."""
    return header(fields) + U32(len(data)) + data


def header(fields: dict[str, bytes]) -> bytes:
    """Return the fields of a record, with their size in front."""
    parts = [
        U32(len(name) + 1 + len(value)) + name.encode() + b"=" + value
        for name, value in fields.items()
    ]
    return U32(sum(map(len, parts))) + b"".join(parts)


def connection(
    number: int, topic: str, type_name: str = "a/B", definition: str = "int32 x\n"
) -> bytes:
    """Return the record of a connection."""
    details = {
        "topic": topic.encode(),
        "type": type_name.encode(),
        "md5sum": b"0" * 32,
        "message_definition": definition.encode(),
    }
    return record({"op": b"\7", "conn": U32(number), "topic": topic.encode()}, header(details)[4:])


def message(number: int, value: int, *, time_ns: int = 0, data: bytes | None = None) -> bytes:
    """Return the record of a message of one int32."""
    time = struct.pack("<II", *divmod(time_ns or value, 10**9))
    payload = struct.pack("<i", value) if data is None else data
    return record({"conn": U32(number), "op": b"\2", "time": time}, payload)


class BagWriter:
    """Collects chunks; the index is written at the end."""

    def __init__(self, *, header_fields: dict[str, bytes] | None = None) -> None:
        self.data = bytearray(b"#ROSBAG V2.0\n")
        self.header_fields = header_fields or {}
        self._header_at = len(self.data)
        self.data += self._bag_header(0, 0, 0)
        self.chunks: list[int] = []
        self._infos: list[bytes] = []
        self.connections: dict[int, bytes] = {}

    def _bag_header(self, index: int, connections: int, chunks: int) -> bytes:
        fields = {
            "op": b"\3",
            "index_pos": struct.pack("<Q", index),
            "conn_count": U32(connections),
            "chunk_count": U32(chunks),
            **self.header_fields,
        }
        start = header(fields)
        padding = b" " * (4096 - len(start) - 4)
        return start + U32(len(padding)) + padding

    def chunk(
        self,
        *records: bytes,
        counts: dict[int, int],
        compression: str = "none",
        stated_as: str | None = None,
    ) -> int:
        """Append a chunk; return where its data begins."""
        raw = b"".join(records)
        stored = COMPRESSORS[compression](raw)
        position = len(self.data)
        fields = {
            "op": b"\5",
            "compression": (stated_as or compression).encode(),
            "size": U32(len(raw)),
        }
        self.chunks.append(position)
        self.data += record(fields, stored)
        for number, count in counts.items():
            index = b"".join(struct.pack("<III", 0, 0, 0) for _ in range(count))
            self.data += record(
                {"op": b"\4", "ver": U32(1), "conn": U32(number), "count": U32(count)}, index
            )
        pairs = b"".join(U32(number) + U32(count) for number, count in counts.items())
        times = {"start_time": bytes(8), "end_time": bytes(8)}
        self._infos.append(
            record(
                {
                    "op": b"\6",
                    "ver": U32(1),
                    "chunk_pos": struct.pack("<Q", position),
                    "count": U32(len(counts)),
                    **times,
                },
                pairs,
            )
        )
        return position + len(header(fields)) + 4

    def finish(self, *connections: bytes) -> bytearray:
        """Write the index, and return the bag."""
        index = len(self.data)
        self.data += b"".join((*connections, *self._infos))
        start = self._bag_header(index, len(connections), len(self._infos))
        self.data[self._header_at : self._header_at + len(start)] = start
        return self.data

    def save(self, path: pathlib.Path) -> pathlib.Path:
        """Write the bag as it is."""
        path.write_bytes(self.data)
        return path


def small_bag(compression: str = "none", chunks: int = 2) -> BagWriter:
    """Return a bag of the topic `/x` with three messages a chunk, counted from 1."""
    bag = BagWriter()
    for number in range(chunks):
        values = range(3 * number + 1, 3 * number + 4)
        first = [connection(0, "/x")] if number == 0 else []
        bag.chunk(
            *first, *(message(0, each) for each in values), counts={0: 3}, compression=compression
        )
    bag.finish(connection(0, "/x"))
    return bag
