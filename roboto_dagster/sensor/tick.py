"""One evaluation of the dataset sensor.

```
 cursor ─► follow datasets ─► follow files ─► settle ─► scan for deleted ─► request runs ─► cursor
 share of     30 %               60 %          85 %          100 %           asks the platform
 the time                                   (when due)                       nothing
```

Each part ends at its share of `time_budget_seconds`, and the next tick continues where it ended: a part
that takes long never keeps a later one from being run. If the platform fails in any part, the cursor
stays as it was.
"""

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.partitions import MANY_PARTITIONS, Partitioning
from roboto_dagster.platform.datasets import RemoteDataset, dataset_exists, find_datasets
from roboto_dagster.platform.queries import Query
from roboto_dagster.resources import RobotoResource
from roboto_dagster.run_requests.partition_windows import WindowFinder
from roboto_dagster.run_requests.requests import partitions_per_run
from roboto_dagster.run_requests.tick_limits import change_queries
from roboto_dagster.sensor.changes import ChangeCollection, dataset_revision
from roboto_dagster.sensor.cursor import MAX_SEARCHED, Change, SensorCursor
from roboto_dagster.sensor.deletions import DeletionScan, DeletionScanner
from roboto_dagster.sensor.evaluation import read_cursor
from roboto_dagster.sensor.following import Following
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.sensor.requests import RunRequester
from roboto_dagster.sensor.settling import Settling
from roboto_dagster.sensor.walk import Deadline

_DATASETS_SHARE, _FILES_SHARE, _SETTLING_SHARE = 0.3, 0.6, 0.85


