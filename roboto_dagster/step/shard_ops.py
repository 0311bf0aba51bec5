"""What the three ops of a sharded asset do: plan, transfer a shard, merge; `sharded_asset` joins them."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from roboto_dagster.checks.dataset_inspector import DatasetInspector
from roboto_dagster.checks.evaluations import evaluate_in_failed_step
from roboto_dagster.checks.findings import Platform
from roboto_dagster.errors import ConfigurationError, RobotoDagsterError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.metadata import outcome_metadata
from roboto_dagster.outcomes import Outcome, Unit, is_complete, run_error, run_failure
from roboto_dagster.partitions import Partitioning
from roboto_dagster.platform.scope import Scope
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_requests.requests import named_dataset
from roboto_dagster.step.failed_partitions import FailedPartitions
from roboto_dagster.step.partition_sync import PartitionSync
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.sync.report import SyncReport, size_text
from roboto_dagster.sync.shards.division import ShardOptions
from roboto_dagster.sync.shards.places import run_folder
from roboto_dagster.sync.shards.runs import merge_shards, plan_shards, transfer_shard
from roboto_dagster.text import count


class ShardOps:
    """What the ops of one asset do.

    Args:
        partitioning: What the asset's partitions hold.
        asset_key: The asset.
        retry: How what fails transiently is retried inside a step.
        options: How what is not as it should be is treated.
        shards: How a partition is divided.
    """

    def __init__(
        self,
        partitioning: Partitioning,
        asset_key: dg.AssetKey,
        *,
        retry: RetryConfig | None,
        options: SyncOptions,
        shards: ShardOptions,
    ) -> None:
        self._partitioning = partitioning
        self._asset_key = asset_key
        self._retry = retry or RetryConfig()
        self._options = options
        self._shards = shards

    def plan(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
    ) -> Iterator[Any]:
        """List the partition, and divide what is to be fetched.

        Args:
            context: Of the op.
            roboto: The platform.
            object_store: The store of the files.
        """
        step = self._step(context, roboto, object_store)
        try:
            plan = plan_shards(step.scopes(), step.settings, step.folder, self._shards)
        except RobotoDagsterError as error:
            raise run_failure({Unit(step.key): error}, 1) from error
        files, size_bytes = (sum(each) for each in zip(*plan.shards, strict=True))
        shards = count(len(plan.shards), "shard")
        context.log.info(f"{count(files, 'file')} to fetch ({size_text(size_bytes)}) in {shards}")
        for number in range(1, len(plan.shards) + 1):
            key = f"{number:05}_{plan.plan_hash}"
            yield dg.DynamicOutput(None, mapping_key=key, output_name="shards")
        yield dg.Output(None, "planned")

    def transfer(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
    ) -> dg.Output[None]:
        """Fetch the files of one shard; a retry fetches what is missing.

        Args:
            context: Of the op.
            roboto: The platform.
            object_store: The store of the files.

        Raises:
            dagster.Failure: A file of the shard is not complete; the others are on disk.
        """
        step = self._step(context, roboto, object_store)
        number, _, plan_hash = str(context.op_execution_context.get_mapping_key()).partition("_")
        outcome = step.outcome(
            lambda: transfer_shard(step.settings, step.folder, plan_hash, int(number))
        )
        if is_complete(outcome):
            context.log.info(f"Shard {int(number)}: {outcome.summary()}")
            return dg.Output(None, metadata=outcome_metadata(outcome))
        raise run_failure({Unit(step.key): outcome}, 1) from run_error([outcome])

    def merge(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
    ) -> dg.Output[None]:
        """Join the shards, deliver what they have not, and write the partition's manifest.

        Args:
            context: Of the op.
            roboto: The platform.
            object_store: The store of the files.

        Raises:
            dagster.Failure: A file of the partition is not complete; the others are on disk.
        """
        step = self._step(context, roboto, object_store)
        outcome = step.outcome(lambda: merge_shards(step.settings, step.folder))
        if is_complete(outcome):
            context.log.info(outcome.summary())
            version = outcome.data_version
            return dg.Output(
                None,
                metadata=outcome_metadata(outcome),
                data_version=None if version is None else dg.DataVersion(version),
            )
        inspector = DatasetInspector(self._partitioning, self._asset_key, Platform(roboto))
        evaluate = functools.partial(evaluate_in_failed_step, context, inspector)
        failed = FailedPartitions(context, self._asset_key, evaluate)
        failed.add(step.key, outcome)
        failed.evaluate_checks()
        raise run_failure({Unit(step.key): outcome}, 1) from run_error([outcome])

    def _step(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
    ) -> "_Step":
        syncs = PartitionSync(
            self._partitioning,
            self._asset_key,
            roboto=roboto,
            object_store=object_store,
            retry=self._retry,
            options=self._options,
            dataset_names=named_dataset(context.run.tags),
        )
        is_partitioned = self._partitioning.partitions_def is not None
        try:
            return _Step(context, syncs, is_partitioned=is_partitioned)
        except RobotoDagsterError as error:  # a `RetryPolicy` must not repeat what fails again
            raise run_failure({Unit(None): error}, 1) from error


class _Step:
    """One step of a run: its partition, and where the run keeps its plan."""

    def __init__(
        self, context: dg.AssetExecutionContext, syncs: PartitionSync, *, is_partitioned: bool
    ) -> None:
        self.key = _key_of(context) if is_partitioned else None
        self.settings = syncs.settings(self.key, context.log.log)
        run = context.run
        # The same for all runs that repeat one another, so that a shard finds the plan that it belongs to.
        self.folder = run_folder(self.settings.manifest, run.root_run_id or run.run_id)
        self._syncs = syncs

    def scopes(self) -> list[Scope]:
        """Return the datasets of the partition."""
        return self._syncs.scopes(self.key)

    @staticmethod
    def outcome(work: Callable[[], SyncReport]) -> Outcome:
        """Return the report of some work, or why it could not be done."""
        try:
            return work()
        except RobotoDagsterError as error:
            return error


def _key_of(context: dg.AssetExecutionContext) -> str:
    """Return the one partition of a run: shards of several would be mixed in one graph."""
    keys = context.op_execution_context.partition_keys
    if len(keys) != 1:
        raise ConfigurationError(
            f"A run of a sharded asset is of one partition, and this one is of {len(keys)}. Launch a run for each: in the UI, "
            "as a backfill of several runs."
        )
    return str(keys[0])
