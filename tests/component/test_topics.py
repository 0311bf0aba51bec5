"""Topics as a field of the component: of one asset or of several, and what cannot work."""

from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, RobotoDatasetComponent, TopicsMetadata
from roboto_dagster.testing import LocalRoboto
from tests.topic_assets.lab import LOG

# Dagster's own loading of YAML uses old names of pydantic's.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

TOPICS = {"name": "tables", "destination": "tables"}


def definitions(*topics: dict[str, Any], **attributes: Any) -> dg.Definitions:
    """Return what a component with topics builds."""
    given = {"name": "logs", "destination": "data", "dataset_id": "ds_a", **attributes}
    component = RobotoDatasetComponent.from_attributes_dict(
        attributes={**given, "topics": [{**TOPICS, **each} for each in topics]}
    )
    return dg.component_defs(component=component)


def parents(found: dg.Definitions, key: str) -> set[str]:
    """Return what an asset depends on."""
    node = found.resolve_asset_graph().get(dg.AssetKey(key))
    return {each.to_user_string() for each in node.parent_keys}


def test_several_assets_of_topics() -> None:
    """Each with a folder and checks of its own."""
    found = definitions(
        {"topics": ["/imu"], "checks": {"topics": {"/imu": {"monotonic": True}}}},
        {"name": "pictures", "destination": "pictures", "topics": ["/camera/**"]},
    )
    dg.Definitions.validate_loadable(found)
    assert (parents(found, "tables"), parents(found, "pictures")) == ({"logs"}, {"logs"})


@pytest.mark.parametrize("names", [("tables", "tables"), ("tables", "logs"), ("logs", "tables")])
def test_names_that_are_taken(names: tuple[str, str]) -> None:
    """Of two entries, or of an entry and the logs: the message names it, when the component is built."""
    entries = [{"name": name, "destination": f"folder_{at}"} for at, name in enumerate(names)]
    with pytest.raises(ConfigurationError, match=r"give (each|it)"):
        definitions(*entries)


def test_the_logs_of_one_of_several_assets() -> None:
    """It is chosen by name, and has to be."""
    assets = {"camera": ["*.mcap"], "telemetry": ["*.csv"]}
    found = definitions({"upstream": "camera"}, assets=assets)
    assert parents(found, "tables") == {"camera"}
    for wrong in ({}, {"upstream": "lidar"}):
        with pytest.raises(ConfigurationError, match="one of the component's assets, camera, tele"):
            definitions(wrong, assets=assets)


def test_a_translated_key_is_that_of_checks_too() -> None:
    """The checks are of the asset as it is in Dagster."""
    found = definitions(
        {
            "translation": {"key_prefix": "robots"},
            "checks": {"topics": {"/imu": {"monotonic": True}}},
        }
    )
    (key,) = found.resolve_asset_graph().asset_check_keys
    assert key.asset_key == dg.AssetKey(["robots", "tables"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"destination": "data"}, "destination must be another folder"),
        ({"name": "logs"}, "give it another name"),
        ({"name": "a//b"}, "name must be"),
        ({"checks": {"topics": {"/imu": {}}}}, "expects nothing"),
        ({"checks": {"topics": {"/imu": {"rate": [1]}}}}, "rate must be"),
        ({"checks": {"topics": {}}}, "topics must map topics to TopicCheck"),
        ({"ros_definitions": "hydro"}, "no definitions of the ROS 2 distribution"),
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any], message: str) -> None:
    """When the file is loaded."""
    with pytest.raises(ConfigurationError, match=message):
        definitions(wrong)


def test_a_component_runs(local: LocalRoboto, tmp_path: Any, environment: None) -> None:  # noqa: ARG001 -- set
    """Logs and topics in one run, without a line of Python."""
    from roboto_dagster.testing.sample_logs import write_sample_logs

    log = write_sample_logs(tmp_path / "samples") / "drone-runs" / "drone_1.mcap"
    dataset_id = local.add_dataset("drone")
    local.add_file(dataset_id, "drone.mcap", log.read_bytes())
    local.add_file(dataset_id, "drive.lines", LOG)
    found = definitions(
        {
            "destination": str(tmp_path / "tables"),
            "checks": {"topics": {"/pose": {"rate": [9, 11]}}},
        },
        destination=str(tmp_path / "logs"),
        dataset_id=dataset_id,
    )
    job = found.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process()
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("pose_rate", True)
    (event,) = result.asset_materializations_for_node("tables")
    values = TopicsMetadata.from_metadata(event.metadata)
    assert values is not None
    assert (values.rows_by_topic, values.logs_skipped) == ({"/pose": 600}, 1)
    assert values.uri == (tmp_path / "tables" / dataset_id).as_uri()
