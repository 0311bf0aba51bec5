"""The schedule: a cron over one dataset, all partitions or a selection.

Dagster's own `build_schedule_from_partitioned_job` refuses dynamic partitions.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.definition_checks import check_list
from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.naming import label_of, name_around
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.partitions import Partitioning, partitioning_of_asset
from roboto_dagster.resource_params import with_resources
from roboto_dagster.resources import RobotoResource
from roboto_dagster.run_requests.changed_partitions import ChangedPartitions, tick_before
from roboto_dagster.run_requests.requests import (
    contiguous_groups,
    group_request,
    partitions_per_run,
)
from roboto_dagster.run_requests.tick_limits import change_queries, skipped
from roboto_dagster.setting_checks import check_count, check_flag, check_seconds, check_tags
from roboto_dagster.text import some

SelectKeys = Callable[[Sequence[str]], Iterable[str]]
"""Given all keys of the partitions, returns those to run."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """What `build_roboto_sync_schedule` is given besides the asset; its docstring describes each.

    Raises:
        ConfigurationError: One of them cannot work.
    """

    partition_keys: tuple[str, ...] | None
    run_tags: Mapping[str, str]
    only_changed: bool
    list_all_every: int
    overlap_seconds: float

    def __post_init__(self) -> None:
        check_tags("run_tags", self.run_tags)
        check_flag("only_changed", self.only_changed)
        check_count("list_all_every", self.list_all_every, most=100_000)
        check_seconds("overlap_seconds", self.overlap_seconds, may_be_zero=True)


def build_roboto_sync_schedule(
    asset: dg.AssetsDefinition,
    cron_schedule: str | Sequence[str],
    *,
    name: str | None = None,
    partition_keys: Iterable[str] | SelectKeys | None = None,
    only_changed: bool = False,
    list_all_every: int = 24,
    overlap_seconds: float = 300.0,
    execution_timezone: str | None = None,
    run_tags: Mapping[str, str] | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
    roboto_resource_key: str = "roboto",
) -> dg.ScheduleDefinition:
    """Build a schedule that syncs datasets at given times.

    Files that have not changed cost no request to the store, so running every partition again is
    cheap. With a `BackfillPolicy` that allows it, one run holds a range of partitions; a range of more than 2,000 is
    divided into runs of 1,000.

    Args:
        asset: From `build_roboto_dataset_asset`, `build_roboto_dataset_assets` or a component.
        cron_schedule: When, such as `0 * * * *`.
        name: The schedule's name. Default: the asset's, with `_schedule`.
        partition_keys: Which partitions: keys, or a function that is given all keys at each tick and
            returns those to run. Default: all, but of time windows only the last complete one.
        only_changed: Whether a tick asks the platform once, for the complete organization, which files and datasets have
            changed, and runs only partitions with changes since their last complete sync, besides those that were never
            complete or failed. The keys of the partitions have to be ids of datasets. Default: no.
        list_all_every: With `only_changed`, a partition is run at every so many ticks in any case: deletions show only
            there. Default 24.
        overlap_seconds: With `only_changed`, how long after it happened the platform may first show a change. Default
            300.
        execution_timezone: Time zone of the cron. Default: UTC.
        run_tags: Tags of the requested runs. Default: those that name the partition.
        default_status: Whether the schedule runs without being switched on in the UI. Default:
            stopped.
        description: Shown in the UI. Default: what it does.
        tags: Tags of the schedule itself. Default: none.
        metadata: Metadata of the schedule. Default: none.
        owners: Owners of the schedule. Default: none.
        roboto_resource_key: With `only_changed`, the resource that is the platform. Default `roboto`.

    Returns:
        The schedule. It can also be called with a `dagster.build_schedule_context`, in tests.

    Raises:
        ConfigurationError: The asset was not built by this package, has no partitions to choose
            from, or an option cannot work.
    """
    check_list("owners", owners)
    partitioning = partitioning_of_asset(asset)
    select = partition_keys if callable(partition_keys) else None
    fixed = None if select or partition_keys is None else _materialized(partition_keys)
    options = ScheduleOptions(
        partition_keys=fixed,
        run_tags={} if run_tags is None else run_tags,
        only_changed=only_changed,
        list_all_every=list_all_every,
        overlap_seconds=overlap_seconds,
    )
    fixed_keys = options.partition_keys or ()
    _check_keys(asset, partitioning, partition_keys, fixed_keys, only_changed=only_changed)
    per_run = partitions_per_run(asset, partitioning)

    def changed(
        context: dg.ScheduleEvaluationContext, keys: Sequence[str], roboto: RobotoResource
    ) -> Sequence[str]:
        at = _scheduled_time(context)
        selector = ChangedPartitions(
            asset=asset,
            instance=context.instance,
            queries=change_queries(roboto),
            overlap=dt.timedelta(seconds=options.overlap_seconds),
            log=context.log,
        )
        count = options.list_all_every - 1
        return selector.among(keys, tick_before(cron_schedule, execution_timezone, at, count))

    def roboto_sync_schedule(
        context: dg.ScheduleEvaluationContext, *resources: RobotoResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        at = _scheduled_time(context)
        if partitioning.partitions_def is None:
            return [dg.RunRequest(run_key=at.isoformat(), tags=options.run_tags)]
        with dg.partition_loading_context(at, _store_of(context, partitioning)):
            in_order, chosen = _keys_of_tick(context, partitioning, at, select, options)
            if not chosen:
                return dg.SkipReason("There are no partitions to run.")
            try:
                for roboto in resources:
                    chosen = changed(context, chosen, roboto)
            except PlatformError as error:
                return skipped(error)
        groups = contiguous_groups(chosen, in_order, per_run)
        requests = list(_requests(partitioning, groups, at, options.run_tags))
        return requests or dg.SkipReason("No partition has changed since its last complete sync.")

    resources = (
        {"roboto_resource_key": (roboto_resource_key, RobotoResource)} if only_changed else {}
    )
    return dg.schedule(
        cron_schedule=cron_schedule,
        name=name or name_around(asset, "_schedule"),
        target=asset,
        execution_timezone=execution_timezone,
        default_status=default_status,
        description=description or "Syncs Roboto datasets.",
        tags=tags,
        metadata=metadata,
        owners=owners,
    )(with_resources(roboto_sync_schedule, dg.ScheduleEvaluationContext, resources))


def _keys_of_tick(
    context: dg.ScheduleEvaluationContext,
    partitioning: Partitioning,
    at: dt.datetime,
    select: SelectKeys | None,
    options: ScheduleOptions,
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the keys of the partitions in their order, and those that are chosen."""
    assert partitioning.partitions_def is not None  # noqa: S101 -- the caller has looked
    is_last_window = select is None and options.partition_keys is None
    if is_last_window and partitioning.windows is not None:
        in_order = _of_last_window(partitioning, partitioning.windows, at)
    else:
        in_order = list(partitioning.partitions_def.get_partition_keys())
    chosen: Sequence[str] = in_order
    if select is not None:
        chosen = _materialized(select(in_order))
    elif options.partition_keys is not None:
        chosen = options.partition_keys
    known = frozenset(in_order)
    unknown = [key for key in chosen if key not in known]
    if unknown:
        context.log.warning(f"There are no partitions {some(unknown)}: they are left out.")
        chosen = [key for key in chosen if key in known]
    return in_order, chosen


