"""A job that materializes a dataset asset by an executor of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.naming import name_around

_RETRY_STRATEGY = "dagster/retry_strategy"
_ALL_STEPS = "ALL_STEPS"


def build_roboto_dataset_job(
    asset: dg.AssetsDefinition,
    *,
    executor_def: dg.ExecutorDefinition | None = None,
    name: str | None = None,
    description: str | None = None,
    tags: Mapping[str, object] | None = None,
    run_tags: Mapping[str, object] | None = None,
    metadata: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> Any:
    """Build the job of a dataset asset whose partitions are too large for one process.

    An asset with `shards` is a graph: its plan divides the partition, each shard is a step, and the merge materializes
    the partition. Where those steps run is up to the executor: processes of one machine, Celery workers, pods. All of
    them must reach the destination under the same path, and the resources; no IO manager has to be shared.

    ```python
    logs = build_roboto_dataset_asset(
        "robot_logs",
        partitions_def=dg.DynamicPartitionsDefinition(name="datasets"),
        destination="/mnt/shared/robot_logs",
        shards=ShardOptions(max_shards=16),
    )
    job = build_roboto_dataset_job(logs, executor_def=dg.multiprocess_executor)
    defs = dg.Definitions(assets=[logs], jobs=[job], resources=resources)
    ```

    A failed step is retried alone, by `retry_policy`; if the run as such dies, a new run fetches what is missing. Runs
    that Dagster retries by itself start from the first step (`dagster/retry_strategy`): re-executed from its failure,
    a run of dynamic steps leaves out those that had not started, and the merge would do their work alone.

    Args:
        asset: From `build_roboto_dataset_asset`, a component, or a builder of several assets.
        executor_def: Runs the steps. Default: that of the code location.
        name: The job's name. Default: the asset's key with `_job`.
        description: Shown in the UI. Default: none.
        tags: Of the job. Default: none.
        run_tags: Of its runs, beside the retry strategy. Default: none.
        metadata: Of the job. Default: none.
        owners: Of the job. Default: none.

    Returns:
        The job, of the asset and its checks; for `Definitions(jobs=…)`, and as the target of a sensor or a schedule.

    Raises:
        ConfigurationError: The asset is none of this package.
    """
    DatasetAssetConfig.of(asset)
    return dg.define_asset_job(
        name or name_around(asset, "_job"),
        selection=dg.AssetSelection.assets(asset),
        executor_def=executor_def,
        description=description,
        tags=tags,
        run_tags={_RETRY_STRATEGY: _ALL_STEPS, **(run_tags or {})},
        metadata=metadata,
        owners=owners,
    )
