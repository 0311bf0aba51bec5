"""The Dagster asset: a Roboto dataset on disk, one partition a dataset."""

import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias, get_args

import dagster as dg

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.definition_checks import check_definition
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.materialize import (
    DEFAULT_CONCURRENT_PARTITIONS,
    asset_result,
    check_concurrent_partitions,
    materialize_partitions,
)
from roboto_dagster.naming import asset_key_of
from roboto_dagster.partitions import partitioning_of
from roboto_dagster.platform.queries import Query
from roboto_dagster.resource_params import with_resources
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_history import DATASET_OP_TAGS
from roboto_dagster.setting_checks import check_choice
from roboto_dagster.sharded_asset import StepSettings, check_shards, sharded_asset
from roboto_dagster.source_asset import (
    Source,
    build_roboto_source_asset,
    deps_with_source,
    ignoring_source,
)
from roboto_dagster.step.shard_ops import ShardOps
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.sync.options import (
    DEFAULT_RESERVE_BYTES,
    OnEmpty,
    OnMissing,
    OnRefused,
    SyncOptions,
)
from roboto_dagster.sync.shards.division import ShardOptions

__all__ = ["KINDS", "build_roboto_dataset_asset", "materialize_partitions"]

KINDS = frozenset({"roboto", "s3"})
Dependency: TypeAlias = (
    dg.AssetKey | dg.AssetsDefinition | dg.AssetSpec | dg.AssetDep | str | Sequence[str]
)
"""What an asset may depend on, as in `dagster.asset`."""

_DEFAULT_SOURCE = build_roboto_source_asset()


