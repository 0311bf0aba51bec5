"""What a step of a topics asset does for each partition: check that upstream is complete, then decode its logs.

```
partition ─► files of the upstream manifest ─┬─ all on disk ──► decode what is new or changed ──► report
                                             └─ not ──────────► the error is the partition's outcome
```
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import dagster as dg

import roboto_dagster.topic_assets.metadata  # noqa: F401 -- registers what the reports look like as metadata
from roboto_dagster.delivered import DeliveredFile, complete_files
from roboto_dagster.disk.folder import Durability
from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.outcomes import Outcome
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.sync.cancellation import Cancellation, SyncCancelledError
from roboto_dagster.sync.progress import Log
from roboto_dagster.topic_assets.config import TopicsAssetConfig, Upstream
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.options import TopicsOptions, TopicsSettings
from roboto_dagster.topics.partition import decode_partition
from roboto_dagster.topics.pool import DecodePool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsAsset:
    """All that a step of a topics asset needs to know.

    Attributes:
        asset_key: The asset.
        upstream: The dataset asset whose logs are decoded.
        config: What travels with the definition.
        options: What is decoded, and how.
        durability: What is forced to the disk before a table counts as published.
    """

    asset_key: dg.AssetKey
    upstream: Upstream
    config: TopicsAssetConfig
    options: TopicsOptions
    durability: Durability


class DecodeWork:
    """Decodes partitions of one asset, in one step.

    Args:
        asset: The asset.
    """

    def __init__(self, asset: TopicsAsset) -> None:
        self._asset = asset
        self._cancellation = Cancellation()
        self._existing = ExistingPartitions(asset.upstream.partitions_def)
        self._pool: DecodePool | None = None

    def outcomes(
        self, partition_key: str | None, log_of: Callable[[dg.AssetKey], Log]
    ) -> Iterator[tuple[dg.AssetKey, Outcome]]:
        """Decode one partition.

        Args:
            partition_key: The partition; None where there are none.
            log_of: Returns where the lines of an asset go.

        Yields:
            The report, or why it could not even be planned; nothing if it was cancelled.
        """
        key = self._asset.asset_key
        with contextlib.suppress(SyncCancelledError):
            self._cancellation.check()
            yield key, self._outcome(partition_key, log_of(key))

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """Let several partitions share one set of processes, which an interrupt ends at once."""
        with DecodePool(self._asset.options.processes) as pool:
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def cancel(self) -> None:
        """Ask what is under way in other threads to stop."""
        self._cancellation.cancel()

    def _outcome(self, partition_key: str | None, log: Log) -> Outcome:
        try:
            if partition_key is not None:
                self._existing.require(partition_key)
            upstream = self._asset.upstream
            files = complete_files(upstream.config, upstream.asset_key, partition_key)
            report = decode_partition(map(_log_file, files), self._settings(partition_key, log))
        except RobotoDagsterError as error:
            return error
        return dataclasses.replace(report, on_failure=self._asset.config.on_failure)

    def _settings(self, partition_key: str | None, log: Log) -> TopicsSettings:
        config = self._asset.config
        return TopicsSettings(
            destination=config.destination,
            manifest=config.manifest(self._asset.asset_key, partition_key),
            options=self._asset.options,
            durability=self._asset.durability,
            log=log,
            cancellation=self._cancellation,
            pool=self._pool,
        )


def _log_file(file: DeliveredFile) -> LogFile:
    names = [field.name for field in dataclasses.fields(LogFile)]
    return LogFile(**{name: getattr(file, name) for name in names})
