"""Robot logs as Dagster assets: one partition a dataset, and a table of what is in them.

As it is, it runs against `LocalRoboto`, the platform on this machine, with sample robot logs or,
with ROBOTO_DEMO_LOGS=FOLDER, with logs of your own. With an account of your own, set ROBOTO_API_KEY
and ROBOTO_DATASET_IDS (ids, separated by commas).
"""

import hashlib
import os
import pathlib

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from roboto_dagster import (
    ObjectStoreResource,
    RobotoResource,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
    build_roboto_dataset_sensor,
    build_roboto_sync_schedule,
    manifest_path,
    read_manifest,
)
from roboto_dagster.testing import LocalRoboto, write_sample_logs

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
FOLDER = pathlib.Path(os.environ.get("ROBOTO_DEMO_FOLDER", REPOSITORY / ".demo"))
DESTINATION = FOLDER / "data"
PLATFORM = LocalRoboto()

DATASETS = {".bag": "ds_ros_bags", ".mcap": "ds_mcap_logs", ".ulg": "ds_px4_logs"}
MAGIC = {b"ULog": "PX4 ULog", b"#ROSBAG": "ROS bag", b"\x89MCAP": "MCAP"}


def add_sample_logs() -> None:
    """Write sample logs, and add each of their folders as a dataset."""
    for folder in sorted(write_sample_logs(FOLDER / "logs").iterdir()):
        PLATFORM.add_folder(folder, dataset_id=f"ds_{folder.name.replace('-', '_')}")


def add_logs(folder: pathlib.Path) -> None:
    """Add the logs in a folder of the reader's own, with one dataset for each kind of log.

    Raises:
        ValueError: There is no such folder, or no log in it.
    """
    advice = "Give a folder with logs, or unset ROBOTO_DEMO_LOGS for sample logs."
    if not folder.is_dir():
        raise ValueError(f"ROBOTO_DEMO_LOGS={folder} is not a folder. {advice}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in DATASETS)
    logs = [path for path in paths if path.is_file()]
    if not logs:
        raise ValueError(f"ROBOTO_DEMO_LOGS={folder} has no {', '.join(DATASETS)} file. {advice}")
    for log in logs:
        dataset_id = DATASETS[log.suffix.lower()]
        if dataset_id not in PLATFORM.dataset_ids():
            PLATFORM.add_dataset(dataset_id.removeprefix("ds_"), dataset_id=dataset_id)
        name = log.relative_to(folder).as_posix()
        # The same id in each process, so that the next run finds its files unchanged.
        file_id = f"fl_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        PLATFORM.add_file(dataset_id, name, log, file_id=file_id)


if os.environ.get("ROBOTO_API_KEY"):
    dataset_ids = os.environ.get("ROBOTO_DATASET_IDS", "").replace(" ", "").split(",")
    if dataset_ids == [""]:
        raise ValueError("Set ROBOTO_DATASET_IDS to the ids of your datasets: ds_…,ds_…")
    resources = {
        "roboto": RobotoResource(api_key=dg.EnvVar("ROBOTO_API_KEY")),
        "object_store": ObjectStoreResource(),
    }
else:
    PLATFORM.start()
    if os.environ.get("ROBOTO_DEMO_LOGS"):
        add_logs(pathlib.Path(os.environ["ROBOTO_DEMO_LOGS"]).expanduser())
    else:
        add_sample_logs()
    dataset_ids = PLATFORM.dataset_ids()
    resources = PLATFORM.resources()

partitions = dg.StaticPartitionsDefinition(dataset_ids)

robot_logs = build_roboto_dataset_asset(
    "robot_logs",
    partitions_def=partitions,
    destination=DESTINATION,
    group_name="quickstart",
)


@dg.asset(deps=[robot_logs], partitions_def=partitions, group_name="quickstart", kinds={"pyarrow"})
def log_formats(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Report what kinds of logs a dataset holds, by its manifest and the first bytes of each log."""
    manifest = read_manifest(manifest_path(DESTINATION, "robot_logs", context.partition_key))
    on_disk = manifest.filter(pc.is_valid(manifest["mtime_ns"]))
    formats = pa.array([log_format(str(path)) for path in on_disk["path"].to_pylist()], pa.string())
    table = on_disk.append_column("format", formats).group_by("format")
    rows = table.aggregate([("relative_path", "count"), ("size_bytes", "sum")]).to_pylist()
    records = [
        dg.TableRecord(
            {
                "format": row["format"],
                "files": row["relative_path_count"],
                "bytes": row["size_bytes_sum"],
            }
        )
        for row in rows
    ]
    return dg.MaterializeResult(metadata={"formats": dg.MetadataValue.table(records)})


def log_format(path: str) -> str:
    """Return the format of a log, by its first bytes."""
    with pathlib.Path(path).open("rb") as log:
        start = log.read(8)
    return next((name for magic, name in MAGIC.items() if start.startswith(magic)), "other")


defs = dg.Definitions(
    assets=[robot_logs, log_formats],
    asset_checks=build_roboto_dataset_checks(robot_logs),
    sensors=[build_roboto_dataset_sensor(robot_logs)],
    schedules=[build_roboto_sync_schedule(robot_logs, "0 3 * * *")],
    jobs=[dg.define_asset_job("robot_logs_and_formats", [robot_logs, log_formats])],
    resources=resources,
)
