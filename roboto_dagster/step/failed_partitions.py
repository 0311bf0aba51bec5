"""The partitions of one asset in a run that are not complete, and how they are recorded."""

from collections.abc import Callable

import dagster as dg

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.messages import describe_in_markdown
from roboto_dagster.metadata import MAX_TABLE_ROWS, outcome_metadata
from roboto_dagster.outcomes import Outcome
from roboto_dagster.text import one_line


class FailedPartitions:
    """The partitions of one asset in a run that are not complete, and how they are recorded.

    Args:
        context: Of the op.
        asset_key: The asset.
        evaluate: Evaluates the checks of the asset that the run has.

    Attributes:
        outcomes: Of each that is not complete.
        has_reports: Whether there is a report of any partition, so that there is something to check.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        asset_key: dg.AssetKey,
        evaluate: Callable[[], None],
    ) -> None:
        self._context = context
        self._asset_key = asset_key
        self._evaluate = evaluate
        self.outcomes: dict[str | None, Outcome] = {}
        self.has_reports = False

    def add(self, partition_key: str | None, outcome: Outcome) -> None:
        """Observe a partition that is not complete.

        Dagster shows a failure's metadata in the run's log alone, an observation's on the asset's page too.

        Args:
            partition_key: The partition; None where there are none.
            outcome: Its outcome.
        """
        self.has_reports |= not isinstance(outcome, RobotoDagsterError)
        self._observe(partition_key, outcome)
        is_named = len(self.outcomes) < MAX_TABLE_ROWS
        self.outcomes[partition_key] = outcome if is_named else _without_details(outcome)

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
            self._evaluate()
        except Exception as error:  # noqa: BLE001 -- the failure of the run must not be hidden by another one
            self._context.log.warning(f"The checks could not be evaluated: {one_line(error)}")


def _without_details(outcome: Outcome) -> Outcome:
    """Return an outcome that takes little memory: the failure of a run names the first hundred partitions only."""
    if isinstance(outcome, RobotoDagsterError):
        return outcome.with_traceback(None)
    return outcome.without_details()
