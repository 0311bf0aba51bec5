"""Ranges of partitions that one run may hold."""

import pytest

from roboto_dagster.run_requests import contiguous_ranges


@pytest.mark.parametrize(
    ("chosen", "longest", "ranges"),
    [
        ("abcd", None, ["ad"]),
        ("abd", None, ["ab", "dd"]),
        ("dab", None, ["ab", "dd"]),
        ("abcd", 3, ["ac", "dd"]),
        ("abcd", 1, ["aa", "bb", "cc", "dd"]),
        ("", None, []),
        ("x", None, []),
    ],
)
def test_contiguous_ranges(chosen: str, longest: int | None, ranges: list[str]) -> None:
    """Chosen keys become ranges without gaps, none longer than allowed."""
    found = contiguous_ranges(list(chosen), list("abcd"), longest)
    assert ["".join(ends) for ends in found] == ranges
