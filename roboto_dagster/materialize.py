"""One run of dataset assets: their partitions are synced one after another, and each has its own outcome.

```
keys ─► sync each ─┬─ complete ──► recorded at once (`recording`)
                   └─ not ───────► observed at the end
                                        all complete ──► the results
                                        some are not ──► evaluations of the run's checks, then one dagster.Failure
```
"""

import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.check_outputs import with_check_outputs
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.failed_partitions import FailedPartitions
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.outcomes import Outcome, Unit, is_complete, run_error, run_failure
from roboto_dagster.partition_sync import PartitionSync, sync_together
from roboto_dagster.partitions import Partitioning
from roboto_dagster.recording import Recorder, Results, is_direct
from roboto_dagster.resource_checks import checked_resource
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_log import RunLog, log_outcome
from roboto_dagster.run_requests import named_dataset
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.sync.report import SyncReport
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
        dataset_names=known_names(context),
    )
    yield from materialize_assets(context, [delivery], roboto, on_unchanged)


def materialize_assets(
    context: dg.AssetExecutionContext,
    syncs: Sequence[PartitionSync],
    roboto: RobotoResource,
    on_unchanged: OnUnchanged = "materialize",
) -> Results:
    """Deliver the partitions of a run for one or several assets, with one listing a partition.

    Args:
        context: Of the op.
        syncs: Of the assets, all of which have the same partitions.
        roboto: The platform, for the checks of a run that fails.
        on_unchanged: As of `materialize_partitions`.

    Yields:
        One result for each asset.

    Raises:
        dagster.Failure: A partition of an asset is not complete; those that are have been materialized.
    """
    keys = _keys(context, syncs[0])
    assets = [
        _Asset(
            sync,
            Recorder(context, sync.asset_key, on_unchanged, is_range=len(keys) > 1),
            FailedPartitions(context, sync.partitioning, roboto, sync.asset_key),
        )
        for sync in syncs
    ]
    yield from _Run(context, assets).materialize(keys)


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


@dataclasses.dataclass(frozen=True, slots=True)
class _Asset:
    """One asset of a run, and how its outcomes are recorded."""

    sync: PartitionSync
    recorder: Recorder
    failed: FailedPartitions

    @property
    def name(self) -> str:
        return self.sync.asset_key.to_user_string()

    def record(self, key: str | None, outcome: Outcome) -> None:
        if isinstance(outcome, SyncReport) and is_complete(outcome):
            self.failed.has_reports = True
            self.recorder.add(key, outcome)
        else:
            self.failed.add(key, outcome)


class _Run:
    """One run of the op: any number of partitions of one or several assets, each with its own outcome."""

    def __init__(self, context: dg.AssetExecutionContext, assets: Sequence[_Asset]) -> None:
        self._context = context
        self._assets = {each.sync.asset_key: each for each in assets}
        self._has_several = len(assets) > 1

    def materialize(self, partition_keys: Sequence[str | None]) -> Results:
        """Sync every partition, and record the outcome of each in Dagster.

        Args:
            partition_keys: The partitions; the key None where there are none.

        Yields:
            The results of the step.

        Raises:
            dagster.Failure: A partition is not complete; those that are have been materialized.
        """
        try:
            self._sync_all(partition_keys)
            if not self._failed():
                for asset in self._assets.values():
                    yield from asset.recorder.succeed()
                return
        except BaseException:  # an interrupt: what is complete by now stays materialized
            self._record_complete()
            raise
        self._record_complete()
        for asset in self._assets.values():
            asset.failed.record()
        total = len(partition_keys) * len(self._assets)
        raise run_failure(self._failed(), total) from run_error(self._failed().values())

    def _sync_all(self, partition_keys: Sequence[str | None]) -> None:
        is_range = len(partition_keys) > 1
        syncs = [each.sync for each in self._assets.values()]
        for key in partition_keys:
            log_of = functools.partial(self._log, key, is_range=is_range)
            for sync, outcome in sync_together(syncs, key, log_of):
                self._assets[sync.asset_key].record(key, outcome)
                log_outcome(log_of(sync), key, outcome, is_one=len(syncs) == 1 and not is_range)

    def _failed(self) -> dict[Unit, Outcome]:
        return {
            Unit(key, asset.name if self._has_several else None): outcome
            for asset in self._assets.values()
            for key, outcome in asset.failed.outcomes.items()
        }

    def _log(self, key: str | None, sync: PartitionSync, *, is_range: bool) -> RunLog:
        name = self._assets[sync.asset_key].name if self._has_several else None
        return RunLog(self._context.log, name, key if is_range else None)

    def _record_complete(self) -> None:
        for asset in self._assets.values():
            asset.recorder.fail()


def _keys(context: dg.AssetExecutionContext, sync: PartitionSync) -> Sequence[str | None]:
    if sync.partitioning.partitions_def is None:
        return [None]
    if not (context.has_partition_key or context.has_partition_key_range):
        raise ConfigurationError(
            f"The asset {sync.asset_key.to_user_string()} has partitions, and this run is of none of them: give it a "
            "partition key."
        )
    if context.has_partition_key and is_direct(context):
        # Dagster would look a dynamic key up in an instance, which a unit test does not need.
        return [context.partition_key]
    return list(context.partition_keys)