def _materialized(keys: object) -> tuple[str, ...]:
    """Read a selection once: it may be an iterator.

    Raises:
        ConfigurationError: It holds no keys, such as a single text, whose letters are none.
    """
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        msg = f"partition_keys must be several keys, such as {[str(keys)]!r}, and not {keys!r}."
        raise ConfigurationError(msg)
    found = tuple(keys)
    wrong = [key for key in found if not isinstance(key, str) or not key]
    if wrong:
        raise ConfigurationError(
            f"partition_keys must be strings that are not empty, not {wrong[0]!r}."
        )
    return found


def _check_keys(
    asset: dg.AssetsDefinition,
    partitioning: Partitioning,
    given: object,
    fixed: Sequence[str],
    *,
    only_changed: bool,
) -> None:
    if only_changed and (partitioning.datasets is None or partitioning.windows is not None):
        raise ConfigurationError(
            "only_changed needs partitions whose keys are ids of datasets, which "
            f"{label_of(asset)} does not have: leave it out."
        )
    if partitioning.partitions_def is None and given is not None:
        msg = f"The asset {label_of(asset)} has no partitions: leave partition_keys out."
        raise ConfigurationError(msg)
    existing = ExistingPartitions(partitioning.partitions_def)
    never = [key for key in fixed if existing.state_of(key) == "never"]
    if never:
        msg = f"The asset {label_of(asset)} has no partitions {some(never)}, and never will."
        raise ConfigurationError(msg)


def _scheduled_time(context: dg.ScheduleEvaluationContext) -> dt.datetime:
    try:
        return context.scheduled_execution_time
    except Exception:  # noqa: BLE001 -- a private class of Dagster: a test built the context without a time
        return dt.datetime.now(dt.timezone.utc)


def _store_of(
    context: dg.ScheduleEvaluationContext, partitioning: Partitioning
) -> dg.DagsterInstance | None:
    """Return the instance if it is needed: a schedule can be tested without one."""
    return context.instance if partitioning.dynamic_name is not None else None


def _of_last_window(
    partitioning: Partitioning, windows: dg.TimeWindowPartitionsDefinition, at: dt.datetime
) -> list[str]:
    """Return the keys of the last complete window: one, or one for each dataset."""
    window = windows.get_last_partition_window()
    while window is not None and window.end > at:  # `end_offset` adds such
        window = windows.get_prev_partition_window(window.start)
    if window is None:
        return []
    key = windows.get_partition_key_for_timestamp(window.start.timestamp())
    if partitioning.datasets is None:
        return [key]
    datasets = partitioning.datasets.get_partition_keys()
    return [partitioning.key_for(dataset_id, key) for dataset_id in datasets]


def _requests(
    partitioning: Partitioning,
    groups: Iterable[Sequence[str]],
    at: dt.datetime,
    tags: Mapping[str, str],
) -> Iterator[dg.RunRequest]:
    for keys in groups:
        name = keys[0] if len(keys) == 1 else f"{keys[0]}...{keys[-1]}"
        yield group_request(partitioning, keys, run_key=f"{at.isoformat()}:{name}", tags=tags)
