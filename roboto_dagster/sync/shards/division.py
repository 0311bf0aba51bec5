"""Divides what is to be fetched into shards of about the same work."""

import dataclasses
import heapq
from collections.abc import Iterable, Iterator

from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.setting_checks import check_count

_FILE_BYTES = (
    256 * 1024
)  # a small file takes about as long as so many bytes of a big one (see `benchmarks`)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardOptions:
    """How a partition is divided.

    Attributes:
        max_shards: At most so many shards. Two to four for each worker keep all of them busy to the end. Default 32.
        min_shard_mib: Work of less than this is not divided any further, in MiB; each file counts 256 KiB more than its
            size. A shard costs its worker some seconds to start, so it should be half a minute of work or more. What fits
            into one is one shard. Default 16,384.
    """

    max_shards: int = 32
    min_shard_mib: int = 16 * 1024

    def __post_init__(self) -> None:
        check_count("max_shards", self.max_shards)
        check_count("min_shard_mib", self.min_shard_mib)

    def number_of(self, files: int, size_bytes: int) -> int:
        """Return into how many shards some work is divided: at least one, though it may be empty.

        Args:
            files: How many files are to be fetched.
            size_bytes: Their size.
        """
        shards = (size_bytes + files * _FILE_BYTES) // (self.min_shard_mib * MIB)
        return max(1, min(shards, self.max_shards))


def divide(sizes_bytes: Iterable[tuple[int, int]], shards: int) -> Iterator[tuple[int, int]]:
    """Divide files so that all shards have about the same work: each file goes to the shard with the least so far.

    Args:
        sizes_bytes: Number and size in bytes of each file, largest first: the same files in the same order are
            always divided alike.
        shards: How many shards.

    Yields:
        The number of each file, and its shard from 1.
    """
    heap = [(0, shard) for shard in range(1, shards + 1)]
    for number, size_bytes in sizes_bytes:
        work, shard = heap[0]
        heapq.heapreplace(heap, (work + size_bytes + _FILE_BYTES, shard))
        yield number, shard
