"""The partitions of one asset as syncs: which datasets a key stands for, and with what settings they are delivered.

Several assets of one run share the listing of each partition:

```
                    ┌─► files of the first asset ──► sync ──► outcome
 partition ─► list ─┼─► files of the second ───────► sync ──► outcome
              once  └─► …
```

Records nothing in Dagster: `materialize` and `sharded_asset` do, each in its way.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.fs.shared_engine import SharedEngine
from roboto_dagster.outcomes import Outcome
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.partitions import Partitioning
from roboto_dagster.platform.catalog import DatasetCatalog, PlatformCatalog, SharedCatalog
from roboto_dagster.platform.scope import Scope
from roboto_dagster.platform.waits import end_waits
from roboto_dagster.resources import ObjectStoreResource, RobotoResource
from roboto_dagster.sync.cancellation import Cancellation, SyncCancelledError
from roboto_dagster.sync.datasets import Datasets
from roboto_dagster.sync.options import OpenStore, SyncOptions, SyncSettings
from roboto_dagster.sync.progress import Log
from roboto_dagster.sync.run import sync_listed

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

    Attributes:
        partitioning: The same.
        asset_key: The same.
        cancellation: Ends its syncs from another thread.
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
        self.partitioning = partitioning
        self.asset_key = asset_key
        self._roboto = roboto
        self._object_store = object_store
        self._open_store: OpenStore = object_store.open_store
        self._retry = retry
        self._options = options
        self._dataset_names = dataset_names
        self.cancellation = Cancellation()
        self._existing = ExistingPartitions(partitioning.partitions_def)

    def sync(
        self, partition_key: str | None, scopes: Sequence[Scope], catalog: DatasetCatalog, log: Log
    ) -> Outcome:
        """Deliver what this asset wants of one partition.

        Args:
            partition_key: The partition; None where there are none.
            scopes: Its datasets, with the patterns of any asset.
            catalog: What is asked about them.
            log: Where its lines go.

        Returns:
            The report, or why it could not even be planned.
        """
        try:
            own = [self.partitioning.config.with_patterns(scope) for scope in scopes]
            settings = self.settings(partition_key, log)
            return sync_listed(own, settings, Datasets(own, settings, catalog))
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
        return self.partitioning.scopes(
            partition_key, self.client, self._roboto.org_id, self._dataset_names
        )

    def settings(self, partition_key: str | None, log: Log) -> SyncSettings:
        """Return the settings of a partition's sync.

        Args:
            partition_key: The partition; None where there are none.
            log: Where its lines go.
        """
        config = self.partitioning.config
        return SyncSettings(
            client=self.client,
            org_id=self._roboto.org_id,
            open_store=self._open_store,
            destination=config.destination,
            manifest=config.manifest(self.asset_key, partition_key),
            # Of a stand-in for the resource nothing more is needed than `open_store`.
            durability=getattr(self._object_store, "durability", "none"),
            retry=self._retry,
            options=self._options,
            log=log,
            cancellation=self.cancellation,
        )

    def cancel(self) -> None:
        """End its syncs from another thread, and what they wait for between two requests to the platform."""
        self.cancellation.cancel()
        end_waits(vars(self).get("client"))  # made by then, or nothing waits for it

    def share(self, engine: SharedEngine | None) -> None:
        """Let the stores of all its syncs share threads and connections.

        Args:
            engine: What they share; None ends that.
        """
        open_store: Any = self._object_store.open_store
        # A subclass or a stand-in for the resource may not know of it; its stores have their own then.
        can_share = "shared" in inspect.signature(open_store).parameters
        is_shared = engine is not None and can_share
        self._open_store = functools.partial(open_store, shared=engine) if is_shared else open_store

    @functools.cached_property
    def client(self) -> "RobotoClient":
        """Client of the platform."""
        # Once a run: reading the SDK's configuration takes a sixth of a small partition.
        return self._roboto.get_client()


class SyncWork:
    """What a step of dataset assets does for each partition; all of them have the same partitions.

    Args:
        syncs: Of the assets.
    """

    def __init__(self, syncs: Sequence[PartitionSync]) -> None:
        self._syncs = syncs

    def outcomes(
        self, partition_key: str | None, log_of: Callable[[dg.AssetKey], Log]
    ) -> Iterator[tuple[dg.AssetKey, Outcome]]:
        """Deliver one partition for several assets, one after another: what two of them want is fetched once.

        Args:
            partition_key: The partition; None where there are none.
            log_of: Returns where the lines of an asset go.

        Yields:
            The outcome of each asset, as soon as it is known; of those that were reached before all was cancelled. An
            error about the partition itself is that of all.
        """
        with contextlib.suppress(SyncCancelledError):
            for sync in self._syncs:
                sync.cancellation.check()
            try:
                scopes = self._syncs[0].scopes(partition_key)
            except RobotoDagsterError as error:
                yield from ((sync.asset_key, error) for sync in self._syncs)
                return
            with self._catalog() as catalog:
                for sync in self._syncs:
                    log = log_of(sync.asset_key)
                    yield sync.asset_key, sync.sync(partition_key, scopes, catalog, log)

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """Let several partitions share one set of event loops and connections, and one client of the platform."""
        # What is made once is made before the threads ask for it; what goes wrong is the outcome of each partition.
        with contextlib.suppress(RobotoDagsterError):
            client = self._syncs[0].client
            for each in self._syncs:
                each.client = client
        with SharedEngine() as engine:
            for each in self._syncs:
                each.share(engine)
            try:
                yield
            finally:
                for each in self._syncs:
                    each.share(None)

    def cancel(self) -> None:
        """Ask what is under way in other threads to stop."""
        for sync in self._syncs:
            sync.cancel()

    @contextlib.contextmanager
    def _catalog(self) -> Iterator[DatasetCatalog]:
        client = self._syncs[0].client
        if len(self._syncs) == 1:  # nobody to share a listing with: it need not be kept
            yield PlatformCatalog(client)
            return
        configs = [each.partitioning.config for each in self._syncs]
        patterns = [(each.include_patterns, each.exclude_patterns) for each in configs]
        with SharedCatalog(client, patterns) as catalog:
            yield catalog
