"""Several assets from one listing: the files of a dataset, divided by patterns.

```
                                  ┌─► camera     *.mcap   ┐ each with its own manifest, events, data versions,
 partition ─► one listing ─► op ──┤                       ├ metadata, checks and failure
                                  └─► telemetry  *.csv    ┘
```
"""

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypedDict

import dagster as dg
from typing_extensions import Unpack

from roboto_dagster.assets import Dependency, build_roboto_dataset_asset
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.materialize import asset_result, known_names, materialize_assets
from roboto_dagster.naming import plain_name
from roboto_dagster.partitions import Partitioning, partitioning_of_asset
from roboto_dagster.platform.queries import Query
from roboto_dagster.resource_params import with_resources
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.run_history import DATASET_OP_TAGS
from roboto_dagster.source_asset import Source
from roboto_dagster.step.partition_sync import PartitionSync
from roboto_dagster.step.recording import is_direct
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.sync.options import OnEmpty, OnMissing, OnRefused, SyncOptions


class AssetOptions(TypedDict, total=False):
    """What each asset of `build_roboto_dataset_assets` may have of its own.

    Meaning and defaults are those of `build_roboto_dataset_asset`.
    """

    destination: str | os.PathLike[str]
    include_patterns: Sequence[str]
    exclude_patterns: Sequence[str]
    on_refused: OnRefused
    on_missing: OnMissing
    on_empty: OnEmpty
    max_removals: int
    group_name: str | None
    description: str | None
    kinds: AbstractSet[str] | None
    owners: Sequence[str] | None
    tags: Mapping[str, str] | None
    metadata: Mapping[str, Any] | None
    deps: Sequence[Dependency] | None
    code_version: str | None
    automation_condition: dg.AutomationCondition[Any] | None
    freshness_policy: dg.FreshnessPolicy | None
    check_specs: Sequence[dg.AssetCheckSpec] | None
    io_manager_key: str | None


class SharedOptions(AssetOptions, total=False):
    """What all assets of `build_roboto_dataset_assets` have together.

    Meaning and defaults are those of `build_roboto_dataset_asset`.
    """

    dataset_id: str | None
    partitions_def: dg.PartitionsDefinition[Any] | None
    query: Query | None
    retry: RetryConfig | None
    free_space_reserve_bytes: int | None
    backfill_policy: dg.BackfillPolicy | None
    key_prefix: str | Sequence[str] | None
    source: Source | None
    on_unchanged: OnUnchanged
    max_concurrent_partitions: int
    retry_policy: dg.RetryPolicy | None
    pool: str | None
    op_tags: Mapping[str, Any] | None
    hooks: AbstractSet[dg.HookDefinition] | None
    roboto_resource_key: str
    object_store_resource_key: str


_MERGED = ("metadata", "tags")  # a mapping of one asset adds to that of all
_OF_OP = ("partitions_def", "backfill_policy", "retry_policy", "pool", "hooks")
_SYNC_OPTIONS = tuple(field.name for field in dataclasses.fields(SyncOptions))
_SIGNATURE = inspect.signature(build_roboto_dataset_asset)


def build_roboto_dataset_assets(
    name: str,
    assets: Mapping[str, Sequence[str] | AssetOptions],
    **options: Unpack[SharedOptions],
) -> dg.AssetsDefinition:
    """Build several assets that share the datasets of each partition, its listing, and one step.

    ```python
    logs = build_roboto_dataset_assets(
        "flight_logs",
        {"camera": ["*.mcap"], "telemetry": ["*.csv", "*.parquet"]},
        destination="data/roboto",
        partitions_def=dg.DynamicPartitionsDefinition(name="flights"),
    )
    ```

    Each asset is what `build_roboto_dataset_asset` would make of its options: it has its own manifest, metadata,
    data versions, checks and failure, and runs with the others or without them. If one of them is not complete
    the step fails, and the others are materialized all the same. Each dataset is listed once a run and partition,
    whatever the number of assets.

    A file that no asset wants is not delivered. One that several want belongs to each of them, and is fetched once
    where they have the same destination.

    `build_roboto_dataset_checks`, `build_roboto_dataset_sensor`, `build_roboto_sync_schedule` and
    `RobotoFilesIOManager` take these assets, too.

    Args:
        name: The name of the op, of which names of the sensor and the schedule are made.
        assets: By the asset's name (`a/b` for a key of two parts, after `key_prefix`): patterns of its files, or a
            mapping of options of its own (`AssetOptions`), such as `include_patterns`, `on_empty` or `owners`. They
            replace those of all; `metadata` and `tags` are added to them.
        **options: Those of `build_roboto_dataset_asset`, for all assets; `shards` is for single assets only.

    Returns:
        The assets, any of which can be selected. A failed run raises one `dagster.Failure` that names every failed
        file.

    Raises:
        ConfigurationError: There are no assets, or an option cannot work; the message names the asset.
    """
    _check(name, assets)
    shared = {**_defaults(), **options}
    own = {key: _own(key, given) for key, given in assets.items()}
    singles = {key: _single(key, each, options) for key, each in own.items()}
    arguments = {key: {**shared, **each} for key, each in own.items()}
    deliveries = [_delivery(singles[key], each) for key, each in arguments.items()]

    def roboto_datasets(
        context: dg.AssetExecutionContext, roboto: RobotoResource, object_store: ObjectStoreResource
    ) -> Any:
        syncs = syncs_of(context, deliveries, roboto, object_store, shared["retry"])
        results = materialize_assets(
            context,
            syncs,
            roboto,
            shared["on_unchanged"],
            max_concurrent_partitions=shared["max_concurrent_partitions"],
        )
        return asset_result(context, results)

    resources = {
        "roboto_resource_key": (shared["roboto_resource_key"], RobotoResource),
        "object_store_resource_key": (shared["object_store_resource_key"], ObjectStoreResource),
    }
    make_assets = dg.multi_asset(
        name=plain_name(name),
        specs=[_spec(singles[key], each) for key, each in arguments.items()],
        can_subset=True,
        check_specs=[spec for single in singles.values() for spec in single.check_specs],
        op_tags={**(shared["op_tags"] or {}), **DATASET_OP_TAGS},
        **{option: shared[option] for option in _OF_OP},
    )
    return make_assets(with_resources(roboto_datasets, dg.AssetExecutionContext, resources))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AssetDelivery:
    """What is delivered for one of several assets.

    Attributes:
        asset_key: The asset.
        partitioning: What its partitions hold.
        options: How what is not as it should be is treated.
    """

    asset_key: dg.AssetKey
    partitioning: Partitioning
    options: SyncOptions


