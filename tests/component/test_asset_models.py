"""Source and freshness from YAML become Dagster's own."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.component.asset_models import Freshness, SourceAsset


def test_the_same_settings_are_the_same_asset() -> None:
    """Dagster takes one object any number of times."""
    assert SourceAsset(group_name="a").spec() is SourceAsset(group_name="a").spec()
    assert SourceAsset(key="roboto/acme").spec().key == dg.AssetKey(["roboto", "acme"])


def test_a_window_and_a_deadline() -> None:
    """Both of Dagster's policies can be written."""
    hours = {number: dt.timedelta(hours=number) for number in (1, 12, 24)}
    assert Freshness(fail_window_hours=24, warn_window_hours=12).policy() == (
        dg.FreshnessPolicy.time_window(fail_window=hours[24], warn_window=hours[12])
    )
    deadline = Freshness(
        deadline_cron="0 9 * * *", lower_bound_hours=1, timezone="Europe/Berlin"
    ).policy()
    assert deadline == dg.FreshnessPolicy.cron("0 9 * * *", hours[1], "Europe/Berlin")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({}, "not nothing", id="nothing"),
        pytest.param({"warn_window_hours": 1}, "must have fail_window_hours", id="warning-alone"),
        pytest.param({"deadline_cron": "@daily"}, "lower_bound_hours", id="no-bound"),
        pytest.param(
            {"fail_window_hours": 2, "deadline_cron": "@daily"}, "deadline_cron, fail", id="both"
        ),
        pytest.param({"fail_window_hours": -1}, "fail_window_hours must be", id="negative"),
        pytest.param({"fail_window_hours": 10.0**30}, "fail_window_hours must be", id="huge"),
        pytest.param(
            {"fail_window_hours": 1, "warn_window_hours": 2}, "freshness cannot work", id="order"
        ),
        pytest.param(
            {"deadline_cron": "often", "lower_bound_hours": 1}, "freshness cannot work", id="cron"
        ),
    ],
)
def test_freshness_that_cannot_work(fields: dict[str, Any], message: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(ConfigurationError, match=message):
        Freshness(**fields).policy()
