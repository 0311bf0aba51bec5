"""The parts of the component's YAML become what the functions and resources take."""

import pytest

from roboto_dagster import ConfigurationError, RetryConfig
from roboto_dagster.component.models import (
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


def test_an_aws_setting_without_effect_is_refused() -> None:
    """A role that nobody assumes is a slip."""
    with pytest.raises(ConfigurationError, match="aws_role_arn would have no effect"):
        StoreConnection(aws_role_arn="arn:r").resource()
