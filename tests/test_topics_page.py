"""The examples in docs/topics.md work as they stand, and its tables say what the code says."""

import pathlib
import re
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from benchmarks.topics.logs import mcap_logs, ros
from roboto_dagster import RobotoDatasetComponent
from roboto_dagster.testing import LocalRoboto
from roboto_dagster.topics.faults import FAULT_ADVICE

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "topics.md").read_text(encoding="utf-8")
PIPELINE, DOWNSTREAM, READERS, DECODER = re.findall(
    r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL
)
(YAML,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


def run(program: str, **names: Any) -> dict[str, Any]:
    """Run one example, and return its names."""
    exec(compile(program, "docs/topics.md", "exec"), names)  # noqa: S102 -- our own page
    return names


def write_imu(path: pathlib.Path) -> None:
    """Write a log with a topic `/imu`, 100 messages a second."""
    mcap_logs.write_mcap(path, [ros.ros_stream(2, "/imu", "sensor_msgs/msg/Imu", 5)], 300)


def test_the_pipeline_of_the_page(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, local: LocalRoboto
) -> None:
    """The asset, its checks and what is downstream run, and the readers read what they have written."""
    monkeypatch.chdir(tmp_path)
    write_imu(tmp_path / "run.mcap")
    dataset_id = local.add_dataset("page", dataset_id="ds_1")
    local.add_file(dataset_id, "run.mcap", tmp_path / "run.mcap")
    names = run(DOWNSTREAM, **run(PIPELINE))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("datasets", ["ds_1"])
        result = dg.materialize(
            [
                *(names[name] for name in ("robot_logs", "robot_topics", "mean_rotation")),
                names["imu_table"],
                *names["checks"],
            ],
            partition_key="ds_1",
            resources={**local.resources(), "files": names["RobotoFilesIOManager"]()},
            instance=instance,
        )
    evaluations = result.get_asset_check_evaluations()
    assert {each.check_name: each.passed for each in evaluations} == {
        "imu_rate": True,
        "imu_max_gap": True,
        "imu_monotonic": True,
    }
    assert isinstance(result.output_for_node("mean_rotation"), float)
    assert "angular_velocity.x" in result.output_for_node("imu_table").column_names
    run(READERS)


def test_the_yaml_of_the_page() -> None:
    """It makes both assets."""
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=RobotoDatasetComponent, defs_yaml_contents=yaml.safe_load(YAML)
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            keys = definitions.resolve_asset_graph().get_all_asset_keys()
            assert {dg.AssetKey("robot_logs"), dg.AssetKey("robot_topics")} <= keys


def test_the_decoder_of_the_page(tmp_path: pathlib.Path) -> None:
    """Its rows are a table, and a damaged line is a fault."""
    from tests.topics.comparison.reading import together

    names = run(DECODER)
    decoder = names["CsvDecoder"]()
    path = tmp_path / "a.csv"
    path.write_text("1,2.5\n2,3.5\n")
    assert decoder.claims(path, b"")
    found = together(decoder.batches(path, names["TopicFilter"]()))
    assert [row.fields for row in found.rows("/pose")] == [{"x": 2.5}, {"x": 3.5}]
    path.write_text("1,2.5\n2\n")
    assert together(decoder.batches(path, names["TopicFilter"]())).codes() == {("/pose", "CORRUPT")}


def test_all_codes_are_on_the_page() -> None:
    """Each with its advice, as messages have it."""
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", PAGE, flags=re.MULTILINE))
    assert rows == FAULT_ADVICE
