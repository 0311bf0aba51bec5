"""The examples in the package's docstrings run as they stand."""

import ast
import functools
import inspect
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
import pyarrow.dataset
import pytest
from roboto import Association

import roboto_dagster
from roboto_dagster import (
    DatasetFiles,
    DownloadableFile,
    DownloadSession,
    ObjectStoreResource,
    RobotoResource,
    ShardOptions,
    StoreRegistry,
    SyncMetadata,
    TopicCheck,
    TopicsMetadata,
    build_roboto_dataset_asset,
    build_roboto_dataset_assets,
    build_roboto_dataset_job,
    build_roboto_sync_schedule,
    build_roboto_topics_asset,
    build_topic_checks,
    dotted_columns,
    failures_of_run,
    register_input_type,
)
from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.assets import materialize_partitions
from roboto_dagster.component.fields import SettingsModel, setting
from roboto_dagster.inputs.input_types import input_type
from roboto_dagster.partitions import partitioning_of
from roboto_dagster.testing import LocalRoboto, faults
from tests.source_trees import source_tree

if TYPE_CHECKING:
    from tests.conftest import Materializer
    from tests.topic_assets.lab import Topics

PACKAGE = pathlib.Path(roboto_dagster.__file__).parent


def _examples() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(source_tree(path)) if "```python" in text else ():
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                for block in re.findall(
                    r"```python\n(.*?)```", ast.get_docstring(node) or "", re.DOTALL
                ):
                    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
                    name = "" if isinstance(node, ast.Module) else f".{node.name}"
                    yield f"{module}{name}", block


@functools.cache  # when a test asks: each worker imports this file, and one runs it
def examples() -> dict[str, str]:
    """Return the examples by the names of what they explain."""
    return dict(_examples())


def run(name: str, **names: Any) -> dict[str, Any]:
    """Run one example with the names that it takes for granted, and return all names."""
    exec(compile(examples()[name], name, "exec"), names)  # noqa: S102 -- our own docstring
    return names


def test_every_example_is_run() -> None:
    """A new example gets a test here; each docstring has one at most."""
    named = set(re.findall(r'\brun\(\s*"([\w.]+)"', inspect.getsource(inspect.getmodule(run))))  # type: ignore[arg-type] # this module
    assert sorted(name for name, _ in _examples()) == sorted(named)


@pytest.fixture
def dataset(local: LocalRoboto) -> str:
    """A dataset of two files."""
    dataset_id = local.add_dataset("flight 1")
    for path in ("logs/a.mcap", "logs/b.mcap"):
        local.add_file(dataset_id, path, path.encode())
    return dataset_id


@pytest.fixture
def flights(tmp_path: pathlib.Path) -> dg.AssetsDefinition:
    """An asset with a partition for each dataset."""
    return build_roboto_dataset_asset(
        "flights",
        partitions_def=dg.DynamicPartitionsDefinition(name="flights"),
        destination=tmp_path,
    )


