"""Unpacks the chunks of an MCAP, and takes nothing on trust that they state about themselves."""

import functools
import struct
import zlib
from collections.abc import Callable
from typing import Any

from roboto_dagster.topics.faults import UndecodableError

MAX_CHUNK_BYTES = 256 * 1024 * 1024
_HEAD = struct.Struct("<QQQII")


def chunk_records(record: bytes) -> bytes | memoryview:
    """Return the records in a chunk, its CRC checked; those of one that is not compressed are not copied.

    Args:
        record: The body of a record of type Chunk.

    Raises:
        UndecodableError: CORRUPT, TOO_LARGE or UNSUPPORTED_COMPRESSION.
    """
    try:
        _, _, size, crc, name_length = _HEAD.unpack_from(record)
        compression = record[_HEAD.size : _HEAD.size + name_length].decode()
        start = _HEAD.size + name_length
        (length,) = struct.unpack_from("<Q", record, start)
    except (struct.error, UnicodeDecodeError):
        raise UndecodableError("CORRUPT", "a chunk cannot be read") from None
    if length != len(record) - start - 8:
        raise UndecodableError(
            "CORRUPT", f"a chunk states {length} bytes and has {len(record) - start - 8}"
        )
    if size > MAX_CHUNK_BYTES:
        raise UndecodableError(
            "TOO_LARGE", f"a chunk has {size} bytes; {MAX_CHUNK_BYTES} are read at most"
        )
    data = memoryview(record)[start + 8 :]
    records = _unpacked(compression, data, size)
    if len(records) != size:
        raise UndecodableError(
            "CORRUPT", f"a chunk states {size} bytes and is decompressed to {len(records)}"
        )
    if crc and zlib.crc32(records) != crc:
        raise UndecodableError("CORRUPT", "the CRC of a chunk is wrong")
    return records


def _unpacked(compression: str, data: memoryview, size: int) -> bytes | memoryview:
    unpack = _UNPACK.get(compression)
    if unpack is None:
        raise UndecodableError(
            "UNSUPPORTED_COMPRESSION",
            f"a chunk is compressed with {compression!r}, which MCAP does not define",
        )
    try:
        return unpack(data, size)
    except UndecodableError:
        raise
    except (
        Exception
    ) as error:  # zstandard and lz4 have errors of many types, RuntimeError among them
        raise UndecodableError("CORRUPT", f"a chunk cannot be decompressed: {error}") from error


def _zstd(data: memoryview, size: int) -> bytes:
    import zstandard

    # It allocates what the frame states, whatever the limit.
    if zstandard.frame_content_size(data) not in {-1, size}:
        raise UndecodableError("CORRUPT", "a chunk and its compressed data state different sizes")
    return _zstd_decompressor().decompress(data, max_output_size=size) if size else b""


@functools.lru_cache(maxsize=1)
def _zstd_decompressor() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor()


def _lz4(data: memoryview, size: int) -> bytes:
    import lz4.frame  # type: ignore[import-untyped]  # it has no type hints

    decompressor = lz4.frame.LZ4FrameDecompressor()
    unpacked: bytes = decompressor.decompress(data, max_length=size)
    if not decompressor.eof and decompressor.decompress(b"", max_length=1):
        raise UndecodableError(
            "CORRUPT", f"a chunk is decompressed to more than the {size} bytes that it states"
        )
    return unpacked


def _stored(data: memoryview, _size: int) -> memoryview:
    return data


_UNPACK: dict[str, Callable[[memoryview, int], bytes | memoryview]] = {
    "": _stored,
    "zstd": _zstd,
    "lz4": _lz4,
}
