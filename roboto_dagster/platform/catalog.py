"""Where a sync gets the files of its datasets from: the platform, or a listing that several syncs share.

```
                     ┌─► part: *.mcap ─► sync of one asset
 dataset ─► listing ─┤
            (once)   └─► part: *.csv  ─► sync of another
```
"""

import contextlib
import dataclasses
import datetime as dt
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from typing_extensions import Self

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.datasets import dataset_owner
from roboto_dagster.platform.files import FileListing
from roboto_dagster.platform.records import RemoteFile
from roboto_dagster.platform.scope import Scope, covering_patterns

if TYPE_CHECKING:
    from roboto import RobotoClient

_FILES_PER_RECORD = 1_000
_BYTES_IN_MEMORY = 4 * 1024 * 1024


class ListedFiles(Protocol):
    """The files of a scope, listed as they are iterated."""

    @property
    def org_id(self) -> str | None:
        """The organization that owns the dataset, once they were iterated; None if no record has named it."""

    @property
    def listed_at(self) -> dt.datetime | None:
        """As of `FileListing`."""

    def __iter__(self) -> Iterator[RemoteFile]: ...


class DatasetCatalog(Protocol):
    """What a sync asks about datasets."""

    def files(self, scope: Scope) -> ListedFiles:
        """Return the files of a scope."""

    def owner(self, dataset_id: str) -> tuple[str, str | None]:
        """Return the organization and the name of a dataset."""


class PlatformCatalog:
    """Asks the platform each time.

    Args:
        client: Client of the platform.
    """

    def __init__(self, client: "RobotoClient") -> None:
        self._client = client

    def files(self, scope: Scope) -> ListedFiles:
        """Return the files of a scope; iterating them may raise a `PlatformError`.

        Args:
            scope: The dataset and its patterns.
        """
        return FileListing(self._client, scope)

    def owner(self, dataset_id: str) -> tuple[str, str | None]:
        """Return the organization and the name of a dataset.

        Args:
            dataset_id: The dataset.

        Raises:
            PlatformError: There is no such dataset, or the platform could not be asked.
        """
        return dataset_owner(self._client, dataset_id)


class SharedCatalog:
    """Asks the platform once for what several syncs want of the same datasets. For one thread.

    The listing is kept on disk, so that memory stays flat. A listing that fails has failed for all.

    Args:
        client: Client of the platform.
        patterns: What will be asked for: include and exclude patterns of each sync.
    """

    def __init__(
        self, client: "RobotoClient", patterns: Sequence[tuple[Sequence[str], Sequence[str]]]
    ) -> None:
        self._client = client
        self._include, self._exclude = covering_patterns(patterns)
        self._listings: dict[Scope, _Spool] = {}
        self._owners: dict[str, tuple[str, str | None] | PlatformError] = {}
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def files(self, scope: Scope) -> ListedFiles:
        """Return the files of a scope; iterating them may raise a `PlatformError`.

        Args:
            scope: The dataset, and patterns of one of the syncs.
        """
        covering = dataclasses.replace(
            scope,
            include_patterns=self._include,
            exclude_patterns=self._exclude,
            dataset_name=None,
        )
        if covering not in self._listings:
            spool = _Spool(FileListing(self._client, covering))
            self._listings[covering] = self._files.enter_context(contextlib.closing(spool))
        return _Part(self._listings[covering], scope)

    def owner(self, dataset_id: str) -> tuple[str, str | None]:
        """Return the organization and the name of a dataset.

        Args:
            dataset_id: The dataset.

        Raises:
            PlatformError: There is no such dataset, or the platform could not be asked.
        """
        if dataset_id not in self._owners:
            try:
                self._owners[dataset_id] = dataset_owner(self._client, dataset_id)
            except PlatformError as error:
                self._owners[dataset_id] = error
        found = self._owners[dataset_id]
        if isinstance(found, PlatformError):
            raise found
        return found


class _Spool:
    """A listing that is read from the platform once, and from a file afterwards."""

    def __init__(self, listing: FileListing) -> None:
        self._listing = listing
        self._file = tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115 -- see `close`
        self._result: bool | PlatformError = False

    def close(self) -> None:
        self._file.close()

    @property
    def org_id(self) -> str | None:
        return self._listing.org_id

    @property
    def listed_at(self) -> dt.datetime | None:
        return self._listing.listed_at

    def __iter__(self) -> Iterator[RemoteFile]:
        if self._result is False:
            self._result = self._fill()
        if isinstance(self._result, PlatformError):
            raise self._result
        self._file.seek(0)
        while batch := pickle.load(self._file):  # noqa: S301 -- this object wrote it, into a file without a name
            yield from batch

    def _fill(self) -> bool | PlatformError:
        self._file.seek(0)  # an interrupted attempt may have written something
        self._file.truncate()
        try:
            for batch in _batches(self._listing):
                pickle.dump(batch, self._file, pickle.HIGHEST_PROTOCOL)
        except PlatformError as error:
            return error
        pickle.dump([], self._file)
        return True


class _Part:
    """What one scope takes of a listing."""

    def __init__(self, spool: _Spool, scope: Scope) -> None:
        self._spool = spool
        self._matcher = scope.matcher()

    @property
    def org_id(self) -> str | None:
        return self._spool.org_id

    @property
    def listed_at(self) -> dt.datetime | None:
        return self._spool.listed_at

    def __iter__(self) -> Iterator[RemoteFile]:
        for file in self._spool:
            # What has no path may be a file of any scope: each of them names it.
            if not file.has_path or self._matcher.matches(file.relative_path):
                yield file


def _batches(files: Iterable[RemoteFile]) -> Iterator[list[RemoteFile]]:
    batch: list[RemoteFile] = []
    for file in files:
        batch.append(file)
        if len(batch) == _FILES_PER_RECORD:
            yield batch
            batch = []
    if batch:
        yield batch
