"""`on_unchanged="observe"`: what is observed, and what is materialized all the same."""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, build_roboto_dataset_asset
from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Materializer

KEY = dg.AssetKey("logs")


@pytest.fixture
def keys(local: LocalRoboto) -> list[str]:
    """Three datasets of one file."""
    found = []
    for name in "abc":
        found.append(local.add_dataset(name))
        local.add_file(found[-1], "x.csv", name.encode())
    return found


@pytest.fixture
def asset(materialize: "Materializer", keys: list[str]) -> dg.AssetsDefinition:
    """An asset that observes, all of whose partitions one run may hold."""
    return materialize.range_asset(keys, on_unchanged="observe")


class Runs:
    """Runs of the asset over all partitions."""

    def __init__(
        self, materialize: "Materializer", asset: dg.AssetsDefinition, keys: list[str]
    ) -> None:
        self._materialize = materialize
        self._asset = asset
        self._keys = keys
        self.success = False

    def __call__(
        self, asset: dg.AssetsDefinition | None = None, tags: Mapping[str, str] | None = None
    ) -> tuple[str, str]:
        """Run it once; return which partitions were materialized, and which observed, as letters."""
        result = self._materialize(
            asset or self._asset, partition_range=(self._keys[0], self._keys[-1]), tags=tags
        )
        self.success = result.success
        made = [partition for partition, _ in self._materialize.materializations(result)]
        seen = [each.partition for each in self._materialize.observations(result)]
        letters = dict(zip(self._keys, "abc", strict=True))
        return "".join(letters[str(key)] for key in made), "".join(
            letters[str(key)] for key in seen
        )

    def states(self) -> list[str]:
        """Return the status of each partition, as Dagster shows it."""
        partitions_def = dg.StaticPartitionsDefinition(self._keys)
        found = self._materialize.instance.get_status_by_partition(KEY, self._keys, partitions_def)
        return [str(status and status.value) for status in (found or {}).values()]


@pytest.fixture
def runs(materialize: "Materializer", asset: dg.AssetsDefinition, keys: list[str]) -> Runs:
    """Runs that observe."""
    return Runs(materialize, asset, keys)


def test_partitions_without_any_change_are_observed(
    runs: Runs, local: LocalRoboto, keys: list[str]
) -> None:
    """The first run materializes; later ones materialize what has changed."""
    assert runs() == ("abc", "")
    assert runs() == ("", "abc")
    local.replace_file(keys[1], "x.csv", b"new")
    assert runs() == ("b", "ac")
    assert (runs.states(), runs.success) == (["MATERIALIZED"] * 3, True)


def test_a_single_partition_is_observed(
    materialize: "Materializer", asset: dg.AssetsDefinition, keys: list[str]
) -> None:
    """In a run of one partition, too; what depends on it still goes on."""
    first, second = (materialize(asset, partition_key=keys[0]) for _ in range(2))
    assert [len(materialize.materializations(each)) for each in (first, second)] == [1, 0]
    assert [each.partition for each in materialize.observations(second)] == [keys[0]]
    assert len(second.get_step_success_events()) == 1


def test_an_asset_without_partitions_is_observed(
    materialize: "Materializer", keys: list[str]
) -> None:
    """Its materialization stays the latest."""
    asset = materialize.asset(dataset_id=keys[0], on_unchanged="observe")
    results = [materialize(asset) for _ in range(3)]
    assert [len(materialize.materializations(each)) for each in results] == [1, 0, 0]
    assert [len(materialize.observations(each)) for each in results] == [0, 1, 1]


def test_a_backfill_materializes(runs: Runs) -> None:
    """It counts a partition without a materialization as failed."""
    runs()
    assert runs(tags={"dagster/backfill": "abcdefgh"}) == ("abc", "")


def test_a_failing_run_materializes(runs: Runs, local: LocalRoboto, keys: list[str]) -> None:
    """Dagster would show its observed partitions as failed."""
    runs()
    local.add_file(keys[2], "gone.csv", b"x")
    local.remove_object(keys[2], "gone.csv")
    assert runs() == ("ab", "c")
    assert (runs.success, runs.states()) == (False, ["MATERIALIZED", "MATERIALIZED", "FAILED"])


def test_after_a_failed_run_partitions_are_materialized(runs: Runs, local: LocalRoboto) -> None:
    """Only a materialization ends the state that a killed or failed run has left."""
    runs()
    local.faults.add(faults.status(500), route="*/files/query")
    assert runs() == ("", "abc")  # the failures
    local.faults.clear()
    assert (runs.success, set(runs.states())) == (False, {"FAILED"})
    assert runs() == ("abc", "")
    assert (runs(), runs.states()) == (("", "abc"), ["MATERIALIZED"] * 3)


def test_a_changed_setting_materializes(
    runs: Runs, materialize: "Materializer", keys: list[str]
) -> None:
    """Else the partitions would be stale for ever, "has a new code version"."""
    runs()
    other = materialize.range_asset(keys, on_unchanged="observe", include_patterns=["*.csv"])
    assert runs(other) == ("abc", "")
    assert runs(other) == ("", "abc")


def test_a_repaired_file_materializes(
    runs: Runs, materialize: "Materializer", keys: list[str]
) -> None:
    """A run that has fetched something records it, though the version is the same."""
    runs()
    (materialize.destination / keys[0] / "x.csv").unlink()
    assert runs() == ("a", "bc")


def test_materialize_is_the_default(materialize: "Materializer", keys: list[str]) -> None:
    """Freshness policies look at materializations alone."""
    runs = Runs(materialize, materialize.range_asset(keys), keys)
    assert (runs(), runs()) == (("abc", ""), ("abc", ""))


def test_another_value_is_refused(tmp_path: pathlib.Path) -> None:
    """When the asset is defined."""
    with pytest.raises(ConfigurationError, match="on_unchanged"):
        build_roboto_dataset_asset(
            "logs",
            destination=tmp_path,
            dataset_id="ds_a",
            on_unchanged="skip",  # type: ignore[arg-type]  # on purpose
        )
