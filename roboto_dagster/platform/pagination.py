"""The one loop over pages of the API, of whatever kind."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from roboto_dagster.errors import PlatformError

FetchPage = Callable[[str | None], tuple[Sequence[Any], str | None]]
"""Requests the page of a token (None for the first); returns its records and the token of the next page,
None on the last.
"""


MAX_EMPTY_PAGES = 1000
"""So many pages in a row without a record, each with another token, are taken for an endless listing."""


def walk_pages(fetch: FetchPage, doing: str) -> Iterator[Sequence[Any]]:
    """Yield page after page, each requested when the one before is used up.

    Args:
        fetch: Requests one page.
        doing: What is read, which starts the message of an error: "listing the files of ds_1".

    Raises:
        PlatformError: A page could not be had, or the platform repeats one or sends no end of empty ones: what was
            yielded is incomplete.
    """
    token: str | None = None
    seen: set[str] = set()
    empty = 0
    while True:
        records, token = fetch(token)
        yield records
        if not token:
            return
        empty = 0 if records else empty + 1
        if token in seen:
            raise _incomplete(f"{doing}: the Roboto API repeats page {token!r}")
        if empty >= MAX_EMPTY_PAGES:
            raise _incomplete(f"{doing}: the Roboto API sent {empty} empty pages in a row")
        seen.add(token)


def _incomplete(problem: str) -> PlatformError:
    return PlatformError(
        f"{problem}, so the list is incomplete and nothing was changed. Run it again later.",
        transient=True,
    )
