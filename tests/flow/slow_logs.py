"""The code location of test_cancellation.py: an asset for each engine.

The platform is the test's own; it is found through the environment, as a user's is.
"""

import json
import os

import dagster as dg

from roboto_dagster import ObjectStoreResource, RobotoResource, build_roboto_dataset_asset

assets, stores = [], {}
for engine, scene in json.loads(os.environ["SCENES"]).items():
    assets.append(
        build_roboto_dataset_asset(
            f"logs_{engine}",
            destination=scene["destination"],
            dataset_id=scene["dataset_id"],
            object_store_resource_key=f"store_{engine}",
        )
    )
    stores[f"store_{engine}"] = ObjectStoreResource(engine=engine, max_connections=4)
defs = dg.Definitions(
    assets=assets,
    resources={"roboto": RobotoResource(api_key=dg.EnvVar("ROBOTO_API_KEY")), **stores},
)
