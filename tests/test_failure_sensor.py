"""The alert: what is posted about a run, and when."""

import dataclasses
import pathlib
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    RetryConfig,
    build_roboto_dataset_asset,
    build_roboto_failure_sensor,
)
from roboto_dagster.failure_sensor import MAX_PARTITIONS, failure_text
from roboto_dagster.failures import FailedFile, PartitionFailure
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.topics.faults import fault_advice


def partition_failure(key: str, *files: FailedFile) -> PartitionFailure:
    """Return the failure of one partition."""
    return PartitionFailure(
        asset_key=dg.AssetKey("logs"),
        partition_key=key,
        dataset_id=key,
        dataset_name="flight\n7",
        description="The dataset\ndoes not exist.",
        error_codes={"NOT_FOUND": len(files)},
        files=files,
        manifest=None,
    )


def evaluate(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult
) -> None:
    """Evaluate the sensor for one run, as the daemon does."""
    (event,) = (each for each in result.all_events if each.is_run_failure)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    )
    sensor(context)


def test_a_failed_run_is_posted(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """The text has the run's page, the dataset, the failed file and what to do."""
    dataset_id = local.add_dataset("flight 7")
    for name in ("a.bin", "b.bin"):
        local.add_file(dataset_id, name, b"data")
    local.faults.add(faults.status(404), service="s3", key="*b.bin")
    asset = build_roboto_dataset_asset(
        "logs", destination=tmp_path, dataset_id=dataset_id, retry=RetryConfig(max_attempts=1)
    )
    posted: list[str] = []
    sensor = build_roboto_failure_sensor(posted.append, webserver_url="https://dagster.example/")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset], resources=resources, instance=instance, raise_on_error=False
        )
        evaluate(sensor, instance, result)
    (text,) = posted
    assert f"https://dagster.example/runs/{result.run_id}" in text
    assert "logs, flight 7: 1 file failed" in text
    assert "NOT_FOUND b.bin: " in text
    assert "upload the file again" in text


def test_a_run_in_which_others_failed_is_not_posted() -> None:
    """Alerts about other assets are the business of others."""

    @dg.asset
    def other() -> None:
        raise ValueError("broken")

    posted: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([other], instance=instance, raise_on_error=False)
        evaluate(build_roboto_failure_sensor(posted.append), instance, result)
    assert posted == []


def test_other_assets_failures_are_not_posted(
    resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A sensor of some assets posts about theirs alone, and is named after the first of them."""
    assets = [
        build_roboto_dataset_asset(name, destination=tmp_path / name, dataset_id="ds_unknown")
        for name in ("logs", "maps")
    ]
    posted: list[str] = []
    sensors = [build_roboto_failure_sensor(posted.append, assets=[each]) for each in assets]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            assets[:1], resources=resources, instance=instance, raise_on_error=False
        )
        for sensor in sensors:
            evaluate(sensor, instance, result)
    assert [each.name for each in sensors] == ["logs_failures", "maps_failures"]
    (text,) = posted
    assert "• logs: " in text


def test_long_texts_are_cut() -> None:
    """Of many partitions and files a few are written out, and the others counted."""
    files = [
        FailedFile(
            relative_path=f"{number}.bin",
            error_code="NOT_FOUND",
            attempts=1,
            transient=False,
            message="gone",
        )
        for number in range(9)
    ]
    failures = [partition_failure(f"ds_{number}", *files) for number in range(MAX_PARTITIONS + 2)]
    text = failure_text(failures, "r1")
    assert text.startswith(
        "Not delivered: 22 partitions in run r1\n• logs, ds_0, flight\\n7: 9 files"
    )
    assert "… and 4 more files" in text
    assert text.endswith("\n… and 2 more")


def test_a_partition_without_files_has_its_description() -> None:
    """What was not even planned has a reason."""
    text = failure_text([partition_failure("ds_1")], "r1")
    assert text.splitlines()[1] == "• logs, ds_1, flight\\n7: The dataset does not exist."


def test_a_canceled_run_can_be_watched_for() -> None:
    """A second sensor posts about cancelled runs."""
    sensor = build_roboto_failure_sensor(
        print, name="canceled", run_status=dg.DagsterRunStatus.CANCELED, tags={"team": "robots"}
    )
    assert (sensor.name, dict(sensor.tags or {})["team"]) == ("canceled", "robots")
    dg.Definitions.validate_loadable(dg.Definitions(sensors=[sensor]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"post": "https://hooks.example"}, "post must be a function"),
        ({"post": print, "run_status": dg.DagsterRunStatus.SUCCESS}, "run_status must be"),
        ({"post": print, "assets": []}, "assets must be a list"),
        ({"post": print, "assets": dg.AssetKey("logs")}, "assets must be a list"),
        ({"post": print, "assets": ["logs"]}, "assets must be assets or their keys"),
        ({"post": print, "webserver_url": "dagster.example"}, "webserver_url must start with"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """The error names the setting."""
    with pytest.raises(ConfigurationError, match=message):
        build_roboto_failure_sensor(**options)


def test_what_could_not_be_decoded_is_posted() -> None:
    """Logs and topics in place of files."""
    files = [
        FailedFile(
            relative_path="drive.mcap",
            error_code="MISSING_DEFINITION",
            attempts=1,
            transient=None,
            message="geometry_msgs/Pose is missing",
            topic=topic,
        )
        for topic in ("/odom", None)
    ]
    failure = dataclasses.replace(partition_failure("ds_1", *files), of_topics=True)
    lines = failure_text([failure], "run").splitlines()
    assert lines[0] == "Not decoded: 1 partition in run run"
    assert lines[1].endswith("2 logs or topics failed")
    assert lines[2:4] == [
        "    MISSING_DEFINITION drive.mcap, /odom: geometry_msgs/Pose is missing",
        "    MISSING_DEFINITION drive.mcap: geometry_msgs/Pose is missing",
    ]
    assert lines[4] == f"    → {fault_advice('MISSING_DEFINITION')}"
