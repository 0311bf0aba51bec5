"""The bounds of the growth curves, and what was measured of them."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from benchmarks.scaling.cases import LISTING, OURS, SDK, Case
from benchmarks.scaling.records import Record

_Found = dict[Case, Record]
_MIB = 2**20


def bounds(records: Iterable[Record]) -> str:
    """Return a table of the bounds of which there are figures; empty if there are none.

    Args:
        records: All that was measured.
    """
    found = {record.case: record for record in records}
    lines = [line for line in (bound(found) for bound in _BOUNDS) if line]
    if not lines:
        return ""
    return "\n".join(["## Bounds", "", "| | wanted | measured |", "|---|--:|--:|", *lines])


def over_one_worker(record: Record, records: Iterable[Record]) -> float | None:
    """Return how many times as fast a run of shards is as with one worker process; None where that was not measured.

    Args:
        record: Of the run.
        records: Where that of one worker is looked for.
    """
    alone = dataclasses.replace(record.case, side_by_side=1)
    return next((each.seconds / record.seconds for each in records if each.case == alone), None)


def _thousand(state: str, delay_ms: int, side_by_side: int = 16, who: str = OURS) -> Case:
    return Case(
        part="datasets",
        who=who,
        state=state,  # type: ignore[arg-type] # one of two
        datasets=1000,
        files_each=1,
        delay_ms=delay_ms,
        side_by_side=side_by_side,
    )


def _at_most(what: str, state: str, delay_ms: int, seconds: float) -> Callable[[_Found], str]:
    def line(found: _Found) -> str:
        record = found.get(_thousand(state, delay_ms))
        what_of = f"1,000 datasets of one file, {what}"
        return f"| {what_of} | ≤ {seconds:g} s | {record.seconds:.1f} s |" if record else ""

    return line


def _faster(what: str, state: str, ratio: float) -> Callable[[_Found], str]:
    def line(found: _Found) -> str:
        def in_turn(case: Case) -> Case:
            return dataclasses.replace(case, side_by_side=1)

        return _ratio(what, ratio, found, _side_by_side(found, state), in_turn)

    return line


def _faster_than_sdk(found: _Found) -> str:
    def by_sdk(case: Case) -> Case:
        return dataclasses.replace(case, who=SDK, side_by_side=1)

    what = "cold, API after 100 ms: 16 side by side over a loop of `download_files`"
    return _ratio(what, 10, found, _side_by_side(found, "cold"), by_sdk)


def _side_by_side(found: _Found, state: str) -> Sequence[Case]:
    like = _thousand(state, 100)
    cases = [case for case in found if dataclasses.replace(case, datasets=like.datasets) == like]
    return sorted(cases, key=lambda case: -case.datasets)


def _ratio(
    what: str,
    wanted: float,
    found: _Found,
    ours: Sequence[Case],
    other_of: Callable[[Case], Case],
) -> str:
    """Compare the largest number of datasets that both have: the slow ones are not run with a thousand."""
    for case in ours:
        other = found.get(other_of(case))
        if other is not None:
            ratio = other.seconds / found[case].seconds
            return f"| {what} ({case.datasets:,} datasets) | ≥ {wanted:g} × | {ratio:.1f} × |"
    return ""


def _largest(found: _Found, part: str) -> Record | None:
    """Return the largest run of a part in which nothing had changed."""
    cases = [
        case
        for case in found
        if (case.part, case.who, case.state) == (part, OURS, "unchanged") and not case.delay_ms
    ]
    case = max(cases, key=lambda each: (each.datasets, each.files_each), default=None)
    return found[case] if case else None


def _flat_memory(part: str) -> Callable[[_Found], str]:
    def line(found: _Found) -> str:
        record = _largest(found, part)
        if record is None:
            return ""
        what = (
            f"{record.case.datasets:,} × {record.case.files_each:,} files, unchanged: peak memory"
        )
        return f"| {what} | ≤ 300 MiB | {record.rss_bytes / _MIB:.0f} MiB |"

    return line


def _as_the_listing(found: _Found) -> str:
    record = _largest(found, "files")
    listing = found.get(dataclasses.replace(record.case, who=LISTING)) if record else None
    if record is None or listing is None:
        return ""
    what = f"1 × {record.case.files_each:,} files, unchanged: time over that of the SDK's listing"
    return f"| {what} | ≤ 1.5 × | {record.seconds / listing.seconds:.2f} × |"


def _two_workers(*, is_paced: bool) -> Callable[[_Found], str]:
    def line(found: _Found) -> str:
        shards = [each for each in found.values() if each.case.part == "shards"]
        for record in shards:
            ratio = over_one_worker(record, shards)
            if ratio and record.case.side_by_side == 2 and bool(record.case.pace_ms) == is_paced:
                how = "paced store" if is_paced else "store at once, on the workers' cores"
                what = f"shards of {record.case.shape.describe()}, {how}: two workers over one"
                return f"| {what} | ≥ 1.5 × | {ratio:.2f} × |"
        return ""

    return line


_BOUNDS: tuple[Callable[[_Found], str], ...] = (
    _at_most("cold, API at once, 16 side by side", "cold", 0, 20),
    _at_most("cold, API after 100 ms, 16 side by side", "cold", 100, 45),
    _at_most("unchanged, API after 100 ms, 16 side by side", "unchanged", 100, 25),
    _faster("cold, API after 100 ms: 16 side by side over one by one", "cold", 6),
    _faster("unchanged, API after 100 ms: 16 side by side over one by one", "unchanged", 5),
    _faster_than_sdk,
    _flat_memory("datasets"),
    _flat_memory("files"),
    _as_the_listing,
    _two_workers(is_paced=True),
    _two_workers(is_paced=False),
)
