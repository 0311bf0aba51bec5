"""Defaults and descriptions of the component's fields come from where the settings are."""

import dataclasses
from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel, Field

from roboto_dagster import RobotoDatasetComponent
from roboto_dagster.component.fields import SettingsModel, description_of, setting


@dataclasses.dataclass
class Limits:
    """Limits.

    Attributes:
        files: How many files, which takes
            two lines: `1` at least. Default 3.
        names: Which names.
    """

    files: int = 3
    names: str = ""


class Store(BaseModel):
    """A store."""

    url: str | None = Field(default="http://x", description="Where it is.")


def build(asset: object, *, chunk: float = 2.5) -> None:
    """Build it.

    Args:
        asset: Of what.
        chunk: Size of one.

    Raises:
        ValueError: Never.
    """


class Part(SettingsModel):
    """A part of a component."""

    files: int = setting(Limits, "files")
    url: str | None = setting(Store, "url")
    chunk: float = setting(build, "chunk")


@pytest.mark.parametrize(
    ("source", "name", "description"),
    [
        (Limits, "files", "How many files, which takes two lines: `1` at least. Default 3."),
        (Limits, "names", "Which names."),
        (Store, "url", "Where it is."),
        (build, "chunk", "Size of one."),
        (build, "ValueError", None),
    ],
)
def test_descriptions_are_read_where_the_setting_is(
    source: Any, name: str, description: str | None
) -> None:
    """From a dataclass, a pydantic model or a function."""
    assert description_of(source, name) == description


def test_defaults_are_read_where_the_setting_is() -> None:
    """A default is written once, whatever it belongs to."""
    assert Part().model_dump() == {"files": 3, "url": "http://x", "chunk": 2.5}


def test_descriptions_reach_the_schema_of_yaml() -> None:
    """Dagster's own model for YAML has the description of each field."""
    properties = Part.model().model_json_schema()["properties"]
    assert {name: each["description"] for name, each in properties.items()} == {
        "files": "How many files, which takes two lines: `1` at least. Default 3.",
        "url": "Where it is.",
        "chunk": "Size of one.",
    }


def test_a_subclass_of_a_user_is_described_too() -> None:
    """Fields that a user adds with `Field(description=…)` show it as ours do."""

    class Mine(RobotoDatasetComponent):
        extra: int = Field(default=1, description="Something more.")

    properties = Mine.model().model_json_schema()["properties"]
    assert properties["extra"]["description"] == "Something more."
    assert properties["destination"]["description"].startswith("Folder for the files")


def test_every_field_of_the_component_is_described_in_the_schema() -> None:
    """Whoever edits YAML finds a sentence for every field, in `dg`, the UI and an editor."""
    schema = RobotoDatasetComponent.model().model_json_schema()
    models = {
        name: part
        for name, part in {"RobotoDatasetComponentModel": schema, **schema["$defs"]}.items()
        if name.removesuffix("Model") in OURS
    }
    assert set(models) == {f"{name}Model" for name in OURS}
    lacking = [
        f"{model}.{name}"
        for model, part in models.items()
        for name, field in part["properties"].items()
        if not field.get("description")
    ]
    assert lacking == []


OURS = {
    "AssetPart",
    "Freshness",
    "SourceAsset",
    "RobotoDatasetComponent",
    "RobotoConnection",
    "StoreConnection",
    "DatasetPartitions",
    "DatasetSensor",
    "SyncSchedule",
    "DeliveryChecks",
    "DatasetOp",
    "Repetition",
}


def test_a_resolver_of_the_field_itself_stays() -> None:
    """A field that has a resolver of its own keeps it: the translation still resolves."""
    component = RobotoDatasetComponent.from_attributes_dict(
        attributes={
            "name": "logs",
            "destination": "data",
            "dataset_id": "ds_a",
            "translation": {"group_name": "robots"},
        }
    )
    specs = dg.component_defs(component=component).resolve_all_asset_specs()
    assert {spec.key.to_user_string(): spec.group_name for spec in specs}["logs"] == "robots"
