"""Checks of settings, for every surface: functions, YAML, resources and the store registry.

Each setting is checked once, where its dataclass or client is made, when it is written and not in the run.
Values are untyped here, since YAML and untyped calls pass anything. A message names the setting and
what it accepts; a password in a URL is masked by the error itself.
"""

import datetime as dt
import keyword
import urllib.parse
from collections.abc import Collection, Mapping

from roboto_dagster.errors import ConfigurationError

# What is larger is a mistake of units; it may fit into no `timedelta`, float or integer of C.
MOST_SECONDS = 315_360_000  # ten years
_LARGEST_COUNT = 2**53


def check_choice(setting: str, value: object, choices: Collection[str]) -> None:
    """Check that a text is one of those that have a meaning.

    Args:
        setting: Its name; the message starts with it.
        value: The value.
        choices: What it may be.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, str) or value not in choices:
        quoted = [f'"{choice}"' for choice in choices]
        raise ConfigurationError(
            f"{setting} must be {', '.join(quoted[:-1])} or {quoted[-1]}, not {value!r}."
        )


def check_count(
    setting: str, value: object, *, least: int = 1, most: int | None = None, optional: bool = False
) -> None:
    """Check an integer.

    Args:
        setting: Its name; the message starts with it.
        value: The value; a bool is none.
        least: The smallest that is accepted. Default 1.
        most: The largest that is accepted. Default None: 2⁵³, since more is a mistake.
        optional: Whether None is accepted too. Default False.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is None and optional:
        return
    largest = _LARGEST_COUNT if most is None else most
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if is_count and least <= value <= largest:  # type: ignore[operator]  # it is an int
        return
    is_open = most is None and not (is_count and value > largest)  # type: ignore[operator]  # it is an int
    bounds = f"at least {least}" if is_open else f"from {least} to {largest}"
    raise ConfigurationError(f"{setting} must be an integer, {bounds}, not {_shown(value)}.")


def check_seconds(
    setting: str, value: object, *, may_be_zero: bool = False, optional: bool = False
) -> None:
    """Check a number of seconds.

    Args:
        setting: Its name; the message starts with it.
        value: The value; a bool is none.
        may_be_zero: Whether 0 is accepted. Default False.
        optional: Whether None is accepted too. Default False.

    Raises:
        ConfigurationError: It is no number in that range, or more than ten years.
    """
    if value is None and optional:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # NaN fails every comparison.
    if is_number and 0 <= value <= MOST_SECONDS and (value > 0 or may_be_zero):  # type: ignore[operator]  # it is a number
        return
    bounds = "0 or more" if may_be_zero else "above 0"
    raise ConfigurationError(
        f"{setting} must be a number of seconds {bounds}, at most ten years, not {_shown(value)}."
    )


def check_rate(setting: str, value: object, *, optional: bool = False) -> None:
    """Check a bound on something a second.

    Args:
        setting: Its name; the message starts with it.
        value: The value; a bool is none.
        optional: Whether None is accepted too. Default False.

    Raises:
        ConfigurationError: It is no finite number above 0.
    """
    if value is None and optional:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 < value <= _LARGEST_COUNT:  # type: ignore[operator]  # it is a number
        return
    raise ConfigurationError(f"{setting} must be a number above 0, not {_shown(value)}.")


def check_flag(setting: str, value: object) -> None:
    """Check a bool.

    Args:
        setting: Its name; the message starts with it.
        value: The value.

    Raises:
        ConfigurationError: It is something else, such as the text "no".
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{setting} must be True or False, not {value!r}.")


def check_moment(setting: str, value: object) -> None:
    """Check a time with its zone, or None.

    Args:
        setting: Its name; the message starts with it.
        value: The value.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is not None and not (isinstance(value, dt.datetime) and value.tzinfo is not None):
        raise ConfigurationError(f"{setting} must be a datetime with its time zone, not {value!r}.")


def check_duration(setting: str, value: object) -> None:
    """Check a `timedelta`, or None.

    Args:
        setting: Its name; the message starts with it.
        value: The value.

    Raises:
        ConfigurationError: It is something else, or not above 0, or more than ten years.
    """
    largest = dt.timedelta(seconds=MOST_SECONDS)
    if value is not None and not (
        isinstance(value, dt.timedelta) and dt.timedelta(0) < value <= largest
    ):
        raise ConfigurationError(
            f"{setting} must be a timedelta above 0, at most ten years, not {value!r}."
        )


def check_tags(setting: str, value: object) -> None:
    """Check tags: a mapping from text to text.

    Args:
        setting: Its name; the message starts with it.
        value: The value.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{setting} must be a mapping from strings to strings, not {value!r}."
        )
    for name, text in value.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise ConfigurationError(
                f"{setting} must be a mapping from strings to strings: {name!r} is {text!r}."
            )


def check_text(setting: str, value: object, *, optional: bool = False) -> None:
    """Check a text such as a name, a profile or a key; the message does not quote it, since it may be a secret.

    Args:
        setting: Its name; the message starts with it.
        value: The value.
        optional: Whether None is accepted too. Default False.

    Raises:
        ConfigurationError: It is no text, is empty, or has line breaks or spaces around it.
    """
    if value is None and optional:
        return
    if not isinstance(value, str):
        raise ConfigurationError(f"{setting} must be a string, not {type(value).__name__}.")
    if not value.strip():
        hint = ": leave it out, or set it" if optional else ""
        raise ConfigurationError(f"{setting} is empty{hint}.")
    if value.strip() != value or not value.isprintable():
        raise ConfigurationError(
            f"{setting} must be one line without spaces around it and without control characters."
        )


def check_resource_key(setting: str, value: object) -> None:
    """Check the key of a resource.

    Args:
        setting: Its name; the message starts with it.
        value: The key.

    Raises:
        ConfigurationError: No resource can have it.
    """
    if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value):
        raise ConfigurationError(
            f"{setting} must be the key of a resource, which is a Python identifier such as roboto, not {value!r}."
        )


def check_http_url(setting: str, value: object, *, may_have_path: bool = True) -> str:
    """Check the URL of an endpoint.

    Args:
        setting: Its name, and where it was set; the message starts with it.
        value: The URL.
        may_have_path: Whether a path may follow the host. Default True.

    Returns:
        The URL without a trailing slash.

    Raises:
        ConfigurationError: No client could use it.
    """
    problem = _url_problem(value, may_have_path=may_have_path)
    if problem is not None:
        raise ConfigurationError(f"{setting} {problem}, not {value!r}.")
    return str(value).rstrip("/")


def _shown(value: object) -> str:
    """Return how a wrong number is quoted: some have thousands of digits, which Python refuses to write."""
    is_huge = isinstance(value, int) and value.bit_length() > 256  # 77 digits
    return "a number of more than 77 digits" if is_huge else repr(value)


def _url_problem(url: object, *, may_have_path: bool) -> str | None:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return "must start with http:// or https://"
    if not (url.isprintable() and url.isascii()) or " " in url:
        return "must be plain text without spaces and line breaks"
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError:
        return "must have a valid host and port"
    return _part_problem(parts, may_have_path=may_have_path)


def _part_problem(parts: urllib.parse.SplitResult, *, may_have_path: bool) -> str | None:
    if "@" in parts.netloc:
        return "must not hold a user name or password (credentials have their own settings)"
    if not parts.hostname:
        return "must name a host"
    if parts.query or parts.fragment:
        return "must not have a query or a fragment"
    if not may_have_path and parts.path.strip("/"):
        return f"must be scheme and host only, without the path {parts.path}"
    return None
