"""Settings of a sync that cannot work are refused where they are set."""

import pathlib
from typing import Any

import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.sync.options import checked_destination


@pytest.mark.parametrize(
    "destination",
    [
        "s3://bucket/logs",
        pathlib.Path("s3://bucket/logs"),
        "S3:/bucket",
        "gs://bucket",
        "file:///data",
        "abfss://container@account/logs",
        "https://host/share",
        "hdfs+x://a",
    ],
    ids=str,
)
def test_a_url_is_no_destination(destination: Any) -> None:
    """Whatever the scheme, nothing here writes to it: a folder named `s3:` is nobody's wish."""
    with pytest.raises(ConfigurationError, match="folder on this machine, not a URL"):
        checked_destination(destination)


@pytest.mark.parametrize("destination", ["", "  ", "a\0b", None, 7, b"data", ["data"]], ids=repr)
def test_what_is_no_path_is_refused(destination: Any) -> None:
    """An empty text would be the working directory, and other types nothing at all."""
    with pytest.raises(ConfigurationError, match="destination must be the path of a folder"):
        checked_destination(destination)


def test_a_home_that_does_not_exist() -> None:
    """`~nobody` of a user that this machine does not have is an error, not a folder `~nobody`."""
    with pytest.raises(ConfigurationError, match="home"):
        checked_destination("~no-such-user-here/data")


def test_paths_become_absolute(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is taken from the working directory, `~` is the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert checked_destination("data/12:30") == tmp_path / "data" / "12:30"
    assert checked_destination(pathlib.Path("~/logs")) == tmp_path / "home" / "logs"
