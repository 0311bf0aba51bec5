"""Ranges of partitions that one run may hold."""

import pytest

from roboto_dagster.run_requests.requests import MAX_PARTITIONS_PER_RUN, contiguous_groups


@pytest.mark.parametrize(
    ("chosen", "longest", "groups"),
    [
        ("abcd", None, ["abcd"]),
        ("abd", None, ["ab", "d"]),
        ("dab", None, ["ab", "d"]),
        ("abcd", 3, ["abc", "d"]),
        ("abcd", 1, ["a", "b", "c", "d"]),
        ("", None, []),
        ("x", None, []),
    ],
)
def test_contiguous_groups(chosen: str, longest: int | None, groups: list[str]) -> None:
    """Chosen keys become groups without gaps, none longer than allowed."""
    found = contiguous_groups(list(chosen), list("abcd"), longest)
    assert ["".join(keys) for keys in found] == groups


@pytest.mark.parametrize(
    ("count", "longest", "sizes"),
    [
        pytest.param(MAX_PARTITIONS_PER_RUN, None, [2000], id="not-yet"),
        pytest.param(MAX_PARTITIONS_PER_RUN + 1, None, [1000, 1000, 1], id="any-number-allowed"),
        pytest.param(2500, 10_000, [1000, 1000, 500], id="more-allowed"),
        pytest.param(2500, 900, [900, 900, 700], id="less-allowed"),
    ],
)
def test_long_stretches_are_divided(count: int, longest: int | None, sizes: list[int]) -> None:
    """Above 2,000 partitions a run would spend its time on Dagster's events."""
    keys = [str(number) for number in range(count)]
    assert [len(group) for group in contiguous_groups(keys, keys, longest)] == sizes
