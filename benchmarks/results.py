"""Medians and ratios of what was measured, and the project's bounds on them. Pure."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence

from benchmarks.measure import Measurement
from benchmarks.shapes import Scheme, Shape

MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One contender on one shape, over all rounds.

    Attributes:
        contender: Its name.
        shape: What it fetched.
        scheme: How.
        measurements: Of the rounds in which it did.
        failures: What went wrong in the others.
    """

    contender: str
    shape: Shape
    scheme: Scheme
    measurements: list[Measurement] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """Median wall time; None if it failed in any round: who fails does not win."""
        if self.failures or not self.measurements:
            return None
        return statistics.median(one.seconds for one in self.measurements)

    @property
    def cpu_seconds(self) -> float:
        """Median CPU time."""
        return statistics.median(one.cpu_seconds for one in self.measurements)

    @property
    def rss_bytes(self) -> int:
        """The highest peak of memory."""
        return max(one.rss_bytes for one in self.measurements)

    @property
    def files_per_second(self) -> float | None:
        """Files a second, by the median."""
        return self.shape.files / self.seconds if self.seconds else None

    @property
    def bytes_per_second(self) -> float | None:
        """Bytes a second, by the median."""
        return self.shape.total_bytes / self.seconds if self.seconds else None


class Results:
    """All cells of one run.

    Attributes:
        cells: In the order of the tables.
        cases: What the cases besides transfers took, by name; see `sync_cases`.
        case_failures: Why a case could not be measured.
    """

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.cases: dict[str, Measurement] = {}
        self.case_failures: dict[str, str] = {}

    def cell(self, contender: str, shape: Shape, scheme: Scheme) -> Cell:
        """Returns a cell, making it if it is not there yet."""
        found = self.find(contender, shape.name, scheme)
        if found is None:
            found = Cell(contender=contender, shape=shape, scheme=scheme)
            self.cells.append(found)
        return found

    def find(self, contender: str, shape: str, scheme: Scheme) -> Cell | None:
        """Returns a cell, or None."""
        for cell in self.cells:
            if (cell.contender, cell.shape.name, cell.scheme) == (contender, shape, scheme):
                return cell
        return None

    def speedup(self, contender: str, over: str, shape: str, scheme: Scheme) -> float | None:
        """Returns how many times faster one is than another, or None where one is missing."""
        ours, theirs = (self.find(name, shape, scheme) for name in (contender, over))
        if ours is None or theirs is None or ours.seconds is None or theirs.seconds is None:
            return None
        return theirs.seconds / ours.seconds


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One thing that the project wants to be true.

    Attributes:
        what: In words.
        wanted: The number to reach.
        reached: The number measured, or None.
        is_upper: Whether the number must stay below rather than above.
    """

    what: str
    wanted: float
    reached: float | None
    is_upper: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it holds."""
        if self.reached is None:
            return False
        return self.reached <= self.wanted if self.is_upper else self.reached >= self.wanted


OURS = "ours, curl"
BARE = ("bare, 1 thread", "bare, 2 threads")
_FASTER_THAN: Sequence[tuple[str, str, dict[Scheme, float]]] = (
    ("small", "SDK", {"http": 25, "https": 25}),
    ("small", "s5cmd", {"http": 3, "https": 3}),
    ("mid", "SDK", {"http": 2.5, "https": 2.5}),
    ("mid", "s5cmd", {"http": 1.2, "https": 1.2}),
    ("big", "SDK", {"http": 2, "https": 2}),
    ("big", "s5cmd", {"http": 1.1, "https": 1}),
)
_SHARE_OF_BARE = 0.9
_SHARE_OF_ENGINE = 0.85
_RSS_MIB = 150
_SYNC_RSS_MIB = 300
_TIMES_LISTING = 1.5
_TIMES_BARE = 10


def bounds(results: Results) -> list[Bound]:
    """Returns every bound, with what was reached."""
    return [*_speed_bounds(results), *_memory_bounds(results), *_sync_bounds(results)]


def _speed_bounds(results: Results) -> list[Bound]:
    peers = [
        Bound(
            what=f"{shape} {scheme}: times as fast as {peer}",
            wanted=wanted[scheme],
            reached=results.speedup(OURS, peer, shape, scheme),
        )
        for shape, peer, wanted in _FASTER_THAN
        for scheme in wanted
    ]
    schemes: Sequence[Scheme] = ("http", "https")
    bare = [
        Bound(
            what=f"{shape} {scheme}: share of the faster bare loop's rate",
            wanted=_SHARE_OF_BARE,
            reached=_lowest(results.speedup(OURS, loop, shape, scheme) for loop in BARE),
        )
        for shape in ("small", "mid", "big")
        for scheme in schemes
    ]
    asset = [
        Bound(
            what=f"small {scheme}: the complete asset's share of its engine's rate",
            wanted=_SHARE_OF_ENGINE,
            reached=results.speedup("asset, curl", OURS, "small", scheme),
        )
        for scheme in schemes
    ]
    return [*peers, *bare, *asset]


def _memory_bounds(results: Results) -> list[Bound]:
    peaks = [
        cell.rss_bytes for cell in results.cells if cell.contender == OURS and cell.measurements
    ]
    return [
        Bound(
            what="peak memory of the engine over all shapes, MiB",
            wanted=_RSS_MIB,
            reached=max(peaks) / MIB if peaks else None,
            is_upper=True,
        )
    ]


def _sync_bounds(results: Results) -> list[Bound]:
    cases = results.cases
    unchanged, datasets = cases.get("unchanged"), cases.get("datasets")
    return [
        Bound(
            what="sync of unchanged files: times the SDK's listing",
            wanted=_TIMES_LISTING,
            reached=_ratio(unchanged, cases.get("listing")),
            is_upper=True,
        ),
        Bound(
            what="sync of unchanged files: peak memory, MiB",
            wanted=_SYNC_RSS_MIB,
            reached=unchanged.rss_bytes / MIB if unchanged else None,
            is_upper=True,
        ),
        Bound(
            what="one-file datasets in one run: times the bare transfer",
            wanted=_TIMES_BARE,
            reached=_ratio(datasets, cases.get("datasets, bare")),
            is_upper=True,
        ),
    ]


def _ratio(one: Measurement | None, other: Measurement | None) -> float | None:
    return one.seconds / other.seconds if one and other else None


def _lowest(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None
