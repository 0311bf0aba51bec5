"""Ticks in order, where the platform, the cursor or the time are not as they should be."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

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


@pytest.mark.parametrize(
    "cursor", [None, "", "nonsense", '{"version":0}', '{"version":1,"datasets":{}}', "[" * 10_000]
)
def test_lost_cursor_loses_no_change(lab: SensorLab, cursor: str | None) -> None:
    """What has changed since the last good tick is run, though Dagster knows the dataset's keys."""
    dataset_id = lab.add_dataset("a.bin")
    sensor = lab.ticks()
    assert sensor.keys() == [dataset_id]
    lab.clock.wait(3600)
    lab.local.add_file(dataset_id, "b.bin", b"b")
    sensor.cursor = cursor
    assert sensor.keys() == [dataset_id]
    assert sensor.keys() == []


def test_older_cursor_loses_no_change(lab: SensorLab) -> None:
    """A cursor that is set back finds what has changed since, and runs what it has not run yet."""
    first = lab.add_dataset("a.bin")
    sensor = lab.ticks()
    sensor.keys()
    old = sensor.cursor
    lab.clock.wait(3600)
    lab.local.add_file(first, "b.bin", b"b")
    assert sensor.keys() == [first]
    lab.clock.wait(3600)
    lab.local.add_file(first, "c.bin", b"c")
    second = lab.add_dataset()
    sensor.cursor = old
    assert sorted(map(str, sensor.keys())) == sorted([first, second])
    assert sensor.keys() == []


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


def test_cursor_from_a_machine_whose_clock_was_ahead(lab: SensorLab) -> None:
    """A watermark in the future does not blind the sensor."""
    sensor = lab.ticks()
    lab.clock.wait(10 * 24 * 3600)
    sensor.tick()
    lab.clock.now = START
    dataset_id = lab.add_dataset()
    assert sensor.keys() == [dataset_id]


# --- what the platform shows ---


@pytest.mark.parametrize("same_dataset", [True, False])
def test_file_shown_late_is_noticed(lab: SensorLab, *, same_dataset: bool) -> None:
    """Within the overlap a file may be older than the newest one that was seen."""
    first, second = lab.add_dataset(), lab.add_dataset()
    sensor = lab.ticks()
    sensor.keys()
    lab.clock.wait(600)
    lab.local.add_file(first, "b.bin", b"b")
    assert sensor.keys() == [first]
    lab.clock.wait(60)
    late = first if same_dataset else second
    lab.local.add_file(late, "a.bin", b"a", created=lab.clock.now - 90 * SECOND)
    assert sensor.keys() == [late]
    assert sensor.keys() == []


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


@pytest.mark.parametrize("what", ["dataset", "file"])
def test_record_dated_ahead_does_not_blind_the_sensor(lab: SensorLab, what: str) -> None:
    """It is run once, and every change until its time comes is run as well."""
    ahead = lab.clock.now + HOUR
    if what == "dataset":
        lab.local.add_dataset(modified=ahead, created=lab.clock.now)
    else:
        dataset_id = lab.add_dataset()
        lab.local.add_file(dataset_id, "a.bin", b"a", modified=ahead)
    sensor = lab.ticks()
    assert len(sensor.keys()) == 1
    for _ in range(4):
        lab.clock.wait(1200)
        assert sensor.keys() == []
        dataset_id = lab.add_dataset("a.bin")
        assert sensor.keys() == [dataset_id]


def test_record_dated_ahead_settles(lab: SensorLab) -> None:
    """With `quiet_seconds` a time far ahead does not hold the dataset back until then."""
    dataset_id = lab.local.add_dataset(modified=START + 24 * HOUR, created=START)
    lab.local.add_file(dataset_id, "a.bin", b"a", modified=START + 24 * HOUR)
    assert lab.ticks(quiet_seconds=60).keys() == [dataset_id]


