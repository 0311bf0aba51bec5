"""Conditions of queries, and what is refused before the platform is asked."""

import datetime as dt
from typing import Any

import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.platform.queries import (
    COMPARATORS,
    DATASET_FIELDS,
    OPERATORS,
    all_of,
    any_of,
    checked_query,
    where,
)

TAGGED = {"field": "tags", "comparator": "CONTAINS", "value": "flight"}


def test_known_names_are_those_of_the_sdk() -> None:
    """The copies of the SDK's comparators, operators and fields are complete."""
    from roboto.domain.datasets import DatasetRecord
    from roboto.query import Comparator, ConditionOperator

    assert set(COMPARATORS) == {each.value for each in Comparator}
    assert set(OPERATORS) == {each.value for each in ConditionOperator}
    assert set(DATASET_FIELDS) == set(DatasetRecord.model_fields)


@pytest.mark.parametrize(
    "query",
    [
        TAGGED,
        {"field": "metadata.site", "comparator": "EQUALS", "value": "Bern"},
        {"field": "device_id", "comparator": "IS_NULL"},
        {"operator": "NOT", "conditions": [TAGGED, {"operator": "OR", "conditions": [TAGGED]}]},
    ],
)
def test_valid_queries_stay_as_they_are(query: dict[str, Any]) -> None:
    """A condition or a group of conditions is returned as plain data."""
    assert checked_query(query) == query


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({**TAGGED, "comparator": "HAS"}, "unknown comparator 'HAS'.*Valid: EQUALS, NOT_EQUALS"),
        ({**TAGGED, "comparator": "contains"}, "Did you mean CONTAINS?"),
        ({**TAGGED, "field": "tag"}, "unknown field 'tag'. Did you mean tags?"),
        ({**TAGGED, "field": 3}, "unknown field 3"),
        ({**TAGGED, "value": None}, "has no value, which CONTAINS needs"),
        ({"field": "tags", "comparator": "CONTAINS", "vlaue": "x"}, "unknown keys vlaue"),
        ({"operator": "XOR", "conditions": [TAGGED]}, "unknown operator 'XOR'"),
        ({"operator": "AND", "conditions": []}, "has no conditions"),
        ({"operator": "AND", "conditions": "x"}, "are not a list"),
        ({"operator": "AND", "conditions": TAGGED}, "are not a list"),
        ({"conditions": [TAGGED]}, "unknown operator None"),
        ({"operator": "AND", "conditions": [TAGGED, {**TAGGED, "comparator": "IN"}]}, "'IN'"),
        ("tags = 'flight'", "is not a query"),
        ({}, "is not a query"),
        ([TAGGED], "is not a query"),
    ],
)
def test_queries_that_the_platform_would_refuse(query: object, message: str) -> None:
    """The error names the part that is wrong and what is valid there."""
    with pytest.raises(ConfigurationError, match=message):
        checked_query(query)


def test_conditions_are_joined() -> None:
    """None is left out; one condition needs no group."""
    assert all_of(None, None) is None
    assert all_of(None, TAGGED) == TAGGED
    assert all_of(TAGGED, TAGGED) == {"operator": "AND", "conditions": [TAGGED, TAGGED]}
    assert any_of("name", ["a"])["conditions"] == [where("name", "EQUALS", "a")]


def test_times_are_sent_in_utc() -> None:
    """A time of another zone is converted."""
    time = dt.datetime(2026, 11, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert where("modified", "LESS_THAN", time)["value"] == "2026-11-01T00:00:00+00:00"
