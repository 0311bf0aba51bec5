"""Combine CRCs without C, for releases of awscrt that lack it. Pure.

The CRC of two ranges is that of the first, advanced over as many zero bytes as the second has, XOR
that of the second: zlib's `crc32_combine`. Advancing is linear, so the step over n bytes is a matrix
over bits; it is made by squaring and kept, since most ranges are equally long.
"""

import functools

_Matrix = tuple[int, ...]  # row i: what bit i becomes

# The polynomials with their bits reversed, as the checksums are computed.
_POLYNOMIALS = {"crc32": 0xEDB88320, "crc32c": 0x82F63B78, "crc64nvme": 0x9A6C9329AC4BC9B5}
_BITS = {"crc32": 32, "crc32c": 32, "crc64nvme": 64}


def combine(algorithm: str, first: int, second: int, second_size_bytes: int) -> int:
    """Return the CRC of two byte strings in a row.

    Args:
        algorithm: `crc32`, `crc32c` or `crc64nvme`.
        first: The CRC of the first.
        second: The CRC of the second.
        second_size_bytes: The length of the second.
    """
    return _apply(_advance(algorithm, second_size_bytes), first) ^ second


@functools.lru_cache(maxsize=64)
def _advance(algorithm: str, size_bytes: int) -> _Matrix:
    """Return the matrix that advances a CRC over so many zero bytes."""
    bits = _BITS[algorithm]
    one_bit = (_POLYNOMIALS[algorithm], *(1 << bit for bit in range(bits - 1)))
    power = one_bit
    for _ in range(3):  # 2, 4, 8 bits: one byte
        power = _multiply(power, power)
    advance: _Matrix = tuple(1 << bit for bit in range(bits))
    while size_bytes:
        if size_bytes & 1:
            advance = _multiply(power, advance)
        power = _multiply(power, power)
        size_bytes >>= 1
    return advance


def _multiply(left: _Matrix, right: _Matrix) -> _Matrix:
    return tuple(_apply(left, row) for row in right)


def _apply(matrix: _Matrix, value: int) -> int:
    result = 0
    for row in matrix:
        if value & 1:
            result ^= row
        value >>= 1
        if not value:
            break
    return result
