"""The schedule: a cron over one dataset, all partitions or a selection.

Dagster's own `build_schedule_from_partitioned_job` refuses dynamic partitions.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import dagster as dg

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import Partitioning, partitioning_of_asset
from roboto_dagster.run_requests import contiguous_ranges, range_tags, run_request

SelectKeys = Callable[[Sequence[str]], Sequence[str]]
"""Given all keys of the partitions, returns those to run."""


def build_roboto_sync_schedule(
    asset: dg.AssetsDefinition,
    cron_schedule: str | Sequence[str],
    *,
    name: str | None = None,
    partition_keys: Sequence[str] | SelectKeys | None = None,
    execution_timezone: str | None = None,
    run_tags: Mapping[str, str] | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
    description: str | None = None,
) -> dg.ScheduleDefinition:
    """Builds a schedule that brings datasets up to date at given times.

    Files that have not changed cost no request to the store, so running every partition again is
    cheap. With a `BackfillPolicy` that allows it, one run holds a range of partitions.

    Args:
        asset: From `build_roboto_dataset_asset` or a component.
        cron_schedule: When, such as `0 * * * *`.
        name: The schedule's name. Default: the asset's, with `_schedule`.
        partition_keys: Which partitions: keys, or a function that is given all keys at each tick and
            returns those to run. Default: all, but of time windows only the last complete one.
        execution_timezone: Time zone of the cron. Default: UTC.
        run_tags: Tags of the requested runs.
        default_status: Whether the schedule runs without being switched on in the UI.
        description: Shown in the UI.

    Raises:
        ConfigurationError: The asset is none of this package, or has no partitions to choose from.
    """
    partitioning = partitioning_of_asset(asset)
    if partitioning.whole is None and partition_keys is not None:
        msg = f"The asset {asset.key.to_user_string()} has no partitions: leave partition_keys out."
        raise ConfigurationError(msg)
    per_run = _partitions_per_run(asset, partitioning)
    tags = dict(run_tags or {})

    @dg.schedule(
        cron_schedule=cron_schedule,
        name=name or derived_name(asset.key, "_schedule"),
        target=asset,
        execution_timezone=execution_timezone,
        default_status=default_status,
        description=description or "Brings Roboto datasets up to date.",
    )
    def roboto_sync_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        at = context.scheduled_execution_time
        if partitioning.whole is None:
            return [dg.RunRequest(run_key=at.isoformat(), tags=tags)]
        in_order = _all_keys(partitioning, context.instance, at)
        chosen = _chosen_keys(partitioning, partition_keys, in_order, at)
        unknown = [key for key in chosen if key not in set(in_order)]
        if unknown:
            context.log.warning(f"There are no partitions {', '.join(unknown)}: they are left out.")
        ranges = contiguous_ranges(chosen, in_order, per_run)
        requests = list(_requests(partitioning, ranges, at, tags))
        return requests or dg.SkipReason("There are no partitions to run.")

    return roboto_sync_schedule


def _partitions_per_run(asset: dg.AssetsDefinition, partitioning: Partitioning) -> int | None:
    """Returns how many partitions one run may hold; None for any number.

    A range of two dimensions is a rectangle, which a selection rarely is: those go one by one.
    """
    policy = asset.backfill_policy
    if policy is None or partitioning.dimensions is not None:
        return 1
    return policy.max_partitions_per_run


def _all_keys(
    partitioning: Partitioning, instance: dg.DagsterInstance, at: dt.datetime
) -> list[str]:
    if partitioning.whole is None:
        return []
    return list(
        partitioning.whole.get_partition_keys(current_time=at, dynamic_partitions_store=instance)
    )


def _chosen_keys(
    partitioning: Partitioning,
    asked_for: Sequence[str] | SelectKeys | None,
    in_order: Sequence[str],
    at: dt.datetime,
) -> Sequence[str]:
    if callable(asked_for):
        return asked_for(in_order)
    if asked_for is not None:
        return asked_for
    return list(_of_last_window(partitioning, in_order, at)) if partitioning.windows else in_order


def _of_last_window(
    partitioning: Partitioning, in_order: Sequence[str], at: dt.datetime
) -> Iterator[str]:
    """Yields the keys of the last complete window: one, or one for each dataset."""
    windows = partitioning.windows
    complete = windows.get_partition_keys(current_time=at) if windows else []
    if windows is None or not complete:
        return
    last = windows.time_window_for_partition_key(complete[-1])
    for key in in_order if partitioning.dimensions else complete[-1:]:
        _, window = partitioning.split(key)
        if window == last:
            yield key


def _requests(
    partitioning: Partitioning,
    ranges: Iterable[tuple[str, str]],
    at: dt.datetime,
    tags: Mapping[str, str],
) -> Iterator[dg.RunRequest]:
    for first, last in ranges:
        if first == last:
            yield run_request(partitioning, first, run_key=f"{at.isoformat()}:{first}", tags=tags)
        else:
            yield dg.RunRequest(
                run_key=f"{at.isoformat()}:{first}...{last}",
                tags={**tags, **range_tags(first, last)},
            )
