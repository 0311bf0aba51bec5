"""The loop over pages ends, whatever tokens the platform sends."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.pagination import MAX_EMPTY_PAGES, walk_pages


def test_pages_follow_their_tokens() -> None:
    """Each page is requested with the token of the one before, and the last has none."""
    pages: dict[str | None, tuple[Sequence[Any], str | None]] = {
        None: ([1], "a"),
        "a": ([], "b"),
        "b": ([2, 3], None),
    }
    assert list(walk_pages(pages.__getitem__, "listing")) == [[1], [], [2, 3]]


def test_an_empty_token_is_the_end() -> None:
    """Some servers send an empty text for no token."""
    assert list(walk_pages(lambda _: ([1], ""), "listing")) == [[1]]


def test_a_token_that_repeats_is_an_error() -> None:
    """The list would never be complete."""
    with pytest.raises(
        PlatformError, match=r"^listing: .* repeats page 'a', so the list is incomplete"
    ):
        list(walk_pages(lambda _: ([1], "a"), "listing"))


def test_empty_pages_without_end_are_an_error() -> None:
    """Ever new tokens without a record are no progress."""
    numbers = itertools.count()
    with pytest.raises(
        PlatformError, match=f"sent {MAX_EMPTY_PAGES} empty pages in a row"
    ) as caught:
        list(walk_pages(lambda _: ([], str(next(numbers))), "listing"))
    assert caught.value.transient
    assert next(numbers) == MAX_EMPTY_PAGES
