"""Lets the tests start faster: nothing is collected while they are imported, and migrations are read once.

pytest loads this as a plugin (`-p tests.startup_plugin`, in pyproject.toml). Modules and tests are made to stay, so the
collector would look at all of them again and again: a quarter of the time that pytest takes to find the tests, in
each worker. Each new Dagster database, in memory or for the events of one run, is marked with the newest migration,
for which alembic imports all of them again: three quarters of what an ephemeral instance costs, and the tests make
hundreds.
"""

import gc
from typing import Any

import pytest


def pytest_configure() -> None:
    """Stop the collector."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start it again, before the first test."""
    gc.enable()
    if session.items:
        keep_migrations(pytest.MonkeyPatch())  # for as long as the process lives


def pytest_unconfigure() -> None:
    """Start it in the process that only hands out the tests, too."""
    gc.enable()


def keep_migrations(patch: pytest.MonkeyPatch) -> None:
    """Let alembic keep the folders of migrations that it has read.

    Args:
        patch: What undoes it.
    """
    import alembic.script

    read = alembic.script.ScriptDirectory.from_config
    known: dict[str | None, alembic.script.ScriptDirectory] = {}

    def from_config(config: Any) -> alembic.script.ScriptDirectory:
        """Return the migrations of a configuration; they do not change while tests run."""
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    patch.setattr(alembic.script.ScriptDirectory, "from_config", from_config)
