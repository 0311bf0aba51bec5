"""A topics asset as it is defined, checked, for the function and for the component: its attributes and its body."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import dagster as dg
from typing_extensions import Self

from roboto_dagster.checks.topic_inspector import TopicInspector
from roboto_dagster.disk.folder import Durability
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.materialize import asset_result, check_concurrent_partitions, run_step
from roboto_dagster.resource_params import Body, with_resources
from roboto_dagster.setting_checks import check_choice
from roboto_dagster.source_asset import deps_with_source
from roboto_dagster.step.recording import Results
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.topic_assets.config import (
    OnFailure,
    TopicsAssetConfig,
    Upstream,
    topics_code_version,
)
from roboto_dagster.topic_assets.work import DecodeWork, TopicsAsset
from roboto_dagster.topics.decoder import LogDecoder
from roboto_dagster.topics.options import TopicsOptions
from roboto_dagster.topics.ros.distribution import ros_distribution_definitions
from roboto_dagster.topics.topic_filter import TopicFilter

TOPICS_KINDS = frozenset({"roboto", "parquet"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsAssetSettings:
    """What `build_roboto_topics_asset` or the component was given; the docstring of the function describes each."""

    destination: str | os.PathLike[str]
    topics: Sequence[str]
    fields: Mapping[str, Sequence[str]] | None
    decoders: Sequence[LogDecoder] | None
    on_failure: OnFailure
    keep_partial: bool
    raw: bool
    ros_definitions: Mapping[str, str] | str | None
    processes: int | None
    durability: Durability
    on_unchanged: OnUnchanged
    max_concurrent_partitions: int

    def options(self) -> TopicsOptions:
        """Return what is decoded, and how.

        Raises:
            ConfigurationError: A setting cannot work; the message names it.
        """
        definitions = self.ros_definitions
        if isinstance(definitions, str):
            definitions = ros_distribution_definitions(definitions)
        return TopicsOptions(
            topics=TopicFilter(
                topics=self.topics,
                fields=self.fields or {},
                raw=self.raw,
                ros_definitions=definitions or {},
            ),
            decoders=checked_decoders(self.decoders),
            keep_partial=self.keep_partial,
            processes=self.processes,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsDefinition:
    """What a topics asset is made of.

    Attributes:
        upstream: The dataset asset whose logs are decoded.
        config: What travels with the definition.
        options: What is decoded, and how.
        durability: What is forced to the disk before a table counts as published.
        on_unchanged: What Dagster records for a partition without any change.
        max_concurrent_partitions: How many partitions of a run are worked on side by side.
    """

    upstream: Upstream
    config: TopicsAssetConfig
    options: TopicsOptions
    durability: Durability
    on_unchanged: OnUnchanged
    max_concurrent_partitions: int

    @classmethod
    def checked(cls, upstream: Upstream, given: TopicsAssetSettings) -> Self:
        """Make it of what a user has set.

        Args:
            upstream: The dataset asset.
            given: The settings.

        Raises:
            ConfigurationError: A setting cannot work; the message names it.
        """
        check_choice("on_unchanged", given.on_unchanged, get_args(OnUnchanged))
        check_choice("durability", given.durability, get_args(Durability))
        check_concurrent_partitions(given.max_concurrent_partitions)
        options = given.options()
        config = TopicsAssetConfig.checked(
            upstream, options, destination=given.destination, on_failure=given.on_failure
        )
        return cls(
            upstream=upstream,
            config=config,
            options=options,
            durability=given.durability,
            on_unchanged=given.on_unchanged,
            max_concurrent_partitions=given.max_concurrent_partitions,
        )

    def spec(self, key: dg.AssetKey, deps: Iterable[Any] | None = None) -> dg.AssetSpec:
        """Return what the asset looks like in Dagster.

        Args:
            key: Its key.
            deps: What it depends on besides upstream. Default: nothing.

        Raises:
            ConfigurationError: It has the key of its upstream asset, or a dependency is none.
        """
        if key == self.upstream.asset_key:
            raise ConfigurationError(
                f"The asset {key.to_user_string()} has the key of its upstream asset: give it another name."
            )
        return dg.AssetSpec(
            key,
            deps=deps_with_source(key, deps, self.upstream.asset_key),
            description=self.config.describe(self.upstream),
            kinds=set(TOPICS_KINDS),
            metadata=self.config.to_metadata(),
            code_version=topics_code_version(self.options, self.config.on_failure),
            partitions_def=self.upstream.partitions_def,
        )

    def body(self) -> Body:
        """Return the function of the asset."""

        def roboto_topics(context: dg.AssetExecutionContext) -> Any:
            return asset_result(context, self._materialize(context))

        return with_resources(roboto_topics, dg.AssetExecutionContext, {})

    def _materialize(self, context: dg.AssetExecutionContext) -> Results:
        """Decode the partitions of a run, and yield one result for the step."""
        asset = TopicsAsset(
            asset_key=context.asset_key,
            upstream=self.upstream,
            config=self.config,
            options=self.options,
            durability=self.durability,
        )
        yield from run_step(
            context,
            DecodeWork(asset),
            [TopicInspector(self.config, context.asset_key, self.upstream.partitions_def)],
            self.on_unchanged,
            max_concurrent_partitions=self.max_concurrent_partitions,
        )


def checked_decoders(decoders: Any) -> tuple[LogDecoder, ...] | None:
    """Return decoders of the user's choice.

    Args:
        decoders: As they were given; None for those of this package.

    Raises:
        ConfigurationError: One of them is none, or two have the same name.
    """
    if decoders is None:
        return None
    if isinstance(decoders, str | bytes | Mapping) or not isinstance(decoders, Iterable):
        raise ConfigurationError(f"decoders must be a list of decoders, not {decoders!r}.")
    found = tuple(decoders)
    for each in found:
        is_decoder = callable(getattr(each, "claims", None)) and callable(
            getattr(each, "batches", None)
        )
        texts = [getattr(each, name, None) for name in ("name", "version")]
        if isinstance(each, type) or not is_decoder or not all(isinstance(t, str) for t in texts):
            raise ConfigurationError(
                f"decoders must hold objects with name, version, claims() and batches(), as LogDecoder has them, not {each!r}."
            )
    names = [each.name for each in found]
    if len(set(names)) != len(names):
        raise ConfigurationError(
            f"decoders must have different names, since the manifest records them: {', '.join(names)}."
        )
    return found
