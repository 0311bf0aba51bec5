"""Writes `SCALING.md`: what was measured, and which bounds hold."""

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Callable, Iterable, Sequence

from benchmarks.machine import describe_machine, versions
from benchmarks.scaling.cases import LISTING, OURS, PARTS, SDK, Case
from benchmarks.scaling.charts import draw_charts
from benchmarks.scaling.records import Record, Records
from benchmarks.tools import has_module

_QUIET_LOAD = 1.5  # what the case before leaves behind is about 1
_HEAD = (
    "seconds | {} | CPU s | peak MiB | API requests | on connections | store requests | on connections | "
    "disk MiB | inodes"
)


def write_report(folder: pathlib.Path, records: Records) -> pathlib.Path:
    """Write the report and its pictures.

    Args:
        folder: Where to.
        records: All that was ever measured there.

    Returns:
        The file.
    """
    pictures = draw_charts(folder, records) if has_module("matplotlib") else []
    everything = [record for part in PARTS for record in records.of_part(part)]
    sections = [
        _opening(everything),
        _busy(everything),
        _bounds(records),
        *(f"![{title}]({path.name})" for title, path in pictures),
        _datasets(records.of_part("datasets")),
        _files(records.of_part("files")),
        _shards(records.of_part("shards")),
    ]
    path = folder / "SCALING.md"
    path.write_text("\n\n".join(filter(None, sections)) + "\n", "utf-8")
    return path


def _opening(records: Sequence[Record]) -> str:
    today = dt.datetime.now(dt.timezone.utc).date()
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    delays = " or ".join(
        f"{delay:.0f}" for delay in sorted({each.first_byte_ms for each in records})
    )
    return f"""# How time, memory and requests grow

Written by `python -m benchmarks.scaling` on {today}: {describe_machine()}. {installed}.

The API and the store are nginx on loopback, with answers rendered beforehand; an API that waits is a small program, and
the store sends the first byte after {delays} ms. Each case is one run in a fresh process, timed without
imports, with Dagster's in-memory instance (shards: SQLite). `unchanged` repeats the `cold` run above it. The lines of one
table may come from several runs of the command: `scaling.json` has each with the machine's load before it.
[docs/scaling.md](../docs/scaling.md) reads these figures."""


def _busy(records: Sequence[Record]) -> str:
    busy = sum(record.load_before > _QUIET_LOAD for record in records)
    if not busy:
        return ""
    return f"**The machine's load was above {_QUIET_LOAD} before {busy} of {len(records)} cases: compare CPU seconds.**"


def _bounds(records: Records) -> str:
    found = {record.case: record for record in records.of_part("datasets")}
    lines = [line for line in (bound(found) for bound in _BOUNDS) if line]
    if not lines:
        return ""
    head = ["## Bounds: 1,000 datasets of one file", "", "| | wanted | measured |", "|---|--:|--:|"]
    return "\n".join([*head, *lines])


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


def _at_most(what: str, state: str, delay_ms: int, seconds: float) -> Callable[..., str]:
    def line(found: dict[Case, Record]) -> str:
        record = found.get(_thousand(state, delay_ms))
        return f"| {what} | ≤ {seconds:g} s | {record.seconds:.1f} s |" if record else ""

    return line


def _faster(what: str, state: str, ratio: float) -> Callable[..., str]:
    def line(found: dict[Case, Record]) -> str:
        def in_turn(case: Case) -> Case:
            return dataclasses.replace(case, side_by_side=1)

        return _ratio(what, ratio, found, _side_by_side(found, state), in_turn)

    return line


def _faster_than_sdk(found: dict[Case, Record]) -> str:
    def by_sdk(case: Case) -> Case:
        return dataclasses.replace(case, who=SDK, side_by_side=1)

    what = "cold, API after 100 ms: 16 side by side over a loop of `download_files`"
    return _ratio(what, 10, found, _side_by_side(found, "cold"), by_sdk)


def _side_by_side(found: dict[Case, Record], state: str) -> Sequence[Case]:
    like = _thousand(state, 100)
    cases = [case for case in found if dataclasses.replace(case, datasets=like.datasets) == like]
    return sorted(cases, key=lambda case: -case.datasets)


def _ratio(
    what: str,
    wanted: float,
    found: dict[Case, Record],
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


_BOUNDS: tuple[Callable[[dict[Case, Record]], str], ...] = (
    _at_most("cold, API at once, 16 side by side", "cold", 0, 20),
    _at_most("cold, API after 100 ms, 16 side by side", "cold", 100, 45),
    _at_most("unchanged, API after 100 ms, 16 side by side", "unchanged", 100, 25),
    _faster("cold, API after 100 ms: 16 side by side over one by one", "cold", 6),
    _faster("unchanged, API after 100 ms: 16 side by side over one by one", "unchanged", 5),
    _faster_than_sdk,
)


def _datasets(records: Iterable[Record]) -> str:
    rows = [
        f"| {case.datasets:,} × {case.files_each} | {case.delay_ms} | {case.state} | "
        f"{case.side_by_side if case.who == OURS else case.who} | {_figures(record)} |"
        for record in records
        for case in [record.case]
    ]
    head = f"| datasets × files | API ms | | side by side | {_HEAD.format('ms a dataset')} |"
    return _section("Many datasets in one run", head, rows)


def _files(records: Iterable[Record]) -> str:
    rows = [
        f"| {record.case.files_each:,} | {record.case.state if record.case.who == OURS else LISTING} | {_figures(record)} |"
        for record in records
    ]
    return _section(
        "Many files in one dataset (4 KiB each)", f"| files | | {_HEAD.format('files/s')} |", rows
    )


def _shards(records: Iterable[Record]) -> str:
    rows = [
        f"| {record.case.shape.describe()} | {record.case.side_by_side} | {_figures(record)} |"
        for record in records
    ]
    return _section(
        "One dataset in 4 shards over worker processes",
        f"| files | workers | {_HEAD.format('files/s')} |",
        rows,
    )


def _section(title: str, head: str, rows: Sequence[str]) -> str:
    if not rows:
        return ""
    columns = head.count("|") - 1
    return "\n".join([f"## {title}", "", head, "|" + "--:|" * columns, *rows])


def _figures(record: Record) -> str:
    is_fleet = record.case.part == "datasets"
    each = record.seconds / record.case.datasets * 1000
    rate = f"{each:,.1f}" if is_fleet else f"{record.case.files_each / record.seconds:,.0f}"
    return (
        f"{record.seconds:,.2f} | {rate} | {record.cpu_seconds:,.2f} | "
        f"{record.rss_bytes / 2**20:.0f} | {record.api.requests:,} | {record.api.connections:,} | "
        f"{record.store.requests:,} | {record.store.connections:,} | {record.disk_bytes / 2**20:,.0f} | {record.inodes:,}"
    )
