"""How a partition key becomes datasets, and a dataset a partition key.

| partitions | a partition holds |
|---|---|
| none | the asset's `dataset_id` |
| static or dynamic | the dataset whose id the key is |
| time windows (daily, hourly, …) | the datasets created in the window, of those that fit the query |
| static or dynamic by time windows | the files of that dataset which were created in the window |
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.partition_existence import keys_by_dimension
from roboto_dagster.platform.datasets import find_datasets
from roboto_dagster.platform.queries import all_of, where
from roboto_dagster.platform.scope import Scope
from roboto_dagster.text import code_span

if TYPE_CHECKING:  # the SDK costs about a second at import
    from roboto import RobotoClient

MANY_PARTITIONS = 90_000
"""From here on a warning: Dagster recommends at most 100,000 partitions an asset."""

_NAMED_PATTERNS = 5

PartitionsDef = dg.PartitionsDefinition[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partitioning:
    """The partitions of one dataset asset.

    Attributes:
        config: What the asset is configured to deliver.
        partitions_def: Its partitions, or None.
        datasets: The partitions or the dimension whose keys are ids of datasets.
        windows: The partitions or the dimension whose keys are windows of time.
        dimensions: Names of the two dimensions, that of the datasets first.
    """

    config: DatasetAssetConfig
    partitions_def: PartitionsDef | None = None
    datasets: PartitionsDef | None = None
    windows: dg.TimeWindowPartitionsDefinition | None = None
    dimensions: tuple[str, str] | None = None

    @property
    def dynamic_name(self) -> str | None:
        """Name of the dynamic partitions that datasets are added to, if it has any."""
        return (
            self.datasets.name
            if isinstance(self.datasets, dg.DynamicPartitionsDefinition)
            else None
        )

    def describe(self) -> str:
        """Return a sentence about what is delivered where, for the asset's page."""
        if self.config.dataset_id is not None:
            subject = f"the Roboto dataset {self.config.dataset_id}"
        elif self.dimensions is not None:
            subject = "the Roboto dataset of the partition, created in its window of time,"
        elif self.windows is not None:
            subject = "the Roboto datasets created in the partition's window of time"
        else:
            subject = "the Roboto dataset named by the partition key"
        patterns = [code_span(each) for each in self.config.include_patterns[:_NAMED_PATTERNS]]
        more = len(self.config.include_patterns) - len(patterns)
        named = "".join(f" {each}," for each in patterns).rstrip(",")
        which = f"files{named}{f' and {more} more patterns' if more > 0 else ''}"
        return f"The {which} of {subject}, complete and verified, in `{self.config.folder}`."

    def scopes(
        self,
        partition_key: str | None,
        client: "RobotoClient",
        org_id: str | None,
        names: Mapping[str, str] | None = None,
    ) -> list[Scope]:
        """Return what a partition holds: one dataset, or those created in its window, which may be none.

        Args:
            partition_key: The key, or None where there are no partitions.
            client: Client of the platform, which is asked where the partition is a window.
            org_id: Organization that owns the datasets; None for the caller's.
            names: Names of datasets that are known, by id. Default: none.

        Raises:
            ConfigurationError: The key names no dataset.
            PlatformError: The datasets of the window could not be had.
        """
        dataset_id, window = self.split(partition_key)
        if dataset_id is not None:
            return [self._scope(dataset_id, window, (names or {}).get(dataset_id))]
        if window is None:
            msg = (
                f"The partition key {partition_key!r} names neither a dataset nor a window of time."
            )
            raise ConfigurationError(msg)
        found = find_datasets(client, self._query_of(window), org_id=org_id)
        return [self._scope(dataset.dataset_id, None, dataset.name) for dataset in found]

    def split(self, partition_key: str | None) -> tuple[str | None, dg.TimeWindow | None]:
        """Return the dataset and the window of time that a key stands for.

        Args:
            partition_key: The key, or None where there are no partitions.

        Raises:
            ConfigurationError: The key has another number of dimensions than the partitions.
        """
        if partition_key is None:
            return self.config.dataset_id, None
        if self.dimensions is None:
            return (None if self.windows else str(partition_key)), self._window(partition_key)
        of_datasets, of_windows = self.dimensions
        keys = self._by_dimension(partition_key)
        if keys is None:
            msg = f"The partition key {partition_key!r} does not have the dimensions {of_datasets} and {of_windows}."
            raise ConfigurationError(msg)
        return keys[of_datasets], self._window(keys[of_windows])

    def ids_of(self, key: str) -> tuple[str | None, str | None]:
        """Return dataset and window of a key as `key_for` makes it; neither of one that is no such key.

        Args:
            key: Of a partition that need not exist.
        """
        if self.partitions_def is None:
            return (self.config.dataset_id, None) if key == "" else (None, None)
        if self.dimensions is None:
            return (None, key) if self.windows is not None else (key, None)
        of_datasets, of_windows = self.dimensions
        keys = self._by_dimension(key)
        return (None, None) if keys is None else (keys[of_datasets], keys[of_windows])

    def key_for(self, dataset_id: str, window_key: str | None) -> str:
        """Return the key of a partition; it need not exist.

        Args:
            dataset_id: The dataset; of no account where partitions are windows of time alone.
            window_key: The window; None where there are none.
        """
        if self.partitions_def is None:
            return ""
        if self.dimensions is None:
            return dataset_id if window_key is None else window_key
        of_datasets, of_windows = self.dimensions
        keys = {of_datasets: dataset_id, of_windows: window_key or ""}
        return str(dg.MultiPartitionKey(keys))

    def _by_dimension(self, key: str) -> Mapping[str, str] | None:
        assert isinstance(self.partitions_def, dg.MultiPartitionsDefinition)  # noqa: S101 -- it has dimensions
        return keys_by_dimension(self.partitions_def, key)

    def accepts(self, dataset_id: str) -> bool:
        """Return whether a dataset may belong to this asset: a fixed list takes no others."""
        fixed = self.fixed_dataset_ids
        return fixed is None or dataset_id in fixed

    @functools.cached_property
    def fixed_dataset_ids(self) -> frozenset[str] | None:
        """The only datasets that may belong to this asset; None if any may."""
        if self.config.dataset_id is not None:
            return frozenset([self.config.dataset_id])
        if isinstance(self.datasets, dg.StaticPartitionsDefinition):
            return frozenset(self.datasets.get_partition_keys())
        return None

    def _scope(
        self, dataset_id: str, window: dg.TimeWindow | None, dataset_name: str | None
    ) -> Scope:
        return Scope(
            dataset_id=dataset_id,
            include_patterns=self.config.include_patterns,
            exclude_patterns=self.config.exclude_patterns,
            created_from=window.start if window else None,
            created_before=window.end if window else None,
            dataset_name=dataset_name,
        )

    def _query_of(self, window: dg.TimeWindow) -> Any:
        return all_of(
            self.config.query,
            where("created", "GREATER_THAN_OR_EQUAL", window.start),
            where("created", "LESS_THAN", window.end),
        )

    def _window(self, key: str) -> dg.TimeWindow | None:
        return self.windows.time_window_for_partition_key(key) if self.windows else None


