"""Robot logs as Dagster assets: one partition a dataset, and a table of what is in them.

As it is, it runs against `LocalRoboto`, the platform on this machine, with real robot logs. With an
account of your own, set ROBOTO_API_KEY and ROBOTO_DATASET_IDS (ids, separated by commas).
"""

import os
import pathlib

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from roboto_dagster import (
    ObjectStoreResource,
    RobotoResource,
    build_roboto_dataset_asset,
    manifest_path,
    read_manifest,
)
from roboto_dagster.testing import LocalRoboto, write_sample_logs

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
FOLDER = pathlib.Path(os.environ.get("ROBOTO_DEMO_FOLDER", REPOSITORY / ".demo"))
DESTINATION = FOLDER / "data"
PLATFORM = LocalRoboto()

DATASETS = {".ulg": "ds_px4_flights", ".bag": "ds_turtlesim_bags", ".mcap": "ds_turtlesim_mcap"}
MAGIC = {b"ULog": "PX4 ULog", b"#ROSBAG": "ROS bag", b"\x89MCAP": "MCAP"}


def find_logs() -> list[pathlib.Path]:
    """Finds logs: those of ROBOTO_DEMO_LOGS, else those beside the repository, else written ones."""
    beside = REPOSITORY.parent / "shared" / "data" / "robot-logs"
    folder = pathlib.Path(os.environ.get("ROBOTO_DEMO_LOGS", beside))
    if not folder.is_dir():
        folder = write_sample_logs(FOLDER / "logs")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def start_platform(logs: list[pathlib.Path]) -> None:
    """Starts the platform, with the logs of one kind, or of one folder of written ones, a dataset."""
    PLATFORM.start()
    for log in logs:
        written = log.is_relative_to(FOLDER)
        dataset_id = (
            f"ds_{log.parent.name.replace('-', '_')}" if written else DATASETS.get(log.suffix)
        )
        if dataset_id is None:
            continue
        if dataset_id not in PLATFORM.dataset_ids():
            PLATFORM.add_dataset(dataset_id.removeprefix("ds_"), dataset_id=dataset_id)
        PLATFORM.add_file(dataset_id, log.name, log, file_id=f"fl_{dataset_id}_{log.stem}")


if os.environ.get("ROBOTO_API_KEY"):
    dataset_ids = os.environ.get("ROBOTO_DATASET_IDS", "").replace(" ", "").split(",")
    if dataset_ids == [""]:
        raise RuntimeError("Set ROBOTO_DATASET_IDS to the ids of your datasets: ds_…,ds_…")
    resources = {
        "roboto": RobotoResource(api_key=dg.EnvVar("ROBOTO_API_KEY")),
        "object_store": ObjectStoreResource(),
    }
else:
    start_platform(find_logs())
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
    """What kinds of logs a dataset holds, from the manifest and from the first bytes of each log."""
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
    """Tells the format of a log by its first bytes."""
    with pathlib.Path(path).open("rb") as log:
        start = log.read(8)
    return next((name for magic, name in MAGIC.items() if start.startswith(magic)), "other")


defs = dg.Definitions(assets=[robot_logs, log_formats], resources=resources)
