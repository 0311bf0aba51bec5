"""The examples in docs/dagster.md work as they stand."""

import pathlib
import re
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from roboto_dagster import RobotoDatasetComponent, RobotoFilesIOManager, build_roboto_dataset_asset
from roboto_dagster.testing import LocalRoboto

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "dagster.md").read_text(encoding="utf-8")
NAMES = {"files_on_disk", "checksums", "in_step_with_platform", "recently_synced"}

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


def blocks(language: str) -> list[str]:
    """Return the page's examples in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def block(language: str, with_text: str) -> str:
    """Return the page's only example in one language that has a text."""
    (found,) = (each for each in blocks(language) if with_text in each)
    return found


def check_definitions(definitions: dg.Definitions) -> None:
    """Both examples make the same pipeline."""
    graph = definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey("flight_logs"))
    assert isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
    assert node.partitions_def.name == "flights"
    assert node.pools == {"roboto"}
    assert {key.name for key in graph.asset_check_keys} == NAMES
    assert definitions.resolve_sensor_def("flight_logs_sensor").name == "flight_logs_sensor"
    assert definitions.resolve_schedule_def("flight_logs_schedule").cron_schedule == "0 3 * * *"
    dg.Definitions.validate_loadable(definitions)


def run(program: str) -> dict[str, Any]:
    """Run one example, and return its names."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(program, "docs/dagster.md", "exec"), names)  # noqa: S102 -- our own page
    return names


def test_python_example() -> None:
    """The Python block makes definitions that load."""
    check_definitions(run(blocks("python")[0])["defs"])


def test_unit_test_example(tmp_path: pathlib.Path) -> None:
    """The unit test on the page passes."""
    run(block("python", "def test_my_dataset"))["test_my_dataset"](tmp_path)


def test_yaml_example() -> None:
    """The YAML block makes the same from a component."""
    contents = yaml.safe_load(blocks("yaml")[0])
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=RobotoDatasetComponent, defs_yaml_contents=contents
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            check_definitions(definitions)


def check_topics(definitions: dg.Definitions) -> None:
    """Both examples decode the same logs, and check the same."""
    graph = definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey("robot_topics"))
    assert node.parent_keys == {dg.AssetKey("robot_logs")}
    assert node.partitions_def == dg.DynamicPartitionsDefinition(name="drives")
    assert {key.name for key in graph.asset_check_keys} == {
        *("imu_rate", "imu_max_gap", "imu_monotonic")
    }
    assert node.automation_condition is not None


def test_topics_example() -> None:
    """The asset of topics, its checks, and one downstream that loads a topic."""
    check_topics(run(block("python", "build_topic_checks"))["defs"])


def test_yaml_example_of_topics() -> None:
    """The same as a field of the component."""
    contents = yaml.safe_load(block("yaml", "robot_topics"))
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=RobotoDatasetComponent, defs_yaml_contents=contents
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            check_topics(definitions)


def test_instance_example() -> None:
    """Dagster accepts the settings of pools and monitoring."""
    with dg.instance_for_test(
        overrides=yaml.safe_load(block("yaml", "run_monitoring"))
    ) as instance:
        assert instance.run_monitoring_enabled


def test_own_type_example(local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """The type that the page registers is what its asset gets."""
    dataset_id = local.add_dataset()
    for name, size in (("short.bag", 1), ("long.mcap", 2), ("longer.txt", 3)):
        local.add_file(dataset_id, name, b"x" * size)
    logs = build_roboto_dataset_asset("flight_logs", destination=tmp_path, dataset_id=dataset_id)
    asset = run(block("python", "register_input_type"))["longest_bag"]
    resources = {**local.resources(), "roboto_files": RobotoFilesIOManager()}
    result = dg.materialize([logs, asset], resources=resources)
    assert result.output_for_node("longest_bag") == "long.mcap"


def test_several_assets_example() -> None:
    """The block about several assets of one dataset makes definitions that load."""
    definitions = run(block("python", "build_roboto_dataset_assets"))["defs"]
    dg.Definitions.validate_loadable(definitions)
    keys = definitions.resolve_asset_graph().materializable_asset_keys
    assert {key.to_user_string() for key in keys} == {"camera", "telemetry", "lidar"}


def test_two_organizations_example() -> None:
    """The pipelines of two organizations load side by side, each from its own source."""
    definitions = run(block("python", "def pipeline"))["organizations"]
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    for organization in ("acme", "umbrella"):
        source = graph.get(dg.AssetKey(["roboto", organization]))
        assert source.group_name == organization
        assert source.child_keys == {dg.AssetKey([organization, "logs"])}


def test_failure_sensor_example() -> None:
    """The alerts on the page load."""
    dg.Definitions.validate_loadable(run(block("python", "post_to_chat"))["alerts"])


def test_freshness_examples() -> None:
    """Both ways to write freshness in YAML are policies."""
    written = [yaml.safe_load(each) for each in blocks("yaml") if each.startswith("freshness:")]
    for attributes in written:
        component = RobotoDatasetComponent.from_attributes_dict(
            attributes={"name": "logs", "destination": "data", **attributes}
        )
        assert component.get_asset_spec().freshness_policy is not None
    assert len(written) == 2


def test_several_assets_in_yaml() -> None:
    """The same as a component file."""
    contents = yaml.safe_load(block("yaml", "lidar:"))
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=RobotoDatasetComponent, defs_yaml_contents=contents
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            dg.Definitions.validate_loadable(definitions)
            keys = definitions.resolve_asset_graph().materializable_asset_keys
    assert {key.to_user_string() for key in keys} == {"camera", "telemetry", "lidar"}
