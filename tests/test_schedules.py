"""The schedule's ticks, and a run of one of them."""

import datetime as dt
import pathlib
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    ObjectStoreResource,
    RobotoResource,
    build_roboto_dataset_asset,
    build_roboto_sync_schedule,
)
from roboto_dagster.testing import LocalRoboto

NOON = dt.datetime(2026, 11, 3, 12, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)
KEYS = ["ds_a", "ds_b", "ds_c", "ds_d"]
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance with four datasets as dynamic partitions; tests only read it, since it is slow to make."""
    with dg.instance_for_test() as made:
        made.add_dynamic_partitions("flights", KEYS)
        yield made


def build(
    folder: pathlib.Path, partitions_def: Any = None, policy: dg.BackfillPolicy | None = None
) -> dg.AssetsDefinition:
    """Build an asset with dynamic partitions, or those that are given."""
    return build_roboto_dataset_asset(
        "logs",
        destination=folder,
        partitions_def=partitions_def or dg.DynamicPartitionsDefinition(name="flights"),
        backfill_policy=policy,
    )


def tick(
    asset: dg.AssetsDefinition, instance: dg.DagsterInstance, **options: Any
) -> list[dg.RunRequest]:
    """Return the runs that a tick at noon requests."""
    schedule = build_roboto_sync_schedule(asset, "0 12 * * *", **options)
    resources = {"roboto": RobotoResource(), "object_store": ObjectStoreResource()}
    definitions = dg.Definitions(assets=[asset], schedules=[schedule], resources=resources)
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=NOON,
        repository_def=definitions.get_repository_def(),
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


def ranges(requests: Any) -> list[tuple[str | None, str | None]]:
    """Return the ends of the partitions of each run."""
    return [
        (request.partition_key, request.partition_key)
        if request.partition_key
        else (request.tags.get(START), request.tags.get(END))
        for request in requests
    ]


def test_every_dynamic_partition_gets_a_run(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance
) -> None:
    """Without a backfill policy each partition is a run of its own."""
    requests = tick(build(tmp_path), instance, run_tags={"team": "robots"})
    assert [request.partition_key for request in requests] == KEYS
    assert {request.tags["team"] for request in requests} == {"robots"}
    assert len({request.run_key for request in requests}) == len(KEYS)


def test_one_run_holds_all_where_the_policy_allows(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance
) -> None:
    """With `BackfillPolicy.single_run()` a tick requests one run of the complete range."""
    asset = build(tmp_path, policy=dg.BackfillPolicy.single_run())
    assert ranges(tick(asset, instance)) == [("ds_a", "ds_d")]


def test_runs_hold_no_more_than_the_policy_allows(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance
) -> None:
    """With `BackfillPolicy.multi_run(3)` three partitions are a run, and the rest another."""
    asset = build(tmp_path, policy=dg.BackfillPolicy.multi_run(3))
    assert ranges(tick(asset, instance)) == [("ds_a", "ds_c"), ("ds_d", "ds_d")]


def test_gaps_part_ranges(tmp_path: pathlib.Path, instance: dg.DagsterInstance) -> None:
    """A selection with a gap becomes two runs, and an unknown key is left out."""
    asset = build(tmp_path, policy=dg.BackfillPolicy.single_run())
    requests = tick(asset, instance, partition_keys=["ds_d", "ds_b", "ds_a", "ds_x"])
    assert ranges(requests) == [("ds_a", "ds_b"), ("ds_d", "ds_d")]


def test_selection_may_be_a_function(tmp_path: pathlib.Path, instance: dg.DagsterInstance) -> None:
    """A function is given all keys at each tick."""
    requests = tick(build(tmp_path), instance, partition_keys=lambda keys: keys[-2:])
    assert ranges(requests) == [("ds_c", "ds_c"), ("ds_d", "ds_d")]


@pytest.mark.parametrize(
    "keys",
    [
        lambda: filter(None, KEYS[:2]),
        lambda: (key for key in KEYS[:2]),
        lambda: set(KEYS[:2]),
        lambda: lambda keys: filter(lambda key: key in KEYS[:2], keys),
        lambda: lambda keys: (key for key in keys if key in KEYS[:2]),
        lambda: lambda _: dict.fromkeys(KEYS[:2]),
    ],
    ids=["filter", "generator", "set", "returns filter", "returns generator", "returns dict"],
)
def test_selection_may_be_any_iterable(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance, keys: Any
) -> None:
    """An iterator is read once, and serves every tick."""
    schedule = build_roboto_sync_schedule(build(tmp_path), "@daily", partition_keys=keys())
    for _ in range(2):
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=NOON)
        requests = schedule(context)
        assert ranges(requests) == [("ds_a", "ds_a"), ("ds_b", "ds_b")]


@pytest.mark.parametrize("keys", ["ds_a", b"ds_a", 7, [7], [None], [""]])
def test_selection_that_holds_no_keys(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance, keys: Any
) -> None:
    """A text, a number or a list of other things is refused, as a setting and as an answer."""
    with pytest.raises(ConfigurationError, match="partition_keys must be"):
        build_roboto_sync_schedule(build(tmp_path), "@daily", partition_keys=keys)
    schedule = build_roboto_sync_schedule(build(tmp_path), "@daily", partition_keys=lambda _: keys)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=NOON)
    with pytest.raises(ConfigurationError, match="partition_keys must be"):
        schedule(context)


def test_partition_that_can_never_exist_is_refused(tmp_path: pathlib.Path) -> None:
    """A key that is no window, or lies before the first one, is an error of the definition."""
    asset = build(tmp_path, dg.DailyPartitionsDefinition("2026-10-01"))
    build_roboto_sync_schedule(asset, "@daily", partition_keys=["2030-01-01"])
    for key in ("ds_a", "2026-13-01", "2026-09-30"):
        with pytest.raises(ConfigurationError, match=f"no partitions {key}, and never will"):
            build_roboto_sync_schedule(asset, "@daily", partition_keys=["2026-10-02", key])


def test_window_that_does_not_exist_yet_is_left_out(tmp_path: pathlib.Path) -> None:
    """A named window is run from its end on."""
    asset = build(tmp_path, dg.DailyPartitionsDefinition("2026-10-01"))
    schedule = build_roboto_sync_schedule(asset, "@daily", partition_keys=["2026-11-03"])
    found = [
        schedule(dg.build_schedule_context(scheduled_execution_time=NOON + day * DAY))
        for day in (0, 1)
    ]
    assert isinstance(found[0], dg.SkipReason)
    assert ranges(found[1]) == [("2026-11-03", "2026-11-03")]


@pytest.mark.parametrize(
    ("end_offset", "key"), [(0, "2026-11-02"), (1, "2026-11-02"), (-2, "2026-10-31")]
)
def test_last_window_is_complete_and_exists(
    tmp_path: pathlib.Path, end_offset: int, key: str
) -> None:
    """An offset may add windows that are not over, or hold back some that are."""
    asset = build(tmp_path, dg.DailyPartitionsDefinition("2026-10-01", end_offset=end_offset))
    schedule = build_roboto_sync_schedule(asset, "@daily")
    found = schedule(dg.build_schedule_context(scheduled_execution_time=NOON))
    assert ranges(found) == [(key, key)]


def test_no_instance_is_needed_without_dynamic_partitions(tmp_path: pathlib.Path) -> None:
    """A unit test may call the schedule with a bare context, as Dagster documents it."""
    for partitions_def in (
        dg.DailyPartitionsDefinition("2026-10-01"),
        dg.StaticPartitionsDefinition(KEYS),
        dg.MultiPartitionsDefinition(
            {
                "dataset": dg.StaticPartitionsDefinition(KEYS),
                "day": dg.DailyPartitionsDefinition("2026-10-01"),
            }
        ),
    ):
        schedule = build_roboto_sync_schedule(build(tmp_path, partitions_def), "@daily")
        assert schedule(dg.build_schedule_context(scheduled_execution_time=NOON))
        assert schedule(dg.build_schedule_context())


@pytest.mark.parametrize(
    ("policy", "runs"), [(None, 8_000), (dg.BackfillPolicy.single_run(), 8)], ids=["one", "range"]
)
def test_many_dynamic_partitions_are_requested_in_one_tick(
    tmp_path: pathlib.Path, policy: dg.BackfillPolicy | None, runs: int
) -> None:
    """8,000 partitions: as many requests, or eight of a thousand each."""
    asset = build(tmp_path, policy=policy)
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("flights", [f"ds_{number:08d}" for number in range(8_000)])
        assert len(tick(asset, instance)) == runs


def test_tick_over_many_partitions_is_linear(tmp_path: pathlib.Path) -> None:
    """30,000 partitions make half as many ranges of one; the tests' time limit would notice what is quadratic."""
    ids = [f"ds_{number:08d}" for number in range(30_000)]
    asset = build(tmp_path, dg.StaticPartitionsDefinition(ids), dg.BackfillPolicy.single_run())
    schedule = build_roboto_sync_schedule(asset, "@daily", partition_keys=lambda keys: keys[::2])
    context = dg.build_schedule_context(scheduled_execution_time=NOON)
    assert len(ranges(schedule(context))) == 15_000


