"""Several assets of one component file."""

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from roboto_dagster import ConfigurationError, RobotoDatasetComponent
from roboto_dagster.component.parts import AssetPart
from roboto_dagster.multi_asset import AssetOptions
from roboto_dagster.testing import LocalRoboto

# Dagster's own loading of YAML uses old names of pydantic's.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

FILE = """
name: robots/flight_logs
destination: "{{ env.DESTINATION }}"
on_empty: allow
exclude_patterns: ["tmp/"]
translation: {group_name: robots, tags: {domain: flight}}
assets:
  camera: ["*.mcap"]
  raw/imu:
    include_patterns: ["*.csv"]
    exclude_patterns: []
    on_empty: fail
    translation: {owners: ["team:imu"], description: Motion.}
roboto: {api_key_env: THE_KEY, endpoint: "{{ env.API }}"}
object_store: {endpoint_url: "{{ env.STORE }}"}
checks: {compare_listing: false}
sensor: {}
schedule: {cron_schedule: "@daily"}
"""


def load(**attributes: Any) -> Iterator[dg.Definitions]:
    """The definitions of a project with this file."""
    with create_defs_folder_sandbox() as sandbox:
        sandbox.scaffold_component(
            component_cls=RobotoDatasetComponent,
            defs_yaml_contents={
                "type": "roboto_dagster.RobotoDatasetComponent",
                "attributes": {**yaml.safe_load(FILE), **attributes},
            },
        )
        with sandbox.build_all_defs() as found:
            yield found


def problem_of(**attributes: Any) -> str:
    """What is said about a file that cannot work."""
    with pytest.raises(Exception, match=r"defs\.yaml") as caught:
        list(load(**attributes))
    found: BaseException | None = caught.value
    texts = []
    while found is not None:
        texts.append(str(found))
        found = found.__cause__ or found.__context__
    return "\n".join(texts)


@pytest.fixture(autouse=True)
def environment(
    local: LocalRoboto, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file reads."""
    variables = {"DESTINATION": str(tmp_path), "THE_KEY": local.api_key}
    for name, value in (variables | {"API": local.api_url, "STORE": local.s3_url}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def definitions() -> Iterator[dg.Definitions]:
    """Those of the file as it stands."""
    yield from load()


CAMERA = dg.AssetKey(["robots", "camera"])
IMU = dg.AssetKey(["robots", "raw", "imu"])


def test_each_looks_as_it_is_described(definitions: dg.Definitions) -> None:
    """What all have, and what one has of its own."""
    dg.Definitions.validate_loadable(definitions)
    camera, imu = (definitions.get_assets_def(key).get_asset_spec(key) for key in (CAMERA, IMU))
    assert (camera.group_name, imu.group_name) == ("robots", "robots")
    assert (camera.owners, imu.owners) == ([], ["team:imu"])
    assert imu.description == "Motion."
    assert (imu.tags["domain"], camera.tags["domain"]) == ("flight", "flight")
    assert camera.metadata["roboto/exclude_patterns"].value == ["tmp/"]
    assert imu.metadata["roboto/exclude_patterns"].value == []


def test_they_share_what_is_around_them(definitions: dg.Definitions) -> None:
    """One op, one sensor, one schedule, the same partitions; and checks of each."""
    graph = definitions.resolve_asset_graph()
    names = {getattr(graph.get(key).partitions_def, "name", None) for key in (CAMERA, IMU)}
    assert names == {"robots__flight_logs_datasets"}
    assert definitions.get_assets_def(CAMERA) is definitions.get_assets_def(IMU)
    assert definitions.get_assets_def(CAMERA).op.name == "robots__flight_logs"
    assert [each.name for each in definitions.sensors or []] == ["robots__flight_logs_sensor"]
    assert {key.asset_key for key in graph.asset_check_keys} == {CAMERA, IMU}


def test_the_file_runs(
    definitions: dg.Definitions, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """Each asset has its files, and whether it may be empty is its own: `on_empty` of the IMU fails."""
    dataset_id = local.add_dataset("flight 7")
    local.add_file(dataset_id, "a.mcap", b"a")
    job = definitions.resolve_implicit_job_def_def_for_assets([CAMERA, IMU])
    assert job is not None
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("robots__flight_logs_datasets", [dataset_id])
        options: dict[str, Any] = {"instance": instance, "partition_key": dataset_id}
        assert not job.execute_in_process(raise_on_error=False, **options).success
        local.add_file(dataset_id, "b.csv", b"b")
        result = job.execute_in_process(**options)
        assert result.success
        found = {each.asset_key for each in result.get_asset_materialization_events()}
    assert found == {CAMERA, IMU}
    assert (tmp_path / ".roboto" / "robots%2Fraw%2Fimu").is_dir()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"assets": {}}, "assets must have patterns by name"),
        ({"shards": {"max_shards": 2}}, "shards beside it are not possible"),
        ({"assets": {"camera": {"include": ["*"]}}}, "include"),
        ({"assets": {"camera": "*.mcap"}}, "camera"),
        ({"assets": {"camera/": ["*.mcap"]}}, "name must be the asset's name"),
    ],
    ids=["none", "shards", "misspelt", "text", "no name"],
)
def test_what_cannot_work(attributes: dict[str, Any], message: str) -> None:
    """It is an error when the code location loads."""
    assert re.search(message, problem_of(**attributes))


def test_execute_can_be_overridden(local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """A subclass does more, for all assets of the step."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.mcap", b"a")
    calls = []

    class Counting(RobotoDatasetComponent):
        def execute(self, context: Any, roboto: Any, object_store: Any) -> Any:
            calls.append(sorted(key.to_user_string() for key in context.selected_asset_keys))
            yield from super().execute(context, roboto, object_store)

    component = Counting(
        name="logs",
        destination=str(tmp_path),
        dataset_id=dataset_id,
        assets={"a": AssetPart(include_patterns=["*.mcap"]), "b": AssetPart()},
        roboto_resource_key="roboto",
        object_store_resource_key="object_store",
    )
    definitions = component.build_defs(dg.ComponentTree.for_test().load_context)
    assets = [each for each in definitions.assets or [] if isinstance(each, dg.AssetsDefinition)]
    assert dg.materialize(assets, resources=local.resources()).success
    assert calls == [["a", "b"]]


def test_options_of_one_are_known_to_python() -> None:
    """What an asset may have of its own in YAML, it may have in Python."""
    fields = set(AssetPart.model_fields) - {"translation"}
    assert fields <= set(AssetOptions.__annotations__)


def test_a_setting_that_cannot_work_is_refused() -> None:
    """Of a single asset, too."""
    assert "max_removals" in problem_of(assets={"camera": {"max_removals": -1}})


def test_of_all_is_refused_as_before() -> None:
    """A component without `assets` is as it was."""
    component = RobotoDatasetComponent(name="logs", destination="data", dataset_id="ds_1")
    with pytest.raises(ConfigurationError, match="assets must have patterns by name"):
        component.parts("logs")
