"""What is fetched: so many files of such a size, and how they are named."""

import dataclasses
from collections.abc import Iterator
from typing import Literal

KIB = 1024
MIB = 1024 * KIB

BUCKET = "bench"

Scheme = Literal["http", "https"]

_FILES_PER_FOLDER = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Files of one size, below one prefix of the bucket.

    Attributes:
        name: Prefix in the bucket, and name in the tables; letters and digits.
        files: How many.
        size_bytes: Of each.
    """

    name: str
    files: int
    size_bytes: int

    @property
    def total_bytes(self) -> int:
        """The bytes of all files."""
        return self.files * self.size_bytes

    @property
    def dataset_id(self) -> str:
        """The dataset that lists these files on the API."""
        return f"ds_{self.name}"

    def paths(self) -> Iterator[str]:
        """Yields the path of each file below the prefix, in folders as logs have them."""
        for number in range(self.files):
            yield f"{number // _FILES_PER_FOLDER:04d}/{number:07d}.bin"

    def describe(self) -> str:
        """Describes it, such as `5,000 × 16 KiB`."""
        unit = "MiB" if self.size_bytes >= MIB else "KiB"
        size = self.size_bytes / (MIB if unit == "MiB" else KIB)
        return f"{self.files:,} × {size:g} {unit}"


SMALL = Shape(name="small", files=5000, size_bytes=16 * KIB)
MID = Shape(name="mid", files=400, size_bytes=4 * MIB)
BIG = Shape(name="big", files=6, size_bytes=256 * MIB)
FULL = (SMALL, MID, BIG)

GROWTH = tuple(
    Shape(name=f"grow{count}", files=count, size_bytes=4 * KIB) for count in (1000, 10_000, 100_000)
)

QUICK_SMALL = Shape(name="small", files=40, size_bytes=16 * KIB)
QUICK_BIG = Shape(name="big", files=2, size_bytes=9 * MIB)  # more than one part
QUICK_GROWTH = tuple(
    Shape(name=f"grow{count}", files=count, size_bytes=4 * KIB) for count in (10, 30)
)
