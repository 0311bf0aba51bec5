"""The one loop over pages of the API, of whatever kind."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from roboto_dagster.errors import PlatformError

FetchPage = Callable[[str | None], tuple[Sequence[Any], str | None]]
"""Requests the page of a token (None for the first); returns its records and the token of the next page,
None on the last.
"""


def walk_pages(fetch: FetchPage, doing: str) -> Iterator[Sequence[Any]]:
    """Yield page after page, each requested when the one before is used up.

    Args:
        fetch: Requests one page.
        doing: What is read, which begins the message of an error: "listing the files of ds_1".

    Raises:
        PlatformError: A page could not be had, or the platform repeats one: what was yielded is incomplete.
    """
    token: str | None = None
    seen: set[str] = set()
    while True:
        records, token = fetch(token)
        yield records
        if not token:
            return
        if token in seen:
            raise PlatformError(
                f"{doing}: the Roboto API repeats page {token!r}, so the list is incomplete and nothing was changed. "
                "Run it again later.",
                transient=True,
            )
        seen.add(token)
