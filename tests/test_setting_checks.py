"""A setting that cannot work is refused by name, whatever type it comes with."""

import datetime as dt
from collections.abc import Callable

import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.setting_checks import (
    check_choice,
    check_count,
    check_duration,
    check_flag,
    check_http_url,
    check_moment,
    check_resource_key,
    check_seconds,
    check_tags,
    check_text,
)


@pytest.mark.parametrize("value", ["ful", "", None, 3, ["full"]], ids=repr)
def test_a_choice_is_one_of_those_there_are(value: object) -> None:
    """A slip is refused with what would have been accepted."""
    with pytest.raises(
        ConfigurationError, match=r'^durability must be "none", "file" or "full", not '
    ):
        check_choice("durability", value, ("none", "file", "full"))
    check_choice("durability", "full", ("none", "file", "full"))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, float("nan")], ids=repr)
def test_a_count_is_an_integer(value: object) -> None:
    """Neither a bool nor a text of digits is one."""
    with pytest.raises(ConfigurationError, match=r"^parts must be an integer, at least 1, not"):
        check_count("parts", value)
    check_count("parts", 1)


def test_a_count_may_have_an_upper_bound_and_be_left_out() -> None:
    """Both bounds are named, and None is accepted where it has a meaning."""
    with pytest.raises(ConfigurationError, match="from 0 to 9"):
        check_count("parts", 10, least=0, most=9)
    check_count("parts", None, optional=True)
    check_count("parts", 9, least=0, most=9)


@pytest.mark.parametrize("value", [0, -1.0, True, "3", None, float("inf"), float("nan")], ids=repr)
def test_seconds_are_a_finite_number_above_zero(value: object) -> None:
    """An infinite wait is none, and neither is a negative one."""
    with pytest.raises(ConfigurationError, match=r"^timeout must be a number of seconds above 0"):
        check_seconds("timeout", value)


def test_seconds_may_be_zero_or_left_out() -> None:
    """Where a setting gives them a meaning."""
    check_seconds("wait", 0, may_be_zero=True)
    check_seconds("deadline", None, optional=True)
    with pytest.raises(ConfigurationError, match="0 or more"):
        check_seconds("wait", -1, may_be_zero=True)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("platform.example", "must start with http", id="no-scheme"),
        pytest.param("ftp://platform.example", "must start with http", id="scheme"),
        pytest.param(None, "must start with http", id="none"),
        pytest.param("https://", "must name a host", id="no-host"),
        pytest.param("https://h:port", "valid host and port", id="port"),
        pytest.param("https://[::1", "valid host and port", id="bracket"),
        pytest.param("https://h/\n", "without spaces and line breaks", id="line-break"),
        pytest.param("https://h?x=1", "query", id="query"),
        pytest.param("https://user:hidden-4711@h", "must not hold a user name", id="password"),
        pytest.param("https://h/v1", "without the path /v1", id="path"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: object, problem: str) -> None:
    """The message reports what is wrong with it, and never a password."""
    with pytest.raises(ConfigurationError, match=r"^endpoint ") as caught:
        check_http_url("endpoint", url, may_have_path=False)
    assert problem in str(caught.value)
    assert "hidden-4711" not in repr(caught.value)


def test_a_trailing_slash_is_dropped() -> None:
    """A path is kept where it may be there."""
    assert check_http_url("endpoint", "https://h:9000//") == "https://h:9000"
    assert check_http_url("endpoint", "https://h/prefix/") == "https://h/prefix"


@pytest.mark.parametrize("value", [2**60, 10**400, -(10**5000)], ids=["60-bits", "400", "-5000"])
def test_a_number_that_fits_nowhere_is_refused(value: int) -> None:
    """Python cannot even write the largest, so the message describes it."""
    with pytest.raises(ConfigurationError, match=r"^parts must be an integer"):
        check_count("parts", value)
    with pytest.raises(ConfigurationError, match=r"^wait must be a number of seconds .*ten years"):
        check_seconds("wait", value)


@pytest.mark.parametrize("value", ["", " ", "\n", " a", "a\n", "a\x1b[2J", 5, None, b"a"], ids=repr)
def test_a_text_is_one_line_that_is_not_blank(value: object) -> None:
    """It is not quoted, since it may be a secret."""
    with pytest.raises(ConfigurationError, match=r"^profile (is empty|must be)") as caught:
        check_text("profile", value)
    assert "\x1b" not in str(caught.value)
    check_text("profile", "a b")
    check_text("profile", None, optional=True)


@pytest.mark.parametrize("value", ["", "my-roboto", "a b", "1a", "class", 5, None], ids=repr)
def test_the_key_of_a_resource_is_an_identifier(value: object) -> None:
    """Dagster's own message for another one does not name the setting."""
    with pytest.raises(
        ConfigurationError, match=r"^roboto_resource_key must be the key of a resource"
    ):
        check_resource_key("roboto_resource_key", value)
    check_resource_key("roboto_resource_key", "roboto")


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (check_flag, "no", "must be True or False, not 'no'."),
        (check_flag, 1, "must be True or False, not 1."),
        (check_moment, dt.datetime(2026, 1, 1), "must be a datetime with its time zone"),  # noqa: DTZ001 -- the point
        (check_moment, "2026-01-01", "must be a datetime with its time zone, not '2026-01-01'."),
        (check_duration, 48, "must be a timedelta above 0, at most ten years, not 48."),
        (check_duration, dt.timedelta(0), "must be a timedelta above 0"),
        (check_duration, dt.timedelta.max, "must be a timedelta above 0, at most ten years"),
        (check_tags, ["team"], "must be a mapping from strings to strings, not ['team']."),
        (check_tags, {"team": 7}, "must be a mapping from strings to strings: 'team' is 7."),
    ],
)
def test_nothing_is_converted(check: Callable[..., None], value: object, message: str) -> None:
    """A text is no number, and a number is no duration."""
    with pytest.raises(ConfigurationError) as raised:
        check("setting", value)
    assert str(raised.value).startswith(f"setting {message}")
