"""Finds datasets on the platform."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import Self

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.pages import PageRequest, query_records
from roboto_dagster.platform.queries import Query
from roboto_dagster.platform.records import is_id

if TYPE_CHECKING:
    from roboto import RobotoClient


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDataset:
    """A dataset as the platform lists it.

    Attributes:
        dataset_id: The platform's id.
        version: Revision of its record; every change of the record raises it.
        created: When it was made.
        modified: When its record was last changed.
        name: Its name, if it has one.
    """

    dataset_id: str
    version: int
    created: dt.datetime
    modified: dt.datetime
    name: str | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of the API.

        Args:
            record: As the platform sent it.
        """
        return cls(
            dataset_id=str(record["dataset_id"]),
            version=int(record.get("roboto_record_version") or 0),
            created=parse_time(record["created"]),
            modified=parse_time(record["modified"]),
            name=str(record["name"]) if record.get("name") else None,
        )


def dataset_url(endpoint: str, *dataset_ids: str) -> str | None:
    """Return the page of a dataset on the platform's site, `https://app.…` beside `https://api.…`.

    Args:
        endpoint: URL of the API.
        *dataset_ids: The datasets.

    Returns:
        The URL, or None for several datasets and for a platform without a site, such as `LocalRoboto`.
    """
    api = "https://api."
    if len(dataset_ids) != 1 or not endpoint.startswith(api):
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
    """Yield the datasets that fit, oldest first.

    Args:
        client: Client of the platform.
        query: What they must fit; None for all.
        sort_by: The time by which the oldest is determined. Default: `created`.
        org_id: Organization that owns them; None for the caller's.

    Raises:
        PlatformError: A page could not be had, or a record cannot be read.
    """
    request = PageRequest(resource="datasets", query=query, sort_by=sort_by, org_id=org_id)
    for record in query_records(client, request):
        with platform_errors("reading the records of datasets", client):
            dataset = RemoteDataset.from_record(record)
        yield dataset


def dataset_owner(client: "RobotoClient", dataset_id: str) -> tuple[str, str | None]:
    """Return the organization that owns a dataset, and the dataset's name, if it has one.

    Args:
        client: Client of the platform.
        dataset_id: The dataset.

    Raises:
        PlatformError: There is no such dataset, or the platform could not be asked.
    """
    with platform_errors(f"looking up dataset {dataset_id}", client):
        record = client.get(f"v1/datasets/{dataset_id}").to_dict(json_path=["data"])
        org_id, name = record["org_id"], record.get("name")
        if not isinstance(org_id, str) or not is_id(org_id):
            raise ValueError(org_id)
        return org_id, str(name) if name else None


def dataset_exists(client: "RobotoClient", dataset_id: str) -> bool:
    """Return whether a dataset exists; unlike a query, this never lags behind.

    Args:
        client: Client of the platform.
        dataset_id: The dataset.

    Raises:
        PlatformError: The platform could not be asked.
    """
    try:
        with platform_errors(f"looking up dataset {dataset_id}", client):
            client.get(f"v1/datasets/{dataset_id}")
    except PlatformError as error:
        if error.http_status == 404:
            return False
        raise
    return True


def parse_time(text: object) -> dt.datetime:
    """Read a time of the API, as a time in UTC.

    Args:
        text: In ISO 8601, with its zone.

    Raises:
        ValueError: It is not a time, has no zone, or is beyond the calendar.
    """
    # Python 3.10 does not read the Z.
    time = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    if time.tzinfo is None:
        msg = f"{text!r} has no time zone"
        raise ValueError(msg)
    try:
        return time.astimezone(dt.timezone.utc)
    except OverflowError:
        msg = f"{text!r} is beyond the calendar"
        raise ValueError(msg) from None
