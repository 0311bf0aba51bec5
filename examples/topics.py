"""Topics of robot logs as tables: one partition a dataset, one Parquet file a log and topic.

It runs against `LocalRoboto`, the platform on this machine, with sample robot logs. Open it with
`dagster dev -f examples/topics.py`.
"""

import os
import pathlib
import tempfile

import dagster as dg
import polars as pl

from roboto_dagster import (
    RobotoFilesIOManager,
    TopicCheck,
    build_roboto_dataset_asset,
    build_roboto_topics_asset,
    build_topic_checks,
)
from roboto_dagster.testing import LocalRoboto, write_sample_logs

FOLDER = pathlib.Path(os.environ.get("ROBOTO_DEMO_FOLDER", tempfile.gettempdir())) / "topics-demo"
PLATFORM = LocalRoboto()
PLATFORM.start()
for folder in sorted(write_sample_logs(FOLDER / "samples").iterdir()):
    PLATFORM.add_folder(folder, dataset_id=f"ds_{folder.name.replace('-', '_')}")

partitions = dg.StaticPartitionsDefinition(PLATFORM.dataset_ids())

robot_logs = build_roboto_dataset_asset(
    "robot_logs", partitions_def=partitions, destination=FOLDER / "logs"
)

robot_topics = build_roboto_topics_asset(
    "robot_topics",
    upstream=robot_logs,
    destination=FOLDER / "topics",
    automation_condition=dg.AutomationCondition.eager(),
)


@dg.asset(
    partitions_def=partitions,
    ins={"robot_topics": dg.AssetIn(input_manager_key="files", metadata={"topic": "/pose"})},
    kinds={"polars"},
)
def seconds_driven(robot_topics: pl.LazyFrame) -> dg.MaterializeResult[None]:
    """Report how long the robot was seen in each log of a dataset."""
    times = pl.col("log_time")
    seconds = (times.max() - times.min()).dt.total_seconds()
    logs = robot_topics.group_by("_log").agg(seconds.alias("seconds")).sort("_log").collect()
    records = [dg.TableRecord(row) for row in logs.to_dicts()]
    return dg.MaterializeResult(metadata={"logs": dg.MetadataValue.table(records)})


defs = dg.Definitions(
    assets=[robot_logs, robot_topics, seconds_driven],
    asset_checks=build_topic_checks(
        robot_topics, {"/pose": TopicCheck(rate=(9, 11), max_gap=0.5, monotonic=True)}
    ),
    resources={**PLATFORM.resources(), "files": RobotoFilesIOManager()},
)
