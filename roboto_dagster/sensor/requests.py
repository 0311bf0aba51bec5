"""Turns settled changes into run requests, each as soon as its partition exists."""

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import dagster as dg

from roboto_dagster.partition_existence import Existence, ExistingPartitions
from roboto_dagster.partitions import Partitioning
from roboto_dagster.run_requests.partition_windows import WindowFinder
from roboto_dagster.run_requests.requests import (
    DATASET_NAME_TAG,
    DATASET_TAG,
    contiguous_groups,
    group_request,
)
from roboto_dagster.sensor.cursor import Change, PendingPartition
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.text import some


class RunRequester:
    """Requests runs of partitions that exist."""

    def __init__(
        self,
        partitioning: Partitioning,
        options: SensorOptions,
        *,
        now: dt.datetime,
        windows: WindowFinder | None,
        per_run: int | None,
        log: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            partitioning: Of the asset.
            options: Of the sensor.
            now: The time, with its zone, that decides which windows exist.
            windows: Finds the asset's windows of time, if it has any.
            per_run: How many partitions one run may hold; None for any number.
            log: Called with a line about what can never be run.
        """
        self._partitioning = partitioning
        self._options = options
        self._windows = windows
        self._per_run = per_run
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
        return {
            key: each
            for key, each in found.items()
            if self._partitioning.ids_of(key)[0] not in gone
        }

    def choose(
        self, pending: Mapping[str, PendingPartition]
    ) -> tuple[list[str], dict[str, PendingPartition]]:
        """Return the partitions to be run in this tick, and what is left for later ones.

        Args:
            pending: What is to be run, by the key of the partition.
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
        left = pending.keys() - set(now) - set(never)
        return now, {key: each for key, each in pending.items() if key in left}

    def requests(
        self,
        chosen: Sequence[str],
        pending: Mapping[str, PendingPartition],
        run_key: Callable[[str, PendingPartition], str],
        in_order: Iterable[Sequence[str]],
    ) -> list[dg.RunRequest]:
        """Return the requests of this tick: of single partitions, or of groups where one run may hold several.

        Args:
            chosen: The partitions, from `choose`.
            pending: What has changed in each.
            run_key: Makes the key of a run of one partition.
            in_order: All partitions in their order, in one or more lists; a group lies in one of them.
        """
        if self._per_run == 1 or len(chosen) < 2:
            return [self._request([key], pending, run_key) for key in chosen]
        groups = [
            group for keys in in_order for group in contiguous_groups(chosen, keys, self._per_run)
        ]
        grouped = {key for group in groups for key in group}
        groups += [[key] for key in chosen if key not in grouped]
        return [self._request(group, pending, run_key) for group in groups]

    def datasets_of(self, keys: Iterable[str], settled: Iterable[Change]) -> set[str]:
        """Return the datasets that need a partition: those that have settled or are run.

        Args:
            keys: The partitions that are run.
            settled: Changes that have settled in this tick.
        """
        run = {
            dataset_id
            for key in keys
            if (dataset_id := self._partitioning.ids_of(key)[0]) is not None
        }
        return run | {each.dataset_id for each in settled}

    def requested(self, keys: Iterable[str], settled: Iterable[Change]) -> set[str]:
        """Return the datasets of whose settled changes all are run.

        Args:
            keys: The partitions that are run.
            settled: Changes that have settled in this tick.
        """
        run = set(keys)
        return {change.dataset_id for change in settled if run.issuperset(self._keys_of(change))}

    def _keys_of(self, change: Change) -> Iterator[str]:
        if self._partitioning.dimensions is not None:
            for each in change.windows:
                yield self._partitioning.key_for(change.dataset_id, each)
        elif self._windows is None:
            yield self._partitioning.key_for(change.dataset_id, None)
        elif (window := self._windows.find(change.created)) is not None:
            yield self._partitioning.key_for(change.dataset_id, window)

    def _state_of(self, key: str) -> Existence:
        dataset_id, window = self._partitioning.ids_of(key)
        if dataset_id is not None and not self._partitioning.accepts(dataset_id):
            return "never"
        if window is not None:
            return self._existing.state_of(window)
        return "never" if dataset_id is None else "exists"

    def _request(
        self,
        keys: Sequence[str],
        pending: Mapping[str, PendingPartition],
        run_key: Callable[[str, PendingPartition], str],
    ) -> dg.RunRequest:
        tags = dict(self._options.run_tags)
        if len(keys) == 1:
            of_one = pending[keys[0]]
            if of_one.dataset_id is not None:
                tags.setdefault(DATASET_TAG, of_one.dataset_id)
            if of_one.dataset_name is not None:
                tags.setdefault(DATASET_NAME_TAG, of_one.dataset_name)
        run_keys = [run_key(key, pending[key]) for key in keys]
        return group_request(self._partitioning, keys, run_key=_joined(run_keys), tags=tags)


def _joined(run_keys: Sequence[str]) -> str:
    """Return one run key for several: Dagster keeps a few hundred characters, so the ends and a digest stand for all."""
    if len(run_keys) == 1:
        return run_keys[0]
    digest = hashlib.sha256("\n".join(run_keys).encode()).hexdigest()[:16]
    return f"{run_keys[0]}...{run_keys[-1]}#{digest}"
