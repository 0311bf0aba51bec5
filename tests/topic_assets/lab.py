"""A dataset asset with logs on the platform, and topics assets of it."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from roboto_dagster import build_roboto_topics_asset
from roboto_dagster.testing import LocalRoboto
from tests.topic_assets.lines import LinesDecoder, log_of

if TYPE_CHECKING:
    from tests.conftest import Materializer

LOG = log_of({"/imu": 100, "/gps": 1})


class Topics:
    """A dataset asset of two or three partitions, and topics assets of it.

    Attributes:
        keys: The datasets.
        resources: Of the dataset asset.
        logs: The dataset asset, materialized.
        logs_folder: Where the logs are.
        folder: Where the tables go.
    """

    def __init__(self, materialize: "Materializer", local: LocalRoboto, keys: list[str]) -> None:
        self._materialize = materialize
        self.resources = materialize.resources
        self.local = local
        self.keys = keys
        self.logs = materialize.range_asset(keys)
        assert self.sync().success
        self.logs_folder = materialize.destination
        self.folder = materialize.destination.with_name("topics")

    def sync(self) -> dg.ExecuteInProcessResult:
        """Deliver all partitions."""
        return self._materialize(self.logs, partition_range=(self.keys[0], self.keys[-1]))

    def asset(self, **options: Any) -> dg.AssetsDefinition:
        """Build the asset `topics`."""
        defaults: dict[str, Any] = {
            "upstream": self.logs,
            "destination": self.folder,
            "decoders": [LinesDecoder()],
            "processes": 1,
            "backfill_policy": dg.BackfillPolicy.single_run(),
        }
        return build_roboto_topics_asset("topics", **{**defaults, **options})

    def run(
        self, *assets: Any, key: str | None = None, **resources: Any
    ) -> dg.ExecuteInProcessResult:
        """Materialize one partition of some assets and checks, or all of them in one run."""
        tags = {
            "dagster/asset_partition_range_start": self.keys[0],
            "dagster/asset_partition_range_end": self.keys[-1],
        }
        return dg.materialize(
            [self.logs, *assets],
            selection=[each for each in assets if isinstance(each, dg.AssetsDefinition)],
            partition_key=key,
            tags=tags if key is None else {},
            instance=self._materialize.instance,
            resources={**self._materialize.resources, **resources},
            raise_on_error=False,
        )

    def log(self, result: dg.ExecuteInProcessResult) -> Any:
        """Return everything that a run has written to the event log."""
        return self._materialize.log(result)

    def metadata(self, result: dg.ExecuteInProcessResult) -> dict[str | None, dict[str, Any]]:
        """Return the plain metadata of each materialized partition of a run."""
        return dict(self._materialize.materializations(result))
