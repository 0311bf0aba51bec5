"""The component: from YAML to runs, with dagster's own conformance suites."""

import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox
from dagster.components.testing.test_cases import (
    TestOpCustomization,
    TestTranslation,
    TestTranslationBatched,
)

from roboto_dagster import (
    ConfigurationError,
    ObjectStoreResource,
    RobotoDatasetComponent,
    RobotoResource,
)
from roboto_dagster.testing import LocalRoboto
from tests.waiting import GUARD_SECONDS

# Dagster's own loading of YAML uses old names of pydantic's, and its suite an old scope.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*automation_condition"),
]

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "component_project"


def build(**attributes: Any) -> tuple[RobotoDatasetComponent, dg.Definitions]:
    """Load the component as YAML would, and build its definitions."""
    given = {"name": "logs", "destination": "data", **attributes}
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=RobotoDatasetComponent,
            defs_yaml_contents={
                "type": "roboto_dagster.RobotoDatasetComponent",
                "attributes": given,
            },
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, definitions):
            assert isinstance(component, RobotoDatasetComponent)
            return component, definitions


def asset_of(definitions: dg.Definitions) -> dg.AssetsDefinition:
    """Return the one asset that is executed."""
    assets = definitions.resolve_asset_graph().assets_defs
    (asset,) = (each for each in assets if each.is_executable)
    return asset


def spec_of(definitions: dg.Definitions) -> dg.AssetSpec:
    """Return the one asset's spec."""
    return asset_of(definitions).get_asset_spec()


class TestLogsTranslation(TestTranslation):
    """Every attribute of an asset can be set from YAML."""

    def test_translation(
        self,
        attributes: dict[str, Any],
        assertion: Callable[[dg.AssetSpec], bool],
        key_modifier: Callable[[dg.AssetKey], dg.AssetKey] | None,
    ) -> None:
        """Each alone."""
        check_translation(attributes, assertion, key_modifier)


class TestLogsTranslationBatched(TestTranslationBatched):
    """Every attribute of an asset can be set from YAML, all together."""

    def test_translation(
        self,
        attributes: dict[str, Any],
        assertion: Callable[[dg.AssetSpec], bool],
        key_modifier: Callable[[dg.AssetKey], dg.AssetKey] | None,
    ) -> None:
        """All at once."""
        check_translation(attributes, assertion, key_modifier)


def check_translation(
    attributes: dict[str, Any],
    assertion: Callable[[dg.AssetSpec], bool],
    key_modifier: Callable[[dg.AssetKey], dg.AssetKey] | None,
) -> None:
    """What the suite asks for is in the asset's spec."""
    _, definitions = build(translation=attributes)
    key = dg.AssetKey("logs")
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    assert assertion(specs[key_modifier(key) if key_modifier else key])


class TestLogsOpCustomization(TestOpCustomization):
    """The op's name, tags and backfill policy can be set from YAML."""

    def test_op(self, attributes: dict[str, Any], assertion: Callable[[Any], bool]) -> None:
        """Each of them reaches the asset or its op."""
        _, definitions = build(op=attributes)
        asset = asset_of(definitions)
        assert assertion(asset if "backfill_policy" in attributes else asset.op)


def test_pool_and_retries_reach_the_op() -> None:
    """The op's concurrency pool and Dagster's own retries come from YAML."""
    _, definitions = build(op={"pool": "roboto"}, step_retries=2)
    op = asset_of(definitions).op
    assert isinstance(op, dg.OpDefinition)
    assert (op.pool, op.retry_policy and op.retry_policy.max_retries) == ("roboto", 2)


def test_everything_is_built_from_yaml() -> None:
    """Sensor, schedule and checks come with the asset."""
    _, definitions = build(
        sensor={"quiet_seconds": 5, "running": True},
        schedule={"cron_schedule": "@daily"},
        checks={"blocking": True, "max_age_hours": 1},
    )
    (sensor,) = definitions.sensors or []
    (schedule,) = definitions.schedules or []
    assert (sensor.name, schedule.name) == ("logs_sensor", "logs_schedule")
    checks = definitions.resolve_asset_graph().asset_check_keys
    assert {key.name for key in checks} == {
        "files_on_disk",
        "checksums",
        "in_step_with_platform",
        "recently_synced",
    }


@pytest.mark.parametrize(
    ("partitions", "kind"),
    [
        ({}, dg.DynamicPartitionsDefinition),
        ({"datasets": ["ds_a"]}, dg.StaticPartitionsDefinition),
        (
            {"datasets": "none", "window": "daily", "start": "2026-01-01"},
            dg.DailyPartitionsDefinition,
        ),
        ({"window": "hourly", "start": "2026-01-01-00:00"}, dg.MultiPartitionsDefinition),
    ],
    ids=["dynamic", "static", "windows", "dataset by window"],
)
def test_partitions_from_yaml(partitions: dict[str, Any], kind: type) -> None:
    """Each kind of partitions can be configured."""
    _, definitions = build(partitions=partitions)
    assert isinstance(spec_of(definitions).partitions_def, kind)


