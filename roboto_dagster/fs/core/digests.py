"""The checksums of the ranges of one object, combined to that of all of it."""

from roboto_dagster.fs.core.checksums import Algorithm, CrcDigest, HashDigest, is_combinable

PART_ALGORITHM: Algorithm = "crc32c" if is_combinable("crc32c") else "crc32"
"""Checks parts that a later run may resume, where the object's own checksum is no CRC."""


class RangeDigests:
    """Digests of ranges by where they start; neighbours are combined, so that few are kept.

    Attributes:
        complete: The digest of the first range, and so of all bytes once all are in and combined.
    """

    __slots__ = ("_following", "complete")

    def __init__(self) -> None:
        self.complete: CrcDigest | HashDigest | None = None
        self._following: dict[int, CrcDigest | HashDigest] | None = (
            None  # most files have one range
        )

    def __contains__(self, start: int) -> bool:
        if not start:
            return self.complete is not None
        return self._following is not None and start in self._following

    def put(self, start: int, digest: CrcDigest | HashDigest) -> None:
        """Add the digest of a complete range, in place of one that starts there.

        Args:
            start: Where the range starts.
            digest: Of all its bytes.
        """
        if not start:
            self.complete = digest
        elif self._following is None:
            self._following = {start: digest}
        else:
            self._following[start] = digest

    def combine(self) -> None:
        """Combine what follows the first range without a gap."""
        first, following = self.complete, self._following
        if not following or not isinstance(first, CrcDigest):
            return
        while first.size_bytes in following:
            digest = following.pop(first.size_bytes)
            if isinstance(digest, CrcDigest):
                first.append(digest)
