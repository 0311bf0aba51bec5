"""Finds datasets on the platform: which there are, which have changed, which are still in flux.

Queries are the platform's structured ones. Pages are asked for through the SDK's client, each with
a specification of its own: `Dataset.query` changes the one it is given, and cannot ask for strongly
consistent answers.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import Self

from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.queries import Query, where

if TYPE_CHECKING:
    from roboto import RobotoClient

MAX_PAGE = 1000
_DATASETS = "v1/datasets/query"
_FILES = "v1/files/query"
# Since API version 2026-03-13 queries may lag behind by a second or so unless asked not to.
_CONSISTENCY = {"X-Roboto-Connection-Consistency": "strongly_consistent"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDataset:
    """A dataset as the platform lists it.

    Attributes:
        dataset_id: The platform's id.
        version: Revision of its record; every change of the record raises it.
        created: When it was made.
        modified: When its record was last changed.
    """

    dataset_id: str
    version: int
    created: dt.datetime
    modified: dt.datetime

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Makes one of a record of the API."""
        return cls(
            dataset_id=str(record["dataset_id"]),
            version=int(record.get("roboto_record_version") or 0),
            created=parse_time(record["created"]),
            modified=parse_time(record["modified"]),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that was added or changed.

    Attributes:
        dataset_id: The dataset it belongs to.
        modified: When.
    """

    dataset_id: str
    modified: dt.datetime


def dataset_url(endpoint: str, *dataset_ids: str) -> str | None:
    """Returns the page of a dataset on the platform's site, `https://app.…` beside `https://api.…`.

    Args:
        endpoint: The API's.
        dataset_ids: None is returned unless it is one.
    """
    api = "https://api."
    if len(dataset_ids) != 1 or not endpoint.startswith(
        api
    ):  # a platform on this machine has no site
        return None
    site = f"https://app.{endpoint.removeprefix(api)}".rstrip("/")
    return f"{site}/datasets/{dataset_ids[0]}"


def find_datasets(
    client: "RobotoClient",
    query: Query | None,
    *,
    sort_by: Literal["created", "modified"] = "created",
    org_id: str | None = None,
) -> Iterator[RemoteDataset]:
    """Yields the datasets that fit, oldest first.

    Args:
        client: Client of the platform.
        query: What they must fit; None for all.
        sort_by: The time by which the oldest is told.
        org_id: Organization that owns them; None for the caller's.

    Raises:
        PlatformError: The answer could not be had to its end.
    """
    for record in _walk(client, _DATASETS, query, sort_by, org_id):
        with platform_errors("reading the records of datasets", client):
            dataset = RemoteDataset.from_record(record)
        yield dataset


def find_file_changes(
    client: "RobotoClient", since: dt.datetime, *, org_id: str | None = None
) -> Iterator[FileChange]:
    """Yields the files of all datasets that were modified since then, oldest first."""
    query = where("modified", "GREATER_THAN_OR_EQUAL", since)
    for record in _walk(client, _FILES, query, "modified", org_id):
        with platform_errors("reading the records of files", client):
            change = _file_change(record)
        if change.dataset_id.startswith("ds_"):
            yield change


def newest_file_change(client: "RobotoClient", *, org_id: str | None = None) -> FileChange | None:
    """Returns the file that was modified last, or None where there are no files."""
    records = _walk(client, _FILES, None, "modified", org_id, limit=1, direction="DESC")
    with platform_errors("reading the records of files", client):
        return next(map(_file_change, records), None)


def has_files(client: "RobotoClient", query: Query, *, org_id: str | None = None) -> bool:
    """Tells whether any file fits a query."""
    return any(True for _ in _walk(client, _FILES, query, "created", org_id, limit=1))


def dataset_exists(client: "RobotoClient", dataset_id: str) -> bool:
    """Tells whether a dataset is there; unlike a query, this never lags behind."""
    try:
        with platform_errors(f"looking up dataset {dataset_id}", client):
            client.get(f"v1/datasets/{dataset_id}")
    except PlatformError as error:
        if error.http_status == 404:
            return False
        raise
    return True


def parse_time(text: object) -> dt.datetime:
    """Reads a time of the API.

    Raises:
        ValueError: It is none, or has no zone.
    """
    # Python 3.10 does not read the Z.
    time = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    if time.tzinfo is None:
        msg = f"{text!r} has no time zone"
        raise ValueError(msg)
    return time


def _file_change(record: Mapping[str, Any]) -> FileChange:
    return FileChange(
        dataset_id=str(record["association_id"]), modified=parse_time(record["modified"])
    )


def _walk(
    client: "RobotoClient",
    route: str,
    query: Query | None,
    sort_by: str,
    org_id: str | None,
    *,
    limit: int = MAX_PAGE,
    direction: Literal["ASC", "DESC"] = "ASC",
) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    seen: set[str] = set()
    while True:
        spec = _specification(query, sort_by, direction, limit, after)
        with platform_errors(f"querying {route.split('/')[1]}", client):
            response = client.post(
                route, data=spec, owner_org_id=org_id, headers=dict(_CONSISTENCY), idempotent=True
            )
            page = response.to_dict(json_path=["data"])
            items, after = list(page["items"]), page.get("next_token")
        yield from items
        if not after:
            return
        if after in seen:
            msg = f"querying {route.split('/')[1]}: the Roboto API repeats page {after!r}. Try again later."
            raise PlatformError(msg, transient=True)
        seen.add(after)


def _specification(
    query: Query | None, sort_by: str, direction: str, limit: int, after: str | None
) -> Any:
    from roboto.query import QuerySpecification

    given = {"condition": query, "limit": limit, "after": after}
    given |= {"sort_by": sort_by, "sort_direction": direction}
    try:
        return QuerySpecification.model_validate(given)
    except ValueError as error:
        msg = f"The query {query!r} is none that the platform knows: {str(error).splitlines()[0]}."
        raise ConfigurationError(msg) from None
