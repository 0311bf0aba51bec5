"""The code location of test_cancellation.py, and a script that materializes it in a plain process.

The platform is the test's own; it is found through the environment, as a user's is.
"""

import os

import dagster as dg

from roboto_dagster import ObjectStoreResource, RobotoResource, build_roboto_dataset_asset

DATASET_ID = os.environ["DATASET_ID"]

logs = build_roboto_dataset_asset(
    "logs",
    destination=os.environ["DESTINATION"],
    partitions_def=dg.StaticPartitionsDefinition([DATASET_ID]),
)
resources = {
    "roboto": RobotoResource(api_key=dg.EnvVar("ROBOTO_API_KEY")),
    "object_store": ObjectStoreResource(engine=os.environ["ENGINE"], max_connections=4),
}
defs = dg.Definitions(assets=[logs], resources=resources)

if __name__ == "__main__":
    dg.materialize([logs], resources=resources, partition_key=DATASET_ID)
