"""Writes `docs/failures.md` from the matrix."""

import pathlib

from roboto_dagster.errors import ADVICE, ERROR_CODES, TRANSIENT_CODES
from tests.faults.matrix import MATRIX, NOT_INJECTED, Row

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "failures.md"

_INTRODUCTION = """\
# What can go wrong, and what you get then

<!-- Made by `python -m tests.faults` from tests/faults/matrix.py: change it there. -->

Each row is tested, with both engines wherever an engine is concerned, by causing the fault and checking
afterwards that every file is absent, what it was before, or complete; that each is listed once, in the
manifest and in the run; and that the next run completes all without fetching twice
([what is promised](promises.md)).

A failed file has a code, in the failure's table `roboto/failures` and in the manifest's column `error_code`.
"""


def render() -> str:
    """Returns the page."""
    areas = dict.fromkeys(row.area for row in MATRIX)
    tables = [_table(area, [row for row in MATRIX if row.area == area]) for area in areas]
    return "\n".join([_INTRODUCTION, _codes(), *tables, _not_injected()])


def _codes() -> str:
    lines = ["## The codes", "", "| Code | Repeated by itself | What to do |", "|---|---|---|"]
    lines += [
        f"| `{code}` | {'yes' if code in TRANSIENT_CODES else 'no'} | {ADVICE[code]} |"
        for code in ERROR_CODES
    ]
    return "\n".join([*lines, ""])


def _table(area: str, rows: list[Row]) -> str:
    lines = [
        f"## {area}",
        "",
        "| # | What is wrong | What you get | Code, if it stays | What to do |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        codes = ", ".join(f"`{code}`" for code in row.codes) or "-"
        cells = [row.id, row.fault, row.promise, codes, row.advice]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _not_injected() -> str:
    lines = [
        "## What the tests do not cause",
        "",
        "| # | What is wrong | Why not |",
        "|---|---|---|",
    ]
    lines += [f"| {each.id} | {each.fault} | {each.reason} |" for each in NOT_INJECTED]
    return "\n".join([*lines, ""])
