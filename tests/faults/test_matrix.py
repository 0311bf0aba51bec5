"""The matrix itself: every row is tested, and the page has what the matrix has."""

import pathlib
import re

import pytest

from tests.faults.failures_page import PAGE, render
from tests.faults.matrix import BY_ID, MATRIX, NOT_INJECTED

HERE = pathlib.Path(__file__).parent


def test_ids_are_unique() -> None:
    """A fault is one row."""
    ids = [row.id for row in MATRIX] + [each.id for each in NOT_INJECTED]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("row", BY_ID)
def test_every_row_has_a_test(row: str) -> None:
    """A promise without a test is a claim."""
    marks = [
        mark
        for path in HERE.glob("test_*.py")
        for mark in re.findall(r"covers\((.*?)\)", path.read_text("utf-8"))
    ]
    assert any(f'"{row}"' in mark for mark in marks)


def test_the_page_is_up_to_date() -> None:
    """`docs/failures.md` is what `python -m tests.faults` writes."""
    assert PAGE.read_text(encoding="utf-8") == render()
