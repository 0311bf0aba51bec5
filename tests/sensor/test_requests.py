"""Which partitions the sensor runs, and when: each change in those that hold it, once they exist."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import build_roboto_dataset_asset
from roboto_dagster.partitions import partitioning_of_asset
from roboto_dagster.run_requests.requests import partitions_per_run
from roboto_dagster.sensor.cursor import PendingPartition, SensorCursor
from roboto_dagster.sensor.feed import digest_of
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.sensor.requests import RunRequester
from roboto_dagster.testing import faults
from tests.sensor.lab import DAY, DAYS, PARTITIONS, START, SensorLab

BY_DAY = dg.MultiPartitionsDefinition({"dataset": PARTITIONS, "day": DAYS})


@pytest.fixture
def lab() -> Iterator[SensorLab]:
    """A platform and a sensor on one clock, which shows noon of the first of November."""
    with SensorLab.open() as opened:
        yield opened


# --- windows of time ---


def test_all_datasets_of_a_window_are_one_run(lab: SensorLab) -> None:
    """What has changed while the window was open is run together at its end."""
    sensor = lab.ticks(DAYS)
    for _ in range(3):
        lab.add_dataset()
        assert sensor.keys() == []
        lab.clock.wait(3600)
    lab.clock.wait(12 * 3600)
    assert sensor.keys() == ["2026-11-01"]


def test_window_is_run_again_for_a_late_dataset(lab: SensorLab) -> None:
    """A dataset that is shown after its day was run is another run, with a key of its own."""
    lab.add_dataset()
    sensor = lab.ticks(DAYS)
    sensor.keys()
    lab.clock.wait(12 * 3600 + 60)
    assert sensor.keys() == ["2026-11-01"]
    lab.add_dataset(created=lab.clock.now - dt.timedelta(minutes=2))
    assert sensor.keys() == ["2026-11-01"]


@pytest.mark.parametrize(
    ("partitions_def", "wait"),
    [
        (dg.HourlyPartitionsDefinition("2026-10-01-00:00"), dt.timedelta(hours=1)),
        (dg.WeeklyPartitionsDefinition("2026-10-01"), dt.timedelta(days=7)),
        (dg.MonthlyPartitionsDefinition("2026-10-01"), dt.timedelta(days=30)),
        (dg.DailyPartitionsDefinition("2026-10-01", end_offset=-1), 2 * DAY),
        (dg.DailyPartitionsDefinition("2026-10-01", timezone="Asia/Tokyo"), DAY / 2),
    ],
    ids=["hourly", "weekly", "monthly", "held back", "other zone"],
)
def test_every_kind_of_window_is_run_when_it_exists(
    lab: SensorLab, partitions_def: dg.TimeWindowPartitionsDefinition, wait: dt.timedelta
) -> None:
    """No window is requested before Dagster has it as a partition."""
    lab.add_dataset()
    sensor = lab.ticks(partitions_def)
    assert sensor.keys() == []
    lab.clock.now += wait
    (key,) = sensor.keys()
    with dg.partition_loading_context(lab.clock.now):
        assert key in partitions_def.get_partition_keys()


def test_window_of_today_is_run_at_once_where_it_is_a_partition(lab: SensorLab) -> None:
    """With `end_offset=1` the day exists from its beginning on."""
    lab.add_dataset()
    assert lab.ticks(dg.DailyPartitionsDefinition("2026-10-01", end_offset=1)).keys() == [
        "2026-11-01"
    ]


def test_pending_windows_survive_an_outage_of_the_sensor(lab: SensorLab) -> None:
    """A sensor that was off for a week runs what it had seen, and what has changed since."""
    lab.add_dataset()
    sensor = lab.ticks(DAYS)
    sensor.tick()
    lab.clock.now += 7 * DAY
    lab.add_dataset(created=lab.clock.now - DAY)
    assert sensor.keys() == ["2026-11-01", "2026-11-07"]


def test_edited_pending_keys_are_left_out(
    lab: SensorLab, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key in the cursor that is no partition is never requested."""
    sensor = lab.ticks(DAYS)
    sensor.tick()
    cursor = json.loads(sensor.cursor or "")
    cursor["pending"] = {key: {"digest": "00"} for key in ("ds_a", "2026-10-30", "1999-01-01", "")}
    sensor.cursor = json.dumps(cursor)
    assert sensor.keys() == ["2026-10-30"]
    assert "Partitions that the asset does not have" in capfd.readouterr().err
    assert sensor.keys() == []


