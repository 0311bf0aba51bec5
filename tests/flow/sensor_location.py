"""The code location of test_sensor_daemon.py: two assets with sensors that are on, on the test's clock."""

import datetime as dt
import os
import pathlib

import dagster as dg

from roboto_dagster import (
    ObjectStoreResource,
    RobotoResource,
    build_roboto_dataset_asset,
    build_roboto_dataset_sensor,
)

FOLDER = pathlib.Path(os.environ["SENSOR_FOLDER"])


def clock() -> dt.datetime:
    """Return the time that the test has written."""
    return dt.datetime.fromisoformat((FOLDER / "clock").read_text("utf-8"))


daily = build_roboto_dataset_asset(
    "daily",
    destination=FOLDER / "daily",
    partitions_def=dg.DailyPartitionsDefinition("2026-01-01"),
)
flights = build_roboto_dataset_asset(
    "flights",
    destination=FOLDER / "flights",
    partitions_def=dg.DynamicPartitionsDefinition(name="flights"),
)
defs = dg.Definitions(
    assets=[daily, flights],
    sensors=[
        build_roboto_dataset_sensor(
            asset,
            query={"field": "tags", "comparator": "CONTAINS", "value": asset.key.path[-1]},
            minimum_interval_seconds=1,
            default_status=dg.DefaultSensorStatus.RUNNING,
            clock=clock,
        )
        for asset in (daily, flights)
    ],
    jobs=[],
    executor=dg.in_process_executor,
    resources={
        "roboto": RobotoResource(api_key=dg.EnvVar("ROBOTO_API_KEY")),
        "object_store": ObjectStoreResource(),
    },
)
