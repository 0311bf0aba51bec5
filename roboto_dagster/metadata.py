"""What a sync's outcome looks like as metadata of Dagster's events: numbers, names and tables.

Names come from the platform, and whoever uploads a file chooses its name: texts are escaped here,
where they become metadata.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from typing_extensions import Self

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
from roboto_dagster.text import markdown_text, one_line

Metadata = dict[str, dg.MetadataValue]

MAX_TABLE_ROWS = 100
"""Tables in events are cut here; the manifest has every file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncMetadata:
    """The numbers and names in an event of a dataset asset: the keys that programs may rely on.

    ```python
    event = instance.get_latest_materialization_event(asset.key).asset_materialization
    SyncMetadata.from_metadata(event.metadata).files_fetched
    ```

    Attributes:
        uri: The folder that holds the files (`dagster/uri`).
        row_count: Files that are complete on disk (`dagster/row_count`).
        dataset_id: The dataset, or several separated by commas; this and all below are `roboto/…`.
        dataset_name: Its name on the platform, or several separated by commas.
        dataset_url: Its page on the platform, if it has one.
        files_fetched: Files that this run fetched.
        files_unchanged: Files that were complete already.
        files_retried: Fetched files that took more than one attempt; left out if there are none.
        files_skipped: Files that are left out on purpose, such as refused ones with
            `on_refused="skip"`; left out if there are none.
        files_removed: Files that were removed since the platform no longer lists them.
        files_failed: Files that could not be delivered.
        bytes_fetched: Bytes that this run fetched.
        bytes_total: Bytes of all files.
        duration_seconds: From listing to manifest.
        throughput_mib_s: MiB a second while files were fetched; 0 if none was.
        manifest: Path of the manifest.
        error_codes: How many files failed with each code.
    """

    uri: str
    row_count: int
    dataset_id: str
    dataset_name: str | None = None
    dataset_url: str | None = None
    files_fetched: int
    files_unchanged: int
    files_removed: int
    files_failed: int
    bytes_fetched: int
    bytes_total: int
    duration_seconds: float
    throughput_mib_s: float
    manifest: pathlib.Path
    error_codes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    files_retried: int | None = None
    files_skipped: int | None = None

    @classmethod
    def of(cls, report: SyncReport) -> Self:
        """Take it from a report."""
        return cls(
            uri=report.root.as_uri(),
            row_count=report.files_fetched + report.files_unchanged,
            dataset_id=", ".join(report.dataset_ids),
            dataset_name=one_line(", ".join(report.dataset_names.values())) or None,
            dataset_url=report.dataset_url,
            files_fetched=report.files_fetched,
            files_unchanged=report.files_unchanged,
            files_removed=report.files_removed,
            files_failed=report.files_failed,
            bytes_fetched=report.bytes_fetched,
            bytes_total=report.bytes_total,
            duration_seconds=round(report.duration_seconds, 3),
            throughput_mib_s=round(report.throughput_mib_s, 2),
            manifest=report.manifest,
            error_codes=report.error_codes,
            files_retried=report.files_retried or None,
            files_skipped=report.files_skipped or None,
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, dg.MetadataValue]) -> Self | None:
        """Read it from an event's metadata, or return None where there is none of ours."""
        found: dict[str, Any] = {
            name: metadata[key].value for name, key in _KEYS.items() if key in metadata
        }
        if "manifest" not in found:
            return None
        return cls(**{**found, "manifest": pathlib.Path(found["manifest"])})

    def to_metadata(self) -> Metadata:
        """Return it as metadata; what there is none of is left out."""
        values = ((key, getattr(self, name)) for name, key in _KEYS.items())
        return {key: _value(key, value) for key, value in values if value not in (None, {})}


_KEYS = {
    field.name: f"{'dagster' if field.name in ('uri', 'row_count') else 'roboto'}/{field.name}"
    for field in dataclasses.fields(SyncMetadata)
}


def _value(key: str, value: object) -> dg.MetadataValue:
    of = dg.MetadataValue
    if isinstance(value, (int, float)):
        return of.int(value) if isinstance(value, int) else of.float(value)
    if isinstance(value, pathlib.Path):
        return of.path(value)
    if isinstance(value, Mapping):
        return of.json(dict(value))
    return of.url(str(value)) if key.endswith("_url") else of.text(str(value))


def outcome_metadata(outcome: SyncReport | RobotoDagsterError) -> Metadata:
    """Return the metadata of a partition: complete, partly failed, or not even planned.

    Args:
        outcome: Its sync's report, or why there is none.
    """
    if isinstance(outcome, SyncReport):
        return report_metadata(outcome)
    return {"roboto/error": dg.MetadataValue.text(one_line(outcome))}


def report_metadata(report: SyncReport) -> Metadata:
    """Return the metadata of one partition's sync, in the order in which it is to be read: what
    happened, what failed, how it went, where it is.

    Args:
        report: What the sync did.
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
    return metadata | SyncMetadata.of(report).to_metadata()


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
