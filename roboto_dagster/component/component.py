"""The component: the complete pipeline from YAML, for `dg`.

`dg scaffold defs roboto_dagster.RobotoDatasetComponent NAME` writes a starting point.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field
from typing_extensions import Self

from roboto_dagster.assets import KINDS, build_roboto_dataset_asset
from roboto_dagster.component.asset_models import Freshness, SourceAsset
from roboto_dagster.component.delivery import DeliverySettings
from roboto_dagster.component.failure_sensor import FailureSensor
from roboto_dagster.component.fields import description_of
from roboto_dagster.component.framework import Key, component_type_spec
from roboto_dagster.component.models import (
    DatasetSensor,
    DeliveryChecks,
    RobotoConnection,
    StoreConnection,
    SyncSchedule,
)
from roboto_dagster.component.op import StepFields
from roboto_dagster.component.scaffolder import RobotoDatasetScaffolder
from roboto_dagster.component.sources import source_definitions
from roboto_dagster.component.topics import TopicsFields, check_distinct
from roboto_dagster.materialize import asset_result, materialize_assets, materialize_partitions
from roboto_dagster.multi_asset import AssetDelivery, syncs_of
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import PartitionsDef, partitioning_of
from roboto_dagster.resource_params import with_resources
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.sharded_asset import StepSettings, check_shards, sharded_asset
from roboto_dagster.source_asset import deps_with_source, ignoring_source
from roboto_dagster.step.recording import Results
from roboto_dagster.step.shard_ops import ShardOps


@dg.scaffold_with(RobotoDatasetScaffolder)
class RobotoDatasetComponent(dg.Component, DeliverySettings, StepFields):
    """Roboto datasets on disk: the asset, and its sensor, schedule and checks.

    Two methods are made to be overridden: `get_asset_spec` decides what the asset looks like,
    `execute` what its op does.
    """

    roboto: RobotoConnection = Field(
        default_factory=RobotoConnection, description="How the platform is reached."
    )
    object_store: StoreConnection = Field(
        default_factory=StoreConnection, description="How the files are reached."
    )
    roboto_resource_key: str | None = Field(
        default=None,
        description="A resource of the project to use in place of `roboto`. Default: the component's own.",
    )
    object_store_resource_key: str | None = Field(
        default=None,
        description="A resource of the project to use in place of `object_store`. Default: the component's own.",
    )
    source: SourceAsset | None = Field(
        default_factory=SourceAsset,
        description="The upstream asset that stands for the platform; null for none. Default: roboto/platform.",
    )
    deps: list[Key] = Field(
        default_factory=list, description=description_of(build_roboto_dataset_asset, "deps")
    )
    freshness: Freshness | None = Field(
        default=None, description=description_of(build_roboto_dataset_asset, "freshness_policy")
    )
    sensor: DatasetSensor | None = Field(
        default=None,
        description="The sensor that turns new and changed datasets into partitions and runs. Default: none.",
    )
    schedule: SyncSchedule | None = Field(
        default=None, description="The schedule that updates partitions. Default: none."
    )
    checks: DeliveryChecks | None = Field(
        default=None, description="The checks of what was delivered. Default: none."
    )
    failure_sensor: FailureSensor | None = Field(
        default=None,
        description="The sensor that posts which partitions a run has not delivered, and why. Default: none.",
    )
    topics: list[TopicsFields] = Field(
        default_factory=list,
        description="Assets that decode the logs into tables, a table a log and topic. Default: none.",
    )

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return how `dg` presents the component."""
        return component_type_spec(
            description="Roboto datasets on disk: complete, verified, catalogued, and cheap to repeat.",
            tags=["roboto", "robotics", "s3", "ingestion"],
            produces=["asset", "asset_check", "schedule", "sensor", "resource"],
        )

    # --- made to be overridden ---

    def get_asset_spec(self) -> dg.AssetSpec:
        """Return what the asset looks like in Dagster; override it to change that.

        Raises:
            ConfigurationError: A setting cannot work.
        """
        key = self._translated(dg.AssetSpec(self.plain_key())).key
        own = self.partitions_definition(derived_name(key))
        spec = self._translated(self._spec(key, own))
        if spec.partitions_def is own:
            return spec
        return self._translated(self._spec(key, spec.partitions_def))  # it is described, too

    def _spec(self, key: dg.AssetKey, partitions_def: PartitionsDef | None) -> dg.AssetSpec:
        source = self.source.spec() if self.source else None
        partitioning = partitioning_of(self.config, partitions_def)
        return dg.AssetSpec(
            self.plain_key(),
            deps=deps_with_source(key, self.deps, source),
            description=partitioning.describe(),
            kinds=set(KINDS),
            code_version=self.config.code_version(),
            freshness_policy=self.freshness.policy() if self.freshness else None,
            partitions_def=partitions_def,
        )

    def execute(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
    ) -> Results | dg.MaterializeResult[Any]:
        """Deliver the partitions of a run to the local disk; override it to do more.

        Args:
            context: Of the asset's op.
            roboto: The platform.
            object_store: The store of the files.

        Returns:
            The events of the step, as `materialize_partitions` yields them; an override may also be a generator.

        Raises:
            dagster.Failure: A partition is not complete.
        """
        if self.assets is None:
            return materialize_partitions(
                context,
                partitioning_of(self.config, context.assets_def.partitions_def),
                roboto=roboto,
                object_store=object_store,
                retry=self.retry.config(),
                options=self.options(),
                on_unchanged=self.on_unchanged,
                max_concurrent_partitions=self.max_concurrent_partitions,
            )
        deliveries = [
            AssetDelivery(
                asset_key=spec.key,
                partitioning=partitioning_of(part.config, spec.partitions_def),
                options=part.options(),
            )
            for part, spec in self._parts()
        ]
        return materialize_assets(
            context,
            syncs_of(context, deliveries, roboto, object_store, self.retry.config()),
            roboto,
            self.on_unchanged,
            max_concurrent_partitions=self.max_concurrent_partitions,
        )

    # --- wiring ---

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the asset and what was asked for around it.

        Args:
            context: Of the component.

        Raises:
            ConfigurationError: A setting cannot work.
        """
        parts = self._parts()
        key = parts[0][1].key if self.assets is None else self.plain_key()
        roboto_key, store_key = self._resource_keys(key)
        asset = self._asset(derived_name(key), parts, roboto_key, store_key)
        delivered = dg.Definitions(
            assets=[asset, *source_definitions(self, RobotoDatasetComponent, context)],
            asset_checks=self.checks.build(asset, roboto_key) if self.checks else [],
            sensors=[self.sensor.build(asset, roboto_key)] if self.sensor else [],
            schedules=[self.schedule.build(asset, roboto_key)] if self.schedule else [],
            resources=self._own_resources(roboto_key, store_key),
        )
        topics = [each.build(asset, self) for each in self.topics]
        check_distinct([asset], topics)
        found = dg.Definitions.merge(delivered, *topics) if topics else delivered
        return self._with_failure_sensor(found)

    def _with_failure_sensor(self, definitions: dg.Definitions) -> dg.Definitions:
        if self.failure_sensor is None:
            return definitions
        assets = [
            each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition)
        ]
        sensor = self.failure_sensor.build([each for each in assets if each.is_executable])
        return dg.Definitions.merge(definitions, dg.Definitions(sensors=[sensor]))

    def _parts(self) -> "Sequence[tuple[Self, dg.AssetSpec]]":
        """Return each asset, as a component of its own, and what it looks like."""
        name = derived_name(self.plain_key())
        parts = [self] if self.assets is None else list(self.parts(name).values())
        return [(part, part.get_asset_spec()) for part in parts]

    def _asset(
        self,
        name: str,
        parts: "Sequence[tuple[Self, dg.AssetSpec]]",
        roboto_key: str,
        store_key: str,
    ) -> dg.AssetsDefinition:
        for part, _ in parts:
            part.options(), part.retry.config()  # what cannot work is refused here, not in a run

        def roboto_dataset(
            context: dg.AssetExecutionContext,
            roboto: RobotoResource,
            object_store: ObjectStoreResource,
        ) -> Any:
            return asset_result(context, self.execute(context, roboto, object_store))

        resources = {
            "roboto_resource_key": (roboto_key, RobotoResource),
            "object_store_resource_key": (store_key, ObjectStoreResource),
        }
        body = with_resources(roboto_dataset, dg.AssetExecutionContext, resources)
        asset = self.build_step(name, [part._wired(spec) for part, spec in parts], body)  # noqa: SLF001 -- of this class
        if self.shards is None:
            return asset
        check_shards(
            self.shards.options(),
            backfill_policy=self.policy_of_backfills(),
            check_specs=self.check_specs,
            on_unchanged=self.on_unchanged,
        )
        op = self.op_settings
        of_steps = StepSettings(
            self.retry_policy(), op.tags, op.pool, self.hooks, self.io_manager_key
        )
        ops = ShardOps(
            partitioning_of(self.config, asset.partitions_def),
            asset.key,
            retry=self.retry.config(),
            options=self.options(),
            shards=self.shards.options(),
        )
        return sharded_asset(asset, ops, resources=resources, settings=of_steps)

    def _wired(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """Add what the asset needs to work, whatever it looks like."""
        source = self.source.spec() if self.source else None
        wired = spec.merge_attributes(metadata=self.config.to_metadata()).replace_attributes(
            automation_condition=ignoring_source(spec.automation_condition, source)
        )
        return wired.with_io_manager_key(self.io_manager_key) if self.io_manager_key else wired

    def _resource_keys(self, key: dg.AssetKey) -> tuple[str, str]:
        """Return the keys of both resources; the component's own are named as no other component's."""
        given = self.roboto_resource_key, self.object_store_resource_key
        names = derived_name(key, "__roboto"), derived_name(key, "__object_store")
        roboto, store = (
            name if each is None else each for each, name in zip(given, names, strict=True)
        )
        return roboto, store

    def _own_resources(self, roboto_key: str, store_key: str) -> Mapping[str, Any]:
        own: dict[str, Any] = {}
        if self.roboto_resource_key is None:
            own[roboto_key] = self.roboto.resource()
        if self.object_store_resource_key is None:
            own[store_key] = self.object_store.resource()
        return own

    def _translated(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec if self.translation is None else self.translation(spec, self)
