"""What to do about files that a shard does not find as they were planned: hours may lie between plan and transfer."""

import dataclasses
import datetime as dt

from roboto_dagster.errors import DownloadError, ErrorCode
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.shards.plan_file import ShardPlan

# A file that was replaced, renamed or deleted on the platform since the plan fails with one of these.
_CODES: frozenset[ErrorCode] = frozenset({"NOT_FOUND", "SIZE_MISMATCH", "CHANGED"})


def with_advice(report: SyncReport, plan: ShardPlan) -> SyncReport:
    """Return a report that says of such files that a new run lists them again; a retried step would not.

    Args:
        report: Of a shard, or of the merge.
        plan: What the files were listed in.
    """
    planned_at = dt.datetime.fromtimestamp(plan.planned_at, dt.timezone.utc)
    advice = (
        f"If it was changed or deleted on the platform after {planned_at:%Y-%m-%d %H:%M} UTC, when the partition was "
        "planned, start a new run, which lists it again; a run re-executed from its failure does not."
    )
    failures = [
        DownloadError(*(*each.args[:-1], f"{each.advice} {advice}"))  # the advice is the last one
        if each.code in _CODES
        else each
        for each in report.failures
    ]
    return dataclasses.replace(report, failures=failures)
