"""What a sync's report looks like in Dagster: metadata of a materialization, and the failure of a
partial one.
"""

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from typing_extensions import Self

from roboto_dagster.chart import throughput_markdown
from roboto_dagster.errors import ADVICE, DownloadError, RobotoDagsterError, is_transient
from roboto_dagster.sync.report import (
    DeliveredFile,
    SyncReport,
    TransferAttempt,
    count,
    duration_text,
    size_text,
)

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

Metadata = dict[str, dg.MetadataValue]

Outcome = SyncReport | RobotoDagsterError
"""What became of one partition: a report, or why it could not even be planned."""

MAX_TABLE_ROWS = 100
"""Tables in events are cut here; the manifest has every file."""

_NAMED_IN_SENTENCE = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncMetadata:
    """What an event of a dataset asset tells in numbers and names: the keys that programs may rely on.

    ```python
    event = instance.get_latest_materialization_event(asset.key).asset_materialization
    SyncMetadata.from_metadata(event.metadata).files_fetched
    ```

    Attributes:
        uri: The folder that holds the files (`dagster/uri`).
        row_count: Files that are whole on disk (`dagster/row_count`).
        dataset_id: The dataset, or several separated by commas; this and all below are `roboto/…`.
        dataset_url: Its page on the platform, if it has one.
        files_fetched: Files that this run fetched.
        files_unchanged: Files that were whole already.
        files_removed: Files that were removed since the platform no longer lists them.
        files_failed: Files that are not whole.
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

    @classmethod
    def of(cls, report: SyncReport) -> Self:
        """Takes it from a report."""
        return cls(
            uri=report.root.as_uri(),
            row_count=report.files_fetched + report.files_unchanged,
            dataset_id=", ".join(report.dataset_ids),
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
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, dg.MetadataValue]) -> Self | None:
        """Reads it back from an event's metadata, or returns None where there is none of ours."""
        found: dict[str, Any] = {
            name: metadata[key].value for name, key in _KEYS.items() if key in metadata
        }
        if "manifest" not in found:
            return None
        return cls(**{**found, "manifest": pathlib.Path(found["manifest"])})

    def to_metadata(self) -> Metadata:
        """Returns it as metadata; what there is none of is left out."""
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


def report_metadata(report: SyncReport) -> Metadata:
    """Returns the metadata of one partition's sync, whole or not, in the order in which it is to be
    read: what happened, what failed, how it went, where it is.

    Args:
        report: What the sync did.
    """
    metadata: Metadata = {"roboto/summary": dg.MetadataValue.text(summary(report))}
    if report.failures:
        metadata |= failure_metadata(report.failures, report.error_codes)
    if report.skipped:
        metadata["roboto/skipped"] = _failures_table(report.skipped)
    if report.bytes_fetched:
        chart = throughput_markdown(report.timeline, report.throughput_mib_s)
        metadata["roboto/throughput"] = dg.MetadataValue.md(chart)
    if report.top_files:
        metadata["roboto/top_files"] = _files_table(report.top_files)
    metadata["roboto/attempts"] = _attempts_table(report.attempts)
    return metadata | SyncMetadata.of(report).to_metadata()


def failure_metadata(failures: Sequence[DownloadError], error_codes: Mapping[str, int]) -> Metadata:
    """Returns what is told of failed files, besides the rest: a table of them, what to do about each
    kind, and their count by code.
    """
    advice = [
        f"- **{code}** ({count(n, 'file')}): {ADVICE[code]}" for code, n in error_codes.items()
    ]
    return {
        "roboto/failures": _failures_table(failures),
        "roboto/what_to_do": dg.MetadataValue.md("\n".join(advice)),
        "roboto/error_codes": dg.MetadataValue.json(dict(error_codes)),
    }


def _failures_table(failures: Sequence[DownloadError]) -> dg.MetadataValue:
    records = [
        dg.TableRecord(
            {
                "relative_path": relative_path(failure),
                "error_code": failure.code,
                "attempts": failure.attempts,
                "transient": failure.transient,
                "message": failure.reason,
            }
        )
        for failure in failures[:MAX_TABLE_ROWS]
    ]
    if len(failures) > MAX_TABLE_ROWS:
        more = f"{len(failures) - MAX_TABLE_ROWS} more failed files are in the manifest"
        records.append(
            dg.TableRecord(
                {
                    "relative_path": "…",
                    "error_code": "",
                    "attempts": 0,
                    "transient": False,
                    "message": more,
                }
            )
        )
    columns = [("relative_path", "string"), ("error_code", "string"), ("attempts", "int")]
    return _table(records, [*columns, ("transient", "bool"), ("message", "string")])


def _files_table(files: Sequence[DeliveredFile]) -> dg.MetadataValue:
    records = [
        dg.TableRecord(
            {
                "relative_path": each.relative_path,
                "size": size_text(each.size_bytes),
                "seconds": round(each.duration_seconds, 3),
                "attempts": each.attempts,
                "status": each.status,
            }
        )
        for each in files
    ]
    columns = [("relative_path", "string"), ("size", "string"), ("seconds", "float")]
    return _table(records, [*columns, ("attempts", "int"), ("status", "string")])


def _attempts_table(attempts: Sequence[TransferAttempt]) -> dg.MetadataValue:
    records = [
        dg.TableRecord(
            {
                "round": each.number,
                "files": each.files,
                "failed": each.failed,
                "bytes_fetched": each.bytes_fetched,
                "duration_seconds": round(each.duration_seconds, 3),
            }
        )
        for each in attempts[:MAX_TABLE_ROWS]
    ]
    columns = [("round", "int"), ("files", "int"), ("failed", "int"), ("bytes_fetched", "int")]
    return _table(records, [*columns, ("duration_seconds", "float")])


