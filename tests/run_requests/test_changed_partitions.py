"""A schedule that runs only what has changed: it asks the platform twice, and misses nothing that the platform shows."""

import datetime as dt
import logging
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    PlatformError,
    build_roboto_dataset_asset,
    build_roboto_sync_schedule,
)
from roboto_dagster.metadata import outcome_metadata
from roboto_dagster.platform.changes import ChangeQueries
from roboto_dagster.run_requests import changed_partitions
from roboto_dagster.run_requests.changed_partitions import ChangedPartitions, tick_before
from roboto_dagster.testing import LocalRoboto, faults
from tests.reports import failure, report

pytestmark = pytest.mark.slow

UTC = dt.timezone.utc
FLIGHTS = dg.DynamicPartitionsDefinition(name="flights")
HOUR = dt.timedelta(hours=1)


class Fleet:
    """A fleet of four datasets on the platform, of which files were added two days ago.

    Attributes:
        local: The platform.
        instance: Dagster's, where all datasets are partitions.
        asset: Their asset.
        started: When the fleet was made.
        ids: The datasets.
    """

    def __init__(
        self, local: LocalRoboto, instance: dg.DagsterInstance, folder: pathlib.Path
    ) -> None:
        self.local = local
        self.instance = instance
        self.asset = build_roboto_dataset_asset(
            "logs",
            destination=folder,
            partitions_def=FLIGHTS,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        self.started = dt.datetime.now(UTC)
        self.ids = [self._add_dataset() for _ in range(4)]
        instance.add_dynamic_partitions("flights", self.ids)

    def _add_dataset(self) -> str:
        dataset_id = self.local.add_dataset(created=self.started - 48 * HOUR)
        self.local.add_file(dataset_id, "a.bin", b"a", created=self.started - 48 * HOUR)
        return dataset_id

    def synced(
        self,
        *keys: str,
        kind: Any = dg.AssetMaterialization,
        ago: dt.timedelta = HOUR,
        tags: Mapping[str, str] | None = None,
        failed: int = 0,
    ) -> None:
        """Record partitions as they are recorded after a sync."""
        listed_at = self.started - ago
        metadata = outcome_metadata(
            report([failure(number) for number in range(failed)], listed_at=listed_at)
        )
        for key in keys:
            event = kind("logs", partition=key, metadata=metadata, tags=dict(tags or {}))
            self.instance.report_runless_asset_event(event)

    def changed(
        self, *, since: dt.timedelta = 24 * HOUR, asset: Any = None, overlap_seconds: float = 300.0
    ) -> list[str]:
        """Return the partitions that are run."""
        self.local.requests.clear()
        selector = ChangedPartitions(
            asset=asset or self.asset,
            instance=self.instance,
            queries=ChangeQueries(client=self.local.client(max_attempts=1)),
            overlap=dt.timedelta(seconds=overlap_seconds),
            log=logging.getLogger(__name__),
        )
        with dg.partition_loading_context(self.started, self.instance):
            return list(selector.among(self.ids, self.started - since))


@pytest.fixture
def local() -> Iterator[LocalRoboto]:
    """A platform of its own for each test: what other tests change would show in its queries."""
    with LocalRoboto() as started:
        yield started


@pytest.fixture
def fleet(local: LocalRoboto, tmp_path: pathlib.Path) -> Iterator[Fleet]:
    """A fleet of which nothing was delivered."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Fleet(local, instance, tmp_path / "logs")


def test_what_was_never_complete_is_run(fleet: Fleet) -> None:
    """The platform need not be asked where nothing else is left."""
    assert fleet.changed() == fleet.ids
    assert len(fleet.local.requests) == 0


def test_only_what_has_changed_is_run(fleet: Fleet) -> None:
    """Complete: left out. A new file, a new version, another record of the dataset: run again."""
    fleet.synced(*fleet.ids)
    assert fleet.changed() == []
    fleet.local.add_file(fleet.ids[1], "b.bin", b"b")
    assert fleet.changed() == [fleet.ids[1]]
    put_tags = {"metadata_changeset": {"put_tags": ["flight"]}}
    fleet.local.client().put(f"v1/datasets/{fleet.ids[3]}", data=put_tags)
    assert fleet.changed() == [fleet.ids[1], fleet.ids[3]]


def test_the_platform_is_asked_twice(fleet: Fleet) -> None:
    """For files and for datasets, of the complete organization; no dataset is listed."""
    fleet.synced(*fleet.ids)
    fleet.changed()
    routes = [each.route for each in fleet.local.requests]
    assert routes == ["/v1/files/query", "/v1/datasets/query"]


def test_each_partition_counts_from_its_own_sync(fleet: Fleet) -> None:
    """A change before the last sync of its partition is none, though others were synced before."""
    changed = fleet.started - 3 * HOUR
    for dataset_id in fleet.ids:
        fleet.local.add_file(dataset_id, "b.bin", b"b", created=changed)
    fleet.synced(*fleet.ids[:2], ago=2 * HOUR)
    fleet.synced(*fleet.ids[2:], ago=4 * HOUR)
    assert fleet.changed() == fleet.ids[2:]


def test_other_settings_run_everything(fleet: Fleet) -> None:
    """What was complete by other patterns is not known to be complete by these."""
    fleet.synced(fleet.ids[0], tags={"dagster/code_version": "another"})
    mine = fleet.asset.get_asset_spec().code_version
    fleet.synced(*fleet.ids[1:], tags={"dagster/code_version": str(mine)})
    assert fleet.changed() == fleet.ids[:1]


def test_everything_is_listed_now_and_then(fleet: Fleet) -> None:
    """A deletion shows in no query of changes: what was listed too long ago is listed again."""
    fleet.synced(*fleet.ids[:2], ago=5 * HOUR)
    fleet.synced(*fleet.ids[2:], ago=2 * HOUR)
    assert fleet.changed(since=6 * HOUR) == []
    assert fleet.changed(since=4 * HOUR) == fleet.ids[:2]
    assert fleet.changed(since=HOUR) == fleet.ids


def test_unchanged_partitions_that_are_observed_count(fleet: Fleet) -> None:
    """With `on_unchanged="observe"` the last complete sync of a partition may be an observation."""
    fleet.synced(*fleet.ids, ago=30 * HOUR)
    fleet.synced(*fleet.ids, kind=dg.AssetObservation)
    assert fleet.changed() == []


def test_a_failed_partition_is_run(fleet: Fleet) -> None:
    """It was complete before, and the observation of its failed files is newer."""
    fleet.synced(*fleet.ids)
    fleet.synced(fleet.ids[2], kind=dg.AssetObservation, failed=1)
    assert fleet.changed() == [fleet.ids[2]]


def test_events_of_others_are_none(fleet: Fleet) -> None:
    """Somebody may report a materialization by hand, or an earlier release without the time of the listing."""
    fleet.synced(*fleet.ids[:2])
    by_hand: dict[str, Any] = {"roboto/manifest": "x", "roboto/files_failed": 0}
    for key, metadata in ((fleet.ids[2], {}), (fleet.ids[3], by_hand)):
        event = dg.AssetMaterialization("logs", partition=key, metadata=metadata)
        fleet.instance.report_runless_asset_event(event)
    assert fleet.changed() == fleet.ids[2:]


@pytest.mark.parametrize("most", [2, 3])
def test_many_changes_run_everything(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """To read them would take as long as to list all."""
    monkeypatch.setattr(changed_partitions, "MAX_CHANGES", most)
    fleet.synced(*fleet.ids)
    for number in range(3):
        fleet.local.add_file(fleet.ids[0], f"{number}.bin", b"b")
    assert fleet.changed() == (fleet.ids if most < 3 else fleet.ids[:1])


def test_a_change_that_cannot_be_read_runs_everything(fleet: Fleet) -> None:
    """Nobody knows which dataset it belongs to."""
    fleet.synced(*fleet.ids)
    page = {"data": {"items": [{"file_id": "fl_1"}], "next_token": None}}
    fleet.local.faults.add(faults.answer_json(page), route="/v1/files/query")
    assert fleet.changed() == fleet.ids


def test_changes_that_show_late_are_not_missed(fleet: Fleet) -> None:
    """A change of shortly before the listing may not have been in it."""
    fleet.synced(*fleet.ids)
    changed = fleet.started - HOUR - dt.timedelta(seconds=200)
    fleet.local.add_file(fleet.ids[2], "b.bin", b"b", created=changed)
    assert fleet.changed() == [fleet.ids[2]]
    assert fleet.changed(overlap_seconds=100) == []


# --- the schedule ---


def tick(fleet: Fleet, after: dt.timedelta = HOUR, **options: Any) -> Any:
    """Evaluate a schedule every hour."""
    schedule = build_roboto_sync_schedule(fleet.asset, "0 * * * *", only_changed=True, **options)
    resources = fleet.local.resources()
    definitions = dg.Definitions(assets=[fleet.asset], schedules=[schedule], resources=resources)
    context = dg.build_schedule_context(
        instance=fleet.instance,
        scheduled_execution_time=fleet.started + after,
        repository_def=definitions.get_repository_def(),
        resources={"roboto": resources["roboto"]},
    )
    with context:
        return schedule.evaluate_tick(context)


def ends(requests: Any) -> list[str]:
    """Return the partitions of each run: one, or the ends of its range."""
    tags = [each.tags for each in requests]
    return [
        each.get("dagster/partition")
        or f"{each['dagster/asset_partition_range_start']} {each['dagster/asset_partition_range_end']}"
        for each in tags
    ]


def test_ticks_run_what_has_changed(local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """By real runs: all at first, then none, then what has changed, what has failed, and at last all again."""
    with dg.instance_for_test() as instance:
        fleet = Fleet(local, instance, tmp_path / "logs")
        (request,) = tick(fleet).run_requests
        arguments: dict[str, Any] = {
            "resources": local.resources(),
            "instance": instance,
            "raise_on_error": False,
        }
        assert dg.materialize([fleet.asset], tags=request.tags, **arguments).success
        assert "has changed" in str(tick(fleet).skip_message)
        local.add_file(fleet.ids[1], "b.bin", b"b")
        assert ends(tick(fleet).run_requests) == [fleet.ids[1]]
        rule = local.faults.add(faults.status(403, "AccessDenied"), service="s3")
        assert not dg.materialize([fleet.asset], partition_key=fleet.ids[1], **arguments).success
        local.faults.remove(rule)
        assert ends(tick(fleet, overlap_seconds=0.0).run_requests) == [fleet.ids[1]]
        everything = [f"{fleet.ids[0]} {fleet.ids[3]}"]
        assert ends(tick(fleet, 24 * HOUR).run_requests) == everything
        assert ends(tick(fleet, list_all_every=1).run_requests) == everything
        one = tick(fleet, list_all_every=1, partition_keys=fleet.ids[2:3])
        assert ends(one.run_requests) == [fleet.ids[2]]


@pytest.mark.parametrize("status", [503, 403])
def test_a_platform_that_cannot_be_asked(
    local: LocalRoboto, tmp_path: pathlib.Path, status: int
) -> None:
    """An outage is skipped with its reason, since the next tick asks for the same; a refusal fails the tick."""
    with dg.instance_for_test() as instance:
        fleet = Fleet(local, instance, tmp_path / "logs")
        fleet.synced(*fleet.ids)
        local.faults.add(faults.status(status), route="/v1/files/query")
        if status == 503:
            assert "no change is lost" in str(tick(fleet).skip_message)
        else:
            with pytest.raises(dg.DagsterError) as caught:
                tick(fleet)
            assert isinstance(caught.value.__cause__, PlatformError)


@pytest.mark.parametrize(
    "partitions_def",
    [
        pytest.param(dg.DailyPartitionsDefinition("2026-01-01"), id="windows"),
        pytest.param(
            dg.MultiPartitionsDefinition(
                {"dataset": FLIGHTS, "day": dg.DailyPartitionsDefinition("2026-01-01")}
            ),
            id="two-dimensions",
        ),
    ],
)
def test_other_partitions_cannot(tmp_path: pathlib.Path, partitions_def: Any) -> None:
    """A change of a dataset does not say which window it is in."""
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, partitions_def=partitions_def)
    with pytest.raises(ConfigurationError, match="only_changed needs partitions whose keys are"):
        build_roboto_sync_schedule(asset, "@daily", only_changed=True)


@pytest.mark.parametrize(
    "options", [{"list_all_every": 0}, {"overlap_seconds": -1.0}, {"only_changed": "yes"}]
)
def test_options_that_cannot_work_are_refused(tmp_path: pathlib.Path, options: Any) -> None:
    """Where the schedule is built."""
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, partitions_def=FLIGHTS)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        build_roboto_sync_schedule(asset, "@daily", **options)


NOON = dt.datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "timezone", "count", "expected"),
    [
        pytest.param("0 * * * *", None, 0, NOON, id="none"),
        pytest.param("0 * * * *", None, 23, NOON - 23 * HOUR, id="hourly"),
        pytest.param("@daily", None, 2, dt.datetime(2026, 11, 2, tzinfo=UTC), id="daily"),
        pytest.param(
            "0 3 * * *", "Asia/Tokyo", 1, dt.datetime(2026, 11, 2, 18, tzinfo=UTC), id="zone"
        ),
        pytest.param(
            ["0 3 * * *", "0 15 * * *"], None, 2, dt.datetime(2026, 11, 2, 15, tzinfo=UTC), id="two"
        ),
    ],
)
def test_earlier_ticks(cron: Any, timezone: str | None, count: int, expected: dt.datetime) -> None:
    """Of any cron, or several."""
    assert tick_before(cron, timezone, NOON, count) == expected
