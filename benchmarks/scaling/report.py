"""Writes `SCALING.md`: what was measured, and which bounds hold."""

import datetime as dt
import pathlib
from collections.abc import Iterable, Sequence

from benchmarks.machine import describe_machine, versions
from benchmarks.scaling.bounds import bounds, over_one_worker
from benchmarks.scaling.cases import LISTING, OURS, PARTS
from benchmarks.scaling.charts import draw_charts
from benchmarks.scaling.measuring import PACED_CONNECTIONS
from benchmarks.scaling.records import Record, Records
from benchmarks.server import PACE_MS
from benchmarks.tools import has_module

_QUIET_LOAD = 1.5  # what the case before leaves behind is about 1
_ABOUT_SHARDS = f"""The servers run on the same cores as the workers. A store that answers each connection every {PACE_MS} ms at
most, over {PACED_CONNECTIONS} connections, gives a worker a thousand files a second and leaves most of its core free:
there the cores do not decide, and what is seen is what plan, merge and the start of processes cost. From a store that
answers at once a worker takes all of a core, and workers and servers share those of this machine."""
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
        bounds(everything),
        *(f"![{title}]({path.name})" for title, path in pictures),
        _datasets(records.of_part("datasets")),
        _files(records.of_part("files")),
        _shards(list(records.of_part("shards"))),
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


def _shards(records: Sequence[Record]) -> str:
    rows = [
        f"| {case.shape.describe()} | {f'{case.pace_ms} ms' if case.pace_ms else 'at once'} | {case.side_by_side} | "
        f"{f'{ratio:.2f} ×' if (ratio := over_one_worker(record, records)) else ''} | "
        f"{record.server_cpu_seconds:,.2f} | {_figures(record)} |"
        for record in records
        for case in [record.case]
    ]
    text = _section(
        "One dataset in 4 shards over worker processes",
        f"| files | store | workers | over one | servers' CPU s | {_HEAD.format('files/s')} |",
        rows,
    )
    return f"{text}\n\n{_ABOUT_SHARDS}" if text else ""


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
