"""The parts of the component's YAML become what the functions and resources take."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, RetryConfig
from roboto_dagster.component.models import (
    DatasetPartitions,
    Repetition,
    RobotoConnection,
    StoreConnection,
)
from roboto_dagster.resources import AwsCredentialsResource


def test_all_settings_of_the_resources_can_be_given() -> None:
    """YAML reaches every field of the platform's client and of the store."""
    roboto = RobotoConnection(endpoint="http://127.0.0.1:1", max_attempts=2, timeout_seconds=5)
    store = StoreConnection(engine="boto3", durability="full", max_connections=3)
    assert (roboto.resource().max_attempts, roboto.resource().timeout_seconds) == (2, 5)
    assert (store.resource().durability, store.resource().max_connections) == ("full", 3)


def test_own_aws_identity() -> None:
    """`credentials: aws` takes profile, role and region."""
    store = StoreConnection(credentials="aws", aws_profile="p", aws_role_arn="arn:r").resource()
    assert isinstance(store.credentials, AwsCredentialsResource)
    assert (store.credentials.profile, store.credentials.role_arn) == ("p", "arn:r")


def test_defaults_are_those_of_the_policy() -> None:
    """An empty `retry:` is the default policy."""
    assert Repetition().config() == RetryConfig()


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
    """A window begins at midnight of the zone that is given."""
    partitions = DatasetPartitions(
        datasets="none", window="daily", start="2026-01-01", timezone="Europe/Berlin"
    ).definition("logs")
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    window = partitions.time_window_for_partition_key("2026-01-01")
    assert window.start.astimezone(dt.timezone.utc).hour == 23
