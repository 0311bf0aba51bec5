"""Turns settled changes into run requests, each as soon as its partition exists."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import dagster as dg

from roboto_dagster.partition_existence import Existence, ExistingPartitions, keys_by_dimension
from roboto_dagster.partition_windows import WindowFinder
from roboto_dagster.partitions import Partitioning
from roboto_dagster.run_requests import DATASET_NAME_TAG, DATASET_TAG, run_request
from roboto_dagster.sensor.cursor import Change, PendingPartition
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.text import one_line

_MAX_NAMED = 5


class RunRequester:
    """Requests runs of partitions that exist."""

    def __init__(
        self,
        partitioning: Partitioning,
        options: SensorOptions,
        *,
        now: dt.datetime,
        windows: WindowFinder | None,
        log: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            partitioning: Of the asset.
            options: Of the sensor.
            now: The time, with its zone, that decides which windows exist.
            windows: Finds the asset's windows of time, if it has any.
            log: Called with a line about what can never be run.
        """
        self._partitioning = partitioning
        self._options = options
        self._windows = windows
        self._existing = ExistingPartitions(partitioning.windows, now=now)
        self._log = log

    def pending(
        self,
        earlier: Mapping[str, PendingPartition],
        settled: Iterable[Change],
        gone: Collection[str],
    ) -> dict[str, PendingPartition]:
        """Return what is to be run, one run for a partition however many changes it has.

        Args:
            earlier: What earlier ticks left.
            settled: Changes that have settled since.
            gone: Datasets that were deleted: nothing of them is run.
        """
        found = dict(earlier)
        outside: list[str] = []
        for change in settled:
            keys = list(self._keys_of(change))
            if not keys and self._partitioning.dimensions is None:
                outside.append(change.dataset_id)
            for key in keys:
                asked = PendingPartition.of(change)
                found[key] = found[key].merged_with(asked) if key in found else asked
        if outside:
            self._log(
                f"Datasets created in no window of the asset's partitions, so no run is requested: {some(outside)}."
            )
        return {key: each for key, each in found.items() if self._dataset_of(key) not in gone}

    def request(
        self,
        pending: Mapping[str, PendingPartition],
        run_key: Callable[[str, PendingPartition], str],
    ) -> tuple[list[dg.RunRequest], dict[str, PendingPartition]]:
        """Return the requests of this tick, and what is left for later ones.

        Args:
            pending: What is to be run, by the key of the partition.
            run_key: Makes the key of a run.
        """
        if not self._options.request_runs:
            return [], {}
        states = {key: self._state_of(key) for key in pending}
        never = [key for key, state in states.items() if state == "never"]
        if never:
            self._log(
                f"Partitions that the asset does not have, so no run is requested: {some(never)}."
            )
        exist = [key for key, state in states.items() if state == "exists"]
        now = exist[: self._options.max_datasets_per_tick]
        requests = [self._request(key, pending[key], run_key(key, pending[key])) for key in now]
        left = pending.keys() - set(now) - set(never)
        return requests, {key: each for key, each in pending.items() if key in left}

    def datasets_of(self, runs: Iterable[dg.RunRequest], settled: Iterable[Change]) -> set[str]:
        """Return the datasets that need a partition: those that have settled or are run.

        Args:
            runs: The requests of a tick.
            settled: Changes that have settled in it.
        """
        keys = [run.partition_key for run in runs if run.partition_key is not None]
        run = {dataset_id for key in keys if (dataset_id := self._split(key)[0]) is not None}
        return run | {each.dataset_id for each in settled}

    def requested(self, runs: Iterable[dg.RunRequest], settled: Iterable[Change]) -> set[str]:
        """Return the datasets of whose settled changes all are run.

        Args:
            runs: The requests of a tick.
            settled: Changes that have settled in it.
        """
        keys = {run.partition_key or "" for run in runs}
        return {change.dataset_id for change in settled if keys.issuperset(self._keys_of(change))}

    def _keys_of(self, change: Change) -> Iterator[str]:
        if self._partitioning.dimensions is not None:
            for each in change.windows:
                yield self._partitioning.key_for(change.dataset_id, each)
        elif self._windows is None:
            yield self._partitioning.key_for(change.dataset_id, None)
        elif (window := self._windows.find(change.created)) is not None:
            yield self._partitioning.key_for(change.dataset_id, window)

    def _state_of(self, key: str) -> Existence:
        dataset_id, window = self._split(key)
        if dataset_id is not None and not self._partitioning.accepts(dataset_id):
            return "never"
        if window is not None:
            return self._existing.state_of(window)
        return "never" if dataset_id is None else "exists"

    def _split(self, key: str) -> tuple[str | None, str | None]:
        """Return dataset and window of a key, which may come from an edited cursor."""
        partitions_def = self._partitioning.partitions_def
        if partitions_def is None:
            return (self._partitioning.config.dataset_id, None) if key == "" else (None, None)
        if isinstance(partitions_def, dg.MultiPartitionsDefinition):
            keys = keys_by_dimension(partitions_def, key)
            assert self._partitioning.dimensions is not None  # noqa: S101 -- it has two
            of_datasets, of_windows = self._partitioning.dimensions
            return (keys[of_datasets], keys[of_windows]) if keys is not None else (None, None)
        return (None, key) if self._windows is not None else (key, None)

    def _dataset_of(self, key: str) -> str | None:
        return self._split(key)[0]

    def _request(self, key: str, pending: PendingPartition, run_key: str) -> dg.RunRequest:
        tags = dict(self._options.run_tags)
        if pending.dataset_id is not None:
            tags.setdefault(DATASET_TAG, pending.dataset_id)
        if pending.dataset_name is not None:
            tags.setdefault(DATASET_NAME_TAG, pending.dataset_name)
        return run_request(self._partitioning, key, run_key=run_key, tags=tags)


def some(names: Collection[str]) -> str:
    """Return the first few names, and how many more there are.

    Args:
        names: Names of datasets or partitions, as they come.
    """
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(one_line(name) for name in list(names)[:_MAX_NAMED]) + more