# --- datasets by windows of time ---


def test_added_file_runs_the_window_it_was_created_in(lab: SensorLab) -> None:
    """Not the window of the dataset's own record; and not before that window is over."""
    dataset_id = lab.add_dataset("a.bin", created=START - 5 * DAY)
    sensor = lab.ticks(BY_DAY)
    assert sensor.keys() == [f"{dataset_id}|2026-10-27"]
    lab.clock.now += 3 * DAY
    lab.local.add_file(dataset_id, "b.bin", b"b")
    assert sensor.keys() == []
    lab.clock.now += DAY
    assert sensor.keys() == [f"{dataset_id}|2026-11-04"]
    assert sensor.keys() == []


def test_new_dataset_runs_every_window_that_holds_files(lab: SensorLab) -> None:
    """A dataset may come with files of many days; days without files are not run."""
    dataset_id = lab.add_dataset()
    for days in (30, 9, 2, 0):
        for name in ("a", "b"):
            created = START - days * DAY
            lab.local.add_file(dataset_id, f"{name}-{days}.bin", b"a", created=created)
    sensor = lab.ticks(BY_DAY)
    days_run = ["2026-10-02", "2026-10-23", "2026-10-30"]
    assert sensor.keys() == [f"{dataset_id}|{day}" for day in days_run]
    lab.clock.now += DAY
    assert sensor.keys() == [f"{dataset_id}|2026-11-01"]


def test_order_of_the_dimensions_does_not_matter(lab: SensorLab) -> None:
    """Dagster orders them by their names, which may put the window first."""
    dataset_id = lab.add_dataset("a.bin", created=START - DAY)
    by_day = dg.MultiPartitionsDefinition({"robot": PARTITIONS, "day": DAYS})
    (request,) = lab.ticks(by_day).tick().run_requests
    assert request.partition_key == f"2026-10-31|{dataset_id}"
    assert request.tags["dagster/partition/robot"] == dataset_id
    assert request.tags["dagster/partition/day"] == "2026-10-31"


def test_dataset_without_files_is_added_and_not_run(lab: SensorLab) -> None:
    """There is no window to run until a file arrives."""
    dataset_id = lab.add_dataset()
    sensor = lab.ticks(BY_DAY)
    assert sensor.keys() == []
    assert lab.partitions() == [dataset_id]
    lab.local.add_file(dataset_id, "a.bin", b"a", created=START - DAY, modified=START)
    assert sensor.keys() == [f"{dataset_id}|2026-10-31"]


def test_replaced_file_runs_its_own_window(lab: SensorLab) -> None:
    """New content of an old file belongs to the window in which the file was created."""
    dataset_id = lab.add_dataset("a.bin", "b.bin", created=START - 5 * DAY)
    sensor = lab.ticks(BY_DAY)
    sensor.keys()
    lab.clock.now += 3 * DAY
    lab.local.replace_file(dataset_id, "a.bin", b"new")
    assert sensor.keys() == [f"{dataset_id}|2026-10-27"]


def test_edited_record_runs_no_window(lab: SensorLab) -> None:
    """A tag on a dataset changes none of its files."""
    dataset_id = lab.add_dataset("a.bin", created=START - 5 * DAY)
    sensor = lab.ticks(BY_DAY)
    sensor.keys()
    lab.clock.wait(3600)
    lab.local.touch_dataset(dataset_id)
    assert sensor.keys() == []


def test_changed_files_are_found_by_the_record_alone(lab: SensorLab) -> None:
    """With `watch_files=False` a changed record has its changed files looked up."""
    dataset_id = lab.add_dataset("a.bin", created=START - 5 * DAY)
    sensor = lab.ticks(BY_DAY, watch_files=False)
    assert sensor.keys() == [f"{dataset_id}|2026-10-27"]
    lab.clock.now += 3 * DAY
    lab.local.add_file(dataset_id, "b.bin", b"b", created=START - 2 * DAY, modified=lab.clock.now)
    lab.local.touch_dataset(dataset_id)
    assert sensor.keys() == [f"{dataset_id}|2026-10-30"]


