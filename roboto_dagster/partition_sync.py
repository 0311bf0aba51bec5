"""The partitions of one asset as syncs: which datasets a key stands for, and with what settings they are delivered.

Records nothing in Dagster: `materialize` and `sharded_asset` do, each in its way.
"""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.outcomes import Outcome
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.partitions import Partitioning
from roboto_dagster.platform.scope import Scope
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.sync.options import SyncOptions, SyncSettings
from roboto_dagster.sync.progress import Log
from roboto_dagster.sync.run import sync

if TYPE_CHECKING:  # the SDK costs about a second at import
    from roboto import RobotoClient


class PartitionSync:
    """Syncs partitions of one asset, in one step.

    Args:
        partitioning: What the asset's partitions hold.
        asset_key: The asset.
        roboto: The platform.
        object_store: The store of the files.
        retry: How what fails transiently is retried.
        options: How what is not as it should be is treated.
        dataset_names: Names of datasets that are known already, by id.
    """

    def __init__(
        self,
        partitioning: Partitioning,
        asset_key: dg.AssetKey,
        *,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
        retry: RetryConfig,
        options: SyncOptions,
        dataset_names: Mapping[str, str],
    ) -> None:
        self._partitioning = partitioning
        self._asset_key = asset_key
        self._roboto = roboto
        self._object_store = object_store
        self._retry = retry
        self._options = options
        self._dataset_names = dataset_names
        self._existing = ExistingPartitions(partitioning.partitions_def)

    def sync(self, partition_key: str | None, log: Log) -> Outcome:
        """Deliver one partition.

        Args:
            partition_key: The partition; None where there are none.
            log: Where its lines go.

        Returns:
            The report, or why it could not even be planned.
        """
        try:
            return sync(self.scopes(partition_key), self.settings(partition_key, log))
        except RobotoDagsterError as error:
            return error

    def scopes(self, partition_key: str | None) -> list[Scope]:
        """Return the datasets of a partition that exists.

        Args:
            partition_key: The partition; None where there are none.

        Raises:
            ConfigurationError: There is no such partition, or it names no dataset.
            PlatformError: The datasets of its window could not be had.
        """
        if partition_key is not None:
            self._existing.require(partition_key)
        return self._partitioning.scopes(
            partition_key, self._client, self._roboto.org_id, self._dataset_names
        )

    def settings(self, partition_key: str | None, log: Log) -> SyncSettings:
        """Return the settings of a partition's sync.

        Args:
            partition_key: The partition; None where there are none.
            log: Where its lines go.
        """
        config = self._partitioning.config
        return SyncSettings(
            client=self._client,
            org_id=self._roboto.org_id,
            open_store=self._object_store.open_store,
            destination=config.destination,
            manifest=config.manifest(self._asset_key, partition_key),
            # Of a stand-in for the resource nothing more is needed than `open_store`.
            durability=getattr(self._object_store, "durability", "none"),
            retry=self._retry,
            options=self._options,
            log=log,
        )

    @functools.cached_property
    def _client(self) -> "RobotoClient":
        # Once a run: reading the SDK's configuration takes a sixth of a small partition.
        return self._roboto.get_client()
