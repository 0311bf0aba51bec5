"""Damaged logs of each format: cut anywhere, with flipped bits, huge lengths, zeros and missing parts.

Whatever the damage is, decoding ends, raises nothing, and either reports a failure or gives all rows. Rows before a cut
are those of the intact log.
"""

import pathlib
import random
from collections.abc import Callable, Iterator

import pytest
from mcap.writer import CompressionType

from benchmarks.topics.logs import bags, mcap_logs, protobuf, ros, ulog
from tests.topics.comparison.reading import Decoded, decode

pytestmark = pytest.mark.slow

Write = Callable[[pathlib.Path], pathlib.Path]


def _mcap(compression: CompressionType) -> Write:
    def write(folder: pathlib.Path) -> pathlib.Path:
        streams = [*ros.small_streams(2, payloads=2)[:2], protobuf.json_stream(payloads=2)]
        return mcap_logs.write_mcap(folder / "a.mcap", streams, 6, compression, chunk_size=1500)

    return write


def _mcap_without_chunks(folder: pathlib.Path) -> pathlib.Path:
    streams = ros.small_streams(1, payloads=2)[:2]
    return mcap_logs.write_mcap(folder / "a.mcap", streams, 6, use_chunking=False)


def _bag(compression: bags.BagCompression) -> Write:
    def write(folder: pathlib.Path) -> pathlib.Path:
        return bags.write_bag(folder / "a.bag", ros.small_streams(1, 2)[:2], 6, compression)

    return write


def _db3(folder: pathlib.Path) -> pathlib.Path:
    return bags.write_db3(folder / "a", ros.small_streams(2, 2)[:2], 6)


def _ulog(folder: pathlib.Path) -> pathlib.Path:
    return ulog.write_ulog(folder / "a.ulg", 12, block=5)


LOGS: dict[str, Write] = {
    "mcap-zstd": _mcap(CompressionType.ZSTD),
    "mcap-lz4": _mcap(CompressionType.LZ4),
    "mcap-none": _mcap(CompressionType.NONE),
    "mcap-unchunked": _mcap_without_chunks,
    "bag-none": _bag("none"),
    "bag-lz4": _bag("lz4"),
    "bag-bz2": _bag("bz2"),
    "db3": _db3,
    "ulog": _ulog,
}
# Bytes of their messages have a checksum, so that any change is noticed.
CHECKED = {"mcap-zstd", "mcap-lz4", "mcap-none"}


def assert_prefix(found: Decoded, intact: Decoded) -> None:
    """Each table has the first rows of the intact one."""
    for topic, tables in found.tables.items():
        (table,), (intact_table,) = tables, intact.tables[topic]
        assert table.equals(intact_table.slice(0, table.num_rows)), topic


def rows(decoded: Decoded) -> int:
    """Return how many rows there are."""
    return sum(table.num_rows for tables in decoded.tables.values() for table in tables)


def damaged(data: bytes, numbers: random.Random) -> Iterator[bytes]:
    """Yield a log damaged in different ways, at places of the numbers' choice."""
    at = numbers.randrange(len(data))
    flipped = bytearray(data)
    flipped[at] ^= 1 << numbers.randrange(8)
    yield bytes(flipped)
    size = numbers.choice((1, 2, 4, 8))
    yield data[:at] + b"\xff" * size + data[at + size :]
    size = numbers.choice((4, 64, 1024, len(data)))
    yield data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]
    yield data[:at] + data[at + size :]
    yield data[:at] + numbers.randbytes(size) + data[at:]


@pytest.mark.parametrize("name", LOGS)
def test_a_cut_log(tmp_path: pathlib.Path, name: str) -> None:
    """Cut anywhere, it is a failure, with the rows before the cut; a ULog whose data are cut has a note instead."""
    path = LOGS[name](tmp_path)
    data, intact = path.read_bytes(), decode(path)
    assert intact.faults == []
    numbers = random.Random(name)  # noqa: S311 - test data
    for at in sorted(
        {1, 4, 8, 13, 20, len(data) - 1} | {numbers.randrange(len(data)) for _ in range(60)}
    ):
        path.write_bytes(data[:at])
        found = decode(path)
        assert_prefix(found, intact)
        if found.faults == [] and name != "ulog":
            assert rows(found) == rows(intact), f"cut at {at} of {len(data)}"


@pytest.mark.parametrize("name", LOGS)
def test_a_damaged_log(tmp_path: pathlib.Path, name: str) -> None:
    """Nothing is raised; where bytes have checksums, it is a failure or has all rows."""
    path = LOGS[name](tmp_path)
    data, intact = path.read_bytes(), decode(path)
    numbers = random.Random(name)  # noqa: S311 - test data
    for _ in range(25):
        for log in damaged(data, numbers):
            path.write_bytes(log)
            found = decode(path)
            if name in CHECKED and found.faults == []:
                assert_prefix(found, intact)
                assert rows(found) == rows(intact)