def _table(
    records: Sequence[dg.TableRecord], columns: Sequence[tuple[str, str]]
) -> dg.MetadataValue:
    schema = dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns])
    return dg.MetadataValue.table(records=records, schema=schema)


def relative_path(failure: DownloadError) -> str:
    """Returns the path of a failed file in its dataset, or where it should have gone."""
    file: Mapping[str, object] = {**failure.file}
    return str(file.get("relative_path") or file["destination_path"])


def is_whole(outcome: Outcome) -> bool:
    """Tells whether every file of a partition is on disk."""
    return isinstance(outcome, SyncReport) and not outcome.failures


def outcome_metadata(outcome: Outcome) -> Metadata:
    """Returns the metadata of a partition, whole, partly failed, or not even planned."""
    if isinstance(outcome, SyncReport):
        return report_metadata(outcome)
    return {"roboto/error": dg.MetadataValue.text(str(outcome))}


def summary(report: SyncReport) -> str:
    """Returns one line about a sync, for the log."""
    fetched = count(report.files_fetched, "file") + " fetched"
    if report.bytes_fetched:
        fetched += f" ({size_text(report.bytes_fetched)} at {report.throughput_mib_s:.1f} MiB/s)"
    return (
        f"{fetched}, {report.files_unchanged} unchanged, {report.files_failed} failed, "
        f"in {duration_text(report.duration_seconds)}"
    )


def describe(outcome: Outcome, partition_key: str | None) -> str:
    """Says in words why a partition is not whole: a sentence, the first files, and what to do
    next.
    """
    if not isinstance(outcome, SyncReport):
        return f"{partition_key}: {outcome}" if partition_key else str(outcome)
    files = [f"  {line}" for line in _first_files(outcome)]
    return "\n".join([_verdict(outcome, partition_key), *files, _what_next(outcome)])


def describe_in_markdown(outcome: Outcome, partition_key: str | None) -> str:
    """Says the same for the asset's page, where lines would run into one another."""
    if not isinstance(outcome, SyncReport):
        return describe(outcome, partition_key)
    files = "\n".join(f"- {line}" for line in _first_files(outcome))
    return f"{_verdict(outcome, partition_key)}\n\n{files}\n\n{_what_next(outcome)}"


def _verdict(report: SyncReport, partition_key: str | None) -> str:
    subject = partition_key or ", ".join(report.dataset_ids)
    codes = ", ".join(f"{count} {code}" for code, count in report.error_codes.items())
    files = count(report.files_total, "file")
    return f"{report.files_failed} of {files} of {subject} could not be delivered ({codes})."


def _first_files(report: SyncReport) -> list[str]:
    """Names a few files; what to do about a code is said once."""
    lines, advised = [], set()
    for failure in report.failures[:_NAMED_IN_SENTENCE]:
        advice = "" if failure.code in advised else f" {failure.advice}"
        advised.add(failure.code)
        lines.append(f"{relative_path(failure)}: {failure.code}: {failure.reason}.{advice}")
    more = report.files_failed - _NAMED_IN_SENTENCE
    if more > 0:
        lines.append(f"… and {more} more: see roboto/failures, or the manifest.")
    return lines


def _what_next(report: SyncReport) -> str:
    whole = report.files_fetched + report.files_unchanged
    kept = f"{count(whole, 'other file')} whole on disk" if whole else "No file is on disk"
    again = (
        "running it again may help"
        if report.is_retryable
        else "running it again will not help before that is mended"
    )
    return f"{kept}; {again}. The manifest {report.manifest} names every file."


def failure_of(outcomes: Mapping[str | None, Outcome]) -> dg.Failure:
    """Makes the one failure of a run in which not every partition is whole; raise it from
    `error_of(outcomes)`.

    Dagster drops what is inside an exception group, so the group is told in words: sentences, then
    a table.

    Args:
        outcomes: Every partition of the run; the key None where there are no partitions.
    """
    failed = {key: outcome for key, outcome in outcomes.items() if not is_whole(outcome)}
    sentences = [describe(outcome, key) for key, outcome in failed.items()]
    if len(outcomes) > 1:
        sentences.insert(
            0,
            f"{len(failed)} of {len(outcomes)} partitions are not whole; the others are materialized.",
        )
    return dg.Failure(
        description="\n".join(sentences[: MAX_TABLE_ROWS + 1]),
        metadata=_failed_metadata(failed),
        allow_retries=any(_is_retryable(outcome) for outcome in failed.values()),
    )


def _failed_metadata(failed: Mapping[str | None, Outcome]) -> Metadata:
    if len(failed) == 1:
        return outcome_metadata(next(iter(failed.values())))
    reports = [outcome for outcome in failed.values() if isinstance(outcome, SyncReport)]
    failures = [failure for report in reports for failure in report.failures]
    codes = collections.Counter[str](failure.code for failure in failures)
    keys = dg.MetadataValue.json(list(failed)[:MAX_TABLE_ROWS])
    return {"roboto/partitions_failed": keys, **failure_metadata(failures, codes)}


def _is_retryable(outcome: Outcome) -> bool:
    return outcome.is_retryable if isinstance(outcome, SyncReport) else is_transient(outcome)


def error_of(outcomes: Mapping[str | None, Outcome]) -> Exception:
    """Returns what a failed run is raised from: one group, of groups where several partitions
    failed.
    """
    errors = [
        outcome.error() if isinstance(outcome, SyncReport) else outcome
        for outcome in outcomes.values()
        if not is_whole(outcome)
    ]
    found = [error for error in errors if error is not None]
    return (
        found[0]
        if len(found) == 1
        else ExceptionGroup(f"{len(found)} partitions are not whole", found)
    )
