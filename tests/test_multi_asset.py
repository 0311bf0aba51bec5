"""Several assets from one listing: each with its own files, events and failure."""

import inspect
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    DatasetFiles,
    RobotoFilesIOManager,
    build_roboto_dataset_asset,
    build_roboto_dataset_assets,
    build_roboto_dataset_checks,
    build_roboto_dataset_sensor,
    build_roboto_sync_schedule,
    failures_of_run,
    read_manifest,
)
from roboto_dagster.multi_asset import AssetOptions, SharedOptions
from roboto_dagster.testing import LocalRoboto, faults

pytestmark = pytest.mark.slow

LISTING = "/v1/datasets/*/files/query"
DIVIDED: Mapping[str, Sequence[str]] = {"camera": ["*.mcap"], "imu": ["*.csv"]}
VERSION = "dagster/data_version"
Resources = dict[str, Any]


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of files of three kinds."""
    return add(local)


def add(local: LocalRoboto) -> str:
    """Add such a dataset."""
    dataset_id = local.add_dataset()
    for path in ("a.mcap", "b.csv", "c.txt"):
        local.add_file(dataset_id, path, path.encode())
    return dataset_id


def paths(manifest: pathlib.Path) -> list[str]:
    """The files of a manifest."""
    return sorted(map(str, read_manifest(manifest)["relative_path"].to_pylist()))


def run(
    assets: dg.AssetsDefinition,
    resources: Resources,
    instance: dg.DagsterInstance,
    keys: Sequence[str] = (),
    others: Sequence[Any] = (),
    **options: Any,
) -> dg.ExecuteInProcessResult:
    """Materialize assets, of partitions as one range."""
    tags = {}
    if keys:
        start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
        tags = {start: keys[0], end: keys[-1]}
    return dg.materialize(
        [assets, *others],
        resources=resources,
        instance=instance,
        raise_on_error=False,
        tags=tags,
        **options,
    )


def events(
    instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult, kind: dg.DagsterEventType
) -> list[Any]:
    """The events of a kind, also those that a failed step has logged."""
    records = instance.get_records_for_run(result.run_id, of_type=kind).records
    return [record.event_log_entry.dagster_event for record in records]


def materialized(
    instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult
) -> list[tuple[str, str | None]]:
    """The events of a run: asset and partition of each."""
    found = events(instance, result, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return sorted(((each.asset_key.to_user_string(), each.partition) for each in found), key=str)


def description_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failure of the step says."""
    data = result.failure_data_for_node("flight_logs")
    assert data is not None
    return str(data.user_failure_data)


