"""The field `topics` of the component: assets that decode its logs into tables, and their checks."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import Field, InstanceOf

from roboto_dagster.checks.topic_checks import build_topic_checks
from roboto_dagster.checks.topic_inspector import TopicCheck
from roboto_dagster.component.asset_models import Freshness
from roboto_dagster.component.fields import SettingsModel, description_of, key_of_name, setting
from roboto_dagster.component.framework import Key, Translation, template_value
from roboto_dagster.component.op import StepFields
from roboto_dagster.disk.folder import Durability
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.naming import derived_name
from roboto_dagster.run_history import TOPICS_OP_TAGS
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.topic_assets.builder import build_roboto_topics_asset
from roboto_dagster.topic_assets.config import OnFailure, Upstream
from roboto_dagster.topic_assets.definition import TopicsAssetSettings, TopicsDefinition

Decoders = Annotated[
    InstanceOf[list[Any]] | None,
    dg.Resolver(
        template_value,
        model_field_type=str,
        description=f"{description_of(build_roboto_topics_asset, 'decoders')} A template variable.",
    ),
]
"""Objects of Python, which YAML can only name."""


class TopicExpectation(SettingsModel):
    """What is expected of the tables of a topic."""

    rate: list[float | None] | None = setting(TopicCheck, "rate")
    max_gap: float | None = setting(TopicCheck, "max_gap")
    monotonic: bool = setting(TopicCheck, "monotonic")
    required: bool = setting(TopicCheck, "required")

    def check(self) -> TopicCheck:
        """Return the check."""
        rate: Any = self.rate
        return TopicCheck(
            rate=rate, max_gap=self.max_gap, monotonic=self.monotonic, required=self.required
        )


class TopicChecks(SettingsModel):
    """The checks of decoded topics."""

    topics: dict[str, TopicExpectation] = setting(build_topic_checks, "topics")
    blocking: bool = setting(build_topic_checks, "blocking")
    severity: Literal["ERROR", "WARN"] = Field(
        default="ERROR", description=description_of(build_topic_checks, "severity")
    )

    def build(self, asset: dg.AssetsDefinition) -> Sequence[dg.AssetChecksDefinition]:
        """Return the checks of an asset.

        Args:
            asset: Of the topics.
        """
        return build_topic_checks(
            asset,
            {topic: each.check() for topic, each in self.topics.items()},
            blocking=self.blocking,
            severity=dg.AssetCheckSeverity(self.severity),
        )


class TopicsFields(StepFields):
    """An asset that decodes the component's logs into tables, one for each topic of each log."""

    name: str = Field(description="Name of the asset; slashes make a key of several parts.")
    upstream: str | None = Field(
        default=None,
        description="Which of the component's `assets` has the logs, where there are several. Default: the only one.",
    )
    destination: str = setting(build_roboto_topics_asset, "destination")
    topics: list[str] = setting(build_roboto_topics_asset, "topics")
    fields: dict[str, list[str]] | None = setting(build_roboto_topics_asset, "fields")
    decoders: Decoders = None
    on_failure: OnFailure = setting(build_roboto_topics_asset, "on_failure")
    keep_partial: bool = setting(build_roboto_topics_asset, "keep_partial")
    raw: bool = setting(build_roboto_topics_asset, "raw")
    ros_definitions: dict[str, str] | str | None = setting(
        build_roboto_topics_asset, "ros_definitions"
    )
    processes: int | None = setting(build_roboto_topics_asset, "processes")
    durability: Durability = setting(build_roboto_topics_asset, "durability")
    on_unchanged: OnUnchanged = setting(build_roboto_topics_asset, "on_unchanged")
    max_concurrent_partitions: int = setting(build_roboto_topics_asset, "max_concurrent_partitions")
    deps: list[Key] = Field(
        default_factory=list, description=description_of(build_roboto_topics_asset, "deps")
    )
    freshness: Freshness | None = Field(
        default=None, description=description_of(build_roboto_topics_asset, "freshness_policy")
    )
    checks: TopicChecks | None = Field(
        default=None,
        description="Asset checks of the tables: rate, gaps and order of their rows. Default: none.",
    )
    translation: Translation = Field(
        default=None,
        description="Attributes of the asset (key, group_name, owners, tags, …) that replace ours; `spec` is the asset "
        "as it would be without.",
    )

    def build(self, logs: dg.AssetsDefinition, component: Any) -> dg.Definitions:
        """Return the asset and its checks.

        Args:
            logs: The component's asset, or its assets.
            component: Given to the translation.

        Raises:
            ConfigurationError: A setting cannot work.
        """
        settings = TopicsAssetSettings(
            destination=self.destination,
            topics=self.topics,
            fields=self.fields,
            decoders=self.decoders,
            on_failure=self.on_failure,
            keep_partial=self.keep_partial,
            raw=self.raw,
            ros_definitions=self.ros_definitions,
            processes=self.processes,
            durability=self.durability,
            on_unchanged=self.on_unchanged,
            max_concurrent_partitions=self.max_concurrent_partitions,
        )
        definition = TopicsDefinition.checked(Upstream.of(self._upstream_spec(logs)), settings)
        spec = definition.spec(key_of_name(self.name), deps=self.deps).replace_attributes(
            freshness_policy=self.freshness.policy() if self.freshness else None
        )
        spec = spec if self.translation is None else self.translation(spec, component)
        spec = spec.merge_attributes(metadata=definition.config.to_metadata())
        if self.io_manager_key:
            spec = spec.with_io_manager_key(self.io_manager_key)
        asset = self.build_step(
            derived_name(spec.key), [spec], definition.body(), tags=TOPICS_OP_TAGS
        )
        return dg.Definitions(
            assets=[asset], asset_checks=self.checks.build(asset) if self.checks else []
        )

    def _upstream_spec(self, logs: dg.AssetsDefinition) -> dg.AssetSpec:
        specs = {spec.key.to_user_string(): spec for spec in logs.specs}
        if self.upstream is None and len(specs) == 1:
            return next(iter(specs.values()))
        found = [spec for key, spec in specs.items() if self.upstream in (key, spec.key.path[-1])]
        if len(found) != 1:
            raise ConfigurationError(
                f"topics: upstream of {self.name} must be one of the component's assets, {', '.join(specs)}, not "
                f"{self.upstream!r}."
            )
        return found[0]


def check_distinct(logs: Sequence[dg.AssetsDefinition], topics: Sequence[dg.Definitions]) -> None:
    """Raise where two assets of a component have the same key, which Dagster finds only when it is loaded.

    Args:
        logs: The assets of the logs.
        topics: What the field `topics` has built.

    Raises:
        ConfigurationError: There are two.
    """
    assets = [*logs, *(each for found in topics for each in found.assets or ())]
    keys = Counter(
        key for each in assets if isinstance(each, dg.AssetsDefinition) for key in each.keys
    )
    for key, number in keys.items():
        if number > 1:
            raise ConfigurationError(
                f"topics: {number} assets of the component have the key {key.to_user_string()}: give each of `topics` a name "
                "of its own."
            )
