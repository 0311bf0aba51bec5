"""Many datasets of a few files each, as a fleet of robots makes them."""

import dataclasses
import itertools

from benchmarks.shapes import KIB, Shape
from benchmarks.source import Source

FILE_BYTES = 16 * KIB


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """So many datasets of so many files of 16 KiB.

    Attributes:
        datasets: How many datasets.
        files_each: How many files each has.
    """

    datasets: int
    files_each: int

    @property
    def shape(self) -> Shape:
        """All files of all datasets."""
        name = f"fleet{self.datasets}x{self.files_each}"
        return Shape(name=name, files=self.datasets * self.files_each, size_bytes=FILE_BYTES)

    def dataset_ids(self) -> list[str]:
        """Return the ids, in order."""
        prefix = self.shape.dataset_id
        return [f"{prefix}_{number:05d}" for number in range(self.datasets)]

    def add_to(self, source: Source) -> None:
        """Add objects and records to what is served."""
        source.add_shape(self.shape)
        paths = self.shape.paths()
        for dataset_id in self.dataset_ids():
            source.add_dataset(
                dataset_id, self.shape, list(itertools.islice(paths, self.files_each))
            )
