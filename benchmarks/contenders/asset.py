"""The complete Dagster asset: `python -m benchmarks.contenders.asset JOB ENGINE`."""

import importlib
import logging
import sys
from typing import Any

import dagster as dg
import pyarrow.parquet  # noqa: F401 - imports do not count
import roboto  # noqa: F401 - likewise

from benchmarks.contenders.job import Job, run
from benchmarks.contenders.ours import ENGINES
from roboto_dagster import ObjectStoreResource, RobotoResource, build_roboto_dataset_asset


def resources(job: Job, engine: Any, max_connections: int | None = None) -> dict[str, Any]:
    """Makes the resources that lead to the run's servers.

    Args:
        job: Has their addresses.
        engine: Of the store.
        max_connections: To the store. Default: as many as the engine opens.
    """
    return {
        "roboto": RobotoResource(api_key="benchmark", endpoint=job.api_url),
        "object_store": ObjectStoreResource(
            engine=engine, endpoint_url=job.url, max_connections=max_connections
        ),
    }


def materialize(job: Job) -> dict[str, float]:
    """Materializes the asset once; reports how long the sync inside it took."""
    asset = build_roboto_dataset_asset(
        "bench", dataset_id=job.shape.dataset_id, destination=job.destination
    )
    result = dg.materialize([asset], resources=resources(job, sys.argv[2]))
    metadata = result.asset_materializations_for_node("bench")[0].metadata
    return {"sync_seconds": float(str(metadata["roboto/duration_seconds"].value))}


if __name__ == "__main__":
    importlib.import_module(f"roboto_dagster.fs.{ENGINES[sys.argv[2]]}")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    run(materialize)
