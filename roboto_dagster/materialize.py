"""One run of a dataset asset: its partitions are synced one after another, and each has its own outcome.

```
keys ─► sync each ─┬─ complete ──► recorded at once (`recording`)
                   └─ not ───────► observed at the end
                                        all complete ──► the result
                                        some are not ──► evaluations of the run's checks, then one dagster.Failure
```
"""

import dataclasses
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import dagster as dg

from roboto_dagster.check_evaluations import evaluate_in_failed_step
from roboto_dagster.check_outputs import with_check_outputs
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.findings import Platform
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.messages import dataset_label, describe_in_markdown, summary
from roboto_dagster.metadata import outcome_metadata
from roboto_dagster.outcomes import Outcome, is_complete, run_error, run_failure
from roboto_dagster.partition_sync import PartitionSync
from roboto_dagster.partitions import Partitioning
from roboto_dagster.recording import Recorder, Results, is_direct
from roboto_dagster.resource_checks import checked_resource
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_requests import named_dataset
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.text import one_line
from roboto_dagster.unchanged import OnUnchanged


def materialize_partitions(
    context: dg.AssetExecutionContext,
    partitioning: Partitioning,
    *,
    roboto: RobotoResource,
    object_store: ObjectStoreResource,
    retry: RetryConfig | None = None,
    options: SyncOptions | None = None,
    on_unchanged: OnUnchanged = "materialize",
) -> Results:
    """Deliver the partitions of a run to the local disk: the body of the asset, for assets of your own.

    It is a generator, since each partition of a range has an event and a data version of its own:

    ```python
    @dg.asset(partitions_def=partitions_def)
    def flights(
        context: dg.AssetExecutionContext, roboto: RobotoResource, object_store: ObjectStoreResource
    ):
        yield from materialize_partitions(
            context, partitioning, roboto=roboto, object_store=object_store
        )
    ```

    Args:
        context: Of the asset's op.
        partitioning: What the asset's partitions hold.
        roboto: The platform.
        object_store: The store of the files.
        retry: How what fails transiently is retried. Default: `RetryConfig()`.
        options: How what is not as it should be is treated. Default: `SyncOptions()`.
        on_unchanged: What is recorded for a partition without any change: a materialization (`"materialize"`,
            default), or an observation (`"observe"`) where that leaves no partition failed.

    Yields:
        One result for the step. Of one partition it has the metadata and the data version; of several these are in
        the logged events.

    Raises:
        dagster.Failure: A partition is not complete; those that are have been materialized.
    """
    delivery = PartitionSync(
        partitioning,
        context.asset_key,
        roboto=checked_resource(roboto, "roboto", RobotoResource),
        object_store=checked_resource(object_store, "object_store", ObjectStoreResource),
        retry=retry or RetryConfig(),
        options=options or SyncOptions(),
        dataset_names=named_dataset(_tags(context)),
    )
    run = _Run(context, delivery, FailedPartitions(context, partitioning, roboto))
    yield from run.materialize(_keys(context, partitioning), on_unchanged)


def asset_result(context: dg.AssetExecutionContext, results: Any) -> Any:
    """Return what the function of an asset has to return.

    Args:
        context: Of the asset's op.
        results: From `materialize_partitions`; anything else is returned as it is, if the op has no checks.

    Returns:
        In a run, the generator, which Dagster exhausts; checks without a result are added. In a direct
        invocation, as in unit tests, its one result.
    """
    if not is_direct(context):
        return with_check_outputs(context, results)
    if not inspect.isgenerator(results):
        return results
    found = list(results)
    return found[0] if len(found) == 1 else found


