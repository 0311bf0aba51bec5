"""Pages of the platform's structured queries.

Pages are requested through the SDK's client, each with a specification of its own: `Dataset.query`
changes the one it is given, and cannot ask for strongly consistent answers.
"""

import dataclasses
import datetime as dt
import email.utils
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.pagination import walk_pages
from roboto_dagster.platform.queries import Query

if TYPE_CHECKING:
    from roboto import RobotoClient

Record = Mapping[str, Any]
Resource = Literal["datasets", "files"]

MAX_PAGE = 1000
# Since API version 2026-03-13 queries may lag behind by a second or so unless asked not to.
_CONSISTENCY = {"X-Roboto-Connection-Consistency": "strongly_consistent"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What a page is a page of.

    Attributes:
        resource: What is listed.
        query: What it must fit; None for all.
        sort_by: The time by which it is sorted. Default: `created`.
        newest_first: Whether the order is descending. Default: oldest first.
        limit: Most records of a page. Default: `MAX_PAGE`.
        org_id: Organization that owns the records; None for the caller's.
    """

    resource: Resource
    query: Query | None = None
    sort_by: Literal["created", "modified"] = "created"
    newest_first: bool = False
    limit: int = MAX_PAGE
    org_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of records.

    Attributes:
        records: As the platform sent them, unchecked.
        next_token: Token of the next page; None on the last.
        answered_at: The platform's clock when it answered; None if it did not send it.
    """

    records: Sequence[Record]
    next_token: str | None
    answered_at: dt.datetime | None


def query_page(client: "RobotoClient", request: PageRequest, after: str | None = None) -> Page:
    """Request one page.

    Args:
        client: Client of the platform.
        request: What to list.
        after: Token of the page; None for the first.

    Raises:
        PlatformError: The page could not be had.
        ConfigurationError: The query is not one that the platform knows.
    """
    specification = _specification(request, after)
    with platform_errors(f"querying {request.resource}", client):
        response = client.post(
            f"v1/{request.resource}/query",
            data=specification,
            owner_org_id=request.org_id,
            headers=dict(_CONSISTENCY),
            idempotent=True,
        )
        data = response.to_dict(json_path=["data"])
        return Page(
            records=list(data["items"]),
            next_token=data.get("next_token") or None,
            answered_at=date_of(response.headers),
        )


def query_records(client: "RobotoClient", request: PageRequest) -> Iterator[Record]:
    """Yield the records of all pages.

    Args:
        client: Client of the platform.
        request: What to list.

    Raises:
        PlatformError: A page could not be had, or the platform repeats one.
    """

    def fetch(token: str | None) -> tuple[Sequence[Record], str | None]:
        page = query_page(client, request, token)
        return page.records, page.next_token

    for records in walk_pages(fetch, f"querying {request.resource}"):
        yield from records


def date_of(headers: Mapping[str, str] | None) -> dt.datetime | None:
    """Return the platform's clock when it answered; None if it did not send it.

    Args:
        headers: Of the answer.
    """
    text = {name.lower(): value for name, value in (headers or {}).items()}.get("date")
    try:
        time = email.utils.parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
    return time if time is not None and time.tzinfo is not None else None


def _specification(request: PageRequest, after: str | None) -> Any:
    from roboto.query import QuerySpecification

    given = {"condition": request.query, "limit": request.limit, "after": after}
    given |= {
        "sort_by": request.sort_by,
        "sort_direction": "DESC" if request.newest_first else "ASC",
    }
    try:
        return QuerySpecification.model_validate(given)
    except ValueError as error:
        msg = (
            f"The platform does not know the query {request.query!r}: {str(error).splitlines()[0]}."
        )
        raise ConfigurationError(msg) from None
