"""What people read about a sync: one line for the log, some sentences about a failure."""

from collections.abc import Mapping

from roboto_dagster.errors import DownloadError, RobotoDagsterError
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.sync.report import SyncReport, count, duration_text, size_text
from roboto_dagster.text import code_span, markdown_text, one_line

_NAMED_FILES = 3


def relative_path(failure: DownloadError) -> str:
    """Return the path of a failed file in its dataset, or where it should have gone."""
    file: Mapping[str, object] = {**failure.file}
    return str(file.get("relative_path") or file["destination_path"])


def summary(report: SyncReport) -> str:
    """Return one line about a sync, such as `3 files fetched (6.0 MiB at 2.0 MiB/s), 2 unchanged, 0 failed, in 4.2 s`."""
    notes = []
    if report.bytes_fetched:
        speed = size_text(report.throughput_mib_s * MIB)
        notes.append(f"{size_text(report.bytes_fetched)} at {speed}/s")
    if report.files_retried:
        notes.append(f"{count(report.files_retried, 'file')} after a retry")
    parts = [
        f"{count(report.files_fetched, 'file')} fetched"
        + (f" ({', '.join(notes)})" if notes else ""),
        f"{report.files_unchanged} unchanged",
        f"{report.files_failed} failed",
    ]
    if report.files_removed:
        parts.append(f"{report.files_removed} removed")
    if report.files_skipped:
        parts.append(f"{report.files_skipped} skipped")
    return f"{', '.join(parts)}, in {duration_text(report.duration_seconds)}"


def dataset_label(report: SyncReport) -> str:
    """Return the datasets of a report by id and name, such as `ds_1 (flight 7)`."""
    names = report.dataset_names
    labels = [
        f"{each} ({one_line(names[each])})" if each in names else each
        for each in report.dataset_ids[:_NAMED_FILES]
    ]
    more = len(report.dataset_ids) - len(labels)
    return ", ".join(labels) + (f" and {more} more" if more > 0 else "")


def describe(outcome: SyncReport | RobotoDagsterError, partition_key: str | None) -> str:
    """Return why a partition is not complete: a sentence, the first files, and what to do next.

    Args:
        outcome: Of the partition.
        partition_key: Its key; None where there are no partitions.
    """
    if not isinstance(outcome, SyncReport):
        return f"{partition_key}: {outcome}" if partition_key else str(outcome)
    files = [
        f"  {one_line(relative_path(each))}: {each.code}: {one_line(each.reason).rstrip('.')}.{advice}"
        for each, advice in _first_failures(outcome)
    ]
    more = [f"  {_more(outcome)}"] if _more(outcome) else []
    return "\n".join([_verdict(outcome, partition_key), *files, *more, _what_next(outcome)])


def describe_in_markdown(
    outcome: SyncReport | RobotoDagsterError, partition_key: str | None
) -> str:
    """Return the same for the asset's page, which shows Markdown.

    Args:
        outcome: Of the partition.
        partition_key: Its key; None where there are no partitions.
    """
    if not isinstance(outcome, SyncReport):
        return markdown_text(describe(outcome, partition_key))
    files = [
        f"- {code_span(relative_path(each))}: {each.code}: {markdown_text(each.reason).rstrip('.')}.{markdown_text(advice)}"
        for each, advice in _first_failures(outcome)
    ]
    more = [f"- {_more(outcome)}"] if _more(outcome) else []
    verdict, next_ = _verdict(outcome, partition_key), _what_next(outcome)
    return "\n\n".join([markdown_text(verdict), "\n".join([*files, *more]), markdown_text(next_)])


def _verdict(report: SyncReport, partition_key: str | None) -> str:
    label = dataset_label(report)
    is_other = partition_key is not None and partition_key not in report.dataset_ids
    subject = f"partition {partition_key}, {label}," if is_other else label
    codes = ", ".join(f"{number} {code}" for code, number in report.error_codes.items())
    files = count(report.files_total, "file")
    return f"{report.files_failed} of {files} of {subject} could not be delivered ({codes})."


def _first_failures(report: SyncReport) -> list[tuple[DownloadError, str]]:
    """Return a few failures, with what to do about each code at its first one."""
    found, advised = [], set()
    for failure in report.failures[:_NAMED_FILES]:
        advice = "" if failure.code in advised else f" {failure.advice}"
        advised.add(failure.code)
        found.append((failure, advice))
    return found


def _more(report: SyncReport) -> str:
    more = report.files_failed - _NAMED_FILES
    return f"… and {more} more: see roboto/failures, or the manifest." if more > 0 else ""


def _what_next(report: SyncReport) -> str:
    complete = report.files_fetched + report.files_unchanged
    verb = "is" if complete == 1 else "are"
    kept = f"{count(complete, 'other file')} {verb} complete on disk. " if complete else ""
    again = (
        "A re-run may succeed."
        if report.is_retryable
        else "A re-run will fail again until this is fixed."
    )
    return f"{kept}{again} All files are listed in the manifest {report.manifest}."
