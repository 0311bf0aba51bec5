"""Options that have a better name now: the old one works for a while, and warns."""

import warnings
from typing import TypeVar

from roboto_dagster.errors import ConfigurationError

Value = TypeVar("Value")


def renamed(old: str, new: str, old_value: Value | None, value: Value, default: Value) -> Value:
    """Return the value of a renamed option.

    Args:
        old: Its old name.
        new: Its new name.
        old_value: What was given under the old name; None where nothing was.
        value: What was given under the new name.
        default: What the new one is where nothing is given.

    Raises:
        ConfigurationError: Both were given.
    """
    if old_value is None:
        return value
    if value != default:
        raise ConfigurationError(f"{old} is the old name of {new}: leave {old} out.")
    # The caller's caller wrote the old name.
    warnings.warn(f"{old} is deprecated, use {new}.", DeprecationWarning, stacklevel=3)
    return old_value
