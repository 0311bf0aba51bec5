"""The checksums of the ranges of one object, combined to that of all of it."""

from roboto_dagster.fs.core.checksums import Algorithm, CrcDigest, HashDigest, is_combinable

PART_ALGORITHM: Algorithm = "crc32c" if is_combinable("crc32c") else "crc32"
"""Checks parts that a later run may resume, where the object's own checksum is no CRC."""


class RangeDigests:
    """Digests of ranges by where they start; neighbours are combined, so that few are kept."""

    __slots__ = ("_by_start",)

    def __init__(self) -> None:
        self._by_start: dict[int, CrcDigest | HashDigest] = {}

    def __contains__(self, start: int) -> bool:
        return start in self._by_start

    def put(self, start: int, digest: CrcDigest | HashDigest) -> None:
        """Add the digest of a complete range, in place of one that starts there.

        Args:
            start: Where the range starts.
            digest: Of all its bytes.
        """
        self._by_start[start] = digest

    def combine(self) -> None:
        """Combine what follows the first range without a gap."""
        first = self._by_start.get(0)
        if not isinstance(first, CrcDigest):
            return
        while first.size_bytes in self._by_start and first.size_bytes:
            following = self._by_start.pop(first.size_bytes)
            if isinstance(following, CrcDigest):
                first.append(following)

    @property
    def complete(self) -> CrcDigest | HashDigest | None:
        """The digest of all bytes, once all ranges are in and combined."""
        return self._by_start.get(0)
