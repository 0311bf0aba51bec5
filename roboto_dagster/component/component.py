"""The component: the complete pipeline from YAML, for `dg`.

`dg scaffold defs roboto_dagster.RobotoDatasetComponent NAME` writes a starting point.
"""

import functools
from collections.abc import Mapping
from typing import Annotated, Any

import dagster as dg
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import Field

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.assets import KINDS, build_roboto_dataset_asset
from roboto_dagster.component.fields import SettingsModel, setting
from roboto_dagster.component.models import (
    DatasetOp,
    DatasetSensor,
    DeliveryChecks,
    Repetition,
    RobotoConnection,
    StoreConnection,
    SyncSchedule,
)
from roboto_dagster.component.partitions import DatasetPartitions
from roboto_dagster.component.scaffolder import RobotoDatasetScaffolder
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.materialize import asset_result, materialize_partitions
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import PartitionsDef, partitioning_of
from roboto_dagster.recording import Results
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.setting_checks import MOST_SECONDS, check_resource_key
from roboto_dagster.sync.options import OnEmpty, OnMissing, OnRefused, SyncOptions
from roboto_dagster.unchanged import OnUnchanged


@dg.scaffold_with(RobotoDatasetScaffolder)
class RobotoDatasetComponent(dg.Component, SettingsModel):
    """Roboto datasets on disk: the asset, and its sensor, schedule and checks.

    Two methods are made to be overridden: `get_asset_spec` decides what the asset looks like,
    `execute` what its op does.
    """

    name: str = Field(description="Name of the asset; slashes make a key of several parts.")
    destination: str = Field(
        description="Folder for the files; a relative one is taken from the working directory of the code location."
    )
    dataset_id: str | None = Field(
        default=None, description="The dataset, if the asset is about one. Default: partitions."
    )
    partitions: DatasetPartitions | None = Field(
        default=None,
        description="The partitions, if it is about several datasets. Default: dynamic, one for each dataset.",
    )
    include_patterns: list[str] = Field(
        default_factory=list,
        description="Gitignore-style patterns of the files to deliver. Default: all.",
    )
    exclude_patterns: list[str] = Field(
        default_factory=list,
        description="The same for files to leave out; they win over the included. Default: none.",
    )
    on_refused: OnRefused = setting(SyncOptions, "on_refused")
    on_missing: OnMissing = setting(SyncOptions, "on_missing")
    on_empty: OnEmpty = setting(SyncOptions, "on_empty")
    on_unchanged: OnUnchanged = setting(build_roboto_dataset_asset, "on_unchanged")
    max_removals: int = setting(SyncOptions, "max_removals")
    free_space_reserve_bytes: int | None = setting(SyncOptions, "free_space_reserve_bytes")
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
    retry: Repetition = Field(
        default_factory=Repetition,
        description="How what fails transiently is retried inside the step.",
    )
    step_retries: int = Field(
        default=0,
        ge=0,
        description="How often Dagster repeats the step when something transient is left. Default 0.",
    )
    step_retry_delay_seconds: float = Field(
        default=60.0,
        ge=0,
        le=MOST_SECONDS,
        description="How long Dagster waits before it repeats a step. Default 60.",
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
    op: DatasetOp | None = Field(
        default=None, description="The op: name, tags, description, pool and backfill_policy."
    )
    translation: (
        Annotated[
            TranslationFn[Any],
            TranslationFnResolver[Any](
                template_vars_for_translation_fn=lambda data: {"data": data}
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Attributes of the asset (key, group_name, owners, tags, …) that replace ours; `spec` is the asset "
        "as it would be without.",
    )

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return how `dg` presents the component."""
        return dg.ComponentTypeSpec(
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
        plain_key = self._key()
        key = self._translated(dg.AssetSpec(plain_key)).key
        partitioning = partitioning_of(self._config, self._partitions_def(derived_name(key)))
        spec = dg.AssetSpec(
            key=plain_key,
            description=partitioning.describe(),
            kinds=set(KINDS),
            code_version=self._config.code_version(),
            partitions_def=partitioning.partitions_def,
        )
        return self._translated(spec)

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
        return materialize_partitions(
            context,
            partitioning_of(self._config, context.assets_def.partitions_def),
            roboto=roboto,
            object_store=object_store,
            retry=self.retry.config(),
            options=self._options(),
            on_unchanged=self.on_unchanged,
        )

    # --- wiring ---

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 -- Dagster's
        """Build the asset and what was asked for around it.

        Args:
            context: Of the component; not used.

        Raises:
            ConfigurationError: A setting cannot work.
        """
        spec = self.get_asset_spec()
        roboto_key, store_key = self._resource_keys(spec.key)
        asset = self._asset(spec, roboto_key, store_key)
        return dg.Definitions(
            assets=[asset],
            asset_checks=self.checks.build(asset, roboto_key) if self.checks else [],
            sensors=[self.sensor.build(asset, roboto_key)] if self.sensor else [],
            schedules=[self.schedule.build(asset)] if self.schedule else [],
            resources=self._own_resources(roboto_key, store_key),
        )

    def _asset(self, spec: dg.AssetSpec, roboto_key: str, store_key: str) -> dg.AssetsDefinition:
        self._options(), self.retry.config()  # what cannot work is refused here, not in a run
        op = self.op or DatasetOp()
        retry_policy = dg.RetryPolicy(
            max_retries=self.step_retries, delay=self.step_retry_delay_seconds
        )

        @dg.multi_asset(
            name=op.name or derived_name(spec.key),
            specs=[spec.merge_attributes(metadata=self._config.to_metadata())],
            description=op.description,
            op_tags=op.tags,
            pool=op.pool,
            backfill_policy=op.backfill_policy,
            retry_policy=retry_policy if self.step_retries else None,
            required_resource_keys={roboto_key, store_key},
        )
        def roboto_dataset(context: dg.AssetExecutionContext) -> Any:
            roboto = getattr(context.resources, roboto_key)
            object_store = getattr(context.resources, store_key)
            return asset_result(context, self.execute(context, roboto, object_store))

        return roboto_dataset

    def _resource_keys(self, key: dg.AssetKey) -> tuple[str, str]:
        """Return the keys of both resources; the component's own are named as no other component's."""
        for name in ("roboto_resource_key", "object_store_resource_key"):
            given = getattr(self, name)
            if given is not None:
                check_resource_key(name, given)
        return (
            self.roboto_resource_key or derived_name(key, "__roboto"),
            self.object_store_resource_key or derived_name(key, "__object_store"),
        )

    def _own_resources(self, roboto_key: str, store_key: str) -> Mapping[str, Any]:
        own: dict[str, Any] = {}
        if self.roboto_resource_key is None:
            own[roboto_key] = self.roboto.resource()
        if self.object_store_resource_key is None:
            own[store_key] = self.object_store.resource()
        return own

    def _key(self) -> dg.AssetKey:
        parts = self.name.split("/")
        if not all(map(str.strip, parts)):
            raise ConfigurationError(
                f"name must be the asset's name, or several separated by single slashes, not {self.name!r}."
            )
        return dg.AssetKey(parts)

    def _translated(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec if self.translation is None else self.translation(spec, self)

    def _partitions_def(self, name: str) -> PartitionsDef | None:
        if self.partitions is None and self.dataset_id is not None:
            return None
        return (self.partitions or DatasetPartitions()).definition(name)

    def _options(self) -> SyncOptions:
        return SyncOptions(
            on_refused=self.on_refused,
            on_missing=self.on_missing,
            on_empty=self.on_empty,
            max_removals=self.max_removals,
            free_space_reserve_bytes=self.free_space_reserve_bytes,
        )

    @functools.cached_property
    def _config(self) -> DatasetAssetConfig:
        return DatasetAssetConfig.checked(
            destination=self.destination,
            dataset_id=self.dataset_id,
            include_patterns=self.include_patterns,
            exclude_patterns=self.exclude_patterns,
            query=self.partitions.query if self.partitions else None,
        )