def build(tmp_path: pathlib.Path, keys: Sequence[str], **options: Any) -> dg.AssetsDefinition:
    """Both assets with partitions, of which one run may hold any number."""
    return build_roboto_dataset_assets(
        "flight_logs",
        DIVIDED,
        destination=tmp_path,
        partitions_def=dg.StaticPartitionsDefinition(list(keys)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        **options,
    )


def of_one_dataset(tmp_path: pathlib.Path, dataset_id: str, **options: Any) -> dg.AssetsDefinition:
    """Both assets without partitions."""
    return build_roboto_dataset_assets(
        "flight_logs", DIVIDED, destination=tmp_path, dataset_id=dataset_id, **options
    )


@pytest.fixture
def instance() -> Any:
    """An instance of this test alone."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_each_has_its_own_files(
    local: LocalRoboto,
    resources: Resources,
    instance: dg.DagsterInstance,
    dataset_id: str,
    tmp_path: pathlib.Path,
) -> None:
    """A manifest, an event and metadata for each, from one listing; what nobody wants is not delivered."""
    assets = of_one_dataset(tmp_path, dataset_id)
    result = run(assets, resources, instance)
    assert materialized(instance, result) == [("camera", None), ("imu", None)]
    assert local.requests.count(route=LISTING) == 1
    for name, path in (("camera", "a.mcap"), ("imu", "b.csv")):
        (event,) = [
            each.materialization
            for each in result.get_asset_materialization_events()
            if each.asset_key == dg.AssetKey(name)
        ]
        assert paths(pathlib.Path(str(event.metadata["roboto/manifest"].value))) == [path]
        assert event.metadata["roboto/bytes_fetched"].value == len(path)
    assert sorted(path.name for path in (tmp_path / dataset_id).iterdir()) == ["a.mcap", "b.csv"]


def test_they_share_connections(
    local: LocalRoboto,
    resources: Resources,
    instance: dg.DagsterInstance,
    dataset_id: str,
    tmp_path: pathlib.Path,
) -> None:
    """One engine and one client of the platform, also in a run of one partition."""
    assets = of_one_dataset(tmp_path, dataset_id)
    assert run(assets, resources, instance).success
    assert local.requests.count_connections(service="s3") == 1
    assert local.requests.count_connections(service="api") == 1


def test_one_can_be_selected(
    resources: Resources, instance: dg.DagsterInstance, dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """The others are neither synced nor materialized then."""
    assets = of_one_dataset(tmp_path, dataset_id)
    result = run(assets, resources, instance, selection=["imu"])
    assert materialized(instance, result) == [("imu", None)]
    assert [path.name for path in (tmp_path / dataset_id).iterdir()] == ["b.csv"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_one_event_an_asset_and_partition(
    local: LocalRoboto,
    resources: Resources,
    instance: dg.DagsterInstance,
    tmp_path: pathlib.Path,
    number: int,
) -> None:
    """Never two and never none, with one listing a partition."""
    keys = [add(local) for _ in range(number)]
    result = run(build(tmp_path, keys), resources, instance, keys)
    expected = [(name, key) for name in DIVIDED for key in keys]
    assert materialized(instance, result) == sorted(expected)
    assert local.requests.count(route=LISTING) == number


def test_a_failure_leaves_the_others(
    local: LocalRoboto, resources: Resources, instance: dg.DagsterInstance, tmp_path: pathlib.Path
) -> None:
    """Of every asset just the partitions with a failed file are not materialized, and are named."""
    first, second = (add(local) for _ in range(2))
    local.faults.add(faults.status(404), service="s3", key=f"*{second}/a.mcap")
    result = run(build(tmp_path, [first, second]), resources, instance, [first, second])
    assert not result.success
    assert materialized(instance, result) == sorted(
        [("camera", first), ("imu", first), ("imu", second)]
    )
    (failure,) = failures_of_run(instance, result.run_id)
    assert (failure.asset_key, failure.partition_key) == (dg.AssetKey("camera"), second)
    message = description_of(result)
    assert "1 of 4 asset partitions is not complete; the other 3 are materialized" in message
    assert "camera: 1 of 1 file" in message


def test_without_partitions_a_failure_leaves_the_others(
    local: LocalRoboto,
    resources: Resources,
    instance: dg.DagsterInstance,
    dataset_id: str,
    tmp_path: pathlib.Path,
) -> None:
    """The same where there are no partitions; a re-run completes what is missing."""
    local.faults.add(faults.status(404), service="s3", key="*a.mcap", times=1)
    assets = of_one_dataset(tmp_path, dataset_id)
    assert materialized(instance, run(assets, resources, instance)) == [("imu", None)]
    assert run(assets, resources, instance).success


def test_a_dataset_that_is_unknown_fails_all(
    local: LocalRoboto, resources: Resources, instance: dg.DagsterInstance, tmp_path: pathlib.Path
) -> None:
    """Each asset has the failure, after one attempt to list."""
    assets = build(tmp_path, ["ds_unknown"])
    result = run(assets, resources, instance, ["ds_unknown"])
    failed = failures_of_run(instance, result.run_id)
    assert [each.asset_key.to_user_string() for each in failed] == ["camera", "imu"]
    assert local.requests.count(route=LISTING) == 1


def test_data_versions_are_those_of_each(
    local: LocalRoboto, resources: Resources, instance: dg.DagsterInstance, tmp_path: pathlib.Path
) -> None:
    """A changed file changes the version of its asset and partition, and no other."""
    keys = [add(local) for _ in range(2)]
    assets = build(tmp_path, keys)

    def versions() -> dict[tuple[str, str | None], str]:
        result = run(assets, resources, instance, keys)
        return {
            (each.materialization.asset_key.to_user_string(), each.partition): (
                each.materialization.tags or {}
            )[VERSION]
            for each in result.get_asset_materialization_events()
        }

    before = versions()
    assert versions() == before
    local.replace_file(keys[0], "a.mcap", b"replaced")
    after = versions()
    assert {each for each in before if before[each] != after[each]} == {("camera", keys[0])}


def test_what_two_want_is_fetched_once(
    local: LocalRoboto,
    resources: Resources,
    instance: dg.DagsterInstance,
    dataset_id: str,
    tmp_path: pathlib.Path,
) -> None:
    """It belongs to both of them."""
    both = {"raw": ["*.mcap"], "everything": {"include_patterns": []}}
    assets = build_roboto_dataset_assets(
        "flight_logs",
        both,  # type: ignore[arg-type]  # a plain dictionary will do
        destination=tmp_path,
        dataset_id=dataset_id,
    )
    assert run(assets, resources, instance).success
    assert local.requests.count(service="s3", method="GET", key="*a.mcap") == 1
    manifests = tmp_path / ".roboto"
    assert paths(manifests / "everything" / f"{dataset_id}.parquet") == ["a.mcap", "b.csv", "c.txt"]
    assert paths(manifests / "raw" / f"{dataset_id}.parquet") == ["a.mcap"]


def test_options_of_one(tmp_path: pathlib.Path, dataset_id: str) -> None:
    """They replace those of all; metadata and tags are added."""
    assets = build_roboto_dataset_assets(
        "flight_logs",
        {
            "raw/camera": {
                "include_patterns": ["*.mcap"],
                "destination": tmp_path / "camera",
                "owners": ["team:vision"],
                "tags": {"b": "2"},
                "metadata": {"y": 2},
                "deps": ["calibration"],
            },
            "imu": ["*.csv"],
        },
        destination=tmp_path / "rest",
        dataset_id=dataset_id,
        key_prefix="robots",
        owners=["team:data"],
        tags={"a": "1"},
        metadata={"x": 1},
        group_name="flights",
        source=None,
    )
    camera = assets.get_asset_spec(dg.AssetKey(["robots", "raw", "camera"]))
    imu = assets.get_asset_spec(dg.AssetKey(["robots", "imu"]))
    assert (camera.owners, imu.owners) == (["team:vision"], ["team:data"])
    assert {"a": "1", "b": "2"}.items() <= camera.tags.items()
    assert {"x": 1, "y": 2}.items() <= camera.metadata.items()
    assert (camera.group_name, imu.group_name) == ("flights", "flights")
    assert [each.asset_key.to_user_string() for each in camera.deps] == ["calibration"]
    assert camera.kinds == imu.kinds == {"roboto", "s3"}
    assert str(camera.metadata["roboto/destination"].value).endswith("camera")
    assert camera.code_version != imu.code_version


def test_each_is_described_by_its_patterns(tmp_path: pathlib.Path) -> None:
    """So that the pages of both differ."""
    assets = build(tmp_path, ["ds_1"])
    found = [str(each.description) for each in assets.specs]
    assert [each.partition(" of ")[0] for each in found] == [
        "The files `*.mcap`",
        "The files `*.csv`",
    ]


def test_an_asset_may_be_empty(
    resources: Resources, instance: dg.DagsterInstance, dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """Whether that is a failure is an option of each."""
    assets = build_roboto_dataset_assets(
        "flight_logs",
        {"lidar": {"include_patterns": ["*.pcap"], "on_empty": "allow"}, "radar": ["*.bin"]},
        destination=tmp_path,
        dataset_id=dataset_id,
    )
    result = run(assets, resources, instance)
    assert materialized(instance, result) == [("lidar", None)]
    assert "radar: There is no file" in description_of(result)


def test_what_depends_on_one_runs(
    local: LocalRoboto, resources: Resources, instance: dg.DagsterInstance, tmp_path: pathlib.Path
) -> None:
    """Downstream in the same run, with the files by the IO manager."""
    keys = [add(local) for _ in range(2)]
    loaded: dict[str, list[str]] = {}

    @dg.asset(
        ins={"camera": dg.AssetIn(input_manager_key="files")},
        partitions_def=dg.StaticPartitionsDefinition(keys),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def frames(camera: dict[str, DatasetFiles]) -> None:
        loaded.update({key: [path.name for path in files] for key, files in camera.items()})

    everything = {**resources, "files": RobotoFilesIOManager()}
    assert run(build(tmp_path, keys), everything, instance, keys, [frames]).success
    assert loaded == {key: ["a.mcap"] for key in keys}


def test_an_io_manager_of_their_own(
    resources: Resources, instance: dg.DagsterInstance, dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """Named once, it is used by all that depend on the assets."""
    assets = of_one_dataset(tmp_path, dataset_id, io_manager_key="files")

    @dg.asset
    def total(camera: list[pathlib.Path], imu: list[pathlib.Path]) -> int:
        return len(camera) + len(imu)

    everything = {
        **resources,
        "files": RobotoFilesIOManager(),
        "io_manager": dg.mem_io_manager,
    }
    assert run(assets, everything, instance, others=[total]).output_for_node("total") == 2


def test_checks_of_each(
    local: LocalRoboto, resources: Resources, instance: dg.DagsterInstance, tmp_path: pathlib.Path
) -> None:
    """A definition for each asset; a failed asset has its checks evaluated, as do the others."""
    key = add(local)
    local.faults.add(faults.status(404), service="s3", key="*a.mcap")
    assets = build(tmp_path, [key])
    checks = build_roboto_dataset_checks(assets)
    assert len(checks) == 2
    result = run(assets, resources, instance, [key], checks)
    evaluations = [
        each.asset_check_evaluation_data
        for each in events(instance, result, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    ]
    found = {(each.asset_key.path[0], each.check_name): each.passed for each in evaluations}
    assert found["camera", "files_on_disk"] is False
    assert found["imu", "files_on_disk"] is True
    assert found["imu", "in_step_with_platform"] is True


def test_a_sensor_of_all(resources: Resources, tmp_path: pathlib.Path, dataset_id: str) -> None:
    """One sensor finds the changes that any of the assets wants, and requests a run of all."""
    assets = build(tmp_path, [dataset_id])
    sensor = build_roboto_dataset_sensor(assets)
    assert sensor.name == "flight_logs_sensor"
    with dg.DagsterInstance.ephemeral() as instance:
        found = sensor(dg.build_sensor_context(instance=instance), roboto=resources["roboto"])
    assert isinstance(found, dg.SensorResult)
    (request,) = found.run_requests or ()
    assert (request.partition_key, request.asset_selection) == (dataset_id, None)


def test_a_schedule_of_all(tmp_path: pathlib.Path) -> None:
    """It is named after the op, and requests the partitions of all."""
    schedule = build_roboto_sync_schedule(build(tmp_path, ["ds_1", "ds_2"]), "@daily")
    assert schedule.name == "flight_logs_schedule"
    requests: Any = schedule(dg.build_schedule_context())
    (request,) = requests
    assert request.tags["dagster/asset_partition_range_end"] == "ds_2"


def test_called_in_a_unit_test(
    resources: Resources, dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """As Dagster documents it: a result for each asset."""
    assets = of_one_dataset(tmp_path, dataset_id)
    results: Any = assets(dg.build_asset_context(), **resources)
    assert [each.asset_key.to_user_string() for each in results] == ["camera", "imu"]
    assert [each.metadata["roboto/files_fetched"].value for each in results] == [1, 1]


def test_they_load_together(tmp_path: pathlib.Path) -> None:
    """With sensor, schedule and checks in one code location."""
    assets = build(tmp_path, ["ds_1"])
    definitions = dg.Definitions(
        assets=[assets],
        asset_checks=build_roboto_dataset_checks(assets),
        sensors=[build_roboto_dataset_sensor(assets)],
        schedules=[build_roboto_sync_schedule(assets, "@daily")],
        resources={"roboto": None, "object_store": None},
    )
    dg.Definitions.validate_loadable(definitions)


@pytest.mark.parametrize(
    ("assets", "message"),
    [
        ({}, "assets must be patterns by the name of an asset"),
        (["*.csv"], "assets must be patterns by the name of an asset"),
        ({"a": "*.csv"}, r"The asset 'a': include_patterns must be a list of patterns"),
        ({"a": {"include": ["*"]}}, r"The option include of 'a' does not exist"),
        ({"a": {"dataset_id": "ds_1"}}, r"The option dataset_id of 'a' belongs to all assets"),
        ({"a/": ["*"]}, r"assets must have names such as 'camera' or 'raw/camera', not 'a/'"),
        ({"a": {"on_empty": "perhaps"}}, r"The asset 'a': on_empty"),
    ],
    ids=str,
)
def test_what_cannot_work(tmp_path: pathlib.Path, assets: Any, message: str) -> None:
    """It is refused where it is defined, and the asset is named."""
    with pytest.raises(ConfigurationError, match=message):
        build_roboto_dataset_assets("logs", assets, destination=tmp_path, dataset_id="ds_1")


def test_options_are_those_of_one_asset() -> None:
    """An option that is added to the one builder is missing here until it is added to the other."""
    signature = inspect.signature(build_roboto_dataset_asset)
    assert set(SharedOptions.__annotations__) == set(signature.parameters) - {"name", "shards"}
    assert set(AssetOptions.__annotations__) < set(SharedOptions.__annotations__)
