"""Follows the changes of datasets and of files, for one tick."""

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator

from roboto_dagster.partitions import Partitioning
from roboto_dagster.platform.changes import ChangeQueries, FileChange
from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.platform.queries import Query, all_of, any_of
from roboto_dagster.sensor.changes import ChangeCollection, DatasetSink, FileSink
from roboto_dagster.sensor.cursor import SensorCursor
from roboto_dagster.sensor.feed import ChangeFeed
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.sensor.walk import ChangeWalker, Deadline
from roboto_dagster.text import some

_MAX_IDS_OF_QUERY = 100
_MAX_LOOKED_UP = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Follows changes from where the cursor is.

    Attributes:
        queries: Asks the platform for changes.
        find: Yields the datasets that fit a query.
        partitioning: Of the asset.
        options: Of the sensor.
        cursor: How far earlier ticks came.
        now: The time.
        log: For what is left out.
    """

    queries: ChangeQueries
    find: Callable[[Query | None], Iterator[RemoteDataset]]
    partitioning: Partitioning
    options: SensorOptions
    cursor: SensorCursor
    now: dt.datetime
    log: logging.Logger

    def datasets(self, collection: ChangeCollection, deadline: Deadline) -> ChangeFeed:
        """Add the datasets whose records have changed, as many as a tick may take.

        Args:
            collection: Where they go.
            deadline: When to stop.

        Raises:
            PlatformError: The platform could not be asked.
        """
        most = self.options.max_datasets_per_tick
        query = all_of(self.options.query, self._fixed("dataset_id"))
        walker = ChangeWalker(
            read_page=lambda since, token: self.queries.datasets(query, since, token),
            sink=DatasetSink(collection, self.partitioning, most=most, warn=self.log.warning),
            now=self.now,
            overlap=self.options.overlap,
            since=self.options.since,
            warn=self.log.warning,
        )
        return walker.follow(self.cursor.datasets, deadline)

    def files(self, collection: ChangeCollection, deadline: Deadline) -> ChangeFeed:
        """Add the datasets whose files have changed, as many as a tick may take.

        Args:
            collection: Where they go.
            deadline: When to stop.

        Raises:
            PlatformError: The platform could not be asked.
        """
        if not self.options.watch_files:
            return self.cursor.files
        most = min(self.options.max_datasets_per_tick, _MAX_LOOKED_UP)
        sink = FileSink(collection, self.partitioning, most=most, is_covered=self._is_covered)
        query = self._fixed("association_id")
        walker = ChangeWalker(
            read_page=lambda since, token: self.queries.files(query, since, token),
            sink=sink,
            now=self.now,
            overlap=self.options.overlap,
            since=self._first_files(),
            warn=self.log.warning,
        )
        feed = walker.follow(self.cursor.files, deadline)
        sink.add_to_collection(self._watched)
        if collection.outside:
            self.log.info(
                "Files created in no window of the asset's partitions, so no run is requested for them, in datasets "
                f"{some(collection.outside)}."
            )
        return feed

    def _first_files(self) -> dt.datetime:
        """Return where the first walk starts: all datasets are new then, and are run with their files."""
        since, recent = self.options.since, self.now - self.options.overlap
        return recent if since is None else max(recent, since)

    def _is_covered(self, file: FileChange) -> bool:
        """Return whether a run that was requested earlier in this walk delivers a file.

        It lists all files of the dataset: only those that it may not have been shown are not covered.
        """
        requested = self.cursor.requested_in_walk.get(file.dataset_id)
        return requested is not None and file.modified < requested - self.options.overlap

    def _fixed(self, field: str) -> Query | None:
        """Return the condition that only the asset's datasets fulfil, if they are few and fixed."""
        fixed = self.partitioning.fixed_dataset_ids
        if fixed is None or not 0 < len(fixed) <= _MAX_IDS_OF_QUERY:
            return None
        return any_of(field, sorted(fixed))

    def _watched(self, dataset_ids: list[str]) -> Iterator[RemoteDataset]:
        """Look datasets up, of which only those are returned that fit the sensor's query."""
        for first in range(0, len(dataset_ids), _MAX_IDS_OF_QUERY):
            these = any_of("dataset_id", dataset_ids[first : first + _MAX_IDS_OF_QUERY])
            yield from self.find(all_of(self.options.query, these))
