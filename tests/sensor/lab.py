"""A sensor over a platform on this machine, ticked as the daemon ticks it, on one clock."""

import contextlib
import datetime as dt
import pathlib
from collections.abc import Iterator
from typing import Any

import dagster as dg

from roboto_dagster import build_roboto_dataset_asset, build_roboto_dataset_sensor
from roboto_dagster.testing import LocalRoboto

START = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
PARTITIONS = dg.DynamicPartitionsDefinition(name="flights")
SECOND = dt.timedelta(seconds=1)
DAY = dt.timedelta(days=1)
DAYS = dg.DailyPartitionsDefinition("2026-10-01")


class Clock:
    """A clock that moves when a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        """Return the time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Move on."""
        self.now += dt.timedelta(seconds=seconds)


class Ticks:
    """A sensor that runs as the daemon runs it: what it asks for, it gets.

    Attributes:
        cursor: What Dagster has kept of the last tick.
        run_keys: Keys of all runs so far; like Dagster, `keys` drops a request whose key is known.
    """

    def __init__(
        self,
        sensor: dg.SensorDefinition,
        asset: dg.AssetsDefinition,
        resources: dict[str, Any],
        instance: dg.DagsterInstance,
    ) -> None:
        self._definitions = dg.Definitions(assets=[asset], sensors=[sensor], resources=resources)
        self._sensor, self._resource, self._instance = sensor, resources["roboto"], instance
        self.cursor: str | None = None
        self.run_keys: set[str | None] = set()

    def tick(self) -> Any:
        """Evaluate once, keep the cursor and change the partitions."""
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            definitions=self._definitions,
            resources={"roboto": self._resource},
        )
        with context:
            result = self._sensor.evaluate_tick(context)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self._instance.add_dynamic_partitions("flights", request.partition_keys)
            else:
                for key in request.partition_keys:
                    self._instance.delete_dynamic_partition("flights", key)
        return result

    def keys(self) -> list[str | None]:
        """Tick, and return the partitions that are run."""
        requests = self.tick().run_requests
        new = [each for each in requests if each.run_key not in self.run_keys]
        self.run_keys.update(each.run_key for each in new)
        return [each.partition_key for each in new]


class SensorLab:
    """A platform, a clock and a Dagster instance for one test.

    Attributes:
        local: The platform, on the clock's time.
        clock: The time of platform and sensor.
        instance: The Dagster instance.
    """

    def __init__(self, local: LocalRoboto, clock: Clock, instance: dg.DagsterInstance) -> None:
        self.local = local
        self.clock = clock
        self.instance = instance

    @classmethod
    @contextlib.contextmanager
    def open(cls, **options: Any) -> Iterator["SensorLab"]:
        """Start everything, with options of the platform."""
        clock = Clock()
        with (
            LocalRoboto(clock=clock, **options) as local,
            dg.DagsterInstance.ephemeral() as instance,
        ):
            yield cls(local, clock, instance)

    def ticks(
        self,
        partitions_def: Any = PARTITIONS,
        dataset_id: str | None = None,
        policy: dg.BackfillPolicy | None = None,
        **options: Any,
    ) -> Ticks:
        """Make a sensor over dynamic partitions, or over those that are given."""
        asset = build_roboto_dataset_asset(
            "logs",
            destination=pathlib.Path("/nonexistent"),  # nothing is materialized
            partitions_def=partitions_def,
            dataset_id=dataset_id,
            backfill_policy=policy,
        )
        sensor = build_roboto_dataset_sensor(asset, **{"clock": self.clock, **options})
        return Ticks(sensor, asset, self.local.resources(), self.instance)

    def partitions(self) -> list[str]:
        """Return the dynamic partitions."""
        return list(self.instance.get_dynamic_partitions("flights"))

    def add_dataset(self, *files: str, created: dt.datetime | None = None, **fields: Any) -> str:
        """Add a dataset with files, created now or at another time."""
        created = created or self.clock.now
        dataset_id = self.local.add_dataset(created=created, **fields)
        for file in files:
            self.local.add_file(dataset_id, file, b"a", created=created)
        return dataset_id
