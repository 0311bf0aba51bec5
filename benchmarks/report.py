"""Writes `RESULTS.md`: what was measured, how, on what, and which bounds hold."""

import datetime as dt
import pathlib
from collections.abc import Sequence

from benchmarks.lineup import Contender
from benchmarks.machine import describe_machine, versions
from benchmarks.results import BARE, Cell, Results, bounds
from benchmarks.shapes import Shape

_MIB = 2**20
_QUIET_LOAD = 0.5
_BUSY = (
    "**The machine did other work meanwhile (load {:.1f} before): compare CPU seconds, not times.**"
)
_WHY = "Where one is missed, [LIMITS.md](LIMITS.md) describes what was tried and what the limit is."
_QUICK = "This was the quick mode: it shows that all of it works; its figures mean nothing."


def write_report(
    folder: pathlib.Path,
    results: Results,
    contenders: Sequence[Contender],
    *,
    server: str,
    rounds: int,
    charts: Sequence[tuple[str, pathlib.Path]] = (),
    load_before: float = 0.0,
    is_quick: bool = False,
) -> pathlib.Path:
    """Writes the report.

    Args:
        folder: Where to.
        results: What was measured.
        contenders: Who took part, or would have.
        server: What served, in words.
        rounds: How often.
        charts: Titles and files of the pictures, in the same folder.
        load_before: The machine's load before the first measurement.
        is_quick: Whether this was the quick mode, whose figures mean nothing.

    Returns:
        The file.
    """
    path = folder / "RESULTS.md"
    sections = [
        _opening(server, rounds),
        _BUSY.format(load_before) if load_before > _QUIET_LOAD else "",
        *(f"![{title}]({chart.name})" for title, chart in charts),
        _QUICK if is_quick else _bounds(results),
        *_tables(results),
        _growth(results),
        _cases(results),
        _failures(results),
        _contenders(contenders),
    ]
    path.write_text(
        "\n\n".join(section for section in sections if section) + "\n", encoding="utf-8"
    )
    return path


def _opening(server: str, rounds: int) -> str:
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    times = "1 round" if rounds == 1 else f"{rounds} rounds, interleaved"
    today = dt.datetime.now(dt.timezone.utc).date()
    return f"""# Side by side

Written by `make bench` on {today}: {describe_machine()}; {times}.
{installed}.

The source: {server} Every contender gets the same bytes, onto the same memory-backed disk, each time in a fresh
process; a run counts only if the right number of files of the right size is there and one of them is compared byte by
byte. A transfer that does not count goes before each shape. Times are medians. Python contenders time the transfer
without their imports, commands are timed from start to end; CPU is user and system time of all that the contender runs, without
the server's; memory is the peak of the process, imports included."""


def _bounds(results: Results) -> str:
    rows = [
        f"| {bound.what} | {'≤' if bound.is_upper else '≥'} {bound.wanted:g} | "
        f"{_number(bound.reached)} | {_verdict(bound.reached, is_met=bound.is_met)} |"
        for bound in bounds(results)
    ]
    return "\n".join(
        ["## The bounds", "", _WHY, "", "| | wanted | measured | |", "|---|--:|--:|---|", *rows]
    )


def _verdict(reached: float | None, *, is_met: bool) -> str:
    if reached is None:
        return "not measured"
    return "holds" if is_met else "**missed**"


def _tables(results: Results) -> list[str]:
    cases = dict.fromkeys(
        (cell.shape, cell.scheme) for cell in results.cells if not _is_growth(cell.shape)
    )
    return [_table(results, shape, scheme) for shape, scheme in cases]


def _table(results: Results, shape: Shape, scheme: str) -> str:
    cells = [cell for cell in results.cells if (cell.shape, cell.scheme) == (shape, scheme)]
    head = "| | seconds | lowest–highest | files/s | MB/s | × SDK | × s5cmd | × bare | CPU s | peak MiB |"
    rows = [_row(results, cell) for cell in cells]
    title = f"## {shape.name}, {scheme}: {shape.describe()}"
    return "\n".join([title, "", head, "|---|" + "--:|" * 9, *rows])


def _row(results: Results, cell: Cell) -> str:
    if cell.seconds is None or not cell.files_per_second or not cell.bytes_per_second:
        return f"| {cell.contender} | failed |" + " |" * 8
    times = [one.seconds for one in cell.measurements]
    others = [
        results.speedup(cell.contender, over, cell.shape.name, cell.scheme)
        for over in ("SDK", "s5cmd")
    ]
    bare = [results.speedup(cell.contender, over, cell.shape.name, cell.scheme) for over in BARE]
    lowest = min((value for value in bare if value is not None), default=None)
    ratios = " | ".join(_number(value) for value in [*others, lowest])
    return (
        f"| {cell.contender} | {cell.seconds:.2f} | {min(times):.2f}–{max(times):.2f} | "
        f"{cell.files_per_second:,.0f} | {cell.bytes_per_second / 1e6:,.0f} | {ratios} | "
        f"{cell.cpu_seconds:.2f} | {cell.rss_bytes / _MIB:.0f} |"
    )


def _growth(results: Results) -> str:
    cells = [cell for cell in results.cells if _is_growth(cell.shape)]
    if not cells:
        return ""
    rows = [
        f"| {cell.contender} | {cell.shape.files:,} | {cell.seconds:.2f} | {cell.cpu_seconds:.2f} | "
        f"{cell.rss_bytes / _MIB:.0f} |"
        for cell in cells
        if cell.seconds is not None
    ]
    title = f"## Growth: files of {cells[0].shape.size_bytes // 1024} KiB, {cells[0].scheme}"
    return "\n".join(
        [title, "", "| | files | seconds | CPU s | peak MiB |", "|---|--:|--:|--:|--:|", *rows]
    )


def _cases(results: Results) -> str:
    if not results.cases:
        return ""
    rows = [
        f"| {name} | {one.seconds:.2f} | {one.cpu_seconds:.2f} | {one.rss_bytes / _MIB:.0f} |"
        for name, one in results.cases.items()
    ]
    head = ["| | seconds | CPU s | peak MiB |", "|---|--:|--:|--:|"]
    text = (
        "`listing` is the SDK's own listing of the dataset whose files are all `unchanged`; that sync may open no "
        "store. `datasets` downloads many datasets of one file each in one run; `datasets, bare` is a bare libcurl loop "
        "over the same objects."
    )
    return "\n".join(["## Many unchanged files, many datasets", "", text, "", *head, *rows])


def _failures(results: Results) -> str:
    lines = [
        f"- {cell.contender}, {cell.shape.name}, {cell.scheme}: failed in {len(cell.failures)} of "
        f"{len(cell.failures) + len(cell.measurements)} rounds"
        for cell in results.cells
        if cell.failures
    ]
    lines += [f"- {name}: not measured" for name in results.case_failures]
    return "\n".join(["## What failed", "", *lines]) if lines else ""


def _contenders(contenders: Sequence[Contender]) -> str:
    lines = [
        f"- **{one.name}**: {one.settings}{'' if one.is_installed else ' (not installed here)'}"
        for one in contenders
    ]
    return "\n".join(["## How each was set up", "", *lines])


def _is_growth(shape: Shape) -> bool:
    return shape.name.startswith("grow")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
