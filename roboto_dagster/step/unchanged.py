"""Whether a partition without any change may be observed instead of materialized (`on_unchanged="observe"`).

```
                           ┌─ in a backfill, which counts partitions without a materialization as failed
complete, nothing changed ─┼─ another version of data, code or an input than the last materialization ─┐
                           ├─ never materialized, or the run that last planned it did not succeed ─────┼─► materialized
                           ├─ another partition of the run is not complete ────────────────────────────┘
                           └─ otherwise ───────────────────────────────────────────────────────────────► observed
```

The exceptions are those that would leave a partition failed in Dagster for good: only a materialization ends that.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import dagster as dg

from roboto_dagster.partition_report import Report
from roboto_dagster.step.version_tags import (
    has_same_versions,
    latest_materialization,
    partition_filter,
)

OnUnchanged = Literal["materialize", "observe"]
"""What is recorded for a partition without any change."""

_BACKFILL = "dagster/backfill"


class UnchangedPartitions:
    """Decides for the partitions of one step.

    Args:
        context: Of the step.
        asset_key: The asset.
        on_unchanged: What is to be recorded.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, asset_key: dg.AssetKey, on_unchanged: OnUnchanged
    ) -> None:
        self._instance = context.instance
        self._run_id = context.run.run_id
        self._asset_key = asset_key
        self._is_wanted = on_unchanged == "observe" and _BACKFILL not in context.run.tags
        self._successful: dict[str, bool] = {}

    def may_observe(
        self, partition_key: str | None, report: Report, tags: Mapping[str, str]
    ) -> bool:
        """Return whether a complete partition may be observed, provided that the run succeeds.

        Args:
            partition_key: The partition; None where there are none.
            report: What was done for it.
            tags: The versions that its materialization would have.
        """
        return (
            self._is_wanted
            and report.is_unchanged
            and has_same_versions(self._tags_of_last(partition_key), tags)
            and self._last_run_succeeded(partition_key)
        )

    def _tags_of_last(self, partition_key: str | None) -> Mapping[str, str]:
        latest = latest_materialization(self._instance, self._asset_key, partition_key)
        return {} if latest is None else latest.event_log_entry.tags or {}

    def _last_run_succeeded(self, partition_key: str | None) -> bool:
        """Return whether the run that planned the partition before this one succeeded."""
        with (
            warnings.catch_warnings()
        ):  # deprecated, and nothing else has the plans of earlier runs
            warnings.simplefilter("ignore", DeprecationWarning)
            # This run's own plan is among them, more than once after a retry of the step.
            planned: Any = self._instance.fetch_planned_materializations(
                partition_filter(self._asset_key, partition_key), limit=10
            )
        for record in planned.records:
            if record.run_id != self._run_id:
                return self._is_successful(record.run_id)
        return False

    def _is_successful(self, run_id: str) -> bool:
        if run_id not in self._successful:
            run = self._instance.get_run_by_id(run_id)
            self._successful[run_id] = run is not None and run.status is dg.DagsterRunStatus.SUCCESS
        return self._successful[run_id]
