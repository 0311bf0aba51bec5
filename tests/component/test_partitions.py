"""Partitions from YAML become Dagster's, or name what is wrong with them."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.component.partitions import DatasetPartitions


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ({"window": "daily"}, "Daily partitions need a start"),
        ({"datasets": "none"}, "no window: give one of them"),
        ({"start": "2026-01-01"}, "start would have no effect without window"),
        ({"datasets": ["ds_a"], "dynamic_name": "x"}, "dynamic_name would have no effect"),
        ({"window": "daily", "start": "soon"}, "daily windows from 'soon'"),
        ({"window": "daily", "start": "2026-01-01", "timezone": "Mars/Base"}, "Mars/Base"),
    ],
)
def test_partitions_that_cannot_work(partitions: dict[str, Any], message: str) -> None:
    """What is missing, unreadable or without effect is named."""
    with pytest.raises(ConfigurationError, match=message):
        DatasetPartitions(**partitions).definition("logs")


def test_windows_have_their_time_zone() -> None:
    """A window starts at midnight of the zone that is given."""
    partitions = DatasetPartitions(
        datasets="none", window="daily", start="2026-01-01", timezone="Europe/Berlin"
    ).definition("logs")
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    window = partitions.time_window_for_partition_key("2026-01-01")
    assert window.start.astimezone(dt.timezone.utc).hour == 23
