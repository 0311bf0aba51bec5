"""Looks for partitions whose dataset is gone, and for datasets whose partition is."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Iterator

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.platform.scope import is_dataset_id
from roboto_dagster.sensor.walk import Deadline


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeletionScan:
    """The result of one scan.

    Attributes:
        gone: Keys of partitions whose dataset is gone.
        returned: Datasets that are listed but have no partition: they were gone for a while.
        looked_up_to: The last key that was looked up, after which the next scan continues; None if the
            scan is complete.
    """

    gone: list[str]
    returned: list[RemoteDataset]
    looked_up_to: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeletionScanner:
    """Compares dynamic partitions with the platform's datasets.

    Attributes:
        list_all: Lists every dataset, whether the sensor watches it or not.
        list_watched: Lists those that it watches; None if these are the same.
        exists: Looks one dataset up: a listing may lag behind.
        since: Datasets last modified before are left alone; None for none.
        most: Most datasets to look up, and to return.
        warn: Called with a line about what could not be looked up.
    """

    list_all: Callable[[], Iterator[RemoteDataset]]
    list_watched: Callable[[], Iterator[RemoteDataset]] | None
    exists: Callable[[str], bool]
    since: dt.datetime | None
    most: int
    warn: Callable[[str], None]

    def scan(
        self,
        partition_keys: Collection[str],
        handled: Collection[str],
        *,
        after: str,
        deadline: Deadline,
    ) -> DeletionScan:
        """Compare once.

        Keys that are no ids of datasets are not the sensor's, and stay.

        Args:
            partition_keys: Keys of all dynamic partitions.
            handled: Ids of datasets that have a change under way.
            after: Where the last scan ended; empty for the beginning.
            deadline: When to give up; the scan is then not complete.

        Raises:
            PlatformError: The datasets could not be listed.
        """
        listed = _until(deadline, self.list_all())
        if listed is None:
            self.warn(
                "Listing all datasets takes longer than this tick has time for, so deleted ones were not looked for. "
                "Raise time_budget_seconds (Dagster's own limit is 60 seconds)."
            )
            return DeletionScan(gone=[], returned=[], looked_up_to=after)
        missing = sorted(
            key
            for key in partition_keys
            if key > after and key not in listed and is_dataset_id(key)
        )
        gone, looked_up = self._confirmed(missing, deadline)
        returned = self._returned(listed, {*partition_keys, *handled}, deadline)
        is_complete = len(looked_up) == len(missing) and len(returned) <= self.most
        return DeletionScan(
            gone=gone,
            returned=returned[: self.most],
            looked_up_to=None if is_complete else max([after, *looked_up]),
        )

    def _confirmed(self, missing: list[str], deadline: Deadline) -> tuple[list[str], list[str]]:
        """Look up what is not listed; return what is gone, and what was looked up."""
        gone: list[str] = []
        looked_up: list[str] = []
        for key in missing[: self.most]:
            if deadline.has_passed:
                break
            looked_up.append(key)
            if self._is_gone(key):
                gone.append(key)
        return gone, looked_up

    def _is_gone(self, key: str) -> bool:
        try:
            return not self.exists(key)
        except PlatformError as error:
            if error.transient:
                raise
            # Not allowed to see it is not the same as deleted, and must not stop the others.
            self.warn(f"Whether dataset {key} was deleted could not be determined: {error}")
            return False

    def _returned(
        self, listed: dict[str, RemoteDataset], known: Collection[str], deadline: Deadline
    ) -> list[RemoteDataset]:
        if all(dataset_id in known for dataset_id in listed):
            return []
        if self.list_watched is not None:
            watched = _until(deadline, self.list_watched())
            listed = watched if watched is not None else {}
        return [
            dataset
            for dataset_id, dataset in listed.items()
            if dataset_id not in known and (self.since is None or dataset.modified >= self.since)
        ]


def _until(
    deadline: Deadline, datasets: Iterator[RemoteDataset]
) -> dict[str, RemoteDataset] | None:
    """Read a listing to its end; None if there is no time for it."""
    listed: dict[str, RemoteDataset] = {}
    for dataset in datasets:
        listed[dataset.dataset_id] = dataset
        if deadline.has_passed:
            return None
    return listed
