"""The outcome of one partition, and what the partitions of a run are together.

```
            ┌─ report without failures ──► complete: materialized
 partition ─┼─ report with failures ─────┐
            └─ RobotoDagsterError ───────┴► not complete: observed; the run ends in one dagster.Failure
```
"""

import collections
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeGuard

import dagster as dg

from roboto_dagster.errors import RobotoDagsterError, is_transient
from roboto_dagster.messages import describe
from roboto_dagster.metadata import MAX_TABLE_ROWS, Metadata, failure_metadata, outcome_metadata
from roboto_dagster.partition_report import Report
from roboto_dagster.text import one_line

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

_DESCRIBED = 20  # more than that nobody reads, and alerts quote the text

Outcome = Report | RobotoDagsterError
"""The report of a partition, or why it could not even be planned."""


class Unit(NamedTuple):
    """A partition of an asset in a run.

    Attributes:
        partition_key: Its key; None where there are no partitions.
        asset: The asset, where the run has several.
    """

    partition_key: str | None
    asset: str | None = None

    def __str__(self) -> str:
        """Return both, such as `camera, ds_1`."""
        return ", ".join(each for each in (self.asset, self.partition_key) if each)


def is_complete(outcome: Outcome) -> TypeGuard[Report]:
    """Return whether everything in a partition is on disk."""
    return not isinstance(outcome, RobotoDagsterError) and outcome.is_complete


def run_failure(failed: Mapping[Unit, Outcome], total: int) -> dg.Failure:
    """Return the one failure of a run in which not every partition is complete; raise it from
    `run_error(failed.values())`.

    Dagster drops what is inside an exception group, so the failure has it in words: sentences, then
    a table.

    Args:
        failed: The partitions that are not complete.
        total: How many partitions the run had, of all its assets.
    """
    units = list(failed)
    described, others = units[:_DESCRIBED], units[_DESCRIBED:]
    sentences = [_sentence(unit, failed[unit]) for unit in described]
    if total > 1:
        sentences.insert(0, _verdict(failed, total))
    if others:
        sentences.append(_others(others))
    return dg.Failure(
        description="\n".join(sentences),
        metadata=_failed_metadata(failed),
        allow_retries=any(_is_retryable(outcome) for outcome in failed.values()),
    )


def run_error(failed: Iterable[Outcome]) -> Exception | None:
    """Return what a failed run is raised from: a group of its files' errors, one of groups where
    several partitions failed, or None where the failure holds everything.

    Args:
        failed: Of the partitions that are not complete.
    """
    errors = [each if isinstance(each, RobotoDagsterError) else each.error() for each in failed]
    found = [error for error in errors if error is not None]
    if all(isinstance(error, RobotoDagsterError) for error in found):
        return None  # their messages stand in the failure, word for word
    if len(found) == 1:
        return found[0]
    return ExceptionGroup(f"{len(found)} partitions are not complete", found)


def _sentence(unit: Unit, outcome: Outcome) -> str:
    sentence = describe(outcome, unit.partition_key)
    return f"{unit.asset}: {sentence}" if unit.asset else sentence


def _others(failed: Sequence[Unit]) -> str:
    named = ", ".join(one_line(unit) for unit in failed[:_DESCRIBED])
    more = ", …" if len(failed) > _DESCRIBED else ""
    return (
        f"… and {len(failed)} more: {named}{more}. Each of them has an observation with its failure on the page of the "
        "asset; roboto_dagster.failures_of_run returns them all."
    )


def _verdict(failed: Collection[Unit], total: int) -> str:
    some = next(iter(failed))
    noun = (
        "partition" if not some.asset else "asset" if not some.partition_key else "asset partition"
    )
    verb = "is" if len(failed) == 1 else "are"
    others = total - len(failed)
    if others == 0:
        return f"None of the {total} {noun}s is complete."
    rest = "the other one is" if others == 1 else f"the other {others} are"
    return f"{len(failed)} of {total} {noun}s {verb} not complete; {rest} materialized."


def _failed_metadata(failed: Mapping[Unit, Outcome]) -> Metadata:
    if len(failed) == 1:
        ((unit, outcome),) = failed.items()
        return outcome_metadata(outcome, unit.partition_key)
    reports = [each for each in failed.values() if not isinstance(each, RobotoDagsterError)]
    failures = [failure for report in reports for failure in report.failures]
    codes = collections.Counter[str]()
    for report in reports:
        codes.update(report.error_codes)
    keys = dg.MetadataValue.json([str(unit) for unit in list(failed)[:MAX_TABLE_ROWS]])
    metadata: Metadata = {"roboto/partitions_failed": keys}
    return metadata | (failure_metadata(failures, codes, reports[0].noun) if failures else {})


def _is_retryable(outcome: Outcome) -> bool:
    if isinstance(outcome, RobotoDagsterError):
        return is_transient(outcome)
    return outcome.is_retryable
