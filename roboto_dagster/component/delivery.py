"""What a component delivers, and where to: the part of its fields that has nothing to do with Dagster."""

import functools
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field
from typing_extensions import Self

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.assets import build_roboto_dataset_asset
from roboto_dagster.component.fields import SettingsModel, key_of_name, setting
from roboto_dagster.component.framework import PartitionsDefinition, Translation
from roboto_dagster.component.models import Repetition, Shards
from roboto_dagster.component.partitions import DatasetPartitions
from roboto_dagster.component.parts import Parts
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.partitions import PartitionsDef
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.sync.options import OnEmpty, OnMissing, OnRefused, SyncOptions


class DeliverySettings(SettingsModel):
    """What is delivered, and where to."""

    name: str = Field(description="Name of the asset; slashes make a key of several parts.")
    destination: str = setting(build_roboto_dataset_asset, "destination")
    dataset_id: str | None = setting(build_roboto_dataset_asset, "dataset_id")
    partitions: DatasetPartitions | None = Field(
        default=None,
        description="The partitions, if it is about several datasets. Default: dynamic, one for each dataset.",
    )
    partitions_def: PartitionsDefinition = None
    include_patterns: list[str] = setting(build_roboto_dataset_asset, "include_patterns")
    exclude_patterns: list[str] = setting(build_roboto_dataset_asset, "exclude_patterns")
    on_refused: OnRefused = setting(SyncOptions, "on_refused")
    on_missing: OnMissing = setting(SyncOptions, "on_missing")
    on_empty: OnEmpty = setting(SyncOptions, "on_empty")
    on_unchanged: OnUnchanged = setting(build_roboto_dataset_asset, "on_unchanged")
    max_concurrent_partitions: int = setting(
        build_roboto_dataset_asset, "max_concurrent_partitions"
    )
    max_removals: int = setting(SyncOptions, "max_removals")
    free_space_reserve_bytes: int | None = setting(SyncOptions, "free_space_reserve_bytes")
    retry: Repetition = Field(
        default_factory=Repetition,
        description="How what fails transiently is retried inside the step.",
    )
    shards: Shards | None = setting(build_roboto_dataset_asset, "shards")
    assets: Parts = None
    translation: Translation = Field(
        default=None,
        description="Attributes of the asset (key, group_name, owners, tags, …) that replace ours; `spec` is the asset "
        "as it would be without.",
    )

    def partitions_definition(self, name: str) -> PartitionsDef | None:
        """Return Dagster's definition; None for one dataset.

        Args:
            name: Of the asset, for the name of its dynamic partitions.

        Raises:
            ConfigurationError: They are spelled twice, or cannot work.
        """
        if self.partitions_def is not None:
            if self.partitions is not None and not self.partitions.is_query():
                raise ConfigurationError(
                    "partitions and partitions_def both define the partitions: leave one of them out. Beside "
                    "partitions_def, partitions may hold query alone."
                )
            return self.partitions_def
        if self.partitions is None and self.dataset_id is not None:
            return None
        return (self.partitions or DatasetPartitions()).definition(name)

    def parts(self, name: str) -> "Mapping[str, Self]":
        """Return a copy of the component for each of its assets, by name.

        Args:
            name: Of what they share, for the name of their dynamic partitions.

        Raises:
            ConfigurationError: There are none, or a setting cannot work.
        """
        if not self.assets or self.shards is not None:
            raise ConfigurationError(
                "assets must have patterns by name, such as {camera: ['*.mcap']}, and shards beside it are not possible."
            )
        shared: dict[str, Any] = {
            "assets": None,
            "partitions_def": self.partitions_definition(name),
            "partitions": self.partitions
            and DatasetPartitions.model_construct({"query"}, query=self.partitions.query),
        }
        prefix, slash, _ = self.name.rpartition("/")
        found: dict[str, Self] = {}
        for key, part in self.assets.items():
            own = {
                "name": f"{prefix}{slash}{key}",
                "translation": functools.partial(part.translate, of_all=self.translation),
                **part.own(),
            }
            copy = self.model_copy(update={**shared, **own})
            copy.__dict__.pop("config", None)  # that of the component, if it was asked for
            found[key] = copy
        return found

    def plain_key(self) -> dg.AssetKey:
        """Return the key that the name stands for.

        Raises:
            ConfigurationError: A part of it is empty.
        """
        return key_of_name(self.name)

    def options(self) -> SyncOptions:
        """Return how what is not as it should be is treated."""
        return SyncOptions(
            on_refused=self.on_refused,
            on_missing=self.on_missing,
            on_empty=self.on_empty,
            max_removals=self.max_removals,
            free_space_reserve_bytes=self.free_space_reserve_bytes,
        )

    @functools.cached_property
    def config(self) -> DatasetAssetConfig:
        """What is delivered, checked."""
        return DatasetAssetConfig.checked(
            destination=self.destination,
            dataset_id=self.dataset_id,
            include_patterns=self.include_patterns,
            exclude_patterns=self.exclude_patterns,
            query=self.partitions.query if self.partitions else None,
        )