def build_roboto_dataset_asset(
    name: str,
    *,
    destination: str | os.PathLike[str],
    dataset_id: str | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    include_patterns: Sequence[str] = (),
    exclude_patterns: Sequence[str] = (),
    query: Query | None = None,
    retry: RetryConfig | None = None,
    on_refused: OnRefused = "fail",
    on_missing: OnMissing = "keep",
    on_empty: OnEmpty = "fail",
    on_unchanged: OnUnchanged = "materialize",
    max_concurrent_partitions: int = DEFAULT_CONCURRENT_PARTITIONS,
    max_removals: int = 100,
    free_space_reserve_bytes: int | None = DEFAULT_RESERVE_BYTES,
    backfill_policy: dg.BackfillPolicy | None = None,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    description: str | None = None,
    kinds: AbstractSet[str] | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    deps: Iterable[Dependency] | None = None,
    source: Source | None = _DEFAULT_SOURCE,
    code_version: str | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    hooks: AbstractSet[dg.HookDefinition] | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] | None = None,
    io_manager_key: str | None = None,
    roboto_resource_key: str = "roboto",
    object_store_resource_key: str = "object_store",
    shards: ShardOptions | None = None,
) -> dg.AssetsDefinition:
    """Build an asset that delivers Roboto datasets to the local disk.

    It is about one dataset, or about several by partitions: each key is the id of a dataset, or a
    window of time that holds the datasets created in it, or one of each (`roboto_dagster.partitions`
    has the table). A run may hold one partition or, with a `BackfillPolicy`, many: each then
    succeeds or fails by itself, and the complete ones are materialized in any case.

    Files go to `<destination>/<dataset id>/<relative path>`, the manifest to
    `<destination>/.roboto/<asset key>/<partition key>.parquet`. Files that have not changed cost no
    request to the store.

    The asset needs the resources `roboto` (a `RobotoResource`) and `object_store` (an
    `ObjectStoreResource`); assets of a second organization name others.

    Args:
        name: The asset's name.
        destination: Folder for the files; a relative one is taken from the working directory of the
            code location.
        dataset_id: The dataset, if the asset is about one.
        partitions_def: Static or named dynamic partitions whose keys are dataset ids, time windows,
            or one of each as a `MultiPartitionsDefinition`, if it is about several.
        include_patterns: Gitignore-style patterns of the files to deliver. Default: all.
        exclude_patterns: The same for files to leave out; they win over the included.
        query: Which datasets belong to a window of time: a condition of the platform's query
            language, as a mapping or of the SDK. Default: all that were created in it.
        retry: How what fails transiently is retried inside the step. Default: `RetryConfig()`.
        on_refused: Whether files whose path is unsafe or collides, or whose record is bad, make the
            partition fail (`"fail"`, default) or are only listed in its metadata (`"skip"`).
        on_missing: Whether files that the platform no longer lists are kept (`"keep"`, default) or
            removed (`"remove"`): only unchanged ones of this asset's own manifest, and only after a
            sync without failures.
        on_empty: Whether a partition whose datasets hold no file that is wanted fails (`"fail"`,
            default) or is materialized with no rows (`"allow"`). A window of time may be empty.
        on_unchanged: What Dagster records for a partition without any change: a materialization (`"materialize"`,
            default) or an observation (`"observe"`), which looks new to no condition, nor to a freshness policy. A
            backfill, a failing run, and the run after one that failed materialize in any case.
        max_concurrent_partitions: How many partitions of a run are delivered side by side, 1 to 32. Default 16.
        max_removals: If more than so many would be removed, none is, and the partition fails.
        free_space_reserve_bytes: Bytes to leave free on the disk, checked before the first byte;
            None checks nothing. Default 64 MiB.
        backfill_policy: Whether one run may hold many partitions. Default: one run for each.
        key_prefix: Prefix of the asset's key.
        group_name: Group in the UI.
        description: Shown in the UI. Default: what it delivers, and where to.
        kinds: Kinds shown in the UI. Default: roboto and s3.
        owners: Owners of the asset.
        tags: Tags of the asset.
        metadata: Definition metadata of the asset.
        deps: Assets that it depends on, besides its source: whatever Dagster takes as such.
        source: The upstream asset that stands for the platform, from `build_roboto_source_asset`, or
            the key of another one; None for none. Default: `roboto/platform`.
        code_version: Version of the code. Default: a hash of what decides which files are delivered.
        automation_condition: When Dagster materializes it by itself; the source is not waited for.
        freshness_policy: How old the newest materialization of any partition may be before Dagster
            shows the asset as stale and alerts. Default: any age.
        retry_policy: How Dagster repeats the step, on top of `retry`. Permanent failures are
            never repeated.
        pool: Concurrency pool of the op.
        op_tags: Tags of the op, such as what a pod on Kubernetes may use. Default: none.
        hooks: Functions that Dagster calls when the step has succeeded or failed. Default: none.
        check_specs: Checks of this asset that something else reports, such as a hook or Dagster's
            REST API; those of `build_roboto_dataset_checks` are not meant. Default: none.
        io_manager_key: The resource by which other assets load it, a `RobotoFilesIOManager`.
            Default: each of them names it as its `input_manager_key`.
        roboto_resource_key: The resource that is the platform. Default `roboto`.
        object_store_resource_key: The resource that is the object store. Default `object_store`.
        shards: Transfer each partition by many workers that share the destination: the asset is then a
            graph of steps (plan, shards, merge) for any executor, see `build_roboto_dataset_job`. A run
            is of one partition. Default: one step.

    Returns:
        The asset. A failed run raises one `dagster.Failure` that names every failed file.

    Raises:
        ConfigurationError: Both or neither of `dataset_id` and `partitions_def` are given, or the
            id is none.
    """
    check_definition(
        name=name,
        key_prefix=key_prefix,
        kinds=kinds,
        deps=deps,
        owners=owners,
        metadata=metadata,
        op_tags=op_tags,
        hooks=hooks,
        io_manager_key=io_manager_key,
        backfill_policy=backfill_policy,
    )
    config = DatasetAssetConfig.checked(
        destination=destination,
        dataset_id=dataset_id,
        include_patterns=include_patterns,
        exclude_patterns=exclude_patterns,
        query=query,
    )
    partitioning = partitioning_of(config, partitions_def)
    _check_retry(retry)
    check_choice("on_unchanged", on_unchanged, get_args(OnUnchanged))
    check_concurrent_partitions(max_concurrent_partitions)
    options = SyncOptions(
        on_refused=on_refused,
        on_missing=on_missing,
        on_empty=on_empty,
        max_removals=max_removals,
        free_space_reserve_bytes=free_space_reserve_bytes,
    )

    def roboto_dataset(
        context: dg.AssetExecutionContext, roboto: RobotoResource, object_store: ObjectStoreResource
    ) -> Any:
        results = materialize_partitions(
            context,
            partitioning,
            roboto=roboto,
            object_store=object_store,
            retry=retry,
            options=options,
            on_unchanged=on_unchanged,
            max_concurrent_partitions=max_concurrent_partitions,
        )
        return asset_result(context, results)

    resources = {
        "roboto_resource_key": (roboto_resource_key, RobotoResource),
        "object_store_resource_key": (object_store_resource_key, ObjectStoreResource),
    }
    of_op = {**(op_tags or {}), **DATASET_OP_TAGS}
    make_asset = dg.asset(
        name=name,
        key_prefix=key_prefix,
        partitions_def=partitions_def,
        backfill_policy=backfill_policy,
        group_name=group_name,
        description=description or partitioning.describe(),
        kinds=set(KINDS if kinds is None else kinds),
        owners=owners,
        tags=tags,
        metadata={**config.to_metadata(), **(metadata or {})},
        code_version=code_version or config.code_version(),
        deps=deps_with_source(asset_key_of(name, key_prefix), deps, source),
        automation_condition=ignoring_source(automation_condition, source),
        freshness_policy=freshness_policy,
        retry_policy=retry_policy,
        pool=pool,
        op_tags=of_op,
        hooks=hooks,
        check_specs=check_specs,
        io_manager_key=io_manager_key,
    )
    asset = make_asset(with_resources(roboto_dataset, dg.AssetExecutionContext, resources))
    if shards is None:
        return asset
    check_shards(
        shards, backfill_policy=backfill_policy, check_specs=check_specs, on_unchanged=on_unchanged
    )
    ops = ShardOps(partitioning, asset.key, retry=retry, options=options, shards=shards)
    of_steps = StepSettings(retry_policy, of_op, pool, hooks, io_manager_key)
    return sharded_asset(asset, ops, resources=resources, settings=of_steps)


def _check_retry(retry: object) -> None:
    if retry is not None and not isinstance(retry, RetryConfig):
        raise ConfigurationError(
            f"retry must be a RetryConfig such as RetryConfig(max_attempts=3), not {retry!r}. To have Dagster "
            "repeat the step, use retry_policy."
        )