def materialize(
    asset: dg.AssetsDefinition, local: LocalRoboto, dataset_id: str, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    """Materialize the dataset's partition; a failure is the result's."""
    instance.add_dynamic_partitions("flights", [dataset_id])
    return dg.materialize(
        [asset],
        resources=local.resources(),
        partition_key=dataset_id,
        instance=instance,
        raise_on_error=False,
    )


@pytest.mark.usefixtures("environment")
def test_download_session(dataset: str, local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """The documented loop downloads every file."""
    records = [local.record(dataset, path) for path in ("logs/a.mcap", "logs/b.mcap")]
    bucket = records[0]["uri"].split("/")[2]
    files = [
        DownloadableFile(
            bucket_name=bucket,
            source_uri=record["uri"],
            destination_path=tmp_path / record["relative_path"],
        )
        for record in records
    ]

    class OfThisDataset:
        """`Association`, whose id in the example is made up."""

        @staticmethod
        def dataset(_: str) -> Association:
            return Association.dataset(dataset)

    run(
        "fs.download_session.DownloadSession",
        Association=OfThisDataset,
        DownloadSession=DownloadSession,
        StoreRegistry=StoreRegistry,
        bucket=bucket,
        client=local.client(),
        files=files,
        uri=records[0]["uri"],
    )
    assert [file["destination_path"].read_bytes() for file in files] == [
        b"logs/a.mcap",
        b"logs/b.mcap",
    ]


def test_sharded_job(
    local: LocalRoboto, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job of the example can be executed."""
    monkeypatch.setenv("ROBOTO_DAGSTER_DESTINATION_ROOT", str(tmp_path))
    names = run(
        "jobs.build_roboto_dataset_job",
        ShardOptions=ShardOptions,
        build_roboto_dataset_asset=build_roboto_dataset_asset,
        build_roboto_dataset_job=build_roboto_dataset_job,
        dg=dg,
        resources=local.resources(),
    )
    dg.Definitions.validate_loadable(names["defs"])
    job = names["defs"].resolve_job_def("robot_logs_job")
    assert job.executor_def is dg.multiprocess_executor


def test_alert(dataset: str, flights: dg.AssetsDefinition, local: LocalRoboto) -> None:
    """The alert sends one line for the failed partition."""
    lines: list[str] = []
    alert = run("failures", dg=dg, failures_of_run=failures_of_run, post=lines.append)["alert"]
    local.remove_object(dataset, "logs/b.mcap")
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(flights, local, dataset, instance)
        context = dg.build_run_status_sensor_context(
            "alert", result.get_run_failure_event(), instance, result.dagster_run
        )
        alert(context.for_run_failure())
    assert lines == [f"{dataset}: {{'NOT_FOUND': 1}}"]


def test_metadata(dataset: str, flights: dg.AssetsDefinition, local: LocalRoboto) -> None:
    """The numbers of an event are read by their names."""
    with dg.DagsterInstance.ephemeral() as instance:
        materialize(flights, local, dataset, instance)
        run("sync.values.SyncMetadata", SyncMetadata=SyncMetadata, instance=instance, asset=flights)


def test_topics(topics: "Topics", materialize: "Materializer") -> None:
    """Topics are decoded and checked, their numbers read by name, and nested columns one by one."""
    asset = topics.asset()
    assert topics.run(asset).success
    run(
        "topic_assets.metadata.TopicsMetadata",
        TopicsMetadata=TopicsMetadata,
        instance=materialize.instance,
        asset=asset,
    )
    tables = {"robot_logs": topics.logs, "robot_topics": asset}
    run(
        "topic_assets.builder.build_roboto_topics_asset",
        build_roboto_topics_asset=build_roboto_topics_asset,
        **tables,
    )
    run(
        "checks.topic_checks.build_topic_checks",
        TopicCheck=TopicCheck,
        build_topic_checks=build_topic_checks,
        **tables,
    )
    pose = {"pose": [{"position": {"x": 1.0}}]}
    names = run(
        "inputs.dotted.dotted_columns",
        dotted_columns=dotted_columns,
        dataset=pyarrow.dataset.dataset(pa.table(pose)),
    )
    assert names["poses"].to_pydict() == {"x": [1.0]}


def test_an_own_asset(dataset: str, local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """The body of the asset is that of the package's own."""
    partitions_def = dg.DynamicPartitionsDefinition(name="flights")
    config = DatasetAssetConfig.checked(destination=tmp_path)
    names = run(
        "materialize.materialize_partitions",
        ObjectStoreResource=ObjectStoreResource,
        RobotoResource=RobotoResource,
        dg=dg,
        materialize_partitions=materialize_partitions,
        partitioning=partitioning_of(config, partitions_def),
        partitions_def=partitions_def,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        assert materialize(names["flights"], local, dataset, instance).success
    assert (tmp_path / dataset / "logs/a.mcap").exists()


def test_component_fields() -> None:
    """A field takes its default and its description from the function."""
    names = run(
        "component.fields",
        SettingsModel=SettingsModel,
        build_roboto_sync_schedule=build_roboto_sync_schedule,
        setting=setting,
    )
    field = names["SyncSchedule"].model_fields["timezone"]
    assert field.default is None
    assert field.description


def test_local_roboto(flights: dg.AssetsDefinition) -> None:
    """A user's own test counts the requests to the store."""
    run(
        "testing.local_roboto.LocalRoboto",
        LocalRoboto=LocalRoboto,
        dagster=dg,
        faults=faults,
        my_asset=flights,
    )


def test_faults() -> None:
    """The rules of the example are accepted."""
    run("testing.faults")


def test_register_input_type() -> None:
    """The loader of the example is known afterwards."""

    class Recording:
        def __init__(self, paths: list[pathlib.Path]) -> None:
            self.paths = paths

    run(
        "inputs.input_types.register_input_type",
        dg=dg,
        DatasetFiles=DatasetFiles,
        Recording=Recording,
        register_input_type=register_input_type,
    )
    files = DatasetFiles(partition_keys=(), manifests=(), files=())
    context = dg.build_input_context(asset_key=dg.AssetKey("logs"))
    assert input_type(Recording).loader(files, context).paths == []


def test_build_roboto_dataset_assets() -> None:
    """The example makes two assets."""
    names = {"dg": dg, "build_roboto_dataset_assets": build_roboto_dataset_assets}
    logs = run("multi_asset.build_roboto_dataset_assets", **names)["logs"]
    assert sorted(key.to_user_string() for key in logs.keys) == ["camera", "telemetry"]