def test_one_dataset_has_no_partitions() -> None:
    """With a `dataset_id` the asset is about that one."""
    _, definitions = build(dataset_id="ds_a")
    assert spec_of(definitions).partitions_def is None


def test_windows_need_a_start() -> None:
    """The error reports what is missing."""
    attributes = {"name": "logs", "destination": "data", "partitions": {"window": "daily"}}
    component = RobotoDatasetComponent.from_attributes_dict(attributes=attributes)
    with pytest.raises(ConfigurationError, match="Daily partitions need a start"):
        component.get_asset_spec()


def test_unknown_field_is_refused() -> None:
    """A typo in YAML is an error, not a setting without effect."""
    attributes = {"name": "logs", "destinatoin": "data"}
    with pytest.raises(Exception, match="destinatoin"):
        RobotoDatasetComponent.from_attributes_dict(attributes=attributes)


def test_secret_stays_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definitions hold the name of the key's variable, never the key."""
    monkeypatch.setenv("MY_KEY", "hunter2")
    _, definitions = build(roboto={"api_key_env": "MY_KEY"})
    assert definitions.resources is not None
    key = definitions.resources["logs__roboto"]
    assert "hunter2" not in repr(key)
    assert "MY_KEY" in repr(getattr(key, "api_key", "MY_KEY"))


def component_of(**attributes: Any) -> RobotoDatasetComponent:
    """Load the component as YAML would."""
    given = {"name": "logs", "destination": "data", "dataset_id": "ds_a", **attributes}
    component = RobotoDatasetComponent.from_attributes_dict(attributes=given)
    assert isinstance(component, RobotoDatasetComponent)
    return component


