"""The partitions of one asset in a run that are not complete, and how they are recorded."""

import dataclasses

import dagster as dg

from roboto_dagster.checks.evaluations import evaluate_in_failed_step
from roboto_dagster.checks.findings import Platform
from roboto_dagster.messages import describe_in_markdown
from roboto_dagster.metadata import MAX_TABLE_ROWS, outcome_metadata
from roboto_dagster.outcomes import Outcome
from roboto_dagster.partitions import Partitioning
from roboto_dagster.sync.report import FailureTotals, SyncReport, Timeline
from roboto_dagster.text import one_line


class FailedPartitions:
    """The partitions of one asset in a run that are not complete, and how they are recorded.

    Args:
        context: Of the op.
        partitioning: Of the asset.
        platform: The platform, for the checks.
        asset_key: The asset.

    Attributes:
        outcomes: Of each that is not complete.
        has_reports: Whether any partition could be synced, so that there is something to check.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        partitioning: Partitioning,
        platform: Platform,
        asset_key: dg.AssetKey,
    ) -> None:
        self._context = context
        self._asset_key = asset_key
        self._partitioning = partitioning
        self._platform = platform
        self.outcomes: dict[str | None, Outcome] = {}
        self.has_reports = False

    def add(self, partition_key: str | None, outcome: Outcome) -> None:
        """Observe a partition that is not complete.

        Dagster shows a failure's metadata in the run's log alone, an observation's on the asset's page too.

        Args:
            partition_key: The partition; None where there are none.
            outcome: Of its sync.
        """
        self.has_reports |= isinstance(outcome, SyncReport)
        self._observe(partition_key, outcome)
        is_named = len(self.outcomes) < MAX_TABLE_ROWS
        self.outcomes[partition_key] = outcome if is_named else _without_files(outcome)

    def _observe(self, key: str | None, outcome: Outcome) -> None:
        self._context.log_event(
            dg.AssetObservation(
                asset_key=self._asset_key,
                partition=key,
                description=describe_in_markdown(outcome, key),
                metadata=outcome_metadata(outcome, key),
            )
        )

    def evaluate_checks(self) -> None:
        """Evaluate the checks that Dagster would skip after the failing step, and show as failed to execute."""
        if not self.has_reports:
            return  # the platform or the settings are the problem: there is nothing to check
        try:
            evaluate_in_failed_step(
                self._context, self._asset_key, self._partitioning, self._platform
            )
        except Exception as error:  # noqa: BLE001 -- the failure of the run must not be hidden by another one
            self._context.log.warning(f"The checks could not be evaluated: {one_line(error)}")


def _without_files(outcome: Outcome) -> Outcome:
    """Return an outcome that takes little memory: the failure of a run names the first hundred partitions only."""
    if not isinstance(outcome, SyncReport):
        return outcome.with_traceback(None)
    totals = FailureTotals(error_codes=outcome.error_codes, is_retryable=outcome.is_retryable)
    return dataclasses.replace(
        outcome,
        failure_totals=totals,
        failures=(),
        skipped=(),
        top_files=(),
        attempts=(),
        timeline=Timeline(),
    )