def partitioning_of(
    config: DatasetAssetConfig, partitions_def: PartitionsDef | None
) -> Partitioning:
    """Return what the partitions of an asset stand for.

    Args:
        config: What the asset is configured to deliver.
        partitions_def: Its partitions, or None.

    Raises:
        ConfigurationError: They are of a kind that cannot stand for datasets, or clash with a `dataset_id`.
    """
    if config.dataset_id is not None:
        Scope(dataset_id=config.dataset_id)  # refuses what is no id
    if (config.dataset_id is None) == (partitions_def is None):
        msg = (
            "A dataset asset needs either a dataset_id or a partitions_def (whose keys are ids of datasets, "
            "windows of time, or both), and not both."
        )
        raise ConfigurationError(msg)
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return _two_dimensions(config, partitions_def)
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        return Partitioning(config=config, partitions_def=partitions_def, windows=partitions_def)
    if partitions_def is None or _names_datasets(partitions_def):
        return Partitioning(config=config, partitions_def=partitions_def, datasets=partitions_def)
    raise ConfigurationError(_unknown_kind(partitions_def))


def partitioning_of_asset(
    asset: dg.AssetsDefinition, key: dg.AssetKey | None = None
) -> Partitioning:
    """Return what the partitions of a built asset stand for.

    Args:
        asset: From `build_roboto_dataset_asset`, `build_roboto_dataset_assets` or a component.
        key: Which of several assets. Default: all of them together.

    Raises:
        ConfigurationError: The asset was not built by this package.
    """
    return partitioning_of(DatasetAssetConfig.of(asset, key), asset.partitions_def)


def _names_datasets(partitions_def: PartitionsDef) -> bool:
    named = isinstance(partitions_def, dg.DynamicPartitionsDefinition) and bool(partitions_def.name)
    return named or isinstance(partitions_def, dg.StaticPartitionsDefinition)


def _two_dimensions(
    config: DatasetAssetConfig, partitions_def: dg.MultiPartitionsDefinition
) -> Partitioning:
    datasets: dict[str, PartitionsDef] = {}
    windows: dict[str, dg.TimeWindowPartitionsDefinition] = {}
    for dimension in partitions_def.partitions_defs:
        if isinstance(dimension.partitions_def, dg.TimeWindowPartitionsDefinition):
            windows[dimension.name] = dimension.partitions_def
        elif _names_datasets(dimension.partitions_def):
            datasets[dimension.name] = dimension.partitions_def
    if len(datasets) != 1 or len(windows) != 1:
        raise ConfigurationError(_unknown_kind(partitions_def))
    ((of_datasets, of_ids),) = datasets.items()
    ((of_windows, of_time),) = windows.items()
    return Partitioning(
        config=config,
        partitions_def=partitions_def,
        datasets=of_ids,
        windows=of_time,
        dimensions=(of_datasets, of_windows),
    )


def _unknown_kind(partitions_def: PartitionsDef) -> str:
    return (
        f"Partitions of {type(partitions_def).__name__} cannot stand for datasets here. Use static or named dynamic "
        "partitions whose keys are ids of datasets, time windows, or one of each as a MultiPartitionsDefinition."
    )