def test_dataset_that_starts_to_fit_the_query_runs_all_its_windows(lab: SensorLab) -> None:
    """Its files are old, and its partition may be there already for another asset."""
    dataset_id = lab.add_dataset("a.bin", created=START - 5 * DAY, tags=["test"])
    lab.instance.add_dynamic_partitions("flights", [dataset_id])
    query = {"field": "tags", "comparator": "CONTAINS", "value": "flight"}
    sensor = lab.ticks(BY_DAY, query=query)
    assert sensor.keys() == []
    lab.clock.wait(3600)
    lab.local.client().put(
        f"v1/datasets/{dataset_id}", data={"metadata_changeset": {"put_tags": ["flight"]}}
    )
    assert sensor.keys() == [f"{dataset_id}|2026-10-27"]
    assert sensor.keys() == []


def test_file_outside_of_all_windows_is_left_out_with_a_line(
    lab: SensorLab, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that was created before the first window is in no partition; the log names its dataset."""
    dataset_id = lab.add_dataset()
    sensor = lab.ticks(BY_DAY)
    sensor.keys()
    lab.local.add_file(dataset_id, "a.bin", b"a", created=START - 99 * DAY, modified=START)
    assert sensor.keys() == []
    assert f"in datasets {dataset_id}" in capfd.readouterr().err


def test_search_for_windows_goes_on_in_the_next_tick(lab: SensorLab) -> None:
    """What a tick has no time for is searched later; what was found is run at once."""
    dataset_id = lab.add_dataset()
    for days in range(1, 6):
        lab.local.add_file(dataset_id, f"{days}.bin", b"a", created=START - days * DAY)
    sensor = lab.ticks(BY_DAY, time_budget_seconds=1.0)
    lab.local.faults.add(faults.delay(0.3), route="/v1/files/query")
    ticks = [sensor.keys()]
    while sum(map(len, ticks)) < 5 and len(ticks) < 20:
        ticks.append(sensor.keys())
    assert len(ticks) > 1
    found = [key for keys in ticks for key in keys]
    assert found == [f"{dataset_id}|2026-10-{day}" for day in (27, 28, 29, 30, 31)]


# --- requests ---


def test_runs_are_tagged_with_their_dataset(lab: SensorLab) -> None:
    """Id and name of a single dataset stand on the run; a name of the platform is made safe."""
    dataset_id = lab.add_dataset(name="Flight\n7")
    (request,) = lab.ticks(run_tags={"team": "robots"}).tick().run_requests
    assert request.tags["roboto/dataset_id"] == dataset_id
    assert request.tags["roboto/dataset_name"] == "Flight\\n7"
    assert request.tags["team"] == "robots"


def test_requests_of_a_tick_are_bounded(lab: SensorLab) -> None:
    """When many windows come to exist at once, they are spread over ticks."""
    for hours in range(6):
        lab.add_dataset(created=START + dt.timedelta(hours=hours))
    sensor = lab.ticks(dg.HourlyPartitionsDefinition("2026-10-01-00:00"), max_datasets_per_tick=4)
    lab.clock.now -= DAY
    assert [sensor.keys(), sensor.keys()] == [[], []]
    lab.clock.now += 2 * DAY
    assert [len(sensor.keys()), len(sensor.keys())] == [4, 2]


# --- ranges ---

SINGLE_RUN = dg.BackfillPolicy.single_run()
ENDS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def ranges(requests: Any) -> list[tuple[str | None, str | None]]:
    """Return the ends of what each request runs."""
    return [
        (each.partition_key, each.partition_key)
        if each.partition_key
        else (each.tags.get(ENDS[0]), each.tags.get(ENDS[1]))
        for each in requests
    ]


def test_new_datasets_are_one_run_where_the_policy_allows(lab: SensorLab) -> None:
    """They become partitions in the order in which the range takes them."""
    ids = sorted(lab.add_dataset() for _ in range(4))
    (request,) = lab.ticks(policy=SINGLE_RUN, run_tags={"team": "robots"}).tick().run_requests
    assert ranges([request]) == [(ids[0], ids[-1])]
    assert lab.partitions() == ids
    assert request.tags["team"] == "robots"
    assert "roboto/dataset_id" not in request.tags


def test_runs_hold_no_more_than_the_policy_allows(lab: SensorLab) -> None:
    """`BackfillPolicy.multi_run(2)` makes three runs of five."""
    ids = sorted(lab.add_dataset() for _ in range(5))
    requests = lab.ticks(policy=dg.BackfillPolicy.multi_run(2)).tick().run_requests
    assert ranges(requests) == [(ids[0], ids[1]), (ids[2], ids[3]), (ids[4], ids[4])]
    assert requests[-1].tags["roboto/dataset_id"] == ids[4]


def test_gaps_and_the_order_of_creation_part_ranges(lab: SensorLab) -> None:
    """Dagster's order of dynamic partitions is that of their creation, and a range has no gaps."""
    ids = [lab.add_dataset("a.bin") for _ in range(5)]
    in_order = [ids[3], ids[0], ids[4], ids[1]]
    lab.instance.add_dynamic_partitions("flights", in_order)
    sensor = lab.ticks(policy=SINGLE_RUN)
    sensor.tick()
    lab.clock.wait(3600)
    for dataset_id in (ids[3], ids[0], ids[1]):
        lab.local.add_file(dataset_id, "b.bin", b"b")
    new = lab.add_dataset()
    requests = sensor.tick().run_requests
    assert ranges(requests) == [(ids[3], ids[0]), (ids[1], ids[1]), (new, new)]


def test_neighbouring_windows_are_one_run(lab: SensorLab) -> None:
    """Days that have changed stand beside each other in time."""
    for days in (1, 2, 4):
        lab.add_dataset(created=START - days * DAY)
    requests = lab.ticks(DAYS, policy=SINGLE_RUN).tick().run_requests
    assert ranges(requests) == [("2026-10-28", "2026-10-28"), ("2026-10-30", "2026-10-31")]


def test_two_dimensions_are_run_one_by_one(lab: SensorLab) -> None:
    """Their ranges are rectangles, which changes are not."""
    for _ in range(2):
        lab.add_dataset("a.bin", created=START - DAY)
    requests = lab.ticks(BY_DAY, policy=SINGLE_RUN).tick().run_requests
    assert len(requests) == 2
    assert all(each.partition_key for each in requests)


def test_a_range_of_other_changes_is_another_run(lab: SensorLab) -> None:
    """Dagster drops a request whose key it knows: the key stands for every change of the range."""
    ids = sorted(lab.add_dataset() for _ in range(3))
    sensor = lab.ticks(policy=SINGLE_RUN)
    keys = [each.run_key for each in sensor.tick().run_requests]
    for changed in (ids, ids[1:]):
        lab.clock.wait(3600)
        for dataset_id in changed:
            lab.local.add_file(dataset_id, f"{lab.clock.now:%H}.bin", b"b")
        keys += [each.run_key for each in sensor.tick().run_requests]
    assert len(set(keys)) == len(keys) == 3
    assert all(len(str(key)) < 200 for key in keys)


@pytest.mark.parametrize("policy", [None, SINGLE_RUN], ids=["one-by-one", "ranges"])
def test_many_requests_take_less_than_a_second(policy: dg.BackfillPolicy | None) -> None:
    """Of 8,000 partitions, every second of which has changed."""
    ids = [f"ds_{number:08d}" for number in range(8_000)]
    asset = build_roboto_dataset_asset(
        "logs", destination="/nonexistent", partitions_def=PARTITIONS, backfill_policy=policy
    )
    partitioning = partitioning_of_asset(asset)
    requester = RunRequester(
        partitioning,
        SensorOptions(
            query=None,
            since=None,
            watch_files=True,
            quiet_seconds=0.0,
            wait_until_ingested=False,
            on_deleted="keep",
            deletion_scan_interval_seconds=3600.0,
            overlap_seconds=300.0,
            max_datasets_per_tick=8_000,
            time_budget_seconds=40.0,
            request_runs=True,
            run_tags={},
            minimum_interval_seconds=60,
        ),
        now=START,
        windows=None,
        per_run=partitions_per_run(asset, partitioning),
        log=lambda _: None,
    )
    changed = PendingPartition(digest=digest_of("", "a change"))
    pending = dict.fromkeys(ids[::2] if policy else ids, changed)
    started = time.process_time()
    chosen, left = requester.choose(pending)
    requests = requester.requests(chosen, pending, SensorCursor().run_key, [ids])
    assert time.process_time() - started < 1
    assert (len(requests), left) == (len(pending), {})
