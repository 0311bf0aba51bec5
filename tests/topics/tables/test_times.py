"""What is known about the times of a table."""

import pyarrow as pa
import pytest

from roboto_dagster.topics.tables.times import TimeStatistics

Times = list[int | None]


def facts(*batches: Times) -> tuple[object, ...]:
    """Return what is known after some batches: rows, nulls, first, last, largest gap, steps back, sorted."""
    times = TimeStatistics()
    for each in batches:
        times.add(pa.array(each, pa.timestamp("ns", "UTC")))
    return (
        *(times.rows, times.nulls, times.first, times.last),
        *(times.max_gap, times.steps_back, times.is_sorted),
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], (0, 0, None, None, None, 0, True), id="none"),
        pytest.param([5], (1, 0, 5, 5, None, 0, True), id="one"),
        pytest.param([0, 3, 4], (3, 0, 0, 4, 3, 0, True), id="zero-is-a-time"),
        pytest.param([1, 1], (2, 0, 1, 1, 0, 0, True), id="equal"),
        pytest.param([1, 5, 2, 3, 7], (5, 0, 1, 7, 4, 1, False), id="one-step-back"),
        pytest.param([9, 2, 1], (3, 0, 1, 9, 0, 2, False), id="backwards"),
        pytest.param([None, 2, None, 4], (4, 2, 2, 4, 2, 0, False), id="nulls"),
        pytest.param([None, None], (2, 2, None, None, None, 0, False), id="all-null"),
        pytest.param([-5, 0], (2, 0, -5, 0, 5, 0, True), id="before-1970"),
    ],
)
def test_batches_count_as_one(rows: Times, expected: tuple[object, ...]) -> None:
    """However the rows are divided into batches, the facts are the same."""
    assert facts(rows) == expected
    assert facts(*([each] for each in rows)) == expected
    assert facts(rows[:2], [], rows[2:]) == expected


def test_a_gap_that_is_filled_is_none() -> None:
    """A row that comes late does not make the time after it a gap: gaps count from the latest row so far."""
    assert facts([0, 10, 9], [11])[4:6] == (10, 1)


def test_the_longest_time_of_all_does_not_count() -> None:
    """A difference of more than 292 years is none that 64 bits hold."""
    assert facts([-(2**63) + 1, 2**63 - 1])[4] == 0
