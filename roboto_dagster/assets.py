"""The Dagster asset: a Roboto dataset on disk, one partition a dataset."""

import dataclasses
import functools
import logging
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.errors import ConfigurationError, RobotoDagsterError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.metadata import (
    Outcome,
    describe,
    error_of,
    failure_of,
    is_whole,
    outcome_metadata,
    summary,
)
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.run import SyncSettings, sync
from roboto_dagster.sync.scope import Scope

_KINDS = frozenset({"roboto", "s3"})
_ANY_DATASET = "ds_of_the_partition"  # stands where a partition key will


def build_roboto_dataset_asset(
    name: str,
    *,
    destination: str | os.PathLike[str],
    dataset_id: str | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    include_patterns: Sequence[str] = (),
    exclude_patterns: Sequence[str] = (),
    retry: RetryConfig | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    description: str | None = None,
    kinds: set[str] | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    deps: Sequence[dg.AssetKey] | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
) -> dg.AssetsDefinition:
    """Builds an asset that brings Roboto datasets to the local disk.

    Either it is about one dataset, or each partition key is the id of a dataset. A run may hold one
    partition or, with a
    `BackfillPolicy`, many: each then succeeds or fails by itself, and the whole ones are
    materialized in any case.

    Files go to `<destination>/<dataset id>/<relative path>`, the manifest to
    `<destination>/.roboto/<asset key>/<partition key>.parquet`. Files that have not changed cost no
    request to the store.

    The asset needs the resources `roboto` (a `RobotoResource`) and `object_store` (an
    `ObjectStoreResource`).

    Args:
        name: The asset's name.
        destination: Folder for the files; a relative one is taken from the working directory of the
            code location.
        dataset_id: The dataset, if the asset is about one.
        partitions_def: Static or dynamic partitions whose keys are dataset ids, if it is about
            several.
        include_patterns: Gitignore-style patterns of the files to bring. Default: all.
        exclude_patterns: The same for files to leave out; they win over the included.
        retry: How what fails transiently is repeated inside the step. Default: `RetryConfig()`.
        backfill_policy: Whether one run may hold many partitions. Default: one run for each.
        key_prefix: Prefix of the asset's key.
        group_name: Group in the UI.
        description: Shown in the UI. Default: what it brings and where to.
        kinds: Kinds shown in the UI. Default: roboto and s3.
        owners: Owners of the asset.
        tags: Tags of the asset.
        metadata: Definition metadata of the asset.
        deps: Assets that it depends on.
        automation_condition: When Dagster materializes it by itself.
        retry_policy: What Dagster repeats as a whole, on top of `retry`. Permanent failures are
            never repeated.
        pool: Concurrency pool of the op.

    Returns:
        The asset. A failed run raises one `dagster.Failure` that names every failed file.

    Raises:
        ConfigurationError: Both or neither of `dataset_id` and `partitions_def` are given, or the
            id is none.
    """
    if (dataset_id is None) == (partitions_def is None):
        msg = f"Asset {name!r} needs either a dataset_id or a partitions_def whose keys are dataset ids, and not both."
        raise ConfigurationError(msg)
    scope = Scope(
        dataset_id=dataset_id or _ANY_DATASET,
        include_patterns=tuple(include_patterns),
        exclude_patterns=tuple(exclude_patterns),
    )
    folder = pathlib.Path(destination).expanduser().absolute()
    subject = (
        f"the Roboto dataset {dataset_id}"
        if dataset_id
        else "the Roboto dataset named by the partition key"
    )

    @dg.asset(
        name=name,
        key_prefix=key_prefix,
        partitions_def=partitions_def,
        backfill_policy=backfill_policy,
        group_name=group_name,
        description=description or f"The files of {subject}, whole and verified, in `{folder}`.",
        kinds=set(_KINDS if kinds is None else kinds),
        owners=owners,
        tags=tags,
        metadata=metadata,
        deps=deps,
        automation_condition=automation_condition,
        retry_policy=retry_policy,
        pool=pool,
    )
    def roboto_dataset(
        context: dg.AssetExecutionContext, roboto: RobotoResource, object_store: ObjectStoreResource
    ) -> dg.MaterializeResult[Any]:
        def scope_of(partition_key: str | None) -> Scope:
            return dataclasses.replace(scope, dataset_id=partition_key) if partition_key else scope

        keys = [None] if partitions_def is None else context.partition_keys
        run = _Run(context, roboto, object_store, folder, retry or RetryConfig())
        return run.materialize({key: functools.partial(scope_of, key) for key in keys})

    return roboto_dataset


