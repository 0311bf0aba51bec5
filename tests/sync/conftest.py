"""An inventory for the tests of what works on one."""

from collections.abc import Iterator

import pytest

from roboto_dagster.sync.inventory import Inventory


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    """An empty working set."""
    with Inventory() as inventory:
        yield inventory
