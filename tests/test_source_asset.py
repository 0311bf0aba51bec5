"""Lineage starts at the platform, which several assets share."""

import datetime as dt
import pathlib
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    ObjectStoreResource,
    RobotoResource,
    build_roboto_dataset_asset,
    build_roboto_source_asset,
)
from roboto_dagster.source_asset import DEFAULT_SOURCE_KEY, URL_KEY

RESOURCES = {"roboto": RobotoResource(), "object_store": ObjectStoreResource()}


def build(name: str, **options: Any) -> dg.AssetsDefinition:
    """Return a dataset asset."""
    return build_roboto_dataset_asset(name, destination="data", dataset_id="ds_1", **options)


def upstream_of(asset: dg.AssetsDefinition) -> set[dg.AssetKey]:
    """Return what the asset depends on."""
    return {dep.asset_key for spec in asset.specs for dep in spec.deps}


def spec_of(definitions: dg.Definitions, key: dg.AssetKey) -> dg.AssetSpec:
    """Return one spec of the asset graph."""
    (spec,) = (each for each in definitions.resolve_all_asset_specs() if each.key == key)
    return spec


def test_assets_share_the_platform_with_its_link() -> None:
    """Two assets depend on one upstream asset, which links to the platform though nobody defines it."""
    definitions = dg.Definitions(assets=[build("a"), build("b")], resources=RESOURCES)
    url = spec_of(definitions, DEFAULT_SOURCE_KEY).metadata[URL_KEY]
    assert url == dg.MetadataValue.url("https://app.roboto.ai")
    graph = definitions.resolve_asset_graph()
    children = {dg.AssetKey("a"), dg.AssetKey("b")}
    assert graph.get(DEFAULT_SOURCE_KEY).child_keys == children


def test_the_source_may_be_listed_any_number_of_times() -> None:
    """Group, owners and tags are shown, and two lists of one source in one `Definitions` do not clash."""

    def source() -> dg.AssetSpec:
        return build_roboto_source_asset(
            group_name="origin", owners=["team:robots"], tags={"tier": "gold"}
        )

    one = dg.Definitions(assets=[build("a", source=source()), source()], resources=RESOURCES)
    other = dg.Definitions(assets=[build("b", source=source()), source()])
    spec = spec_of(dg.Definitions.merge(one, other), DEFAULT_SOURCE_KEY)
    assert (spec.group_name, list(spec.owners), spec.tags["tier"]) == (
        "origin",
        ["team:robots"],
        "gold",
    )
    assert spec.kinds == {"roboto"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, set()),
        ("acme", {dg.AssetKey("acme")}),
        (["roboto", "acme"], {dg.AssetKey(["roboto", "acme"])}),
        (dg.AssetKey("acme"), {dg.AssetKey("acme")}),
        (build_roboto_source_asset("acme", url=None), {dg.AssetKey("acme")}),
    ],
    ids=["none", "text", "parts", "key", "spec"],
)
def test_another_source_or_none(source: Any, expected: set[dg.AssetKey]) -> None:
    """The key is of one's choice, and there may be no source."""
    assert upstream_of(build("a", source=source)) == expected


def test_whatever_dagster_takes_as_a_dependency() -> None:
    """Dependencies are coerced as in `dagster.asset`, and the source is not added twice."""
    other = build("other", source=None)
    mapped = dg.AssetDep("mapped", partition_mapping=dg.AllPartitionMapping())
    given = ["text", ["two", "parts"], dg.AssetSpec("spec"), other, mapped, DEFAULT_SOURCE_KEY]
    asset = build("a", deps=iter(given))
    keys = {("text",), ("two", "parts"), ("spec",), ("other",), ("mapped",), ("roboto", "platform")}
    assert {tuple(key.path) for key in upstream_of(asset)} == keys
    mappings = {dep.asset_key: dep.partition_mapping for dep in asset.get_asset_spec().deps}
    assert mappings[dg.AssetKey("mapped")] == dg.AllPartitionMapping()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": 3}, "source must be an asset or its key"),
        ({"source": ""}, "whose parts are not empty"),
        ({"source": "a"}, "give source another key"),
        ({"deps": [3]}, "deps must hold assets or their keys"),
        ({"deps": "raw"}, "deps must be a list"),
    ],
)
def test_what_cannot_be_upstream(options: dict[str, Any], message: str) -> None:
    """A dependency that is none is an error that names the setting."""
    with pytest.raises(ConfigurationError, match=message):
        build("a", **options)


def test_a_url_that_is_none() -> None:
    """The link of the source is checked."""
    with pytest.raises(ConfigurationError, match="url of the source must start with http"):
        build_roboto_source_asset(url="app.roboto.ai")


@pytest.mark.parametrize("is_listed", [False, True])
def test_automation_does_not_wait_for_the_source(
    *, is_listed: bool, tmp_path: pathlib.Path
) -> None:
    """The source is never materialized, and `on_cron` fires all the same."""
    condition = dg.AutomationCondition[Any].on_cron("* * * * *")
    asset = build_roboto_dataset_asset(
        "a", destination=tmp_path, dataset_id="ds_1", automation_condition=condition
    )
    listed = [build_roboto_source_asset()] * is_listed
    definitions = dg.Definitions(assets=[asset, *listed], resources=RESOURCES)
    with dg.DagsterInstance.ephemeral() as instance:
        at = dt.datetime(2026, 1, 1, 0, 0, 30, tzinfo=dt.timezone.utc)
        first = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=at)
        second = dg.evaluate_automation_conditions(
            definitions,
            instance,
            cursor=first.cursor,
            evaluation_time=at + dt.timedelta(minutes=2),
        )
    assert second.get_num_requested(asset.key) == 1
