"""Whether a partition exists, at any moment and for every kind of partitions."""

import datetime as dt

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.partition_existence import Existence, ExistingPartitions

NOON = dt.datetime(2026, 11, 10, 12, tzinfo=dt.timezone.utc)
DAYS = dg.DailyPartitionsDefinition("2026-11-01")
ENDED = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-05")
AHEAD = dg.DailyPartitionsDefinition("2026-11-01", end_offset=1)
BEHIND = dg.DailyPartitionsDefinition("2026-11-01", end_offset=-2)
MONTHS = dg.MonthlyPartitionsDefinition("2026-01-01")
WORKDAYS = dg.TimeWindowPartitionsDefinition(
    start="2026-11-01", cron_schedule="0 0 * * *", fmt="%Y-%m-%d", exclusions=["0 0 * * 6"]
)
BERLIN = dg.DailyPartitionsDefinition("2026-11-01", timezone="Europe/Berlin")
LISTED = dg.StaticPartitionsDefinition(["ds_a"])
DYNAMIC = dg.DynamicPartitionsDefinition(name="flights")
BY_DAY = dg.MultiPartitionsDefinition({"dataset": DYNAMIC, "window": DAYS})


@pytest.mark.parametrize(
    ("partitions_def", "key", "state"),
    [
        (DAYS, "2026-11-09", "exists"),
        (DAYS, "2026-11-10", "not_yet"),
        (DAYS, "2026-11-11", "not_yet"),
        (DAYS, "2026-10-31", "never"),
        (DAYS, "2026-11-09-00:00", "never"),
        (DAYS, "ds_a", "never"),
        (DAYS, "", "never"),
        (ENDED, "2026-11-04", "exists"),
        (ENDED, "2026-11-05", "never"),
        (ENDED, "2026-11-10", "never"),
        (AHEAD, "2026-11-10", "exists"),
        (AHEAD, "2026-11-11", "not_yet"),
        (BEHIND, "2026-11-07", "exists"),
        (BEHIND, "2026-11-08", "not_yet"),
        (BEHIND, "2026-11-10", "not_yet"),
        (MONTHS, "2026-10-01", "exists"),
        (MONTHS, "2026-11-01", "not_yet"),
        (MONTHS, "2026-10-02", "never"),
        (WORKDAYS, "2026-11-06", "exists"),
        (WORKDAYS, "2026-11-07", "never"),
        (BERLIN, "2026-11-09", "exists"),
        (LISTED, "ds_a", "exists"),
        (LISTED, "ds_b", "never"),
        (DYNAMIC, "ds_a", "exists"),
        (DYNAMIC, "ds_b", "never"),
        (BY_DAY, "ds_a|2026-11-09", "exists"),
        (BY_DAY, "ds_a|2026-11-10", "not_yet"),
        (BY_DAY, "ds_b|2026-11-09", "never"),
        (BY_DAY, "ds_a|2026-10-09", "never"),
        (BY_DAY, "ds_a", "never"),
        (BY_DAY, dg.MultiPartitionKey({"dataset": "ds_a", "window": "2026-11-09"}), "exists"),
        (None, "ds_a", "never"),
    ],
)
def test_state_of_a_partition(
    partitions_def: dg.PartitionsDefinition[str] | None, key: str, state: Existence
) -> None:
    """A window exists once it is over; before the first, after the end and in between never."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("flights", ["ds_a"])
        found = ExistingPartitions(partitions_def, now=NOON, instance=instance)
        assert found.state_of(key) == state


def test_windows_appear_as_time_passes() -> None:
    """What does not exist yet exists from the end of the window on."""
    states = [
        ExistingPartitions(DAYS, now=dt.datetime(2026, 11, 10, tzinfo=dt.timezone.utc) + later)
        for later in (dt.timedelta(hours=23, minutes=59), dt.timedelta(days=1))
    ]
    assert [each.state_of("2026-11-10") for each in states] == ["not_yet", "exists"]


def test_existing_keys_keep_their_order() -> None:
    """Of several keys those that exist are returned."""
    found = ExistingPartitions(DAYS, now=NOON)
    assert found.existing(["2026-11-09", "2026-11-30", "2026-11-01"]) == [
        "2026-11-09",
        "2026-11-01",
    ]


@pytest.mark.parametrize(
    ("key", "message"),
    [("2026-11-10", "does not exist yet"), ("1999-01-01", "has no partition '1999-01-01'")],
)
def test_a_missing_partition_is_an_error_where_it_is_required(key: str, message: str) -> None:
    """The error names whether waiting helps."""
    with pytest.raises(ConfigurationError, match=message):
        ExistingPartitions(DAYS, now=NOON).require(key)
