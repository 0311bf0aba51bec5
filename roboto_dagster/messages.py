"""What people read about a partition that is not complete: some sentences."""

from collections.abc import Callable

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.partition_report import Report, ReportedFailure
from roboto_dagster.text import code_span, markdown_text, one_line

_NAMED = 3


def dataset_label(report: Report) -> str:
    """Return the datasets of a report by id and name, such as `ds_1 (flight 7)`."""
    names = report.dataset_names
    labels = [
        f"{each} ({one_line(names[each])})" if each in names else each
        for each in report.dataset_ids[:_NAMED]
    ]
    more = len(report.dataset_ids) - len(labels)
    return ", ".join(labels) + (f" and {more} more" if more > 0 else "")


def describe(outcome: Report | RobotoDagsterError, partition_key: str | None) -> str:
    """Return why a partition is not complete: a sentence, the first failures, and what to do next.

    Args:
        outcome: Of the partition.
        partition_key: Its key; None where there are no partitions.
    """
    if isinstance(outcome, RobotoDagsterError):
        return f"{partition_key}: {outcome}" if partition_key else str(outcome)
    failures = [
        f"  {_place(each, one_line)}: {each.code}: {one_line(each.reason).rstrip('.')}.{advice}"
        for each, advice in _first_failures(outcome)
    ]
    more = [f"  {_more(outcome)}"] if _more(outcome) else []
    return "\n".join([_verdict(outcome, partition_key), *failures, *more, _what_next(outcome)])


def describe_in_markdown(outcome: Report | RobotoDagsterError, partition_key: str | None) -> str:
    """Return the same for the asset's page, which shows Markdown.

    Args:
        outcome: Of the partition.
        partition_key: Its key; None where there are no partitions.
    """
    if isinstance(outcome, RobotoDagsterError):
        return markdown_text(describe(outcome, partition_key))
    failures = [
        f"- {_place(each, code_span)}: {each.code}: "
        f"{markdown_text(each.reason).rstrip('.')}.{markdown_text(advice)}"
        for each, advice in _first_failures(outcome)
    ]
    more = [f"- {_more(outcome)}"] if _more(outcome) else []
    verdict, next_ = _verdict(outcome, partition_key), _what_next(outcome)
    return "\n\n".join(
        [markdown_text(verdict), "\n".join([*failures, *more]), markdown_text(next_)]
    )


def _verdict(report: Report, partition_key: str | None) -> str:
    label = dataset_label(report)
    is_other = partition_key is not None and partition_key not in report.dataset_ids
    return report.verdict(f"partition {partition_key}, {label}," if is_other else label)


def _first_failures(report: Report) -> list[tuple[ReportedFailure, str]]:
    """Return a few failures, with what to do about each code at its first one."""
    found, advised = [], set()
    for failure in report.failures[:_NAMED]:
        advice = "" if failure.code in advised else f" {failure.advice}"
        advised.add(failure.code)
        found.append((failure, advice))
    return found


def _place(failure: ReportedFailure, quoted: Callable[[object], str]) -> str:
    return ", ".join(quoted(each) for each in failure.place.values() if each)


def _more(report: Report) -> str:
    more = sum(report.error_codes.values()) - _NAMED
    return f"… and {more} more: see roboto/failures, or the manifest." if more > 0 else ""


def _what_next(report: Report) -> str:
    again = (
        "A re-run may succeed."
        if report.is_retryable
        else "A re-run will fail again until this is fixed."
    )
    return (
        f"{report.kept()}{again} All {report.noun}s are listed in the manifest {report.manifest}."
    )
