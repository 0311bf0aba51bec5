"""What is measured: a part, its size, and who does it."""

import argparse
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal

from benchmarks.scaling.fleet import FILE_BYTES, Fleet
from benchmarks.server import PACE_MS
from benchmarks.shapes import KIB, MIB, Shape

Part = Literal["datasets", "files", "shards"]
PARTS: tuple[Part, ...] = ("datasets", "files", "shards")

State = Literal["cold", "unchanged"]
SDK = "SDK download_files"
LISTING = "SDK listing"
OURS = "ours"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measurement.

    Attributes:
        part: `datasets`, `files` or `shards`.
        who: Ours, or whom it is compared with.
        state: Whether everything is fetched, or nothing has changed since it was.
        datasets: How many datasets.
        files_each: How many files in each.
        file_bytes: Size of a file.
        delay_ms: How long the API waits before it answers.
        side_by_side: Partitions side by side, or worker processes of the shards.
        pace_ms: So long the store lets a connection wait between two answers. Default: as long as it takes.
    """

    part: Part
    who: str
    state: State
    datasets: int
    files_each: int
    file_bytes: int = FILE_BYTES
    delay_ms: int = 0
    side_by_side: int = 1
    pace_ms: int = 0

    @property
    def fleet(self) -> Fleet:
        """The datasets of the part `datasets`."""
        return Fleet(datasets=self.datasets, files_each=self.files_each)

    @property
    def shape(self) -> Shape:
        """The files."""
        if self.part == "datasets":
            return self.fleet.shape
        unit = "m" if self.file_bytes >= MIB else "k"
        size = self.file_bytes // (MIB if unit == "m" else KIB)
        name = f"{self.part}{self.files_each}x{size}{unit}"
        return Shape(name=name, files=self.files_each, size_bytes=self.file_bytes)

    @property
    def order(self) -> tuple[object, ...]:
        """Where it stands in a table: by size, then by whom and how."""
        return (
            *(self.part, self.files_each, self.datasets, self.delay_ms),
            *(self.who != OURS, self.pace_ms, self.side_by_side, self.state),
        )

    def describe(self) -> str:
        """Describe it in a line."""
        return (
            f"{self.part}: {self.datasets:,} × {self.files_each:,} files, {self.state}, "
            f"API after {self.delay_ms} ms, {self.side_by_side} side by side"
            f"{', paced store' if self.pace_ms else ''}: {self.who}"
        )


def cases_of(options: argparse.Namespace) -> Iterator[Case]:
    """Yield what the arguments ask for: cold before unchanged, since that one needs the files."""
    if "datasets" in options.parts:
        yield from _datasets(options)
    if "files" in options.parts:
        yield from _files(options)
    if "shards" in options.parts:
        yield from _shards(options)


def groups_of(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Yield the cases that work on the same files: each that fetches them, and those after it.

    Args:
        cases: In the order of `cases_of`.
    """
    group: list[Case] = []
    for case in cases:
        if case.state == "cold" and group:
            yield group
            group = []
        group.append(case)
    if group:
        yield group


def _datasets(options: argparse.Namespace) -> Iterator[Case]:
    for files_each in options.files_each:
        for datasets in options.datasets:
            for delay_ms in options.delays:
                common = Case(
                    part="datasets",
                    who=OURS,
                    state="cold",
                    datasets=datasets,
                    files_each=files_each,
                    delay_ms=delay_ms,
                )
                for side_by_side in options.side_by_side:
                    case = dataclasses.replace(common, side_by_side=side_by_side)
                    if options.all or datasets <= _most_datasets(case, options):
                        for state in options.states:
                            yield dataclasses.replace(case, state=state)
                if datasets <= options.sdk_up_to:
                    yield dataclasses.replace(common, who=SDK)


def _most_datasets(case: Case, options: argparse.Namespace) -> int:
    """Return how many datasets are worth their time: all is linear, so what is slow is shown by fewer."""
    is_fastest = case.side_by_side == max(options.side_by_side)
    if case.files_each > 1:
        return 1000 if is_fastest else 100
    if case.side_by_side == 1 and case.delay_ms:
        return 300
    return 1000 if case.delay_ms or not is_fastest else max(options.datasets)


def _files(options: argparse.Namespace) -> Iterator[Case]:
    for files in options.files:
        common = Case(
            part="files",
            who=OURS,
            state="cold",
            datasets=1,
            files_each=files,
            file_bytes=4 * KIB,
        )
        for state in options.states:
            yield dataclasses.replace(common, state=state)
        if "unchanged" in options.states:
            yield dataclasses.replace(common, who=LISTING, state="unchanged")


def _shards(options: argparse.Namespace) -> Iterator[Case]:
    """Yield them with a store that lets workers wait, so that cores are free, and with one that does not."""
    sizes = {PACE_MS: (options.paced_files, 16 * KIB), 0: (options.shard_files, 4 * KIB)}
    for pace_ms, (files, file_bytes) in sizes.items():
        for workers in options.workers if files else ():
            yield Case(
                part="shards",
                who=OURS,
                state="cold",
                datasets=1,
                files_each=files,
                file_bytes=file_bytes,
                side_by_side=workers,
                pace_ms=pace_ms,
            )
