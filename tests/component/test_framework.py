"""Dagster's own spelling of partitions, policies and checks, beside the component's."""

from typing import Any

import dagster as dg
import pytest

from roboto_dagster import RobotoDatasetComponent


def asset_of(**attributes: Any) -> dg.AssetsDefinition:
    """Load the component as YAML would, and return its asset."""
    component = RobotoDatasetComponent.from_attributes_dict(
        attributes={"name": "logs", "destination": "data", **attributes}
    )
    definitions = dg.component_defs(component=component)
    return definitions.get_assets_def("logs")


@pytest.mark.parametrize(
    "partitions_def",
    [
        {"type": "daily", "start_date": "2026-01-01"},
        "{{ dg.DailyPartitionsDefinition(start_date='2026-01-01') }}",
    ],
    ids=["fields", "template"],
)
@pytest.mark.parametrize("is_translation", [False, True])
def test_partitions_of_the_framework(partitions_def: Any, *, is_translation: bool) -> None:
    """They may stand in the component or in its translation, and are described as what they are."""
    given = {"partitions_def": partitions_def}
    spec = asset_of(**{"translation": given} if is_translation else given).get_asset_spec()
    assert spec.partitions_def == dg.DailyPartitionsDefinition(start_date="2026-01-01")
    assert "window" in (spec.description or "")


def test_a_query_beside_partitions_of_the_framework() -> None:
    """Which datasets belong to a window is set by `partitions.query`."""
    query = {"field": "name", "comparator": "CONTAINS", "value": "flight"}
    asset = asset_of(
        partitions_def={"type": "daily", "start_date": "2026-01-01"}, partitions={"query": query}
    )
    assert asset.get_asset_spec().metadata["roboto/query"].value == query


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        pytest.param(
            {
                "partitions_def": {"type": "static", "partition_keys": ["ds_1"]},
                "partitions": {"datasets": ["ds_1"]},
            },
            "both define the partitions",
            id="partitions",
        ),
        pytest.param(
            {"partitions_def": {"type": "daily", "start_date": "2026-01-01"}, "dataset_id": "ds_1"},
            "dataset_id",
            id="dataset",
        ),
        pytest.param(
            {
                "backfill_policy": {"type": "single_run"},
                "op": {"backfill_policy": {"type": "single_run"}},
            },
            "backfill_policy is given by the component and by op",
            id="backfill",
        ),
        pytest.param({"source": {"key": "logs"}}, "key of its own source", id="source"),
        pytest.param({"freshness": {}}, "freshness must have", id="freshness"),
    ],
)
def test_what_contradicts_itself_is_refused(attributes: dict[str, Any], message: str) -> None:
    """Two spellings of one thing, or none, are an error when the code location loads."""
    with pytest.raises(Exception, match=message):
        asset_of(**attributes)


def test_backfill_policy_of_the_framework() -> None:
    """It may stand in the component as well as in `op`."""
    policy = {"type": "multi_run", "max_partitions_per_run": 3}
    for attributes in ({"backfill_policy": policy}, {"op": {"backfill_policy": policy}}):
        assert asset_of(**attributes).backfill_policy == dg.BackfillPolicy.multi_run(3)
