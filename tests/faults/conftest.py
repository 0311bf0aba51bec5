"""One lab for each engine, and the mark that ties a test to rows of the matrix."""

import pathlib
from collections.abc import Iterator

import pytest

from roboto_dagster.testing import LocalRoboto
from tests.faults.lab import Lab


def pytest_configure(config: pytest.Config) -> None:
    """Registers the mark."""
    config.addinivalue_line("markers", "covers(*ids): the rows of the fault matrix that it tests")


@pytest.fixture(params=["curl", "boto3"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def lab(local: LocalRoboto, engine: str, tmp_path: pathlib.Path) -> Iterator[Lab]:
    """A dataset, an engine and a destination."""
    lab = Lab(local, engine, tmp_path)
    with lab.instance:
        yield lab


@pytest.fixture
def one_lab(local: LocalRoboto, tmp_path: pathlib.Path) -> Iterator[Lab]:
    """The same with one engine, for what happens before any engine is asked."""
    lab = Lab(local, "auto", tmp_path)
    with lab.instance:
        yield lab
