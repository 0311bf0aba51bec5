"""One run of a dataset asset: its partitions are synced one after another, and each has its own outcome.

```
keys ─► sync each ─┬─ complete ──► recorded at once (`recording`)
                   └─ not ───────► observed at the end
                                        all complete ──► the result
                                        some are not ──► evaluations of the run's checks, then one dagster.Failure
```
"""

import dataclasses
import functools
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from roboto_dagster.check_outputs import with_check_outputs
from roboto_dagster.checks import evaluate_in_failed_step
from roboto_dagster.errors import ConfigurationError, RobotoDagsterError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.messages import dataset_label, describe_in_markdown, summary
from roboto_dagster.metadata import outcome_metadata
from roboto_dagster.outcomes import Outcome, is_complete, run_error, run_failure
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.partitions import Partitioning
from roboto_dagster.recording import Recorder, Results, is_direct
from roboto_dagster.resource_checks import checked_resource
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_requests import named_dataset
from roboto_dagster.sync.options import SyncOptions, SyncSettings
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.run import sync
from roboto_dagster.text import one_line
from roboto_dagster.unchanged import OnUnchanged

if TYPE_CHECKING:  # the SDK costs about a second at import
    from roboto import RobotoClient


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
    run = _Run(
        context,
        partitioning,
        checked_resource(roboto, "roboto", RobotoResource),
        checked_resource(object_store, "object_store", ObjectStoreResource),
        retry=retry or RetryConfig(),
        options=options or SyncOptions(),
    )
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
        self,
        context: dg.AssetExecutionContext,
        partitioning: Partitioning,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
        *,
        retry: RetryConfig,
        options: SyncOptions,
    ) -> None:
        self._context = context
        self._partitioning = partitioning
        self._roboto = roboto
        self._object_store = object_store
        self._retry = retry
        self._options = options
        self._failed: dict[str | None, Outcome] = {}
        self._has_reports = False
        self._existing = ExistingPartitions(partitioning.partitions_def)

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
            if not self._failed:
                yield from recorder.succeed()
                return
        except BaseException:  # an interrupt: what is complete by now stays materialized
            recorder.fail()
            raise
        recorder.fail()
        self._observe_failed()
        self._evaluate_checks()
        raise run_failure(self._failed, len(partition_keys)) from run_error(self._failed)

    def _sync_all(
        self, partition_keys: Sequence[str | None], recorder: Recorder, *, is_range: bool
    ) -> None:
        for key in partition_keys:
            log = _Log(self._context.log, f"{one_line(key)}: " if is_range else "")
            outcome = self._sync(key, log)
            self._has_reports |= isinstance(outcome, SyncReport)
            if isinstance(outcome, SyncReport) and is_complete(outcome):
                recorder.add(key, outcome)
            else:
                self._failed[key] = outcome
            _log_end(log, key, outcome, is_range=is_range)

    def _sync(self, partition_key: str | None, log: "_Log") -> Outcome:
        try:
            if partition_key is not None:
                self._existing.require(partition_key)
            names = named_dataset(_tags(self._context))
            scopes = self._partitioning.scopes(
                partition_key, self._client, self._roboto.org_id, names
            )
            return sync(scopes, self._settings(partition_key, log))
        except RobotoDagsterError as error:
            return error

    @functools.cached_property
    def _client(self) -> "RobotoClient":
        # Once a run: reading the SDK's configuration takes a sixth of a small partition.
        return self._roboto.get_client()

    def _settings(self, partition_key: str | None, log: "_Log") -> SyncSettings:
        config = self._partitioning.config
        return SyncSettings(
            client=self._client,
            org_id=self._roboto.org_id,
            open_store=self._object_store.open_store,
            destination=config.destination,
            manifest=config.manifest(self._context.asset_key, partition_key),
            # Of a stand-in for the resource nothing more is needed than `open_store`.
            durability=getattr(self._object_store, "durability", "none"),
            retry=self._retry,
            options=self._options,
            log=log,
        )

    def _observe_failed(self) -> None:
        """Dagster shows a failure's metadata in the run's log alone, an observation's on the
        asset's page too.
        """
        for key, outcome in self._failed.items():
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
        if not self._has_reports:
            return  # the platform or the settings are the problem: there is nothing to check
        try:
            evaluate_in_failed_step(self._context, self._partitioning, self._roboto)
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
