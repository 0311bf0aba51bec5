"""Options under their old names."""

import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.deprecation import renamed


def test_the_new_name_is_silent() -> None:
    """Nothing was given under the old one."""
    assert renamed("old", "new", None, "b", "a") == "b"


def test_the_old_name_works_and_warns() -> None:
    """The warning has both names."""
    with pytest.warns(DeprecationWarning, match="old is deprecated, use new"):
        assert renamed("old", "new", "b", "a", "a") == "b"


def test_both_names_are_an_error() -> None:
    """Even where they agree: one of them is a leftover."""
    with pytest.raises(ConfigurationError, match="leave old out"):
        renamed("old", "new", "b", "b", "a")
