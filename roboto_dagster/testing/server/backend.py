"""What all routes of the API share: the call, its errors, the records behind it, and pages of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roboto_dagster.testing.server.catalog import Catalog
from roboto_dagster.testing.server.query import page
from roboto_dagster.testing.server.records import ORG_ID, Record
from roboto_dagster.testing.server.s3 import LocalS3


@dataclass(slots=True, kw_only=True)
class Settings:
    """What can be changed about a platform while it runs."""

    api_key: str = field(repr=False)
    page_size: int
    credentials_ttl_seconds: float
    bucket: str
    s3_url: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call: what the route's pattern found, the query and the body."""

    names: Sequence[str]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def version(self) -> int | None:
        """The version of the record that is asked for, or None for the latest."""
        return int(self.query["version_id"]) if "version_id" in self.query else None


Route = tuple[str, str, Callable[[Call], Any]]
"""HTTP method, path with `*` for what varies, and what answers."""


class ApiError(Exception):
    """An error in the platform's own form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The records and objects behind the API."""

    catalog: Catalog
    store: LocalS3
    settings: Settings

    def files(self, association_id: str) -> list[Record]:
        """Return the records of an association's files; a dataset has to exist."""
        if association_id.startswith("ds_") or not self.catalog.files(association_id):
            self.catalog.dataset(association_id)
        return self.catalog.files(association_id)

    def page(self, items: Sequence[Record], token: str | None, body: Mapping[str, Any]) -> Record:
        """Return a page of records.

        Args:
            items: All of them.
            token: Where the page starts; None for the first.
            body: Of the request, which may have a `limit`.
        """
        limit = min(body.get("limit") or self.settings.page_size, self.settings.page_size)
        found, next_token = page(items, token, limit)
        return {"items": found, "next_token": next_token}


def prefix_of(association_id: str) -> str:
    """Return where the objects of an association lie in the platform's bucket."""
    return f"{ORG_ID}/{association_id}/"
