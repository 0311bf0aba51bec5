"""The Dagster asset: the topics of a dataset asset's logs as Parquet tables, in the partitions of that asset."""

import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg

from roboto_dagster.assets import Dependency
from roboto_dagster.definition_checks import check_definition
from roboto_dagster.disk.folder import Durability
from roboto_dagster.materialize import DEFAULT_CONCURRENT_PARTITIONS
from roboto_dagster.naming import asset_key_of
from roboto_dagster.run_history import TOPICS_OP_TAGS
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.topic_assets.config import OnFailure, Upstream
from roboto_dagster.topic_assets.definition import (
    TOPICS_KINDS,
    TopicsAssetSettings,
    TopicsDefinition,
)
from roboto_dagster.topics.decoder import LogDecoder


def build_roboto_topics_asset(
    name: str,
    *,
    upstream: dg.AssetsDefinition | dg.AssetSpec,
    destination: str | os.PathLike[str],
    topics: Sequence[str] = (),
    fields: Mapping[str, Sequence[str]] | None = None,
    decoders: Sequence[LogDecoder] | None = None,
    on_failure: OnFailure = "fail",
    keep_partial: bool = False,
    raw: bool = False,
    ros_definitions: Mapping[str, str] | str | None = None,
    processes: int | None = None,
    durability: Durability = "none",
    on_unchanged: OnUnchanged = "materialize",
    max_concurrent_partitions: int = DEFAULT_CONCURRENT_PARTITIONS,
    backfill_policy: dg.BackfillPolicy | None = None,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    description: str | None = None,
    kinds: AbstractSet[str] | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    deps: Iterable[Dependency] | None = None,
    code_version: str | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    hooks: AbstractSet[dg.HookDefinition] | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] | None = None,
    io_manager_key: str | None = None,
) -> dg.AssetsDefinition:
    """Build an asset that decodes the logs of a dataset asset into Parquet tables.

    ```python
    topics = build_roboto_topics_asset(
        "robot_topics", upstream=robot_logs, destination="topics", topics=["/imu*", "!/camera/**"]
    )
    ```

    It has the partitions of its upstream asset. Each topic of each log becomes a table,
    `<destination>/<dataset id>/<log path>/<topic>.parquet`; the manifest is
    `<destination>/.roboto/<asset key>/<partition key>.parquet`, one row for each topic of each log. Logs that have not
    changed are not decoded again. A partition whose upstream files are not complete on this disk fails.

    It needs no resources, but at least one of the extras `topics` (MCAP), `topics-ros` (ROS bags), `topics-px4` (ULog).

    Args:
        name: The asset's name.
        upstream: The dataset asset, from `build_roboto_dataset_asset` or a component; of several assets of one op the
            spec of one of them, `assets.get_asset_spec(key)`.
        destination: Folder for the tables, another one than that of the logs; a relative path starts at the working
            directory of the code location.
        topics: Patterns of topics, of which the last one that matches decides; `!` in front excludes. `*` stands for any
            characters but `/`, `**` for any characters; a pattern without `/` matches a name at any level. Default: all.
        fields: The fields to keep, by topic or pattern of topics; nested ones with dots, such as `{"/odom": ["pose.pose"]}`.
            Default: all.
        decoders: What reads the logs, in the order in which they are asked: decoders of your own formats, then
            `default_decoders()`. Default: those of this package.
        on_failure: Whether logs and topics that cannot be decoded make the partition fail (`"fail"`, default) or are only
            listed in the metadata of a materialization (`"skip"`).
        keep_partial: Whether the rows that were read of a log before it turned out to be cut or damaged are published; the log
            counts as failed all the same. Default false: none of its rows are.
        raw: Whether topics that no decoder can read are delivered as bytes, each message in a column `data`. Default false:
            they are failures.
        ros_definitions: Definitions of ROS messages that logs do not carry themselves, by name of the type; or the name of
            a ROS 2 distribution, such as `humble`, for all that comes with it. Default: none.
        processes: How many logs are decoded at once, at most. Default: as many as there are processors, and as memory allows.
        durability: What is forced to the disk before a table counts as published: `"none"` (default), the `"file"`, or
            its folder, too (`"full"`).
        on_unchanged: What Dagster records for a partition without any change: a materialization (`"materialize"`,
            default) or an observation (`"observe"`), as for `build_roboto_dataset_asset`.
        max_concurrent_partitions: How many partitions of a run are worked on side by side, 1 to 32; they share
            the processes. Default 16.
        backfill_policy: Whether one run may hold many partitions. Default: one run for each.
        key_prefix: Prefix of the asset's key.
        group_name: Group in the UI.
        description: Shown in the UI. Default: what it decodes, and where to.
        kinds: Kinds shown in the UI. Default: roboto and parquet.
        owners: Owners of the asset.
        tags: Tags of the asset.
        metadata: Definition metadata of the asset.
        deps: Assets that it depends on, besides upstream: whatever Dagster takes as such.
        code_version: Version of the code. Default: a hash of what decides which tables there are.
        automation_condition: When Dagster materializes it by itself, such as `AutomationCondition.eager()`.
        freshness_policy: How old the newest materialization of any partition may be. Default: any age.
        retry_policy: How Dagster repeats the step. What a re-run cannot change is never repeated.
        pool: Concurrency pool of the op.
        op_tags: Tags of the op, such as what a pod on Kubernetes may use. Default: none.
        hooks: Functions that Dagster calls when the step has succeeded or failed. Default: none.
        check_specs: Specs of checks of this asset that your own code reports; `build_topic_checks` needs none.
            Default: none.
        io_manager_key: Key of the resource by which other assets load it, a `RobotoFilesIOManager`. Default: each of them
            names that as the `input_manager_key` of its input.

    Returns:
        The asset. A failed run raises one `dagster.Failure` that names every log and topic that could not be decoded;
        all others are kept.

    Raises:
        ConfigurationError: The upstream asset is no dataset asset, or a setting cannot work; the message names it.
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
    settings = TopicsAssetSettings(
        destination=destination,
        topics=topics,
        fields=fields,
        decoders=decoders,
        on_failure=on_failure,
        keep_partial=keep_partial,
        raw=raw,
        ros_definitions=ros_definitions,
        processes=processes,
        durability=durability,
        on_unchanged=on_unchanged,
        max_concurrent_partitions=max_concurrent_partitions,
    )
    definition = TopicsDefinition.checked(Upstream.of(upstream), settings)
    spec = definition.spec(asset_key_of(name, key_prefix), deps)
    make_asset = dg.asset(
        name=name,
        key_prefix=key_prefix,
        partitions_def=spec.partitions_def,
        backfill_policy=backfill_policy,
        group_name=group_name,
        description=description or spec.description,
        kinds=set(TOPICS_KINDS if kinds is None else kinds),
        owners=owners,
        tags=tags,
        metadata={**spec.metadata, **(metadata or {})},
        code_version=code_version or spec.code_version,
        deps=spec.deps,
        automation_condition=automation_condition,
        freshness_policy=freshness_policy,
        retry_policy=retry_policy,
        pool=pool,
        op_tags={**(op_tags or {}), **TOPICS_OP_TAGS},
        hooks=hooks,
        check_specs=check_specs,
        io_manager_key=io_manager_key,
    )
    return make_asset(definition.body())
