"""What the outcome of a partition looks like as metadata of Dagster's events: numbers, names and tables.

Names come from the platform, and whoever uploads a file chooses its name: texts are escaped here,
where they become metadata.
"""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.chart import throughput_markdown
from roboto_dagster.errors import ADVICE, RobotoDagsterError
from roboto_dagster.partition_report import Report, ReportedFailure
from roboto_dagster.sync.report import ReportedFile, SyncReport, TransferAttempt, size_text
from roboto_dagster.sync.values import SyncMetadata
from roboto_dagster.text import count, markdown_text, one_line

Metadata = dict[str, dg.MetadataValue]

MAX_TABLE_ROWS = 100
"""Tables in events are cut here; the manifest has every file."""

_TIMES = ("roboto/listed_at", "roboto/first_time", "roboto/last_time")  # in seconds since the epoch


def metadata_value(key: str, value: object) -> dg.MetadataValue:
    """Return a plain value as Dagster shows it best.

    Args:
        key: Its key.
        value: The value.
    """
    of = dg.MetadataValue
    if key in _TIMES and isinstance(value, float):
        return of.timestamp(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, pathlib.Path):
        return of.path(value)
    if isinstance(value, Mapping):
        return of.json(dict(value))
    return of.url(str(value)) if key.endswith("_url") else of.text(str(value))


# Dagster keeps the events of a step until its end, and thousands of partitions have the same counts.
@functools.lru_cache(maxsize=1024, typed=True)
def _number(value: float) -> dg.MetadataValue:
    of = dg.MetadataValue
    return of.int(value) if isinstance(value, int) else of.float(value)


@functools.lru_cache(maxsize=1024)
def _text(text: str) -> dg.MetadataValue:
    return dg.MetadataValue.text(text)


def outcome_metadata(
    outcome: Report | RobotoDagsterError,
    partition_key: str | None = None,
    *,
    is_brief: bool = False,
) -> Metadata:
    """Return the metadata of a partition: complete, partly failed, or not even planned.

    Args:
        outcome: Its report, or why there is none.
        partition_key: The partition. Default None: the asset has none.
        is_brief: Whether charts and tables are left out that say no more than the numbers, as of a single file: the
            events of a step with thousands of partitions are kept in memory until its end. Default False.
    """
    if isinstance(outcome, RobotoDagsterError):
        return {"roboto/error": dg.MetadataValue.text(one_line(outcome))}
    metadata: Metadata = {"roboto/summary": _text(outcome.summary())}
    if outcome.failures:
        metadata |= failure_metadata(outcome.failures, outcome.error_codes, outcome.noun)
    is_partition = partition_key is not None
    return metadata | report_metadata(outcome, is_partition=is_partition, is_brief=is_brief)


@functools.singledispatch
def report_metadata(report: Report, *, is_partition: bool, is_brief: bool) -> Metadata:
    """Return what is special to a kind of report, in the order in which it is to be read: how it went, where it is.

    Args:
        report: Of the partition.
        is_partition: Whether it is one of several partitions.
        is_brief: Whether charts and tables are left out that say no more than the numbers.
    """
    raise NotImplementedError(f"{type(report).__name__}, {is_partition}, {is_brief}")


@report_metadata.register
def _sync_metadata(report: SyncReport, *, is_partition: bool, is_brief: bool) -> Metadata:
    metadata: Metadata = {}
    if report.skipped:
        metadata["roboto/skipped"] = failures_table(
            report.skipped, len(report.skipped), report.noun
        )
    least_rows, least_seconds = (2, 1.0) if is_brief else (1, 0.0)
    if report.bytes_fetched and report.timeline.duration_seconds >= least_seconds:
        chart = throughput_markdown(report.timeline, report.throughput_mib_s)
        metadata["roboto/throughput"] = dg.MetadataValue.md(chart)
    slowest = [each for each in report.top_files if each.status == "fetched"]
    if len(slowest) >= least_rows:
        metadata["roboto/slowest_files"] = _files_table(slowest)
    if len(report.attempts) >= least_rows:
        metadata["roboto/attempts"] = _attempts_table(report.attempts)
    values = SyncMetadata.of(report).plain_values(is_partition=is_partition)
    return metadata | {key: metadata_value(key, value) for key, value in values.items()}


def failure_metadata(
    failures: Sequence[ReportedFailure], error_codes: Mapping[str, int], noun: str
) -> Metadata:
    """Return the metadata of failures: a table of them, what to do about each kind, and their count by code.

    Args:
        failures: Some or all of them.
        error_codes: How many there are of each code, in all.
        noun: What they are about, such as `file`.
    """
    advice: dict[str, str] = {**ADVICE, **{each.code: each.advice for each in reversed(failures)}}
    lines = [
        f"- **{code}** ({count(number, noun)}): {markdown_text(advice.get(code, ''))}"
        for code, number in error_codes.items()
    ]
    return {
        "roboto/failures": failures_table(failures, sum(error_codes.values()), noun),
        "roboto/what_to_do": dg.MetadataValue.md("\n".join(lines)),
        "roboto/error_codes": dg.MetadataValue.json(dict(error_codes)),
    }


def failures_table(failures: Sequence[ReportedFailure], total: int, noun: str) -> dg.MetadataValue:
    """Return a table in which code and message come first: a long path would push them out of sight.

    Args:
        failures: Some or all of them; at least one.
        total: How many there are.
        noun: What they are about, such as `file`.
    """
    places = list(failures[0].place)
    rows: list[list[Any]] = [
        [
            each.code,
            one_line(each.reason),
            *(one_line(each.place[name]) for name in places),
            each.attempts,
            each.transient,
        ]
        for each in failures[:MAX_TABLE_ROWS]
    ]
    if total > len(rows):
        more = f"{count(total - len(rows), f'more {noun}')} in the manifest"
        rows.append(["", more, *("…" for _ in places), 0, False])
    columns = {
        "error_code": "string",
        "message": "string",
        **dict.fromkeys(places, "string"),
        "attempts": "int",
        "transient": "bool",
    }
    return table_value(columns, rows)


def _files_table(files: Sequence[ReportedFile]) -> dg.MetadataValue:
    columns = {"seconds": "float", "size": "string", "attempts": "int", "relative_path": "string"}
    rows = [
        (
            round(each.duration_seconds, 3),
            size_text(each.size_bytes),
            each.attempts,
            one_line(each.relative_path),
        )
        for each in files
    ]
    return table_value(columns, rows)


def _attempts_table(attempts: Sequence[TransferAttempt]) -> dg.MetadataValue:
    columns = {
        "attempt": "int",
        "files": "int",
        "failed": "int",
        "bytes_fetched": "int",
        "duration_seconds": "float",
    }
    rows = [
        (each.number, each.files, each.failed, each.bytes_fetched, round(each.duration_seconds, 3))
        for each in attempts[:MAX_TABLE_ROWS]
    ]
    return table_value(columns, rows)


def table_value(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> dg.MetadataValue:
    """Return a table.

    Args:
        columns: The type of each column, by name.
        rows: Their values, in the same order.
    """
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records=records, schema=_table_schema(tuple(columns.items())))


@functools.lru_cache(maxsize=32)
def _table_schema(columns: Sequence[tuple[str, str]]) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns])
