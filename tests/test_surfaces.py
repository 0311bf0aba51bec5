"""Python and YAML have the same settings: one that is added to one side only fails here."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import pytest
from dagster.components.resolved.core_models import AssetSpecUpdateKwargs
from pydantic import BaseModel

from roboto_dagster import (
    AwsCredentialsResource,
    ObjectStoreResource,
    RetryConfig,
    RobotoDatasetComponent,
    RobotoResource,
    TopicCheck,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
    build_roboto_dataset_sensor,
    build_roboto_failure_sensor,
    build_roboto_source_asset,
    build_roboto_sync_schedule,
    build_roboto_topics_asset,
    build_topic_checks,
)
from roboto_dagster.component.asset_models import SourceAsset
from roboto_dagster.component.failure_sensor import FailureSensor
from roboto_dagster.component.framework import DatasetOp
from roboto_dagster.component.models import (
    DatasetSensor,
    DeliveryChecks,
    Repetition,
    RobotoConnection,
    StoreConnection,
    SyncSchedule,
)
from roboto_dagster.component.partitions import DatasetPartitions
from roboto_dagster.component.topics import TopicChecks, TopicExpectation, TopicsFields

Surface = Callable[..., Any]

# By setting of Python: the fields of YAML that say the same, where their names differ; none where
# the component or Python itself has it.
ASSET = {
    "key_prefix": ["name", "translation.key_prefix"],
    "query": ["partitions.query"],
    "backfill_policy": ["backfill_policy", "op.backfill_policy"],
    "partitions_def": ["partitions", "partitions_def", "translation.partitions_def"],
    "freshness_policy": ["freshness", "translation.freshness_policy"],
    "retry_policy": ["step_retries", "step_retry_delay_seconds"],
    "pool": ["op.pool"],
    "op_tags": ["op.tags"],
    "deps": ["deps", "translation.deps"],
    **{
        name: [f"translation.{name}"]
        for name in (
            *("group_name", "description", "kinds", "owners", "tags", "metadata"),
            *("automation_condition", "code_version"),
        )
    },
}
TOPICS_ASSET = set(ASSET) - {"query", "partitions_def"}
STATUS = {"default_status": ["running"]}
OF_COMPONENT: dict[str, list[str]] = {"asset": [], "roboto_resource_key": []}
SURFACES: list[tuple[Surface, type[BaseModel], Mapping[str, list[str]]]] = [
    (build_roboto_dataset_asset, RobotoDatasetComponent, ASSET),
    (build_roboto_dataset_sensor, DatasetSensor, {**OF_COMPONENT, **STATUS, "clock": []}),
    (
        build_roboto_sync_schedule,
        SyncSchedule,
        {**OF_COMPONENT, **STATUS, "execution_timezone": ["timezone"]},
    ),
    (build_roboto_dataset_checks, DeliveryChecks, {**OF_COMPONENT, "max_age": ["max_age_hours"]}),
    (build_roboto_failure_sensor, FailureSensor, {"assets": [], **STATUS}),
    (build_roboto_source_asset, SourceAsset, {}),
    (
        build_roboto_topics_asset,
        TopicsFields,
        {name: fields for name, fields in ASSET.items() if name in TOPICS_ASSET},
    ),
    (build_topic_checks, TopicChecks, {"asset": []}),
    (TopicCheck, TopicExpectation, {}),
    (RobotoResource, RobotoConnection, {"api_key": ["api_key_env"]}),
    (ObjectStoreResource, StoreConnection, {}),
    (RetryConfig, Repetition, {}),
]
IDS = [model.__name__ for _, model, _ in SURFACES]

# Fields of YAML for which Python has an object, a resource or a method to override.
YAML_ONLY = {
    RobotoDatasetComponent: {
        *("roboto", "object_store", "sensor", "schedule", "checks", "topics", "failure_sensor"),
        *("op", "translation", "partitions", "assets"),
    },
    TopicsFields: {"op", "translation", "checks", "freshness"},
    StoreConnection: {f"aws_{name}" for name in AwsCredentialsResource.model_fields},
}

# Parameters of `dagster.asset` that the builder does not take, and why.
LEFT_OUT = {
    "compute_fn": "the package has it",
    "key": "name and key_prefix say the same",
    "ins": "it loads no other asset",
    "config_schema": "a run is not configured: the partition decides",
    "required_resource_keys": "both resources have settings of their own",
    "resource_defs": "beta; resources of one's choice are named by their keys",
    "io_manager_def": "beta; io_manager_key says the same",
    "dagster_type": "it returns no value",
    "output_required": "it always materializes what is complete",
    "is_virtual": "preview; the files are real",
    "kwargs": "deprecated settings",
}


def settings_of(source: Surface) -> dict[str, Any]:
    """Return the settings of a function, dataclass or resource, with their defaults."""
    if isinstance(source, type) and issubclass(source, BaseModel):
        fields = source.model_fields.items()
        return {name: field.get_default(call_default_factory=True) for name, field in fields}
    if dataclasses.is_dataclass(source):
        return {field.name: field.default for field in dataclasses.fields(source)}
    parameters = inspect.signature(source).parameters.values()
    return {each.name: each.default for each in parameters}


def fields_of(model: type[BaseModel]) -> set[str]:
    """Return the fields of a part of YAML; those of parts that belong to the asset have a prefix."""
    found = set(model.model_fields)
    if model in (RobotoDatasetComponent, TopicsFields):
        found |= {f"op.{name}" for name in DatasetOp.model_fields}
        found |= {f"partitions.{name}" for name in DatasetPartitions.model_fields}
        found |= {f"translation.{name}" for name in AssetSpecUpdateKwargs.model().model_fields}
    return found


@pytest.mark.parametrize(("source", "model", "others"), SURFACES, ids=IDS)
def test_every_setting_of_python_is_known_to_yaml(
    source: Surface, model: type[BaseModel], others: Mapping[str, list[str]]
) -> None:
    """A function's or resource's setting has a field, under its own name or under another."""
    settings = settings_of(source)
    assert set(others) <= set(settings)  # no entry of the table is out of date
    wanted = {field for name in settings for field in others.get(name, [name])}
    assert wanted - fields_of(model) == set()


@pytest.mark.parametrize(("source", "model", "others"), SURFACES, ids=IDS)
def test_every_field_of_yaml_is_known_to_python(
    source: Surface, model: type[BaseModel], others: Mapping[str, list[str]]
) -> None:
    """A field sets something that Python can set, too."""
    settings = settings_of(source)
    known = {field for name in settings for field in others.get(name, [name])}
    assert set(model.model_fields) - known - YAML_ONLY.get(model, set()) == set()


@pytest.mark.parametrize(("source", "model", "others"), SURFACES, ids=IDS)
def test_defaults_are_the_same(
    source: Surface, model: type[BaseModel], others: Mapping[str, list[str]]
) -> None:
    """What has one name on both sides has one default."""
    settings = settings_of(source)
    fields = settings_of(model)
    own = {
        *(
            "source",
            "key",
            "retry",
            "deps",
            "credentials",
            "severity",
            "run_status",
        ),  # objects in Python, parts or texts in YAML
        *(
            "roboto_resource_key",
            "object_store_resource_key",
        ),  # the component has its own resources
    }
    different = {
        name: (settings[name], fields[name])
        for name in settings.keys() & fields.keys() - own - others.keys()
        if settings[name] is not inspect.Parameter.empty and settings[name] != fields[name]
    }
    assert different == {}


def test_the_builder_takes_what_dagsters_asset_takes() -> None:
    """Every parameter of `dagster.asset` is taken, or is left out for a reason."""
    dagsters = set(inspect.signature(dg.asset).parameters)
    ours = set(inspect.signature(build_roboto_dataset_asset).parameters)
    assert dagsters - ours == set(LEFT_OUT)
    of_topics = set(inspect.signature(build_roboto_topics_asset).parameters)
    assert dagsters - of_topics == {*LEFT_OUT, "partitions_def"}  # those of the upstream asset
