"""Components of one project share the asset that stands for the platform."""

import pathlib
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from roboto_dagster import RobotoDatasetComponent
from roboto_dagster.component.asset_models import SourceAsset, defining_source
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.source_asset import DEFAULT_SOURCE_KEY, URL_KEY

# Dagster's own loading of YAML uses old names of pydantic's.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


@pytest.fixture
def sandbox() -> Iterator[DefsFolderSandbox]:
    """An empty project."""
    with create_defs_folder_sandbox() as found:
        yield found


def add(sandbox: DefsFolderSandbox, name: str, **attributes: Any) -> pathlib.Path:
    """Write a component file, with a post-processing as users have it."""
    return sandbox.scaffold_component(
        component_cls=RobotoDatasetComponent,
        defs_path=name,
        defs_yaml_contents={
            "type": "roboto_dagster.RobotoDatasetComponent",
            "attributes": {
                "name": name,
                "destination": "data",
                "dataset_id": "ds_1",
                **attributes,
            },
            "post_processing": {
                "assets": [{"target": "*", "attributes": {"owners": ["team:robots"]}}]
            },
        },
    )


def specs_of(sandbox: DefsFolderSandbox) -> dict[str, dg.AssetSpec]:
    """Load the project, and return the specs by key."""
    with sandbox.build_all_defs() as definitions:
        dg.Definitions.validate_loadable(definitions)
        return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_two_components_share_the_default_source(sandbox: DefsFolderSandbox) -> None:
    """One of them defines it, with its link, and both depend on it."""
    add(sandbox, "a")
    add(sandbox, "b")
    specs = specs_of(sandbox)
    assert set(specs) == {"a", "b", "roboto/platform"}
    assert specs["roboto/platform"].metadata[URL_KEY].value == "https://app.roboto.ai"
    for name in ("a", "b"):
        assert [dep.asset_key for dep in specs[name].deps] == [DEFAULT_SOURCE_KEY]


def test_the_component_that_has_details_defines_it(sandbox: DefsFolderSandbox) -> None:
    """Group and tags stand in one file, and hold for the source of all."""
    add(sandbox, "a")
    add(sandbox, "b", source={"group_name": "origin", "tags": {"tier": 1}})
    add(sandbox, "c", source={"group_name": "origin", "tags": {"tier": 1}})
    source = specs_of(sandbox)["roboto/platform"]
    assert (source.group_name, source.tags["tier"]) == ("origin", "1")


def test_two_platforms_and_none(sandbox: DefsFolderSandbox) -> None:
    """Each component names its source, or none."""
    add(sandbox, "a", source={"key": "roboto/acme"})
    add(sandbox, "b", source={"key": "roboto/umbrella", "url": None})
    add(sandbox, "c", source=None)
    specs = specs_of(sandbox)
    assert set(specs) == {"a", "b", "c", "roboto/acme", "roboto/umbrella"}
    assert list(specs["c"].deps) == []


def test_deps_are_added_to_the_source(sandbox: DefsFolderSandbox) -> None:
    """`deps` adds to the source, and `deps` of the translation replaces all."""
    add(sandbox, "a", deps=["raw/maps"])
    add(sandbox, "b", translation={"deps": ["raw/maps"]})
    specs = specs_of(sandbox)
    keys = {name: {dep.asset_key.to_user_string() for dep in specs[name].deps} for name in "ab"}
    assert keys == {"a": {"raw/maps", "roboto/platform"}, "b": {"raw/maps"}}


@pytest.mark.parametrize(
    "sources",
    [
        (SourceAsset(group_name="a"), SourceAsset(group_name="b")),
        (SourceAsset(), SourceAsset(url="https://app.example.com")),
    ],
    ids=["group", "url"],
)
def test_sources_that_differ_are_refused(sources: tuple[SourceAsset, SourceAsset]) -> None:
    """Two components that define one key differently are refused, whatever their order."""
    for order in (sources, sources[::-1]):
        with pytest.raises(ConfigurationError, match="define the source roboto/platform differ"):
            defining_source(order)
