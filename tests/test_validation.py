"""Settings as models: what cannot work is named in one sentence."""

import datetime as dt
from typing import Any

import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.validation import CheckedSettings, checked


class Example(CheckedSettings):
    """Settings of something."""

    number: int = 1
    age: dt.timedelta | None = None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": "2"}, "number must be a valid integer, not '2'."),
        ({"number": True}, "number must be a valid integer, not True."),
        ({"age": 48}, "age must be a valid timedelta, not 48."),
        ({"numbre": 1}, "numbre is no setting."),
    ],
)
def test_what_cannot_work_is_named(settings: dict[str, Any], message: str) -> None:
    """Nothing is converted, nothing is ignored."""
    with pytest.raises(ConfigurationError) as raised:
        checked(Example, **settings)
    assert str(raised.value) == message


def test_all_of_them_are_named() -> None:
    """Two slips are one error."""
    with pytest.raises(ConfigurationError, match=r"number must .*; age must "):
        checked(Example, number=None, age="1 day")


def test_what_can_work_is_kept() -> None:
    """The values, unchanged."""
    settings = checked(Example, number=3, age=dt.timedelta(hours=1))
    assert (settings.number, settings.age) == (3, dt.timedelta(hours=1))
