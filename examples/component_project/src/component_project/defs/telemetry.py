"""What depends on delivered files declares what it wants of them."""

import dagster as dg
import pyarrow.dataset as pad

from roboto_dagster import RobotoFilesIOManager


@dg.asset(
    group_name="robots",
    partitions_def=dg.DynamicPartitionsDefinition(name="flights"),
    ins={"flight_logs": dg.AssetIn(input_manager_key="roboto_files", metadata={"format": "csv"})},
)
def telemetry_rows(flight_logs: pad.Dataset) -> dg.MaterializeResult[int]:
    """The number of telemetry rows of a flight, read from the CSV files of its dataset."""
    rows = flight_logs.count_rows()
    return dg.MaterializeResult(value=rows, metadata={"dagster/partition_row_count": rows})


@dg.definitions
def resources() -> dg.Definitions:
    """The IO manager by which assets load delivered files."""
    return dg.Definitions(resources={"roboto_files": RobotoFilesIOManager()})
