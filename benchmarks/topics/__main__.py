"""`python -m benchmarks.topics`: decodes logs of each kind beside the bare loop of its library."""

import argparse
import os
import pathlib
import shutil
import sys
from collections.abc import Sequence

from benchmarks.measure import FailedError, Measurement, measure
from benchmarks.topics.cases import CASES, LOOP, OURS, LogCase
from benchmarks.topics.records import TopicsRecord, TopicsRecords
from benchmarks.topics.report import write_report
from benchmarks.workspace import workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for, and write the report about all that was ever measured.

    Returns:
        The process's exit code: 1 if a contender failed, or ours has not read all messages.
    """
    options = _parse(arguments)
    records = TopicsRecords(options.output / "topics.json")
    failed = False
    for name in options.cases.split(","):
        with workspace() as folder:
            try:
                for record in _measure(CASES[name], folder, options):
                    records.add(record)
                    cpu = ", ".join(f"{each:.2f}" for each in record.cpu_seconds)
                    print(
                        f"{name}, {record.who}: {cpu} CPU s, {record.rss_bytes >> 20} MiB",
                        flush=True,
                    )
            except FailedError as error:
                failed = True
                print(f"{name} FAILED: {error}", flush=True)
    print(f"Wrote {write_report(options.output, records)}", flush=True)
    return 1 if failed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.topics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: only whether all of it works")
    parser.add_argument("--cases", default=",".join(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument("--rounds", type=int, help="how often each is measured (default 3)")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parents[1],
        help="folder for topics.json and TOPICS.md (default: benchmarks)",
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    unknown = set(options.cases.split(",")) - set(CASES)
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    return options


def _measure(
    case: LogCase, folder: pathlib.Path, options: argparse.Namespace
) -> Sequence[TopicsRecord]:
    log = case.write(folder / case.file_name, case.quick_ticks if options.quick else case.ticks)
    load = os.getloadavg()[0]
    found: dict[str, list[Measurement]] = {who: [] for who in case.contenders}
    for _ in range(options.rounds):
        for who, measurements in found.items():  # they take turns, so that a busy moment hits all
            measurements.append(_run(case, who, log, folder / "tables"))
    records = [
        TopicsRecord(
            case=case.name,
            who=who,
            log_bytes=log.stat().st_size,
            rows=measurements[0].notes["rows"],
            cpu_seconds=[each.cpu_seconds for each in measurements],
            seconds=[each.seconds for each in measurements],
            rss_bytes=max(each.rss_bytes for each in measurements),
            load_before=load,
        )
        for who, measurements in found.items()
    ]
    _check(records)
    return records


def _run(case: LogCase, who: str, log: pathlib.Path, tables: pathlib.Path) -> Measurement:
    tables.mkdir()
    arguments = [case.name, who, str(log), str(tables)]
    command = [sys.executable, "-m", "benchmarks.topics.contender", *arguments]
    try:
        return measure(command, os.environ, timeout=900, times_itself=True)
    finally:
        shutil.rmtree(tables)


def _check(records: Sequence[TopicsRecord]) -> None:
    """Raise unless ours has a row for each message of the loop; ULog has rows of texts and parameters besides."""
    rows = {record.who: record.rows for record in records}
    if rows[OURS] < rows.get(LOOP, 0):
        raise FailedError(f"{rows[OURS]} rows instead of {rows[LOOP]}")


if __name__ == "__main__":
    sys.exit(main())
