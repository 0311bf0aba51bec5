"""The sensor, tick by tick, against a platform on this machine."""

import datetime as dt
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    PlatformError,
    build_roboto_dataset_asset,
    build_roboto_dataset_sensor,
)
from roboto_dagster.testing import LocalRoboto, faults
from tests.sensor.lab import PARTITIONS, SECOND, START, Clock, Ticks


@pytest.fixture
def clock() -> Clock:
    """The time of the platform and of the sensor."""
    return Clock()


@pytest.fixture
def local(clock: Clock) -> Iterator[LocalRoboto]:
    """A platform whose time is the clock's."""
    with LocalRoboto(clock=clock) as platform:
        yield platform


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of this test's own."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


MakeTicks = Callable[..., Ticks]


@pytest.fixture
def ticks(
    local: LocalRoboto, clock: Clock, instance: dg.DagsterInstance, tmp_path: pathlib.Path
) -> MakeTicks:
    """Makes a sensor over dynamic partitions, or over those that are given."""

    def make(
        partitions_def: Any = PARTITIONS, dataset_id: str | None = None, **options: Any
    ) -> Ticks:
        asset = build_roboto_dataset_asset(
            "logs", destination=tmp_path, partitions_def=partitions_def, dataset_id=dataset_id
        )
        sensor = build_roboto_dataset_sensor(asset, clock=clock, **options)
        return Ticks(sensor, asset, local.resources(), instance)

    return make


def test_new_datasets_become_partitions_and_runs(
    local: LocalRoboto, ticks: MakeTicks, instance: dg.DagsterInstance
) -> None:
    """The first tick adds a partition and requests a run for each dataset that is there."""
    ids = [local.add_dataset(), local.add_dataset()]
    assert ticks().keys() == ids
    assert instance.get_dynamic_partitions("flights") == ids


def test_tick_without_changes_requests_nothing(local: LocalRoboto, ticks: MakeTicks) -> None:
    """What was seen is not requested again, though the overlap shows it again."""
    local.add_file(local.add_dataset(), "a.bin", b"a")
    sensor = ticks()
    assert len(sensor.keys()) == 1
    for _ in range(3):
        result = sensor.tick()
        assert result.run_requests == []
        assert "No dataset has changed since 2026-11-01T12:00:00+00:00" in result.skip_message


