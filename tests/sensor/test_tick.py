"""Ticks in order, where the platform, the cursor or the time are not as they should be."""

import datetime as dt
import json
from collections.abc import Iterator

import pytest

from roboto_dagster.testing import faults
from tests.sensor.lab import SECOND, START, SensorLab

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def lab() -> Iterator[SensorLab]:
    """A platform and a sensor on one clock, which shows noon of the first of November."""
    with SensorLab.open() as opened:
        yield opened


# --- the cursor ---


def test_tick_that_is_evaluated_twice_runs_nothing_twice(lab: SensorLab) -> None:
    """If Dagster dies after the runs and before the cursor, the same requests have the same keys."""
    dataset_id = lab.add_dataset("a.bin")
    sensor = lab.ticks()
    sensor.keys()
    lab.clock.wait(3600)
    lab.local.add_file(dataset_id, "b.bin", b"b")
    before = sensor.cursor
    assert sensor.keys() == [dataset_id]
    sensor.cursor = before
    assert sensor.keys() == []


# --- what the platform shows ---


def test_two_files_of_one_moment_are_two_changes(lab: SensorLab) -> None:
    """A file shown late with the very time of one that was seen is run under a key of its own."""
    dataset_id = lab.add_dataset()
    sensor = lab.ticks()
    sensor.keys()
    lab.clock.wait(600)
    lab.local.add_file(dataset_id, "a.bin", b"a")
    assert sensor.keys() == [dataset_id]
    lab.local.add_file(dataset_id, "b.bin", b"b")
    assert sensor.keys() == [dataset_id]


def test_record_dated_ahead_settles(lab: SensorLab) -> None:
    """With `quiet_seconds` a time far ahead does not hold the dataset back until then."""
    dataset_id = lab.local.add_dataset(modified=START + 24 * HOUR, created=START)
    lab.local.add_file(dataset_id, "a.bin", b"a", modified=START + 24 * HOUR)
    assert lab.ticks(quiet_seconds=60).keys() == [dataset_id]


# --- deleted datasets ---


def test_datasets_outside_the_query_do_not_return(lab: SensorLab) -> None:
    """A scan adds only what the sensor watches, and nothing that is older than `since`."""
    query = {"field": "tags", "comparator": "CONTAINS", "value": "flight"}
    lab.local.add_dataset(tags=["test"])
    lab.local.add_dataset(tags=["flight"], created=START - HOUR)
    wanted = lab.local.add_dataset(tags=["flight"])
    sensor = lab.ticks(query=query, since=START - SECOND, on_deleted="remove")
    for _ in range(3):
        sensor.tick()
        lab.clock.wait(7200)
    assert lab.partitions() == [wanted]


def test_partitions_of_others_are_kept(lab: SensorLab) -> None:
    """A key that is no id of a dataset was not added by the sensor, and is not removed by it."""
    lab.instance.add_dynamic_partitions("flights", ["manual"])
    sensor = lab.ticks(on_deleted="remove")
    for _ in range(2):
        sensor.tick()
        lab.clock.wait(7200)
    assert lab.partitions() == ["manual"]


def test_scan_of_many_partitions_comes_to_its_end(lab: SensorLab) -> None:
    """Datasets that are not listed but exist use up no scan of those that are gone."""
    hidden = [lab.add_dataset() for _ in range(5)]
    gone = [lab.add_dataset() for _ in range(2)]
    sensor = lab.ticks(on_deleted="remove", max_datasets_per_tick=2)
    for _ in range(4):
        sensor.keys()
    for dataset_id in hidden + gone:
        lab.local._catalog._datasets.pop(dataset_id)  # noqa: SLF001 -- no public way
    for dataset_id in hidden:
        lab.local.faults.add(faults.status(403), route=f"/v1/datasets/{dataset_id}")
    lab.clock.wait(7200)
    for _ in range(4):
        sensor.tick()
    assert lab.partitions() == hidden
    lab.local.requests.clear()
    sensor.tick()
    assert lab.local.requests.count(service="api") == 2


def test_clock_without_a_zone_is_refused(lab: SensorLab) -> None:
    """A clock that would be compared wrongly is refused."""
    sensor = lab.ticks(clock=lambda: START.replace(tzinfo=None))
    with pytest.raises(Exception, match="must return a time with its zone"):
        sensor.tick()


def test_deleted_dataset_waits_for_nothing(lab: SensorLab) -> None:
    """A change that is not settled is forgotten with its dataset."""
    dataset_id = lab.add_dataset("a.bin")
    sensor = lab.ticks(on_deleted="remove")
    sensor.keys()
    lab.clock.wait(7200)
    lab.local.add_file(dataset_id, "b.bin", b"b")
    lab.local.client().delete(f"v1/datasets/{dataset_id}")
    assert sensor.keys() == []
    assert lab.partitions() == []
    assert "waiting" not in json.loads(sensor.cursor or "")


# --- time ---


def test_slow_files_do_not_hold_up_what_is_ready(lab: SensorLab) -> None:
    """A dataset that has settled is run although the walk through files takes all of its time."""
    dataset_id = lab.add_dataset()
    sensor = lab.ticks(time_budget_seconds=1.0, quiet_seconds=60)
    sensor.tick()
    lab.clock.wait(120)
    lab.local.faults.add(faults.delay(0.5), route="/v1/files/query", times=1)
    assert sensor.keys() == [dataset_id]


def test_machine_whose_clock_is_ahead_misses_nothing(lab: SensorLab) -> None:
    """Each answer has the platform's own time: what changes before it is reached is still found."""
    first = lab.add_dataset()
    sensor = lab.ticks(clock=lambda: lab.clock.now + 2 * HOUR)
    assert sensor.keys() == [first]
    for _ in range(4):
        lab.clock.wait(600)
        dataset_id = lab.add_dataset()
        lab.local.add_file(first, f"{dataset_id}.bin", b"a")
        assert sorted(map(str, sensor.keys())) == sorted([first, dataset_id])
