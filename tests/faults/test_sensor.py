"""Faults that meet the sensor: its cursor, the platform's records and clocks, and the time it has."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster.testing import faults
from tests.faults.matrix import covers
from tests.sensor.lab import DAY, DAYS, SECOND, START, SensorLab

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def lab() -> Iterator[SensorLab]:
    """A platform and a sensor on one clock, which shows noon of the first of November."""
    with SensorLab.open() as opened:
        yield opened


@covers("T1")
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


@covers("T1")
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


@covers("T2")
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


@covers("T3")
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


@covers("T3")
def test_cursor_from_a_machine_whose_clock_was_ahead(lab: SensorLab) -> None:
    """A watermark in the future does not blind the sensor."""
    sensor = lab.ticks()
    lab.clock.wait(10 * 24 * 3600)
    sensor.tick()
    lab.clock.now = START
    dataset_id = lab.add_dataset()
    assert sensor.keys() == [dataset_id]


@covers("T4")
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


@covers("T4")
def test_dataset_with_an_impossible_id_is_left_out(
    lab: SensorLab, capfd: pytest.CaptureFixture[str]
) -> None:
    """An id that would be no folder becomes no partition; it is named on one line."""
    lab.local.add_dataset(dataset_id="../x\ny")
    good = lab.add_dataset()
    assert lab.ticks().keys() == [good]
    assert "'../x\\\\ny'" in capfd.readouterr().err
    assert lab.partitions() == [good]


@covers("T5")
@pytest.mark.parametrize(
    "partitions_def",
    [
        dg.DailyPartitionsDefinition("2026-10-01", end_date="2026-10-20"),
        dg.DailyPartitionsDefinition("2026-11-05"),
        dg.TimeWindowPartitionsDefinition(
            start="2026-10-01", cron_schedule="0 0 * * *", fmt="%Y-%m-%d", exclusions=["0 0 * * 6"]
        ),
    ],
    ids=["after the end", "before the start", "excluded"],
)
def test_window_that_never_exists_is_left_out_with_a_line(
    lab: SensorLab, partitions_def: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Such a dataset neither waits nor is run; the log names it."""
    saturday = dt.datetime(2026, 10, 31, 12, tzinfo=dt.timezone.utc)
    lab.add_dataset(created=saturday)
    sensor = lab.ticks(partitions_def)
    assert sensor.keys() == []
    assert "so no run is requested" in capfd.readouterr().err
    assert "pending" not in json.loads(sensor.cursor or "")
    lab.clock.now += 10 * DAY
    assert sensor.keys() == []


@covers("T5")
def test_dataset_of_today_is_run_when_the_day_is_over(lab: SensorLab) -> None:
    """Today is no partition yet: the change waits, through idle ticks, and is run once."""
    lab.add_dataset()
    sensor = lab.ticks(DAYS)
    result = sensor.tick()
    assert result.run_requests == []
    assert "2026-11-01" in result.skip_message
    lab.clock.wait(11 * 3600)
    assert sensor.keys() == []
    lab.clock.wait(3600)
    assert sensor.keys() == ["2026-11-01"]
    assert sensor.keys() == []


@covers("T6")
def test_dataset_that_returns_gets_its_partition_back(lab: SensorLab) -> None:
    """One that was out of sight for a scan, and comes back unchanged, is added and run again."""
    dataset_id, other = lab.add_dataset("a.bin"), lab.add_dataset()
    sensor = lab.ticks(on_deleted="remove")
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


@covers("T6")
def test_dataset_that_may_not_be_looked_up_is_kept(lab: SensorLab) -> None:
    """A refusal is no deletion, and does not stop the others from being found."""
    hidden, gone = lab.add_dataset(), lab.add_dataset()
    sensor = lab.ticks(on_deleted="remove")
    sensor.keys()
    for dataset_id in (hidden, gone):
        lab.local._catalog._datasets.pop(dataset_id)  # noqa: SLF001 -- no public way
    lab.local.faults.add(faults.status(403), route=f"/v1/datasets/{hidden}")
    lab.clock.wait(7200)
    new = lab.add_dataset()
    assert sensor.keys() == [new]
    assert lab.partitions() == [hidden, new]


@covers("T7")
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


@covers("T7")
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
