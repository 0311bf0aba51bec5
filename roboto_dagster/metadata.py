"""What a sync's outcome looks like as metadata of Dagster's events: numbers, names and tables.

Names come from the platform, and whoever uploads a file chooses its name: texts are escaped here,
where they become metadata.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.chart import throughput_markdown
from roboto_dagster.errors import ADVICE, DownloadError, RobotoDagsterError
from roboto_dagster.messages import relative_path, summary
from roboto_dagster.sync.report import (
    ReportedFile,
    SyncReport,
    TransferAttempt,
    count,
    size_text,
)
from roboto_dagster.sync.values import SyncMetadata
from roboto_dagster.text import markdown_text, one_line

Metadata = dict[str, dg.MetadataValue]

MAX_TABLE_ROWS = 100
"""Tables in events are cut here; the manifest has every file."""


def _value(key: str, value: object) -> dg.MetadataValue:
    of = dg.MetadataValue
    if key == "roboto/listed_at" and isinstance(value, float):
        return of.timestamp(value)
    if isinstance(value, (int, float)):
        return of.int(value) if isinstance(value, int) else of.float(value)
    if isinstance(value, pathlib.Path):
        return of.path(value)
    if isinstance(value, Mapping):
        return of.json(dict(value))
    return of.url(str(value)) if key.endswith("_url") else of.text(str(value))


def outcome_metadata(
    outcome: SyncReport | RobotoDagsterError, partition_key: str | None = None
) -> Metadata:
    """Return the metadata of a partition: complete, partly failed, or not even planned.

    Args:
        outcome: Its sync's report, or why there is none.
        partition_key: The partition. Default None: the asset has none.
    """
    if isinstance(outcome, SyncReport):
        return report_metadata(outcome, is_partition=partition_key is not None)
    return {"roboto/error": dg.MetadataValue.text(one_line(outcome))}


def report_metadata(report: SyncReport, *, is_partition: bool) -> Metadata:
    """Return the metadata of one partition's sync, in the order in which it is to be read: what
    happened, what failed, how it went, where it is.

    Args:
        report: What the sync did.
        is_partition: Whether it is one of several partitions.
    """
    metadata: Metadata = {"roboto/summary": dg.MetadataValue.text(summary(report))}
    if report.failures:
        metadata |= failure_metadata(report.failures, report.error_codes)
    if report.skipped:
        metadata["roboto/skipped"] = _failures_table(report.skipped, len(report.skipped))
    if report.bytes_fetched:
        chart = throughput_markdown(report.timeline, report.throughput_mib_s)
        metadata["roboto/throughput"] = dg.MetadataValue.md(chart)
    slowest = [each for each in report.top_files if each.status == "fetched"]
    if slowest:
        metadata["roboto/slowest_files"] = _files_table(slowest)
    if report.attempts:
        metadata["roboto/attempts"] = _attempts_table(report.attempts)
    values = SyncMetadata.of(report).plain_values(is_partition=is_partition)
    return metadata | {key: _value(key, value) for key, value in values.items()}


def failure_metadata(failures: Sequence[DownloadError], error_codes: Mapping[str, int]) -> Metadata:
    """Return the metadata of failed files: a table of them, what to do about each kind, and their
    count by code.

    Args:
        failures: Some or all of them.
        error_codes: How many there are of each code, in all.
    """
    advice = dict(ADVICE) | {each.code: each.advice for each in reversed(failures)}
    lines = [
        f"- **{code}** ({count(number, 'file')}): {markdown_text(advice[code])}"
        for code, number in error_codes.items()
    ]
    return {
        "roboto/failures": _failures_table(failures, sum(error_codes.values())),
        "roboto/what_to_do": dg.MetadataValue.md("\n".join(lines)),
        "roboto/error_codes": dg.MetadataValue.json(dict(error_codes)),
    }


def _failures_table(failures: Sequence[DownloadError], total: int) -> dg.MetadataValue:
    """Return a table in which code and message come first: a long path would push them out of sight."""
    rows: list[tuple[str, str, str, int, bool]] = [
        (
            each.code,
            one_line(each.reason),
            one_line(relative_path(each)),
            each.attempts,
            each.transient,
        )
        for each in failures[:MAX_TABLE_ROWS]
    ]
    if total > len(rows):
        rows.append(("", f"{count(total - len(rows), 'more file')} in the manifest", "…", 0, False))
    columns = {
        "error_code": "string",
        "message": "string",
        "relative_path": "string",
        "attempts": "int",
        "transient": "bool",
    }
    return _table(columns, rows)


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
    return _table(columns, rows)


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
    return _table(columns, rows)


def _table(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> dg.MetadataValue:
    schema = dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns.items()])
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records=records, schema=schema)