def test_without_partitions_left_the_tick_is_skipped(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance
) -> None:
    """No partition yet: nothing to run, and no error."""
    assert tick(build(tmp_path, dg.DynamicPartitionsDefinition(name="none_yet")), instance) == []


def test_last_complete_window_is_run(tmp_path: pathlib.Path, instance: dg.DagsterInstance) -> None:
    """Of time windows only the last complete one is run by default."""
    asset = build(tmp_path, dg.DailyPartitionsDefinition("2026-10-01"))
    assert ranges(tick(asset, instance)) == [("2026-11-02", "2026-11-02")]


def test_last_window_of_each_dataset_is_run(
    tmp_path: pathlib.Path, instance: dg.DagsterInstance
) -> None:
    """Of dataset by day, yesterday of each dataset."""
    days = dg.DailyPartitionsDefinition("2026-10-01")
    datasets = dg.StaticPartitionsDefinition(["ds_a", "ds_b"])
    asset = build(tmp_path, dg.MultiPartitionsDefinition({"dataset": datasets, "day": days}))
    keys = [request.partition_key for request in tick(asset, instance)]
    assert keys == ["ds_a|2026-11-02", "ds_b|2026-11-02"]


def test_one_dataset_gets_one_run(tmp_path: pathlib.Path, instance: dg.DagsterInstance) -> None:
    """An asset without partitions is run as it is, and has none to choose from."""
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id="ds_a")
    assert ranges(tick(asset, instance)) == [(None, None)]
    with pytest.raises(ConfigurationError, match="has no partitions"):
        build_roboto_sync_schedule(asset, "@daily", partition_keys=["ds_a"])


def test_requested_range_runs(
    local: LocalRoboto,
    resources: dict[str, Any],
    tmp_path: pathlib.Path,
    instance: dg.DagsterInstance,
) -> None:
    """What a tick requests is a run that Dagster takes: every partition of it is materialized."""
    ids = [local.add_dataset() for _ in range(3)]
    for dataset_id in ids:
        local.add_file(dataset_id, "a.bin", b"a")
    partitions_def = dg.StaticPartitionsDefinition(ids)
    asset = build(tmp_path, partitions_def, dg.BackfillPolicy.single_run())
    (request,) = tick(asset, instance)
    result = dg.materialize([asset], resources=resources, instance=instance, tags=request.tags)
    events = result.get_asset_materialization_events()
    assert sorted(str(event.partition) for event in events) == sorted(ids)
