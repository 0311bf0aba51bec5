"""The order of the tests: slow ones first, and shuffled where the variables CI or TESTS_SEED are set.

pytest loads this as a plugin (`-p tests.order_plugin`, in pyproject.toml). Slow tests start first so
that no worker of `make test` is left with one at the end. The shuffle keeps the tests of a file
together, since they share fixtures; `TESTS_SEED=42 make test` repeats an order.
"""

import hashlib
import os
import pathlib
import secrets
from collections.abc import Callable
from typing import Protocol

import pytest

from tests.ci_plugin import in_ci


class Placed(Protocol):
    """What the order of a test depends on."""

    @property
    def path(self) -> pathlib.PurePath:
        """The file that holds it."""
        ...

    @property
    def nodeid(self) -> str:
        """Its name, with the file's and the parameters'."""
        ...


def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed in CI, before the workers start: they inherit it, and so agree on the order."""
    if in_ci() and not hasattr(config, "workerinput"):
        os.environ.setdefault("TESTS_SEED", str(secrets.randbelow(1_000_000)))


def pytest_report_header() -> str | None:
    """Report the seed."""
    seed = os.environ.get("TESTS_SEED")
    return seed and f"shuffled: TESTS_SEED={seed} repeats this order"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle where a seed is set, then move the slow tests to the front.

    Raises:
        pytest.UsageError: The name of a test differs from process to process, so that the workers
            cannot agree on what to run.
    """
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(f"name the parameters, an address is no name: {unstable[0]}")
    seed = os.environ.get("TESTS_SEED")
    if seed:
        items.sort(key=shuffled(seed))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def shuffled(seed: str) -> Callable[[Placed], tuple[str, str]]:
    """Return a sort key that shuffles the files, and the tests within each file."""

    def key(item: Placed) -> tuple[str, str]:
        return _digest(seed, item.path.as_posix()), _digest(seed, item.nodeid)

    return key


def _digest(seed: str, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()