def syncs_of(
    context: dg.AssetExecutionContext,
    deliveries: Sequence[AssetDelivery],
    roboto: RobotoResource,
    object_store: ObjectStoreResource,
    retry: RetryConfig | None = None,
) -> Sequence[PartitionSync]:
    """Return the syncs of those assets of an op that a run has selected, for `materialize_assets`.

    Args:
        context: Of the op.
        deliveries: What is delivered for each asset.
        roboto: The platform.
        object_store: The store of the files.
        retry: How what fails transiently is retried. Default: `RetryConfig()`.
    """
    return [
        PartitionSync(
            each.partitioning,
            each.asset_key,
            roboto=roboto,
            object_store=object_store,
            retry=retry or RetryConfig(),
            options=each.options,
            dataset_names=known_names(context),
        )
        for each in deliveries
        if is_direct(context) or each.asset_key in context.selected_asset_keys
    ]


def _delivery(single: dg.AssetsDefinition, arguments: Mapping[str, Any]) -> AssetDelivery:
    return AssetDelivery(
        asset_key=single.key,
        partitioning=partitioning_of_asset(single),
        options=SyncOptions(**{name: arguments[name] for name in _SYNC_OPTIONS}),
    )


def _spec(single: dg.AssetsDefinition, arguments: Mapping[str, Any]) -> dg.AssetSpec:
    # Not skippable, an asset that failed could not be left out of the step's results.
    spec = single.get_asset_spec(single.key).replace_attributes(skippable=True)
    io_manager_key = arguments["io_manager_key"]
    return spec.with_io_manager_key(io_manager_key) if io_manager_key else spec


def _defaults() -> dict[str, Any]:
    empty = inspect.Parameter.empty
    return {
        name: parameter.default
        for name, parameter in _SIGNATURE.parameters.items()
        if parameter.default is not empty
    }


def _single(key: str, own: Mapping[str, Any], options: Mapping[str, Any]) -> dg.AssetsDefinition:
    merged = {
        option: {**options[option], **own[option]}
        for option in _MERGED
        if options.get(option) and own.get(option)
    }
    prefix = options.get("key_prefix") or ()
    *parts, name = key.split("/")
    arguments: dict[str, Any] = {
        **options,
        **own,
        **merged,
        "key_prefix": [*([prefix] if isinstance(prefix, str) else prefix), *parts],
    }
    try:
        return build_roboto_dataset_asset(name, **arguments)
    except ConfigurationError as error:
        raise ConfigurationError(f"The asset {key!r}: {error}") from error


def _own(key: str, given: Any) -> dict[str, Any]:
    """Return the options of one asset."""
    if not isinstance(given, Mapping):
        return {"include_patterns": given}
    if wrong := sorted(set(given) - set(AssetOptions.__annotations__)):
        of_all = [each for each in wrong if each in SharedOptions.__annotations__]
        reason = "belongs to all assets: give it beside them" if of_all else "does not exist"
        raise ConfigurationError(f"The option {(of_all or wrong)[0]} of {key!r} {reason}.")
    return dict(given)


def _check(name: Any, assets: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"name must be the name of the op, not {name!r}.")
    if not isinstance(assets, Mapping) or not assets:
        raise ConfigurationError(
            f"assets must be patterns by the name of an asset, such as {{'camera': ['*.mcap']}}, not {assets!r}."
        )
    for key in assets:
        if not isinstance(key, str) or not all(map(str.strip, key.split("/"))):
            raise ConfigurationError(
                f"assets must have names such as 'camera' or 'raw/camera', not {key!r}."
            )
