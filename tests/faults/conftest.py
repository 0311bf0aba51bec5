"""One lab for each engine, and the mark that ties a test to rows of the matrix."""

import pathlib
from collections.abc import Iterator

import dagster as dg
import pytest

from roboto_dagster.testing import LocalRoboto
from tests.faults.lab import Lab


def pytest_configure(config: pytest.Config) -> None:
    """Registers the mark."""
    config.addinivalue_line("markers", "covers(*ids): the rows of the fault matrix that it tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what materializes, often more than once, as slow."""
    for item in items:
        if {"lab", "one_lab"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's memory of all runs; to make one takes as long as a run."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def lab(
    local: LocalRoboto, engine: str, tmp_path: pathlib.Path, instance: dg.DagsterInstance
) -> Lab:
    """A dataset, an engine and a destination."""
    return Lab(local, engine, tmp_path, instance)


@pytest.fixture
def one_lab(local: LocalRoboto, tmp_path: pathlib.Path, instance: dg.DagsterInstance) -> Lab:
    """The same with one engine, for what happens before any engine is asked."""
    return Lab(local, "auto", tmp_path, instance)
