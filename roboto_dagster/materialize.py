"""The body of dataset assets: which partitions of which assets a run delivers, and what it yields to Dagster."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.checks.dataset_inspector import DatasetInspector
from roboto_dagster.checks.evaluations import Inspector, evaluate_in_failed_step
from roboto_dagster.checks.findings import Platform
from roboto_dagster.checks.outputs import with_check_outputs
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.outcomes import Unit, run_failure
from roboto_dagster.partitions import Partitioning
from roboto_dagster.resource_checks import checked_resource
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_requests.requests import named_dataset
from roboto_dagster.setting_checks import check_count
from roboto_dagster.step.failed_partitions import FailedPartitions
from roboto_dagster.step.partition_sync import PartitionSync, SyncWork
from roboto_dagster.step.recording import Recorder, Results, is_direct
from roboto_dagster.step.step import Step, StepAsset, Work
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.sync.options import SyncOptions

DEFAULT_CONCURRENT_PARTITIONS = 16
"""Beyond, the interpreter is the limit."""

MOST_CONCURRENT_PARTITIONS = 32


def materialize_partitions(
    context: dg.AssetExecutionContext,
    partitioning: Partitioning,
    *,
    roboto: RobotoResource,
    object_store: ObjectStoreResource,
    retry: RetryConfig | None = None,
    options: SyncOptions | None = None,
    on_unchanged: OnUnchanged = "materialize",
    max_concurrent_partitions: int = DEFAULT_CONCURRENT_PARTITIONS,
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
        max_concurrent_partitions: How many partitions of the run are delivered side by side, 1 to 32. Default 16.

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
        dataset_names=known_names(context),
    )
    yield from materialize_assets(
        context,
        [delivery],
        roboto,
        on_unchanged,
        max_concurrent_partitions=max_concurrent_partitions,
    )


def materialize_assets(
    context: dg.AssetExecutionContext,
    syncs: Sequence[PartitionSync],
    roboto: RobotoResource,
    on_unchanged: OnUnchanged = "materialize",
    *,
    max_concurrent_partitions: int = DEFAULT_CONCURRENT_PARTITIONS,
) -> Results:
    """Deliver the partitions of a run for one or several assets, with one listing a partition.

    Args:
        context: Of the op.
        syncs: Of the assets, all of which have the same partitions.
        roboto: The platform, for the checks of a run that fails.
        on_unchanged: As of `materialize_partitions`.
        max_concurrent_partitions: The same.

    Yields:
        One result for each asset.

    Raises:
        dagster.Failure: A partition of an asset is not complete; those that are have been materialized.
    """
    platform = Platform(roboto)
    yield from run_step(
        context,
        SyncWork(syncs),
        [DatasetInspector(each.partitioning, each.asset_key, platform) for each in syncs],
        on_unchanged,
        max_concurrent_partitions=max_concurrent_partitions,
    )


def run_step(
    context: dg.AssetExecutionContext,
    work: Work,
    inspectors: Sequence[Inspector],
    on_unchanged: OnUnchanged,
    *,
    max_concurrent_partitions: int,
) -> Results:
    """Work on the partitions of a run, and record the outcome of each: the body of every asset of this package.

    Args:
        context: Of the op.
        work: What is done for a partition.
        inspectors: Of the checks of each asset; all assets have the same partitions.
        on_unchanged: As of `materialize_partitions`.
        max_concurrent_partitions: The same.

    Yields:
        One result for each asset.

    Raises:
        dagster.Failure: A partition of an asset is not complete; those that are have been materialized.
    """
    check_concurrent_partitions(max_concurrent_partitions)
    keys = _keys_of_run(context, inspectors[0])
    assets = [
        StepAsset(
            each.asset_key,
            Recorder(context, each.asset_key, on_unchanged, is_range=len(keys) > 1),
            FailedPartitions(
                context, each.asset_key, functools.partial(evaluate_in_failed_step, context, each)
            ),
        )
        for each in inspectors
    ]
    yield from Step(context, assets, work, max_concurrent_partitions).materialize(keys)


def check_concurrent_partitions(limit: object) -> None:
    """Check how many partitions are to be delivered side by side.

    Raises:
        ConfigurationError: It is no number from 1 to 32.
    """
    check_count("max_concurrent_partitions", limit, most=MOST_CONCURRENT_PARTITIONS)


def known_names(context: dg.AssetExecutionContext) -> Mapping[str, str]:
    """Return the names of datasets that a run's tags have, by id.

    Args:
        context: Of the op.
    """
    return named_dataset({} if is_direct(context) else context.run.tags)


def asset_result(context: dg.AssetExecutionContext, results: Any) -> Any:
    """Return what the function of an asset has to return.

    Args:
        context: Of the asset's op.
        results: From `materialize_partitions`; anything else is returned as it is, if the op has no checks.

    Returns:
        In a run, the generator, which Dagster exhausts; checks without a result are added. In a direct
        invocation, as in unit tests, its one result, or a tuple of those of several assets.
    """
    if not is_direct(context):
        return with_check_outputs(context, results)
    if not inspect.isgenerator(results):
        return results
    found = list(results)
    return found[0] if len(found) == 1 else tuple(found)


def _keys_of_run(context: dg.AssetExecutionContext, asset: Inspector) -> Sequence[str | None]:
    try:
        return _keys(context, asset)
    except ConfigurationError as error:
        if is_direct(context):
            raise
        # A `RetryPolicy` must not repeat what fails again.
        raise run_failure({Unit(None): error}, 1) from error


def _keys(context: dg.AssetExecutionContext, asset: Inspector) -> Sequence[str | None]:
    if asset.partitions_def is None:
        return [None]
    if not (context.has_partition_key or context.has_partition_key_range):
        raise ConfigurationError(
            f"The asset {asset.asset_key.to_user_string()} has partitions, and this run is of none of them: give it a "
            "partition key."
        )
    if context.has_partition_key and is_direct(context):
        # Dagster would look a dynamic key up in an instance, which a unit test does not need.
        return [context.partition_key]
    keys = list(context.partition_keys)
    if not keys:  # Dagster would record a success of no partition
        between = context.partition_key_range
        raise ConfigurationError(
            f"There is no partition from {between.start!r} to {between.end!r}: give a range whose start comes before its "
            "end, in the order in which Dagster lists the partitions."
        )
    return keys
