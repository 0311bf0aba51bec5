"""Writes `TOPICS.md`: what was measured, and which bounds hold."""

import datetime as dt
import importlib.metadata
import pathlib
import statistics
from collections.abc import Iterator

from benchmarks.machine import describe_machine
from benchmarks.topics.cases import ARROW, CASES, LOOP, MAX_RSS_MIB, OURS, LogCase
from benchmarks.topics.records import TopicsRecord, TopicsRecords

_PACKAGES = (
    "roboto-mcap-codec",
    "mcap",
    "mcap-ros1-support",
    "mcap-ros2-support",
    "mcap-protobuf-support",
    "rosbags",
    "pyulog",
    "pyarrow",
)
_NAMES = {OURS: "ours, with Parquet", LOOP: "the library's loop", ARROW: "pyarrow, as many bytes"}


def write_report(folder: pathlib.Path, records: TopicsRecords) -> pathlib.Path:
    """Write the report.

    Args:
        folder: Where to.
        records: All that was ever measured there.

    Returns:
        The file.
    """
    sections = [_opening(), "\n".join(_bounds(records)), "\n".join(_all(records))]
    path = folder / "TOPICS.md"
    path.write_text("\n\n".join(sections) + "\n", "utf-8")
    return path


def _opening() -> str:
    today = dt.datetime.now(dt.timezone.utc).date()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return f"""# Topics as tables, beside the libraries' own loops

Written by `python -m benchmarks.topics` on {today}: {describe_machine()}. {versions}.

Each run is a process of its own, on the same log; contenders take turns. Ours (this package) decodes every message, writes
Parquet and publishes it; the loop of the format's library decodes every message and keeps nothing (pyulog: keeps all). A ratio
is the median CPU time of the other over that of ours, imports included: above 1, ours takes less. The lines may come from
several runs of the command; `topics.json` has each run with the machine's load (average of a minute) before it."""


def _bounds(records: TopicsRecords) -> Iterator[str]:
    yield "## Bounds\n"
    yield "| log | other | wanted | measured | peak MiB, ours | wanted |"
    yield "|---|---|--:|--:|--:|--:|"
    for case in CASES.values():
        ours = records.find(case.name)
        if ours is None:
            continue
        memory = f"{ours.rss_bytes / 2**20:.0f} | ≤ {MAX_RSS_MIB}"
        compared = [
            f"| {case.title} | {_NAMES[who]} | ≥ {bound} | {ratio:.2f} | {memory} |"
            for who, bound in ((LOOP, case.bound), (ARROW, case.arrow_bound))
            if bound is not None and (ratio := records.ratio(case.name, who)) is not None
        ]
        yield from compared or [f"| {case.title} | | | | {memory} |"]


def _all(records: TopicsRecords) -> Iterator[str]:
    yield "## All figures\n"
    yield "| log | MB | messages | who | CPU s | seconds | messages a CPU s | MB a CPU s | peak MiB | rounds | load |"
    yield "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|"
    for case in CASES.values():
        for who in case.contenders:
            record = records.find(case.name, who)
            if record is not None:
                yield _line(case, record)


def _line(case: LogCase, record: TopicsRecord) -> str:
    cpu, wall = statistics.median(record.cpu_seconds), statistics.median(record.seconds)
    rows = "" if record.who == ARROW else f"{record.rows:,}"
    rate = "" if record.who == ARROW else f"{record.rows / cpu:,.0f}"
    return (
        f"| {case.title} | {record.log_bytes / 1e6:,.0f} | {rows} | {_NAMES[record.who]} | {cpu:.2f} | {wall:.2f} | {rate} | "
        f"{record.log_bytes / 1e6 / cpu:,.0f} | "
        f"{record.rss_bytes / 2**20:.0f} | {len(record.cpu_seconds)} | {record.load_before:.1f} |"
    )
