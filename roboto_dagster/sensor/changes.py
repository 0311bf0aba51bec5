"""Collects the changes that walks meet, dataset by dataset, until they are settled.

A change of a dataset's record and changes of its files end up in one `Change`. Where windows of time
decide on a dataset's partitions, the files' creation times are collected with it.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping

from roboto_dagster.partitions import Partitioning
from roboto_dagster.platform.changes import FileChange
from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.platform.scope import is_dataset_id
from roboto_dagster.run_requests.partition_windows import WindowFinder
from roboto_dagster.sensor.cursor import Change
from roboto_dagster.sensor.feed import Revision
from roboto_dagster.text import one_line

FindDatasets = Callable[[list[str]], Iterator[RemoteDataset]]
"""Given ids, yields those datasets that the sensor watches."""


class ChangeCollection:
    """The changes of one tick, those that wait from earlier ones included.

    Attributes:
        by_dataset: The changes, those that have waited longest first.
        outside: Datasets with changed files that fall into no window.
    """

    def __init__(
        self,
        waiting: Mapping[str, Change],
        *,
        is_known: Callable[[RemoteDataset], bool],
        windows: WindowFinder | None,
        changed_files_since: dt.datetime | None,
    ) -> None:
        """Start with what waits.

        Args:
            waiting: Changes of earlier ticks that are not settled.
            is_known: Whether a dataset's files have been looked for before.
            windows: Finds windows of time, where they decide on a dataset's partitions.
            changed_files_since: Where changes of files are not followed: how far to look back for
                the changed files of a changed record; None where they are followed.
        """
        self.by_dataset = dict(waiting)
        self.outside: dict[str, None] = {}
        self._is_known = is_known
        self._windows = windows
        self._changed_files_since = changed_files_since

    def add_dataset(self, dataset: RemoteDataset, revision: Revision) -> None:
        """Add a dataset whose record is new or has changed.

        Args:
            dataset: As it is now.
            revision: What identifies the change.
        """
        change = self.by_dataset.get(dataset.dataset_id) or Change.of(dataset)
        change = change.with_revision(revision)
        if self._windows is not None:
            change = self._with_search(change, dataset)
        self.by_dataset[dataset.dataset_id] = change

    def add_file(self, file: FileChange, revision: Revision) -> None:
        """Add a changed file of a dataset that is in the collection.

        Args:
            file: As it is now.
            revision: What identifies the change.
        """
        window = self._windows.find(file.created) if self._windows is not None else None
        if self._windows is not None and window is None:
            self.outside[file.dataset_id] = None
        change = self.by_dataset[file.dataset_id]
        windows = () if window is None else (window,)
        self.by_dataset[file.dataset_id] = change.with_revision(revision, *windows)

    def add_event(self, dataset_id: str, text: str) -> None:
        """Add something to the change of a dataset that is no revision, but calls for a run too.

        Args:
            dataset_id: A dataset that is in the collection.
            text: What it was, and when.
        """
        self.by_dataset[dataset_id] = self.by_dataset[dataset_id].with_event(text)

    def _with_search(self, change: Change, dataset: RemoteDataset) -> Change:
        """Request a search for the windows of the dataset's files, where changes of files do not name them."""
        assert self._windows is not None  # noqa: S101 -- asked by the caller
        if not self._is_known(dataset):
            since = None
        elif self._changed_files_since is not None:
            since = self._changed_files_since
        else:
            return change
        is_searched = change.find_windows_from is not None
        if is_searched and change.files_modified_from is None:
            since = None
        update = {"find_windows_from": self._windows.first_start, "files_modified_from": since}
        return change.model_copy(update=update)


class DatasetSink:
    """Takes changed records of datasets."""

    def __init__(
        self,
        collection: ChangeCollection,
        partitioning: Partitioning,
        *,
        most: int,
        warn: Callable[[str], None],
    ) -> None:
        """Take datasets.

        Args:
            collection: Where they go.
            partitioning: Of the asset; what cannot belong to it is left out.
            most: Most datasets to take.
            warn: Called with a line about what is left out.
        """
        self._collection = collection
        self._partitioning = partitioning
        self._room = most
        self._warn = warn

    def revision_of(self, change: RemoteDataset) -> Revision:
        """Return what identifies the change."""
        return dataset_revision(change)

    def take(self, change: RemoteDataset, revision: Revision) -> bool:
        """Take a dataset, or return False if there is no room for it.

        Args:
            change: The change.
            revision: What it is a change to.
        """
        if not is_dataset_id(change.dataset_id):
            self._warn(
                f"The platform lists a dataset {one_line(change.dataset_id)!r}, which cannot be a partition: it is "
                "left out."
            )
            return True
        if not self._partitioning.accepts(change.dataset_id):
            return True
        if self._room <= 0:
            return False
        self._room -= 1
        self._collection.add_dataset(change, revision)
        return True


class FileSink:
    """Takes changed files, and adds them to the collection at the end."""

    def __init__(
        self,
        collection: ChangeCollection,
        partitioning: Partitioning,
        *,
        most: int,
        is_covered: Callable[[FileChange], bool],
    ) -> None:
        """Take files.

        Args:
            collection: Where their datasets go.
            partitioning: Of the asset; files of other datasets are left out.
            most: Most datasets whose files to take.
            is_covered: Whether a run that was requested before delivers a file.
        """
        self._collection = collection
        self._partitioning = partitioning
        self._most = most
        self._is_covered = is_covered
        self._taken: dict[str, list[tuple[FileChange, Revision]]] = {}

    def revision_of(self, change: FileChange) -> Revision:
        """Return what identifies the change."""
        return Revision(record_id=change.file_id, version=change.version, modified=change.modified)

    def take(self, change: FileChange, revision: Revision) -> bool:
        """Take a file, or return False if there is no room for its dataset.

        Args:
            change: The change.
            revision: What it is a change to.
        """
        dataset_id = change.dataset_id
        if not is_dataset_id(dataset_id) or not self._partitioning.accepts(dataset_id):
            return True
        if self._is_covered(change):
            return True
        if dataset_id not in self._taken and len(self._taken) >= self._most:
            return False
        self._taken.setdefault(dataset_id, []).append((change, revision))
        return True

    def add_to_collection(self, find: FindDatasets) -> None:
        """Add what was taken, of those datasets that the sensor watches.

        Args:
            find: Looks the others up.

        Raises:
            PlatformError: They could not be looked up.
        """
        changes = self._collection.by_dataset
        unknown = [dataset_id for dataset_id in self._taken if dataset_id not in changes]
        for dataset in find(unknown):
            changes.setdefault(dataset.dataset_id, Change.of(dataset))
        for dataset_id, files in self._taken.items():
            if dataset_id in changes:
                for file, revision in files:
                    self._collection.add_file(file, revision)


def dataset_revision(dataset: RemoteDataset) -> Revision:
    """Return the state of a dataset's record."""
    return Revision(
        record_id=dataset.dataset_id, version=str(dataset.version), modified=dataset.modified
    )
