"""The sensor: new and changed datasets become partitions and runs.

One tick asks the platform twice when nothing has changed: for datasets whose record was modified
since the last tick, and for files that were. The decision is in `_Tick`; the memory is in
`roboto_dagster.sensor_cursor`.
"""

import dataclasses
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import dagster as dg

from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import (
    MANY_PARTITIONS,
    Partitioning,
    partitioning_of_asset,
    run_request,
)
from roboto_dagster.platform.datasets import (
    RemoteDataset,
    dataset_exists,
    find_datasets,
    find_file_changes,
    has_files,
    newest_file_change,
)
from roboto_dagster.platform.queries import Query, all_of, any_of, checked_query, where
from roboto_dagster.platform.scope import is_dataset_id
from roboto_dagster.resources import RobotoResource
from roboto_dagster.sensor_cursor import Change, ChangeFeed, CursorError, Revision, SensorCursor

if TYPE_CHECKING:  # the SDK costs about a second at import
    pass

Clock = Callable[[], dt.datetime]
"""Tells the time, with its zone."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)

# Dagster gives a tick 60 seconds; with these one request of the API may fail for 20 of them.
_MAX_ATTEMPTS = 2
_MAX_TIMEOUT_SECONDS = 10.0

DATASET_TAG = "roboto/dataset_id"
"""Tag of a run that was requested for one dataset."""


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What `build_roboto_dataset_sensor` was told."""

    query: Query | None
    since: dt.datetime | None
    watch_files: bool
    quiet: dt.timedelta
    wait_until_ingested: bool
    vanished: Literal["keep", "remove"]
    sweep_interval: dt.timedelta
    overlap: dt.timedelta
    max_datasets: int
    time_budget_seconds: float
    request_runs: bool
    run_tags: Mapping[str, str]


