"""What has changed on the platform: pages of datasets and files, oldest change first."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from typing_extensions import Self

from roboto_dagster.platform.datasets import RemoteDataset, parse_time
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.pages import Page, PageRequest, Resource, query_page
from roboto_dagster.platform.queries import Query, all_of, where

if TYPE_CHECKING:
    from roboto import RobotoClient


class Changed(Protocol):
    """A record that was added or changed."""

    @property
    def modified(self) -> dt.datetime:
        """When."""


ChangedT_co = TypeVar("ChangedT_co", bound=Changed, covariant=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that was added or changed.

    Attributes:
        file_id: The platform's id.
        dataset_id: The dataset it belongs to.
        version: Revision of its record.
        created: When it was added: the time by which a window of files holds it.
        modified: When it was last changed.
    """

    file_id: str
    dataset_id: str
    version: str
    created: dt.datetime
    modified: dt.datetime

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of the API."""
        return cls(
            file_id=str(record["file_id"]),
            dataset_id=str(record["association_id"]),
            version=str(record["version"]),
            created=parse_time(record["created"]),
            modified=parse_time(record["modified"]),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage(Generic[ChangedT_co]):
    """One page of changes.

    Attributes:
        changes: Oldest first.
        unreadable: Ids of records that cannot be read; they are left out.
        next_token: Token of the next page; None on the last.
        answered_at: The platform's clock when it answered; None if it did not send it.
    """

    changes: tuple[ChangedT_co, ...]
    unreadable: tuple[str, ...]
    next_token: str | None
    answered_at: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQueries:
    """Asks one platform for changes.

    Attributes:
        client: Client of the platform.
        org_id: Organization that owns the records; None for the caller's.
    """

    client: "RobotoClient"
    org_id: str | None = None

    def datasets(
        self, query: Query | None, since: dt.datetime | None, after: str | None = None
    ) -> ChangePage[RemoteDataset]:
        """Request one page of the datasets whose records were modified.

        Args:
            query: What they must fit besides; None for all.
            since: Only those that were modified then or later; None for all.
            after: Token of the page; None for the first.

        Raises:
            PlatformError: The page could not be had.
        """
        page = query_page(self.client, self._request("datasets", query, since), after)
        return _changes_of(page, "dataset_id", RemoteDataset.from_record)

    def files(
        self, query: Query | None, since: dt.datetime | None, after: str | None = None
    ) -> ChangePage[FileChange]:
        """Request one page of the files that were added or modified, in whatever dataset.

        Args:
            query: What they must fit besides; None for all.
            since: Only those that were modified then or later; None for all.
            after: Token of the page; None for the first.

        Raises:
            PlatformError: The page could not be had.
        """
        page = query_page(self.client, self._request("files", query, since), after)
        return _changes_of(page, "file_id", FileChange.from_record)

    def has_files(self, dataset_id: str, *conditions: Query) -> bool:
        """Return whether any file of a dataset fits all conditions.

        Args:
            dataset_id: The dataset.
            *conditions: What the file must fit.

        Raises:
            PlatformError: The platform could not be asked.
        """
        return bool(query_page(self.client, self._one_file(dataset_id, conditions)).records)

    def oldest_file(self, dataset_id: str, *conditions: Query) -> FileChange | None:
        """Return the file of a dataset that was created first, of those that fit all conditions.

        Args:
            dataset_id: The dataset.
            *conditions: What the file must fit.

        Raises:
            PlatformError: The platform could not be asked, or the record cannot be read.
        """
        page = query_page(self.client, self._one_file(dataset_id, conditions))
        with platform_errors(f"reading the record of a file of {dataset_id}", self.client):
            return next((FileChange.from_record(record) for record in page.records), None)

    def _one_file(self, dataset_id: str, conditions: tuple[Query, ...]) -> PageRequest:
        query = all_of(where("association_id", "EQUALS", dataset_id), *conditions)
        return PageRequest(resource="files", query=query, limit=1, org_id=self.org_id)

    def _request(
        self, resource: Resource, query: Query | None, since: dt.datetime | None
    ) -> PageRequest:
        modified = where("modified", "GREATER_THAN_OR_EQUAL", since) if since else None
        query = all_of(query, modified)
        return PageRequest(resource=resource, query=query, sort_by="modified", org_id=self.org_id)


def _changes_of(
    page: Page, id_field: str, read: Callable[[Mapping[str, Any]], ChangedT_co]
) -> ChangePage[ChangedT_co]:
    """Read what can be read: one bad record must not hide all other changes."""
    found = [_read_or_none(record, read) for record in page.records]
    pairs = zip(page.records, found, strict=True)
    return ChangePage(
        changes=tuple(change for change in found if change is not None),
        unreadable=tuple(_id_of(record, id_field) for record, change in pairs if change is None),
        next_token=page.next_token,
        answered_at=page.answered_at,
    )


def _read_or_none(
    record: Mapping[str, Any], read: Callable[[Mapping[str, Any]], ChangedT_co]
) -> ChangedT_co | None:
    try:
        return read(record)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def _id_of(record: object, id_field: str) -> str:
    return str(record.get(id_field)) if isinstance(record, Mapping) else repr(record)