class SensorTick:
    """One evaluation of the sensor."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        roboto: RobotoResource,
        asset: dg.AssetsDefinition,
        partitioning: Partitioning,
        *,
        options: SensorOptions,
        now: dt.datetime,
    ) -> None:
        """Prepare a tick.

        Args:
            context: Of the evaluation.
            roboto: The platform.
            asset: Of whose partitions runs are requested.
            partitioning: What they stand for.
            options: Of the sensor.
            now: The time, with its zone.
        """
        if now.tzinfo is None:
            raise ConfigurationError("The sensor's clock must return a time with its zone.")
        self._started = Deadline.after(0)
        self._context = context
        self._asset_keys = asset.keys
        self._partitioning = partitioning
        self._options = options
        self._now = now
        self._queries = change_queries(roboto)
        self._cursor = read_cursor(context)
        windows = partitioning.windows
        self._windows = WindowFinder(windows, now) if windows is not None else None
        self._dynamic_keys = self._keys_of_instance()
        self._known = frozenset(self._dynamic_keys)
        self._per_run = partitions_per_run(asset, partitioning)

    def run(self) -> dg.SensorResult:
        """Follow the changes, and request what they call for.

        Raises:
            PlatformError: The platform could not be asked; the cursor stays as it was.
        """
        collection = self._collection(self._cursor.waiting, self._is_known)
        following = Following(
            queries=self._queries,
            find=self._find,
            partitioning=self._partitioning,
            options=self._options,
            cursor=self._cursor,
            now=self._now,
            log=self._context.log,
        )
        datasets = following.datasets(collection, self._deadline(_DATASETS_SHARE))
        files = following.files(collection, self._deadline(_FILES_SHARE))
        settled, waiting = self._settle(collection, _SETTLING_SHARE)
        handled = {*waiting, *(change.dataset_id for change in settled)}
        scan = self._scan(handled) if datasets.watermark is not None else None
        if scan is not None and scan.returned:
            more_settled, more_waiting = self._settle(self._returned(scan), 1.0)
            settled, waiting = [*settled, *more_settled], {**waiting, **more_waiting}
        gone = frozenset(scan.gone if scan is not None else ())
        cursor = self._cursor.model_copy(
            update={
                "datasets": datasets,
                "files": files,
                "waiting": {key: each for key, each in waiting.items() if key not in gone},
                "searched": self._searched(settled),
                **self._scanned(scan),
            }
        )
        return self._result(
            [change for change in settled if change.dataset_id not in gone], gone, cursor
        )

    # --- what has changed ---

    def _collection(
        self, waiting: Mapping[str, Change], is_known: Callable[[RemoteDataset], bool]
    ) -> ChangeCollection:
        by_dimensions = self._partitioning.dimensions is not None
        follows_files = self._options.watch_files
        return ChangeCollection(
            waiting,
            is_known=is_known,
            windows=self._windows if by_dimensions else None,
            changed_files_since=None if follows_files else self._cursor.datasets.watermark,
        )

    def _is_known(self, dataset: RemoteDataset) -> bool:
        """Return whether the files of a dataset were run before, so that only changed ones matter."""
        if self._cursor.datasets.watermark is None:
            return False
        dataset_id = dataset.dataset_id
        return dataset_id in self._cursor.searched or dataset_id in self._delivered

    @functools.cached_property
    def _delivered(self) -> frozenset[str]:
        """Datasets of which a partition of every asset was materialized, where windows decide on partitions."""
        materialized = map(self._context.instance.get_materialized_partitions, self._asset_keys)
        keys = set[str].intersection(*map(set, materialized))
        found = (self._partitioning.ids_of(key)[0] for key in keys)
        return frozenset(each for each in found if each is not None)

    def _find(self, query: Query | None) -> Iterator[RemoteDataset]:
        return find_datasets(self._queries.client, query, org_id=self._queries.org_id)

    # --- what is settled, and what is gone ---

    def _settle(
        self, collection: ChangeCollection, share: float
    ) -> tuple[list[Change], dict[str, Change]]:
        settling = Settling(
            queries=self._queries, options=self._options, now=self._now, windows=self._windows
        )
        return settling.sort(collection.by_dataset, self._deadline(share))

    def _searched(self, settled: list[Change]) -> tuple[str, ...]:
        if self._partitioning.dimensions is None:
            return ()
        latest = [each.dataset_id for each in settled if each.find_windows_from is None]
        return tuple(dict.fromkeys([*latest, *self._cursor.searched]))[:MAX_SEARCHED]

    def _scan(self, handled: set[str]) -> DeletionScan | None:
        """Compare partitions with datasets, if that is wanted and due.

        Not before the first walk has ended: until then datasets lack a partition for no other reason.
        """
        last = self._cursor.last_deletion_scan
        is_due = last is None or self._now - last >= self._options.deletion_scan_interval
        if self._options.on_deleted == "keep" or not is_due:
            return None
        query = self._options.query
        scanner = DeletionScanner(
            list_all=lambda: self._find(None),
            list_watched=None if query is None else lambda: self._find(query),
            exists=lambda dataset_id: dataset_exists(self._queries.client, dataset_id),
            since=self._options.since,
            most=self._options.max_datasets_per_tick,
            warn=self._context.log.warning,
        )
        return scanner.scan(
            self._known,
            handled,
            after=self._cursor.deletion_scan_after,
            deadline=self._deadline(1.0),
        )

    def _scanned(self, scan: DeletionScan | None) -> dict[str, Any]:
        """Return the cursor's fields that a scan has changed."""
        if scan is None:
            return {}
        if scan.looked_up_to is not None:
            return {"deletion_scan_after": scan.looked_up_to}
        return {"last_deletion_scan": self._now, "deletion_scan_after": ""}

    def _returned(self, scan: DeletionScan) -> ChangeCollection:
        """Return changes of datasets that are back; the time of the scan makes their run keys new.

        Their files may have changed out of sight, so all are searched for their windows again.
        """
        collection = self._collection({}, lambda _: False)
        for dataset in scan.returned:
            collection.add_dataset(dataset, dataset_revision(dataset))
            collection.add_event(dataset.dataset_id, f"back at {self._now.isoformat()}")
        return collection

    # --- what to request ---

    def _result(
        self, settled: list[Change], gone: frozenset[str], cursor: SensorCursor
    ) -> dg.SensorResult:
        requester = RunRequester(
            self._partitioning,
            self._options,
            now=self._now,
            windows=self._windows,
            per_run=self._per_run,
            log=self._context.log.info,
        )
        pending = requester.pending(cursor.pending, settled, gone)
        chosen, left = requester.choose(pending)
        requested = requester.requested(chosen, settled)
        cursor = cursor.model_copy(
            update={"pending": left, "requested_in_walk": self._in_walk(requested, cursor)}
        )
        is_dynamic = self._partitioning.dynamic_name is not None
        new = requester.datasets_of(chosen, settled) - self._known if is_dynamic else set()
        runs = requester.requests(chosen, pending, cursor.run_key, self._in_order(new))
        return dg.SensorResult(
            run_requests=runs,
            skip_reason=None if runs else self._skip_reason(len(new), len(gone), cursor),
            dynamic_partitions_requests=self._partition_requests(new, gone) or None,
            cursor=cursor.to_json(),
        )

    def _in_order(self, new: set[str]) -> Iterator[Sequence[str]]:
        """Yield the partitions in Dagster's order. New ones come last; a range across both might hold what others add."""
        if self._partitioning.dynamic_name is not None:
            yield self._dynamic_keys
            yield sorted(new)
        elif self._partitioning.partitions_def is not None:
            with dg.partition_loading_context(self._now):
                yield self._partitioning.partitions_def.get_partition_keys()

    def _in_walk(self, requested: set[str], cursor: SensorCursor) -> dict[str, dt.datetime]:
        if cursor.files.walk is None or self._partitioning.dimensions is not None:
            return {}
        return {**cursor.requested_in_walk, **dict.fromkeys(requested, self._now)}

    def _partition_requests(
        self, new: set[str], gone: frozenset[str]
    ) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
        name = self._partitioning.dynamic_name
        requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
        if name and new:
            self._warn_of_many(len(self._known) + len(new))
            requests.append(dg.AddDynamicPartitionsRequest(name, sorted(new)))
        if name and gone:
            self._context.log.info(f"Partitions of deleted datasets: {', '.join(sorted(gone))}")
            requests.append(dg.DeleteDynamicPartitionsRequest(name, sorted(gone)))
        return requests

    def _skip_reason(self, new: int, gone: int, cursor: SensorCursor) -> str:
        if new or gone:
            return f"No run to request. Partitions added: {new}, removed: {gone}."
        if cursor.waiting:
            return f"Changed datasets that are not settled yet: {len(cursor.waiting)}."
        if cursor.pending:
            return f"Partitions with changes that do not exist yet: {', '.join(list(cursor.pending)[:5])}."
        watermark = cursor.datasets.watermark
        if watermark is None:
            return "The first scan of all datasets continues in the next tick."
        return f"No dataset has changed since {(watermark + self._options.overlap).isoformat()}."

    def _warn_of_many(self, count: int) -> None:
        if count >= MANY_PARTITIONS:
            self._context.log.warning(
                f"{count} partitions: Dagster becomes slow beyond 100,000 an asset. Narrow the sensor's query, set "
                'on_deleted="remove", or partition by time windows.'
            )

    def _keys_of_instance(self) -> list[str]:
        name = self._partitioning.dynamic_name
        return list(self._context.instance.get_dynamic_partitions(name)) if name else []

    def _deadline(self, share: float) -> Deadline:
        return Deadline(self._started.at + share * self._options.time_budget_seconds)