def build_roboto_dataset_sensor(
    asset: dg.AssetsDefinition,
    *,
    name: str | None = None,
    query: Query | None = None,
    since: dt.datetime | None = None,
    watch_files: bool = True,
    quiet_seconds: float = 0.0,
    wait_until_ingested: bool = False,
    vanished: Literal["keep", "remove"] = "keep",
    vanished_interval_seconds: float = 3600.0,
    overlap_seconds: float = 300.0,
    max_datasets_per_tick: int = 100,
    time_budget_seconds: float = 40.0,
    request_runs: bool = True,
    run_tags: Mapping[str, str] | None = None,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    description: str | None = None,
    roboto_resource_key: str = "roboto",
    clock: Clock = _utc_now,
) -> dg.SensorDefinition:
    """Builds a sensor that turns new and changed datasets into partitions and runs of an asset.

    Of dynamic partitions it adds the keys. Of time windows it runs the window in which a changed
    dataset was created, of dataset by time windows the one in which it changed. Nothing is lost by
    an outage of the platform: the tick is skipped with the reason, and the next one begins where
    the last good one ended.

    Args:
        asset: From `build_roboto_dataset_asset` or a component.
        name: The sensor's name. Default: the asset's, with `_sensor`.
        query: Which datasets to watch: a condition of the platform's query language, as a mapping
            or of the SDK. Default: the asset's own query, else all.
        since: Leave alone what was last modified before. Default: the first tick takes all.
        watch_files: Whether new and changed files count as a change of their dataset too: not every
            platform notes them in the dataset's record. Costs one more request a tick.
        quiet_seconds: Wait until neither the dataset nor a file of it has changed for so long.
        wait_until_ingested: Wait until all files of the dataset that can be ingested are.
        vanished: What becomes of the dynamic partition of a dataset that is gone: `keep`, or `remove`
            it from Dagster (files on disk stay).
        vanished_interval_seconds: How often to look for those; it takes a listing of all datasets.
        overlap_seconds: How far back each tick looks again for what the platform shows late.
        max_datasets_per_tick: How many datasets one tick may request runs for; the rest is next.
        time_budget_seconds: After so long a tick ends with what it has. Dagster's own limit is 60.
        request_runs: False adds partitions only, for an asset with an automation condition.
        run_tags: Tags of the requested runs.
        minimum_interval_seconds: Time between two ticks.
        default_status: Whether the sensor runs without being switched on in the UI.
        description: Shown in the UI.
        roboto_resource_key: The resource that is the platform.
        clock: Tells the time, for tests.

    Raises:
        ConfigurationError: The asset is none of this package, or an option cannot work.
    """
    partitioning = partitioning_of_asset(asset)
    if vanished == "remove" and partitioning.dynamic_name is None:
        msg = f'vanished="remove" needs dynamic partitions, which {asset.key.to_user_string()} does not have.'
        raise ConfigurationError(msg)
    if max_datasets_per_tick < 1:
        msg = f"max_datasets_per_tick must be at least 1, not {max_datasets_per_tick}."
        raise ConfigurationError(msg)
    options = _Options(
        query=all_of(partitioning.config.query, checked_query(query)),
        since=since,
        watch_files=watch_files,
        quiet=dt.timedelta(seconds=quiet_seconds),
        wait_until_ingested=wait_until_ingested,
        vanished=vanished,
        sweep_interval=dt.timedelta(seconds=vanished_interval_seconds),
        overlap=dt.timedelta(seconds=overlap_seconds),
        max_datasets=max_datasets_per_tick,
        time_budget_seconds=time_budget_seconds,
        request_runs=request_runs,
        run_tags=dict(run_tags or {}),
    )

    @dg.sensor(
        name=name or derived_name(asset.key, "_sensor"),
        target=asset,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description=description
        or "Turns new and changed Roboto datasets into partitions and runs.",
        required_resource_keys={roboto_resource_key},
    )
    def roboto_dataset_sensor(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        roboto = getattr(context.resources, roboto_resource_key)
        tick = _Tick(context, roboto, partitioning, options, clock())
        try:
            return tick.run()
        except PlatformError as error:
            if not error.transient:
                raise
            return dg.SkipReason(f"Nothing was lost, the next tick asks again. {error}")

    return roboto_dataset_sensor


class _Tick:
    """One evaluation of the sensor."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        roboto: RobotoResource,
        partitioning: Partitioning,
        options: _Options,
        now: dt.datetime,
    ) -> None:
        self._context = context
        self._org_id = roboto.org_id
        self._client = _impatient(roboto).get_client()
        self._partitioning = partitioning
        self._options = options
        self._now = now
        self._deadline = time.monotonic() + options.time_budget_seconds
        self._cursor = _cursor_of(context)

    def run(self) -> dg.SensorResult:
        """Follows the changes, and asks for what they call for.

        Raises:
            PlatformError: The platform could not be asked; the cursor stays as it was.
        """
        changes = dict(self._cursor.waiting)
        datasets = self._follow_datasets(changes)
        files = self._follow_files(changes) if self._options.watch_files else self._cursor.files
        ready, waiting = self._sort_out(changes)
        gone, swept = self._sweep()
        cursor = SensorCursor(datasets=datasets, files=files, waiting=waiting, swept=swept)
        return self._result(ready, gone, cursor)

    # --- what has changed ---

    def _follow_datasets(self, changes: dict[str, Change]) -> ChangeFeed:
        """Adds the datasets whose records have changed, as many as the tick may take."""
        feed, seen, taken = self._cursor.datasets, dict[str, Revision](), 0
        start = feed.start(self._options.overlap) or self._options.since
        since = where("modified", "GREATER_THAN_OR_EQUAL", start) if start else None
        for dataset in self._find(since, "modified"):
            mark = Revision(version=str(dataset.version), modified=dataset.modified)
            if feed.knows(dataset.dataset_id, mark):
                continue
            if taken >= self._options.max_datasets or self._is_late():
                break
            seen[dataset.dataset_id] = mark
            if self._concerns_us(dataset):
                known = changes.get(dataset.dataset_id, Change(dataset=dataset))
                changes[dataset.dataset_id] = dataclasses.replace(known, dataset=dataset)
                taken += 1
        return feed.noting(seen, self._options.overlap)

    def _follow_files(self, changes: dict[str, Change]) -> ChangeFeed:
        """Adds the datasets whose files have changed, as many as the tick may take."""
        feed = self._cursor.files
        if feed.upto is None:
            return self._first_look_at_files()
        newest: dict[str, Revision] = {}
        for dataset_id, mark in self._file_marks(feed.upto - self._options.overlap):
            if feed.knows(dataset_id, mark) and dataset_id not in newest:
                continue
            is_one_more = dataset_id not in newest
            if self._is_late() or (is_one_more and len(newest) >= self._options.max_datasets):
                break
            newest[dataset_id] = mark
        self._note_files(changes, newest)
        return feed.noting(newest, self._options.overlap)

    def _note_files(self, changes: dict[str, Change], newest: Mapping[str, Revision]) -> None:
        unknown = [key for key in newest if key not in changes]
        if unknown:
            these = any_of("dataset_id", unknown)
            for dataset in self._find(these, "created"):  # those that fit the query
                if self._concerns_us(dataset):
                    changes[dataset.dataset_id] = Change(dataset=dataset)
        for key in newest.keys() & changes.keys():
            changes[key] = dataclasses.replace(changes[key], files_modified=newest[key].modified)

    def _first_look_at_files(self) -> ChangeFeed:
        """What is there at the first tick is no change: all datasets are new then."""
        newest = newest_file_change(self._client, org_id=self._org_id)
        upto = newest.modified if newest else _EPOCH
        seen = dict(self._file_marks(upto - self._options.overlap)) if newest else {}
        return ChangeFeed(upto=upto).noting(seen, self._options.overlap)

    def _file_marks(self, since: dt.datetime) -> Iterator[tuple[str, Revision]]:
        for change in find_file_changes(self._client, since, org_id=self._org_id):
            yield change.dataset_id, Revision(version="", modified=change.modified)

    def _find(
        self, query: Query | None, sort_by: Literal["created", "modified"]
    ) -> Iterator[RemoteDataset]:
        query = all_of(self._options.query, query)
        return find_datasets(self._client, query, sort_by=sort_by, org_id=self._org_id)

    def _concerns_us(self, dataset: RemoteDataset) -> bool:
        if not is_dataset_id(dataset.dataset_id):
            self._context.log.warning(
                f"The platform names a dataset {dataset.dataset_id!r}, which cannot be a partition: it is left out."
            )
            return False
        return self._partitioning.accepts(dataset)

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    # --- what is ready ---

    def _sort_out(self, changes: Mapping[str, Change]) -> tuple[list[Change], dict[str, Change]]:
        """Parts what runs may be requested for from what has to wait, oldest first."""
        ready: list[Change] = []
        unsettled: dict[str, Change] = {}
        next_time: dict[str, Change] = {}
        for dataset_id, change in changes.items():
            if len(ready) >= self._options.max_datasets or self._is_late():
                next_time[dataset_id] = change
            elif self._is_settled(change):
                ready.append(change)
            else:
                unsettled[dataset_id] = change
        # Those that were looked at in vain come last, or they would keep the others from their turn.
        return ready, next_time | unsettled

    def _is_settled(self, change: Change) -> bool:
        dataset_id = change.dataset.dataset_id
        if self._options.quiet:
            quiet_since = self._now - self._options.quiet
            last = max(change.dataset.modified, change.files_modified or _EPOCH)
            recent_files = where("modified", "GREATER_THAN", quiet_since)
            if last > quiet_since or self._has_files(dataset_id, recent_files):
                return False
        if self._options.wait_until_ingested:
            ingestable = where("ingestable", "EQUALS", True)
            not_yet = where("ingestion_status", "NOT_EQUALS", "ingested")
            return not self._has_files(dataset_id, ingestable, not_yet)
        return True

    def _has_files(self, dataset_id: str, *conditions: Query) -> bool:
        query = all_of(where("association_id", "EQUALS", dataset_id), *conditions)
        return query is not None and has_files(self._client, query, org_id=self._org_id)

    # --- what is gone ---

    def _sweep(self) -> tuple[list[str], dt.datetime | None]:
        """Finds partitions whose dataset is gone; each is looked up, since a listing may lag behind."""
        swept = self._cursor.swept
        is_due = swept is None or self._now - swept >= self._options.sweep_interval
        if self._options.vanished == "keep" or not is_due or self._is_late():
            return [], swept
        listed = {
            each.dataset_id for each in find_datasets(self._client, None, org_id=self._org_id)
        }
        missing = [key for key in self._known_keys() if key not in listed]
        looked_up = missing[: self._options.max_datasets]
        gone = [
            key
            for key in looked_up
            if not is_dataset_id(key) or not dataset_exists(self._client, key)
        ]
        return gone, self._now if len(looked_up) == len(missing) else swept

    def _known_keys(self) -> list[str]:
        name = self._partitioning.dynamic_name
        return list(self._context.instance.get_dynamic_partitions(name)) if name else []

    # --- what to ask for ---

    def _result(
        self, ready: list[Change], gone: list[str], cursor: SensorCursor
    ) -> dg.SensorResult:
        known = set(self._known_keys())
        new = [each.dataset.dataset_id for each in ready if each.dataset.dataset_id not in known]
        name = self._partitioning.dynamic_name
        requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
        if name and new:
            self._warn_of_many(len(known) + len(new))
            requests.append(dg.AddDynamicPartitionsRequest(name, new))
        if name and gone:
            self._context.log.info(f"Partitions of datasets that are gone: {', '.join(gone)}")
            requests.append(dg.DeleteDynamicPartitionsRequest(name, gone))
        runs = list(self._runs(ready)) if self._options.request_runs else []
        return dg.SensorResult(
            run_requests=runs,
            skip_reason=None if runs else self._skip_reason(new, gone, cursor),
            dynamic_partitions_requests=requests or None,
            cursor=cursor.to_json(),
        )

    def _runs(self, ready: Iterable[Change]) -> Iterator[dg.RunRequest]:
        """One run a partition: several datasets of one window need it only once."""
        by_key: dict[str, list[Change]] = {}
        for change in ready:
            key = self._partitioning.key_of(change.dataset)
            if key is not None:
                by_key.setdefault(key, []).append(change)
        for key, changes in by_key.items():
            tags = dict(self._options.run_tags)
            if len(changes) == 1:
                tags.setdefault(DATASET_TAG, changes[0].dataset.dataset_id)
            yield run_request(self._partitioning, key, run_key=_run_key(key, changes), tags=tags)

    def _skip_reason(self, new: list[str], gone: list[str], cursor: SensorCursor) -> str:
        if new or gone:
            return f"No run to request. Partitions added: {len(new)}, removed: {len(gone)}."
        if cursor.waiting:
            return f"{len(cursor.waiting)} changed datasets are not settled yet."
        upto = cursor.datasets.upto
        return (
            f"No dataset has changed since {upto.isoformat()}."
            if upto
            else "There are no datasets."
        )

    def _warn_of_many(self, count: int) -> None:
        if count >= MANY_PARTITIONS:
            self._context.log.warning(
                f"{count} partitions: Dagster becomes slow beyond 100,000 an asset. Narrow the sensor's query, set "
                'vanished="remove", or partition by time windows.'
            )


def _run_key(partition_key: str, changes: list[Change]) -> str:
    """Identifies what is to be run, so that Dagster never runs the same change twice."""
    revisions = sorted(change.revision for change in changes)
    if len(revisions) == 1:
        return revisions[0]
    digest = hashlib.sha256("\n".join(revisions).encode()).hexdigest()[:16]
    return f"{partition_key}@{digest}"


def _impatient(roboto: RobotoResource) -> RobotoResource:
    """Returns the resource with limits by which a tick fails in time to say why."""
    limits = {
        "max_attempts": min(roboto.max_attempts, _MAX_ATTEMPTS),
        "timeout_seconds": min(roboto.timeout_seconds, _MAX_TIMEOUT_SECONDS),
    }
    return roboto.model_copy(update=limits)


def _cursor_of(context: dg.SensorEvaluationContext) -> SensorCursor:
    try:
        return SensorCursor.from_json(context.cursor)
    except CursorError as error:
        context.log.warning(
            f"The sensor's cursor cannot be read: {error}. It begins anew and looks at every dataset again; runs that "
            "were requested before are not requested twice."
        )
        return SensorCursor()