class _Run:
    """One run of the asset's op: any number of partitions, each with its own outcome."""

    def __init__(
        self, context: dg.AssetExecutionContext, delivery: PartitionSync, failed: "FailedPartitions"
    ) -> None:
        self._context = context
        self._delivery = delivery
        self._failed = failed

    def materialize(
        self, partition_keys: Sequence[str | None], on_unchanged: OnUnchanged
    ) -> Results:
        """Sync every partition, and record the outcome of each in Dagster.

        Args:
            partition_keys: The partitions; the key None where there are none.
            on_unchanged: What is recorded for those without any change.

        Yields:
            The result of the step.

        Raises:
            dagster.Failure: A partition is not complete; those that are have been materialized.
        """
        is_range = len(partition_keys) > 1
        recorder = Recorder(self._context, self._context.asset_key, on_unchanged, is_range=is_range)
        try:
            self._sync_all(partition_keys, recorder, is_range=is_range)
            if not self._failed.outcomes:
                yield from recorder.succeed()
                return
        except BaseException:  # an interrupt: what is complete by now stays materialized
            recorder.fail()
            raise
        recorder.fail()
        self._failed.fail(len(partition_keys))

    def _sync_all(
        self, partition_keys: Sequence[str | None], recorder: Recorder, *, is_range: bool
    ) -> None:
        for key in partition_keys:
            log = _Log(self._context.log, f"{one_line(key)}: " if is_range else "")
            outcome = self._delivery.sync(key, log)
            if isinstance(outcome, SyncReport) and is_complete(outcome):
                self._failed.has_reports = True
                recorder.add(key, outcome)
            else:
                self._failed.add(key, outcome)
            _log_end(log, key, outcome, is_range=is_range)


class FailedPartitions:
    """The partitions of a run that are not complete, and how they are recorded.

    Args:
        context: Of the op.
        partitioning: Of the asset.
        roboto: The platform, for the checks.

    Attributes:
        outcomes: Of each that is not complete.
        has_reports: Whether any partition could be synced, so that there is something to check.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, partitioning: Partitioning, roboto: RobotoResource
    ) -> None:
        self._context = context
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
        self._observe()
        self._evaluate_checks()
        raise run_failure(self.outcomes, partitions) from run_error(self.outcomes)

    def _observe(self) -> None:
        """Dagster shows a failure's metadata in the run's log alone, an observation's on the
        asset's page too.
        """
        for key, outcome in self.outcomes.items():
            self._context.log_event(
                dg.AssetObservation(
                    asset_key=self._context.asset_key,
                    partition=key,
                    description=describe_in_markdown(outcome, key),
                    metadata=outcome_metadata(outcome),
                )
            )

    def _evaluate_checks(self) -> None:
        """Dagster would skip the checks, and show all of them as failed to execute."""
        if not self.has_reports:
            return  # the platform or the settings are the problem: there is nothing to check
        try:
            evaluate_in_failed_step(self._context, self._partitioning, Platform(self._roboto))
        except Exception as error:  # noqa: BLE001 -- the failure of the run must not be hidden by another one
            self._context.log.warning(f"The checks could not be evaluated: {one_line(error)}")


@dataclasses.dataclass(frozen=True, slots=True)
class _Log:
    """The log of a run; in a run of many partitions each line starts with its partition."""

    to: dg.DagsterLogManager
    prefix: str = ""

    def __call__(self, level: int, line: str) -> None:
        self.to.log(level, f"{self.prefix}{line}")


def _log_end(log: _Log, key: str | None, outcome: Outcome, *, is_range: bool) -> None:
    if isinstance(outcome, SyncReport):
        named = _Log(log.to) if key in outcome.dataset_ids else log  # the label has the id, too
        label = f"{dataset_label(outcome)}: " if outcome.dataset_ids else ""
        level = logging.WARNING if outcome.files_failed else logging.INFO
        named(level, f"{label}{summary(outcome)}")
    elif is_range:  # else the failure of the run follows at once
        log(logging.ERROR, str(outcome))


def _tags(context: dg.AssetExecutionContext) -> Mapping[str, str]:
    return {} if is_direct(context) else context.run.tags


def _keys(context: dg.AssetExecutionContext, partitioning: Partitioning) -> Sequence[str | None]:
    if partitioning.partitions_def is None:
        return [None]
    if not (context.has_partition_key or context.has_partition_key_range):
        raise ConfigurationError(
            f"The asset {context.asset_key.to_user_string()} has partitions, and this run is of none of them: give it a "
            "partition key."
        )
    if context.has_partition_key and is_direct(context):
        # Dagster would look a dynamic key up in an instance, which a unit test does not need.
        return [context.partition_key]
    return list(context.partition_keys)
