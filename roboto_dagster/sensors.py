"""The sensor: new and changed datasets become partitions and runs.

A tick asks the platform twice when nothing has changed: for datasets whose record was modified, and
for files that were. What a tick does is in `roboto_dagster.sensor.tick`, what it remembers in
`roboto_dagster.sensor.cursor`.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import dagster as dg

from roboto_dagster.definition_checks import check_list
from roboto_dagster.deprecation import renamed
from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.naming import label_of, name_around
from roboto_dagster.partitions import partitioning_of_asset
from roboto_dagster.platform.queries import Query, all_of, checked_query
from roboto_dagster.resource_params import with_resources
from roboto_dagster.resources import RobotoResource
from roboto_dagster.run_requests.tick_limits import skipped
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.sensor.tick import SensorTick

Clock = Callable[[], dt.datetime]
"""Returns the time, with its zone."""


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def build_roboto_dataset_sensor(
    asset: dg.AssetsDefinition,
    *,
    name: str | None = None,
    query: Query | None = None,
    since: dt.datetime | None = None,
    watch_files: bool = True,
    quiet_seconds: float = 0.0,
    wait_until_ingested: bool = False,
    on_deleted: Literal["keep", "remove"] = "keep",
    deletion_scan_interval_seconds: float = 3600.0,
    overlap_seconds: float = 300.0,
    max_datasets_per_tick: int = 100,
    time_budget_seconds: float = 40.0,
    request_runs: bool = True,
    run_tags: Mapping[str, str] | None = None,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
    roboto_resource_key: str = "roboto",
    clock: Clock = _utc_now,
    vanished: Literal["keep", "remove"] | None = None,
    vanished_interval_seconds: float | None = None,
) -> dg.SensorDefinition:
    """Build a sensor that turns new and changed datasets into partitions and runs of an asset.

    Of dynamic partitions it adds the keys. Of time windows it runs the window in which a changed
    dataset was created, of dataset by time windows those in which the changed files were created; a
    window that is not over yet is run when it is. Nothing is lost by an outage of the platform: the
    tick is skipped with the reason, and the next one starts where the last good one ended.

    Args:
        asset: From `build_roboto_dataset_asset`, `build_roboto_dataset_assets` or a component.
        name: The sensor's name. Default: the asset's, with `_sensor`.
        query: Which datasets to watch: a condition of the platform's query language, as a mapping
            or of the SDK. Default: the asset's own query, else all.
        since: Leave alone what was last modified before; a time with its zone. Default: the first
            ticks take all.
        watch_files: Whether new and changed files count as a change of their dataset too: not every
            platform notes them in the dataset's record. Costs one more request a tick. Default: yes.
        quiet_seconds: Wait until neither the dataset nor a file of it has changed for so long.
            Default 0.
        wait_until_ingested: Wait until all files of the dataset that can be ingested are. Default:
            no.
        on_deleted: Whether the dynamic partition of a deleted dataset stays (`"keep"`, default) or is
            removed from Dagster (`"remove"`; files on disk stay).
        deletion_scan_interval_seconds: How often to look for deleted datasets; it takes a listing of
            all. Default 3600.
        overlap_seconds: How long after it happened the platform may first show a change. Default
            300.
        max_datasets_per_tick: How many datasets one tick may take up, and how many runs it may
            request; the rest is next. Default 100.
        time_budget_seconds: After so long a tick ends with what it has. Dagster's own limit is 60.
            Default 40.
        request_runs: False adds partitions only, for an asset with an automation condition. Default:
            yes.
        run_tags: Tags of the requested runs. Default: those that name dataset and partition.
        minimum_interval_seconds: Time between two ticks. Default 60.
        default_status: Whether the sensor runs without being switched on in the UI. Default:
            stopped.
        description: Shown in the UI. Default: what it does.
        tags: Tags of the sensor itself. Default: none.
        metadata: Metadata of the sensor. Default: none.
        owners: Owners of the sensor. Default: none.
        roboto_resource_key: The resource that is the platform. Default `roboto`.
        clock: Returns the time with its zone, for tests. Default: this machine's.
        vanished: Deprecated name of `on_deleted`.
        vanished_interval_seconds: Deprecated name of `deletion_scan_interval_seconds`.

    Returns:
        The sensor. It can also be called with a `dagster.build_sensor_context`, in tests.

    Raises:
        ConfigurationError: The asset was not built by this package, or an option cannot work.
    """
    check_list("owners", owners)
    partitioning = partitioning_of_asset(asset)
    if not callable(clock):
        raise ConfigurationError(f"clock must be a function that returns the time, not {clock!r}.")
    options = SensorOptions(
        query=all_of(partitioning.config.query, checked_query(query)),
        since=since,
        watch_files=watch_files,
        quiet_seconds=quiet_seconds,
        wait_until_ingested=wait_until_ingested,
        on_deleted=renamed("vanished", "on_deleted", vanished, on_deleted, "keep"),
        deletion_scan_interval_seconds=renamed(
            "vanished_interval_seconds",
            "deletion_scan_interval_seconds",
            vanished_interval_seconds,
            deletion_scan_interval_seconds,
            3600.0,
        ),
        overlap_seconds=overlap_seconds,
        max_datasets_per_tick=max_datasets_per_tick,
        time_budget_seconds=time_budget_seconds,
        request_runs=request_runs,
        run_tags=run_tags or {},
        minimum_interval_seconds=minimum_interval_seconds,
    )
    if options.on_deleted == "remove" and partitioning.dynamic_name is None:
        msg = (
            f'on_deleted="remove" needs dynamic partitions, which {label_of(asset)} does not have.'
        )
        raise ConfigurationError(msg)

    def evaluate(
        context: dg.SensorEvaluationContext, roboto: RobotoResource
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            return SensorTick(
                context, roboto, asset, partitioning, options=options, now=clock()
            ).run()
        except PlatformError as error:
            return skipped(error)

    resources = {"roboto_resource_key": (roboto_resource_key, RobotoResource)}
    body = with_resources(evaluate, dg.SensorEvaluationContext, resources)
    return dg.sensor(
        name=name or name_around(asset, "_sensor"),
        target=asset,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description=description
        or "Turns new and changed Roboto datasets into partitions and runs.",
        tags=tags,
        metadata=metadata,
        owners=owners,
    )(body)
