"""The fault matrix: what can go wrong, and what a user is promised then. The one source of the tests'
claims and of `docs/failures.md`.

The rows stand in `rows/*.yaml`, a file for each area; `row.id` names the test by `covers(id)`.
"""

import pathlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pytest
import yaml

from roboto_dagster.errors import ERROR_CODES

Area = Literal[
    "Network",
    "Object",
    "Credentials",
    "Platform",
    "Disk",
    "Process",
    "Paths",
    "Scale",
    "Reading",
    "Sensor",
]

_ROWS = pathlib.Path(__file__).parent / "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault.

    Attributes:
        id: By which tests and issues name it.
        area: What it happens to.
        fault: What is wrong.
        injected: How the tests cause it.
        promise: What the user gets.
        codes: The codes that a failed file may have; empty if the fault alone fails no file.
        advice: What to do.
    """

    id: str
    area: Area
    fault: str
    injected: str
    promise: str
    codes: tuple[str, ...] = ()
    advice: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.codes) - set(ERROR_CODES)
        if unknown:
            raise ValueError(f"{self.id}: no such codes: {unknown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotInjected:
    """A fault that the tests cannot cause, and why not."""

    id: str
    fault: str
    reason: str


def _read(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yaml.safe_load((_ROWS / f"{name}.yaml").read_text("utf-8"))
    return rows


def _row(area: Area, fields: dict[str, Any]) -> Row:
    return Row(**{**fields, "area": area, "codes": tuple(fields.get("codes", ()))})


MATRIX: tuple[Row, ...] = tuple(
    _row(area, fields) for area in get_args(Area) for fields in _read(area.lower())
)

BY_ID = {row.id: row for row in MATRIX}

NOT_INJECTED: tuple[NotInjected, ...] = tuple(
    NotInjected(**fields) for fields in _read("not_injected")
)


def covers(*ids: str) -> pytest.MarkDecorator:
    """Marks a test as one of these rows'."""
    missing = [each for each in ids if each not in BY_ID]
    if missing:
        raise ValueError(f"The matrix has no {missing}")
    return pytest.mark.covers(*ids)