@pytest.mark.parametrize("modified", ["yesterday", None, 7, "2026-11-01T12:00:00", {"x": 1}])
def test_record_that_cannot_be_read_hides_no_other(
    lab: SensorLab, modified: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is left out with a line that has its id."""
    bad = lab.local.add_dataset(created=START)
    good = lab.add_dataset("a.bin")
    times = {"created": START.isoformat(), "modified": START.isoformat()}
    items = [{"dataset_id": bad, **times, "modified": modified}, {"dataset_id": good, **times}]
    payload = {"data": {"items": items, "next_token": None}}
    lab.local.faults.add(faults.answer_json(payload), route="/v1/datasets/query")
    assert lab.ticks().keys() == [good]
    assert f"left out: {bad}" in capfd.readouterr().err


def test_dataset_with_an_impossible_id_is_left_out(
    lab: SensorLab, capfd: pytest.CaptureFixture[str]
) -> None:
    """An id that would be no folder becomes no partition; it is named on one line."""
    lab.local.add_dataset(dataset_id="../x\ny")
    good = lab.add_dataset()
    assert lab.ticks().keys() == [good]
    assert "'../x\\\\ny'" in capfd.readouterr().err
    assert lab.partitions() == [good]


# --- deleted datasets ---


def test_dataset_that_returns_gets_its_partition_back(lab: SensorLab) -> None:
    """One that was out of sight for a scan, and comes back unchanged, is added and run again."""
    dataset_id, other = lab.add_dataset("a.bin"), lab.add_dataset()
    sensor = lab.ticks(vanished="remove")
    sensor.keys()
    record = lab.local._catalog._datasets.pop(dataset_id)  # noqa: SLF001 -- no public way
    lab.clock.wait(7200)
    sensor.tick()
    assert lab.partitions() == [other]
    lab.local._catalog._datasets[dataset_id] = record  # noqa: SLF001 -- no public way
    lab.clock.wait(7200)
    assert sensor.keys() == [dataset_id]
    assert sorted(lab.partitions()) == sorted([dataset_id, other])
    lab.clock.wait(7200)
    assert sensor.keys() == []


def test_datasets_outside_the_query_do_not_return(lab: SensorLab) -> None:
    """A scan adds only what the sensor watches, and nothing that is older than `since`."""
    query = {"field": "tags", "comparator": "CONTAINS", "value": "flight"}
    lab.local.add_dataset(tags=["test"])
    lab.local.add_dataset(tags=["flight"], created=START - HOUR)
    wanted = lab.local.add_dataset(tags=["flight"])
    sensor = lab.ticks(query=query, since=START - SECOND, vanished="remove")
    for _ in range(3):
        sensor.tick()
        lab.clock.wait(7200)
    assert lab.partitions() == [wanted]


def test_dataset_that_may_not_be_looked_up_is_kept(lab: SensorLab) -> None:
    """A refusal is no deletion, and does not stop the others from being found."""
    hidden, gone = lab.add_dataset(), lab.add_dataset()
    sensor = lab.ticks(vanished="remove")
    sensor.keys()
    for dataset_id in (hidden, gone):
        lab.local._catalog._datasets.pop(dataset_id)  # noqa: SLF001 -- no public way
    lab.local.faults.add(faults.status(403), route=f"/v1/datasets/{hidden}")
    lab.clock.wait(7200)
    new = lab.add_dataset()
    assert sensor.keys() == [new]
    assert lab.partitions() == [hidden, new]


def test_partitions_of_others_are_kept(lab: SensorLab) -> None:
    """A key that is no id of a dataset was not added by the sensor, and is not removed by it."""
    lab.instance.add_dynamic_partitions("flights", ["manual"])
    sensor = lab.ticks(vanished="remove")
    for _ in range(2):
        sensor.tick()
        lab.clock.wait(7200)
    assert lab.partitions() == ["manual"]


def test_scan_of_many_partitions_comes_to_its_end(lab: SensorLab) -> None:
    """Datasets that are not listed but exist use up no scan of those that are gone."""
    hidden = [lab.add_dataset() for _ in range(5)]
    gone = [lab.add_dataset() for _ in range(2)]
    sensor = lab.ticks(vanished="remove", max_datasets_per_tick=2)
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
    """A clock that would be compared wrongly is an error that says so."""
    sensor = lab.ticks(clock=lambda: START.replace(tzinfo=None))
    with pytest.raises(Exception, match="must return a time with its zone"):
        sensor.tick()


def test_deleted_dataset_waits_for_nothing(lab: SensorLab) -> None:
    """A change that is not settled is forgotten with its dataset."""
    dataset_id = lab.add_dataset("a.bin")
    sensor = lab.ticks(vanished="remove")
    sensor.keys()
    lab.clock.wait(7200)
    lab.local.add_file(dataset_id, "b.bin", b"b")
    lab.local.client().delete(f"v1/datasets/{dataset_id}")
    assert sensor.keys() == []
    assert lab.partitions() == []
    assert "waiting" not in json.loads(sensor.cursor or "")


# --- time ---


def test_bulk_upload_does_not_hold_up_later_ticks() -> None:
    """The dataset is run at once and once; then idle ticks cost two requests again, in their time."""
    with SensorLab.open(page_size=100) as lab:
        sensor = lab.ticks(time_budget_seconds=2.0)
        dataset_id = lab.add_dataset()
        sensor.keys()
        lab.clock.wait(600)
        for number in range(1000):
            lab.local.add_record(
                dataset_id, relative_path=f"{number}.bin", uri="s3://bucket/x", size=1
            )
        lab.clock.wait(3600)
        lab.local.faults.add(faults.delay(0.4), route="/v1/files/query")
        found, started = [], time.monotonic()
        for _ in range(8):
            found += sensor.keys()
            lab.clock.wait(3600)
        lab.local.requests.clear()
        sensor.tick()
        assert found == [dataset_id]
        assert lab.local.requests.count(service="api") == 2
        assert time.monotonic() - started < 30


def test_slow_files_do_not_hold_up_what_is_ready(lab: SensorLab) -> None:
    """A dataset that has settled is run although the walk through files takes all of its time."""
    dataset_id = lab.add_dataset()
    sensor = lab.ticks(time_budget_seconds=1.0, quiet_seconds=60)
    sensor.tick()
    lab.clock.wait(120)
    lab.local.faults.add(faults.delay(0.5), route="/v1/files/query", times=1)
    assert sensor.keys() == [dataset_id]


def test_slow_lookups_of_some_do_not_hold_up_all(lab: SensorLab) -> None:
    """If asking whether datasets are settled takes long, each has its turn within a few ticks."""
    ids = {lab.add_dataset() for _ in range(4)}
    lab.clock.wait(3600)
    sensor = lab.ticks(time_budget_seconds=1.0, quiet_seconds=60)
    lab.local.faults.add(faults.delay(0.2), route="/v1/files/query")
    found: set[str | None] = set()
    for _ in range(12):
        found.update(sensor.keys())
    assert found == ids
