"""The partitions of one asset in a run that are not complete, and how they are recorded."""

from typing import NoReturn

import dagster as dg

from roboto_dagster.check_evaluations import evaluate_in_failed_step
from roboto_dagster.findings import Platform
from roboto_dagster.messages import describe_in_markdown
from roboto_dagster.metadata import outcome_metadata
from roboto_dagster.outcomes import Outcome, Unit, run_error, run_failure
from roboto_dagster.partitions import Partitioning
from roboto_dagster.resources import RobotoResource
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.text import one_line


class FailedPartitions:
    """The partitions of one asset in a run that are not complete, and how they are recorded.

    Args:
        context: Of the op.
        partitioning: Of the asset.
        roboto: The platform, for the checks.
        asset_key: The asset. Default: the only one of the op.

    Attributes:
        outcomes: Of each that is not complete.
        has_reports: Whether any partition could be synced, so that there is something to check.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        partitioning: Partitioning,
        roboto: RobotoResource,
        asset_key: dg.AssetKey | None = None,
    ) -> None:
        self._context = context
        self._asset_key = asset_key or context.asset_key
        self._partitioning = partitioning
        self._roboto = roboto
        self.outcomes: dict[str | None, Outcome] = {}
        self.has_reports = False

    def add(self, partition_key: str | None, outcome: Outcome) -> None:
        """Add a partition that is not complete.

        Args:
            partition_key: The partition; None where there are none.
            outcome: Of its sync.
        """
        self.outcomes[partition_key] = outcome
        self.has_reports |= isinstance(outcome, SyncReport)

    def fail(self, partitions: int) -> NoReturn:
        """Record them, and fail the step.

        Args:
            partitions: How many partitions the run has.

        Raises:
            dagster.Failure: Always.
        """
        self.record()
        failed = {Unit(key): outcome for key, outcome in self.outcomes.items()}
        raise run_failure(failed, partitions) from run_error(failed.values())

    def record(self) -> None:
        """Record them, and evaluate the checks that the failing step would have skipped."""
        self._observe()
        self._evaluate_checks()

    def _observe(self) -> None:
        """Dagster shows a failure's metadata in the run's log alone, an observation's on the
        asset's page too.
        """
        for key, outcome in self.outcomes.items():
            self._context.log_event(
                dg.AssetObservation(
                    asset_key=self._asset_key,
                    partition=key,
                    description=describe_in_markdown(outcome, key),
                    metadata=outcome_metadata(outcome, key),
                )
            )

    def _evaluate_checks(self) -> None:
        """Dagster would skip the checks, and show all of them as failed to execute."""
        if not self.has_reports:
            return  # the platform or the settings are the problem: there is nothing to check
        try:
            evaluate_in_failed_step(
                self._context, self._asset_key, self._partitioning, Platform(self._roboto)
            )
        except Exception as error:  # noqa: BLE001 -- the failure of the run must not be hidden by another one
            self._context.log.warning(f"The checks could not be evaluated: {one_line(error)}")