def test_changed_dataset_is_run_again(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """A new version of a dataset's record requests its partition once more, under another run key."""
    _, second = local.add_dataset(), local.add_dataset()
    sensor = ticks()
    keys = [request.run_key for request in sensor.tick().run_requests]
    clock.wait(60)
    local.touch_dataset(second)
    (request,) = sensor.tick().run_requests
    assert request.partition_key == second
    assert request.run_key not in keys
    assert sensor.keys() == []


def test_new_file_counts_as_a_change(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """A file that is added is noticed, though the dataset's record knows nothing of it."""
    dataset_id = local.add_dataset()
    sensor = ticks()
    sensor.tick()
    clock.wait(60)
    local.add_file(dataset_id, "a.bin", b"a")
    assert sensor.keys() == [dataset_id]
    assert sensor.keys() == []


def test_replaced_file_counts_as_a_change(
    local: LocalRoboto, ticks: MakeTicks, clock: Clock
) -> None:
    """New content under an old path is noticed."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"a")
    sensor = ticks()
    sensor.tick()
    clock.wait(1)
    local.replace_file(dataset_id, "a.bin", b"b")
    assert sensor.keys() == [dataset_id]


def test_files_can_be_left_unwatched(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """With `watch_files=False` only the datasets' records count, and files are not asked for."""
    dataset_id = local.add_dataset()
    sensor = ticks(watch_files=False)
    sensor.tick()
    clock.wait(60)
    local.add_file(dataset_id, "a.bin", b"a")
    assert sensor.keys() == []
    assert local.requests.count(route="/v1/files/query") == 0


def test_dataset_shown_late_is_found(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """A dataset that a query shows only after a newer one was seen is inside the overlap."""
    local.add_dataset()
    sensor = ticks()
    sensor.tick()
    late = local.add_dataset(created=clock.now - 60 * SECOND)
    assert sensor.keys() == [late]
    assert sensor.keys() == []


def test_many_datasets_are_spread_over_ticks(local: LocalRoboto, ticks: MakeTicks) -> None:
    """One tick takes no more than its cap, and the next ones take the rest, each once."""
    ids = [local.add_dataset() for _ in range(5)]
    sensor = ticks(max_datasets_per_tick=2)
    assert [sensor.keys(), sensor.keys(), sensor.keys(), sensor.keys()] == [
        ids[:2],
        ids[2:4],
        ids[4:],
        [],
    ]


def test_tick_ends_with_its_time(local: LocalRoboto, ticks: MakeTicks) -> None:
    """A tick without any time left takes nothing, and loses nothing."""
    dataset_id = local.add_dataset()
    hasty, patient = ticks(time_budget_seconds=1e-9), ticks()
    assert hasty.keys() == []
    patient.cursor = hasty.cursor
    assert patient.keys() == [dataset_id]


def test_outage_skips_the_tick_and_keeps_the_cursor(
    local: LocalRoboto, ticks: MakeTicks, clock: Clock
) -> None:
    """While the platform fails, ticks are skipped with the reason; afterwards everything is found."""
    sensor = ticks()
    local.add_dataset()
    sensor.tick()
    before = sensor.cursor
    clock.wait(3600)
    missed = local.add_dataset()
    outage = local.faults.add(faults.status(503), service="api")
    result = sensor.tick()
    assert result.run_requests == []
    assert "answered 503" in result.skip_message
    assert result.cursor == before
    local.faults.remove(outage)
    assert sensor.keys() == [missed]


def test_outage_in_the_middle_of_a_tick_loses_nothing(local: LocalRoboto, ticks: MakeTicks) -> None:
    """If the second request of a tick fails, what the first one returned is asked for again."""
    dataset_id = local.add_dataset()
    sensor = ticks()
    outage = local.faults.add(faults.status(503), route="/v1/files/query")
    assert sensor.keys() == []
    local.faults.remove(outage)
    assert sensor.keys() == [dataset_id]


def test_refused_key_fails_the_tick(local: LocalRoboto, ticks: MakeTicks) -> None:
    """What is not retryable is an error that people see, not a skipped tick."""
    local.faults.add(faults.status(401), service="api")
    with pytest.raises(Exception, match="ROBOTO_API_KEY") as caught:
        ticks().tick()
    assert isinstance(caught.value.__cause__ or caught.value, PlatformError)


@pytest.mark.parametrize("cursor", ["nonsense", "{}", '{"version":0}', '{"version":1}', "[1]"])
def test_after_an_unreadable_cursor_the_sensor_starts_again(
    local: LocalRoboto, ticks: MakeTicks, cursor: str
) -> None:
    """A cursor of an old release, or of no release at all, is no crash."""
    dataset_id = local.add_dataset()
    sensor = ticks()
    sensor.cursor = cursor
    assert sensor.keys() == [dataset_id]
    assert sensor.keys() == []


def test_query_narrows_what_is_watched(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """Datasets that do not fit are no partitions, nor are their files noticed."""
    wanted = local.add_dataset(tags=["flight"])
    other = local.add_dataset(tags=["test"])
    sensor = ticks(query={"field": "tags", "comparator": "CONTAINS", "value": "flight"})
    assert sensor.keys() == [wanted]
    clock.wait(1)
    for dataset_id in (wanted, other):
        local.add_file(dataset_id, "a.bin", b"a")
    assert sensor.keys() == [wanted]


def test_query_may_be_the_sdks(local: LocalRoboto, ticks: MakeTicks) -> None:
    """A condition of `roboto.query` works as a mapping does."""
    from roboto.query import Comparator, Condition

    wanted = local.add_dataset("a")
    local.add_dataset("b")
    condition = Condition(field="name", comparator=Comparator.Equals, value="a")
    assert ticks(query=condition).keys() == [wanted]


def test_query_must_be_one(ticks: MakeTicks) -> None:
    """A query of another kind is refused when the sensor is built."""
    with pytest.raises(ConfigurationError, match="is not a query"):
        ticks(query="name = 'a'")


def test_old_datasets_can_be_left_alone(local: LocalRoboto, ticks: MakeTicks) -> None:
    """`since` keeps the first tick from taking everything that ever was."""
    local.add_dataset(created=START - 3600 * SECOND)
    recent = local.add_dataset()
    assert ticks(since=START - SECOND).keys() == [recent]


def test_dataset_in_flux_waits(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """With `quiet_seconds`, files that still arrive hold a dataset back."""
    dataset_id = local.add_dataset()
    sensor = ticks(quiet_seconds=120)
    assert sensor.keys() == []
    clock.wait(100)
    local.add_file(dataset_id, "a.bin", b"a")
    assert sensor.keys() == []
    clock.wait(100)
    result = sensor.tick()
    assert "Changed datasets that are not settled yet: 1" in result.skip_message
    clock.wait(21)
    assert sensor.keys() == [dataset_id]
    assert sensor.keys() == []


def test_dataset_waits_for_ingestion(local: LocalRoboto, ticks: MakeTicks) -> None:
    """With `wait_until_ingested`, files that can be ingested and are not hold a dataset back."""
    dataset_id = local.add_dataset()
    fields = {"ingestable": True, "ingestion_status": "not_ingested"}
    local.add_record(dataset_id, relative_path="a.mcap", file_id="fl_a", **fields)
    local.add_record(dataset_id, relative_path="a.jpg", ingestable=False)
    sensor = ticks(wait_until_ingested=True)
    assert sensor.keys() == []
    local.faults.clear()
    local._catalog.file("fl_a")["ingestion_status"] = "ingested"  # noqa: SLF001 -- no public way
    assert sensor.keys() == [dataset_id]


def test_waiting_datasets_do_not_starve_others(
    local: LocalRoboto, ticks: MakeTicks, clock: Clock
) -> None:
    """One that never settles does not use up the cap."""
    stuck = local.add_dataset()
    local.add_record(stuck, relative_path="a.mcap", ingestable=True)
    sensor = ticks(wait_until_ingested=True, max_datasets_per_tick=1)
    assert sensor.keys() == []
    clock.wait(1)
    other = local.add_dataset()
    assert sensor.keys() == [other]


def remove(local: LocalRoboto, dataset_id: str) -> None:
    """Remove a dataset from the platform."""
    local.client().delete(f"v1/datasets/{dataset_id}")


def test_deleted_datasets_are_kept_by_default(
    local: LocalRoboto, ticks: MakeTicks, instance: dg.DagsterInstance
) -> None:
    """A dataset that is gone keeps its partition, and nothing fails."""
    dataset_id = local.add_dataset()
    sensor = ticks()
    sensor.tick()
    remove(local, dataset_id)
    assert sensor.keys() == []
    assert instance.get_dynamic_partitions("flights") == [dataset_id]


def test_deleted_datasets_can_be_removed(
    local: LocalRoboto, ticks: MakeTicks, instance: dg.DagsterInstance, clock: Clock
) -> None:
    """With `on_deleted="remove"` their partitions go, at the interval at which they are looked for."""
    gone, stays = local.add_dataset(), local.add_dataset()
    sensor = ticks(on_deleted="remove", deletion_scan_interval_seconds=600)
    sensor.tick()
    remove(local, gone)
    sensor.tick()
    assert instance.get_dynamic_partitions("flights") == [gone, stays]
    clock.wait(601)
    sensor.tick()
    assert instance.get_dynamic_partitions("flights") == [stays]


def test_old_names_of_options_work_and_warn(
    local: LocalRoboto, ticks: MakeTicks, instance: dg.DagsterInstance
) -> None:
    """`vanished` and `vanished_interval_seconds` are those of the first release."""
    gone = local.add_dataset()
    with pytest.warns(DeprecationWarning, match=r"^vanished") as warned:
        sensor = ticks(vanished="remove", vanished_interval_seconds=0.0)
    sensor.tick()
    remove(local, gone)
    sensor.tick()
    assert instance.get_dynamic_partitions("flights") == []
    ours = [each for each in warned if str(each.message).startswith("vanished")]
    assert len(ours) == 2


def test_partitions_without_runs(
    local: LocalRoboto, ticks: MakeTicks, instance: dg.DagsterInstance
) -> None:
    """With `request_runs=False` the sensor only adds partitions."""
    dataset_id = local.add_dataset()
    assert ticks(request_runs=False).keys() == []
    assert instance.get_dynamic_partitions("flights") == [dataset_id]


def test_windows_are_run_once_for_all_their_datasets(local: LocalRoboto, ticks: MakeTicks) -> None:
    """Of daily partitions the sensor requests the days in which changed datasets were created."""
    day = dt.timedelta(days=1)
    for created in (START - 2 * day, START - day, START - day):
        local.add_dataset(created=created)
    sensor = ticks(dg.DailyPartitionsDefinition("2026-10-01"))
    assert sensor.keys() == ["2026-10-30", "2026-10-31"]


def test_datasets_outside_all_windows_are_left_out(local: LocalRoboto, ticks: MakeTicks) -> None:
    """A dataset that is older than the first window belongs to no partition."""
    local.add_dataset(created=START - dt.timedelta(days=99))
    assert ticks(dg.DailyPartitionsDefinition("2026-10-01")).keys() == []


def test_dataset_by_day(local: LocalRoboto, ticks: MakeTicks, instance: dg.DagsterInstance) -> None:
    """Of dataset by day, the dataset is added and the days of its files are run."""
    dataset_id = local.add_dataset(created=START)
    local.add_file(dataset_id, "a.bin", b"a", created=START - dt.timedelta(days=1))
    by_day = dg.MultiPartitionsDefinition(
        {"dataset": PARTITIONS, "day": dg.DailyPartitionsDefinition("2026-10-01")}
    )
    assert ticks(by_day).keys() == [f"{dataset_id}|2026-10-31"]
    assert instance.get_dynamic_partitions("flights") == [dataset_id]


def test_fixed_datasets_are_run_and_no_others(local: LocalRoboto, ticks: MakeTicks) -> None:
    """Of static partitions only the listed datasets are run."""
    ids = [local.add_dataset() for _ in range(3)]
    assert ticks(dg.StaticPartitionsDefinition(ids[1:])).keys() == ids[1:]


def test_one_dataset_without_partitions(local: LocalRoboto, ticks: MakeTicks, clock: Clock) -> None:
    """An asset about one dataset is run when that one changes."""
    dataset_id, other = local.add_dataset(), local.add_dataset()
    sensor = ticks(None, dataset_id=dataset_id)
    assert len(sensor.keys()) == 1
    clock.wait(1)
    local.touch_dataset(other)
    assert sensor.keys() == []
    local.touch_dataset(dataset_id)
    assert sensor.keys() == [None]


def test_foreign_asset_is_refused() -> None:
    """An asset that another package has built is refused."""

    @dg.asset
    def other() -> None: ...

    with pytest.raises(ConfigurationError, match="is no dataset asset of roboto_dagster"):
        build_roboto_dataset_sensor(other)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("on_deleted", "delete"),
        ("since", dt.datetime(2026, 1, 1)),  # noqa: DTZ001 -- the point
        ("since", "2026-01-01"),
        ("quiet_seconds", -1),
        ("quiet_seconds", "60"),
        ("quiet_seconds", float("nan")),
        ("quiet_seconds", float("inf")),
        ("quiet_seconds", True),
        ("overlap_seconds", -1),
        ("overlap_seconds", 1e300),
        ("overlap_seconds", dt.timedelta(minutes=5)),
        ("deletion_scan_interval_seconds", -1),
        ("max_datasets_per_tick", 0),
        ("max_datasets_per_tick", 1.5),
        ("max_datasets_per_tick", "100"),
        ("time_budget_seconds", 0),
        ("time_budget_seconds", -5),
        ("time_budget_seconds", None),
        ("minimum_interval_seconds", 0),
        ("minimum_interval_seconds", -60),
        ("watch_files", "no"),
        ("wait_until_ingested", 1),
        ("request_runs", "yes"),
        ("run_tags", {"team": 7}),
        ("run_tags", ["team"]),
        ("minimum_interval_seconds", 10**400),
        ("roboto_resource_key", ""),
        ("roboto_resource_key", "my-roboto"),
    ],
)
def test_settings_that_cannot_work(ticks: MakeTicks, option: str, value: object) -> None:
    """They are refused when the sensor is defined, by name."""
    with pytest.raises(ConfigurationError, match=option):
        ticks(**{option: value})


def test_a_clock_is_a_function(tmp_path: pathlib.Path) -> None:
    """A time in its place would stand still."""
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id="ds_1")
    clock: Any = START
    with pytest.raises(ConfigurationError, match="clock must be a function"):
        build_roboto_dataset_sensor(asset, clock=clock)


def test_query_is_checked_when_the_sensor_is_defined(ticks: MakeTicks) -> None:
    """A typo in a query does not wait for the first tick."""
    with pytest.raises(ConfigurationError, match="unknown comparator 'HAS'"):
        ticks(query={"field": "tags", "comparator": "HAS", "value": "flight"})


def test_removing_needs_dynamic_partitions(ticks: MakeTicks) -> None:
    """Other partitions are not the sensor's to remove."""
    with pytest.raises(ConfigurationError, match="needs dynamic partitions"):
        ticks(dg.DailyPartitionsDefinition("2026-10-01"), on_deleted="remove")


@pytest.mark.parametrize("in_context", [True, False], ids=["in the context", "as argument"])
def test_sensor_can_be_called_in_a_test(
    local: LocalRoboto, tmp_path: pathlib.Path, *, in_context: bool
) -> None:
    """As Dagster documents it: with a bare context, and the resource in it or beside it."""
    dataset_id = local.add_dataset()
    roboto = local.resources()["roboto"]
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id=dataset_id)
    sensor = build_roboto_dataset_sensor(asset)
    if in_context:
        result = sensor(dg.build_sensor_context(resources={"roboto": roboto}))
    else:
        result = sensor(dg.build_sensor_context(), roboto=roboto)
    assert isinstance(result, dg.SensorResult)
    assert [each.tags["roboto/dataset_id"] for each in result.run_requests or []] == [dataset_id]


def test_resource_of_another_kind_is_named(tmp_path: pathlib.Path) -> None:
    """Two swapped resources are an error that names them."""
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id="ds_a")
    sensor = build_roboto_dataset_sensor(asset)
    with pytest.raises(ConfigurationError, match="The resource 'roboto' is int"):
        sensor(dg.build_sensor_context(resources={"roboto": 7}))


def test_name_of_the_sensor_is_valid(tmp_path: pathlib.Path) -> None:
    """Whatever name the asset has, the sensor can be defined, and loads beside another."""
    assets = [
        build_roboto_dataset_asset(
            "logs", key_prefix=prefix, destination=tmp_path, dataset_id="ds_a"
        )
        for prefix in ("raw-data", "raw_data", None)
    ]
    sensors = [build_roboto_dataset_sensor(asset) for asset in assets]
    assert len({sensor.name for sensor in sensors}) == 3
    assert sensors[-1].name == "logs_sensor"


def test_idle_tick_costs_two_requests(local: LocalRoboto, ticks: MakeTicks) -> None:
    """Nothing new: one question about datasets and one about files."""
    local.add_dataset()
    sensor = ticks()
    sensor.tick()
    local.requests.clear()
    sensor.tick()
    assert local.requests.count(service="api") == 2