class _Run:
    """One run of the asset's op: any number of partitions, each with its own outcome."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
        destination: pathlib.Path,
        retry: RetryConfig,
    ) -> None:
        self._context = context
        self._roboto = roboto
        self._object_store = object_store
        self._destination = destination
        self._retry = retry
        self._outcomes: dict[str | None, Outcome] = {}

    def materialize(
        self, scopes: Mapping[str | None, Callable[[], Scope]]
    ) -> dg.MaterializeResult[Any]:
        """Syncs every partition, and tells Dagster of each.

        Raises:
            dagster.Failure: A partition is not whole; those that are have been materialized.
        """
        try:
            for key, scope in scopes.items():
                self._outcomes[key] = self._sync(key, scope)
                self._say_end(key, self._outcomes[key])
        except BaseException:  # an interrupt: what is whole by now stays materialized
            self._materialize_whole()
            raise
        if all(is_whole(outcome) for outcome in self._outcomes.values()):
            return self._result()
        self._materialize_whole()
        self._observe_others()
        raise failure_of(self._outcomes) from error_of(self._outcomes)

    def _sync(self, partition_key: str | None, scope: Callable[[], Scope]) -> Outcome:
        try:
            return self._sync_scope(partition_key, scope())
        except RobotoDagsterError as error:
            return error

    def _sync_scope(self, partition_key: str | None, scope: Scope) -> SyncReport:
        asset_key = self._context.asset_key.to_user_string()
        settings = SyncSettings(
            client=self._roboto.get_client(),
            org_id=self._roboto.org_id,
            open_store=self._object_store.open_store,
            destination=self._destination,
            manifest=manifest_path(self._destination, asset_key, partition_key or scope.dataset_id),
            retry=self._retry,
            say=self._context.log.log,
        )
        return sync([scope], settings)

    def _say_end(self, partition_key: str | None, outcome: Outcome) -> None:
        prefix = f"{partition_key}: " if partition_key else ""
        if isinstance(outcome, SyncReport):
            self._context.log.log(
                logging.WARNING if outcome.failures else logging.INFO, f"{prefix}{summary(outcome)}"
            )
        else:
            self._context.log.error(f"{prefix}{outcome}")

    def _result(self) -> dg.MaterializeResult[Any]:
        """All is whole: Dagster itself makes one materialization a partition, each with its own
        metadata.
        """
        for key, outcome in self._outcomes.items():
            self._context.add_asset_metadata(outcome_metadata(outcome), partition_key=key)
        return dg.MaterializeResult()

    def _materialize_whole(self) -> None:
        """Since the step is about to fail, materializations have to be logged one by one."""
        for key, outcome in self._outcomes.items():
            if is_whole(outcome):
                self._context.log_event(
                    dg.AssetMaterialization(
                        asset_key=self._context.asset_key,
                        partition=key,
                        metadata=outcome_metadata(outcome),
                    )
                )

    def _observe_others(self) -> None:
        """Dagster shows a failure's metadata in the run's log alone, an observation's on the
        asset's page too.
        """
        for key, outcome in self._outcomes.items():
            if not is_whole(outcome):
                self._context.log_event(
                    dg.AssetObservation(
                        asset_key=self._context.asset_key,
                        partition=key,
                        description=describe(outcome, key),
                        metadata=outcome_metadata(outcome),
                    )
                )