def load(**attributes: Any) -> dg.Definitions:
    """Build the definitions of the component."""
    return dg.component_defs(component=component_of(**attributes))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        pytest.param({"name": ""}, "name must be", id="no-name"),
        pytest.param({"name": "a//b"}, "name must be", id="empty-part"),
        pytest.param({"destination": ""}, "destination must be the path", id="empty"),
        pytest.param({"destination": "s3://b/x"}, "not a URL", id="scheme"),
        pytest.param({"include_patterns": ["!"]}, "pattern", id="pattern"),
        pytest.param({"exclude_patterns": ["[z-a]"]}, "pattern", id="bad-range"),
        pytest.param({"sensor": {"since": "2026-01-01"}}, "since must", id="naive-since"),
        pytest.param({"max_removals": -1}, "max_removals", id="max-removals"),
        pytest.param({"free_space_reserve_bytes": -5}, "free_space", id="reserve"),
        pytest.param({"retry": {"max_attempts": 0}}, "max_attempts", id="attempts"),
        pytest.param({"max_removals": True}, "max_removals", id="yes"),
        pytest.param({"step_retries": True}, "step_retries", id="yes-retries"),
        pytest.param({"retry": {"max_attempts": True}}, "max_attempts", id="yes-attempts"),
        pytest.param({"object_store": {"max_connections": True}}, "max_conn", id="yes-connections"),
        pytest.param({"checks": {"max_age_hours": True}}, "max_age_hours", id="yes-age"),
        pytest.param({"sensor": {"quiet_seconds": True}}, "quiet_seconds", id="yes-quiet"),
        pytest.param({"step_retry_delay_seconds": float("inf")}, "delay", id="endless-delay"),
        pytest.param({"step_retries": -1}, "step_retries", id="step-retries"),
        pytest.param({"step_retry_delay_seconds": -1}, "step_retry_delay", id="step-delay"),
        pytest.param({"dataset_id": "flight 1"}, "dataset id", id="dataset-id"),
        pytest.param(
            {"object_store": {"durability": "ful"}}, "durability|Invalid", id="durability"
        ),
        pytest.param({"object_store": {"durabilty": "full"}}, "durabilty", id="nested-typo"),
        pytest.param(
            {"object_store": {"aws_profile": "x"}}, "aws_profile would have no", id="aws-profile"
        ),
        pytest.param({"roboto_resource_key": "a-b"}, "roboto_resource_key", id="key"),
        pytest.param({"object_store_resource_key": ""}, "object_store_res", id="store-key"),
        pytest.param({"object_store": {"max_connections": 10**30}}, "max_conn", id="huge"),
        pytest.param({"object_store": {"max_bandwidth_mib_s": 0}}, "max_bandwidth", id="no-band"),
        pytest.param({"checks": {"sample_files": 0}}, "sample_files", id="sample"),
        pytest.param({"checks": {"max_age_hours": -1}}, "max_age", id="max-age"),
        pytest.param({"checks": {"max_age_hours": float("nan")}}, "max_age_hours", id="no-age"),
        pytest.param({"checks": {"checksums": "some"}}, "checksums|Invalid", id="checksums"),
        pytest.param({"sensor": {"on_deleted": "delete"}}, "on_deleted|Invalid", id="on_deleted"),
        pytest.param({"sensor": {"since": "soon"}}, "since must be a time", id="no-time"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_yaml(
    attributes: dict[str, Any], message: str
) -> None:
    """The same checks as for the functions, when the code location loads."""
    with pytest.raises(Exception, match=message):
        load(**attributes)


def test_old_names_of_the_sensors_options_work_and_warn() -> None:
    """YAML of the first release loads."""
    with pytest.warns(DeprecationWarning, match="vanished is deprecated, use on_deleted"):
        load(dataset_id=None, sensor={"vanished": "remove", "vanished_interval_seconds": 60})


def test_names_that_dagster_accepts_for_an_asset_load() -> None:
    """Ops and resources have names derived from the key, whatever stands in it."""
    for name in ("3d_scans", "raw-data/logs", "a.b"):
        definitions = load(name=name, checks={}, sensor={}, schedule={"cron_schedule": "@daily"})
        dg.Definitions.validate_loadable(definitions)


def test_two_components_of_one_name_under_two_prefixes() -> None:
    """Each has resources, sensor, checks and dynamic partitions of its own."""
    attributes: dict[str, Any] = {"dataset_id": None, "sensor": {}, "checks": {}}
    first = load(**attributes)
    second = load(**attributes, translation={"key_prefix": ["b"]}, roboto={"api_key_env": "B"})
    both = dg.Definitions.merge(first, second)
    dg.Definitions.validate_loadable(both)
    partitions_defs = (spec.partitions_def for spec in both.resolve_all_asset_specs())
    names = {
        each.name for each in partitions_defs if isinstance(each, dg.DynamicPartitionsDefinition)
    }
    assert names == {"logs_datasets", "b__logs_datasets"}
    assert {"logs__roboto", "b__logs__roboto"} <= set(both.resources or {})


def test_component_runs(local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """What YAML describes downloads a dataset, with the project's own resources."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"hello")
    _, definitions = build(
        destination=str(tmp_path),
        partitions={"datasets": [dataset_id]},
        roboto_resource_key="roboto",
        object_store_resource_key="object_store",
        checks={"blocking": True},
    )
    everything = dg.Definitions.merge(
        definitions,
        dg.Definitions(
            resources={
                "roboto": RobotoResource(api_key=local.api_key, endpoint=local.api_url),
                "object_store": ObjectStoreResource(engine="boto3", endpoint_url=local.s3_url),
            }
        ),
    )
    job = everything.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(partition_key=dataset_id)
    assert result.success
    assert (tmp_path / dataset_id / "a.bin").read_bytes() == b"hello"
    assert {each.passed for each in result.get_asset_check_evaluations()} == {True}


def test_execute_can_be_overridden() -> None:
    """A subclass that does more inherits all the rest."""
    logged: list[str] = []

    class Louder(RobotoDatasetComponent):
        def execute(self, context: dg.AssetExecutionContext, *_: Any) -> dg.MaterializeResult[Any]:
            logged.append(context.asset_key.to_user_string())
            return dg.MaterializeResult()

        def get_asset_spec(self) -> dg.AssetSpec:
            return super().get_asset_spec().replace_attributes(group_name="loud")

    louder = Louder(name="robots/logs", destination="data", dataset_id="ds_a")
    definitions = dg.component_defs(component=louder)
    assert spec_of(definitions).group_name == "loud"
    assert definitions.resolve_implicit_global_asset_job_def().execute_in_process().success
    assert logged == ["robots/logs"]


def dg_command(*arguments: str, project: pathlib.Path) -> str:
    """Run `dg` in a project, and return its output; it must succeed."""
    program = "import sys; from dagster_dg_cli.cli import main; sys.argv[0] = 'dg'; main()"
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=project,
        env=_environment(project),
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def _environment(project: pathlib.Path) -> dict[str, str]:
    import os

    paths = [str(project / "src"), str(EXAMPLE.parents[1])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "DAGSTER_HOME": "",
        "ROBOTO_API_KEY": "x",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "COLUMNS": "200",
    }


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the example project."""
    ignore = shutil.ignore_patterns("__pycache__", "data", ".*")
    return pathlib.Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignore))


@pytest.mark.slow
def test_dg_finds_the_component(project: pathlib.Path) -> None:
    """`dg list components` shows it with its sentence."""
    assert "roboto_dagster.RobotoDatasetComponent" in dg_command(
        "list", "components", project=project
    )


@pytest.mark.slow
def test_scaffolded_project_passes_dgs_checks(project: pathlib.Path) -> None:
    """What the scaffolder writes loads as it is, beside the example's own definitions."""
    name = "roboto_dagster.RobotoDatasetComponent"
    dg_command("scaffold", "defs", name, "one_log", "--dataset-id", "ds_abc", project=project)
    written = (project / "src/component_project/defs/one_log/defs.yaml").read_text()
    assert 'dataset_id: "ds_abc"' in written
    # It checks the YAML against the schema first.
    assert "loaded successfully" in dg_command("check", "defs", project=project)


def test_shards_make_a_graph_of_the_asset() -> None:
    """A component's asset can be transferred by many workers, too."""
    _, definitions = build(dataset_id="ds_1", shards={"max_shards": 3})
    node: Any = asset_of(definitions).node_def
    names = sorted(each.name for each in node.nodes)
    assert names == ["logs_merge", "logs_plan", "logs_shard"]
