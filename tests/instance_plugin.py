"""Makes Dagster instances quick to create: the migrations of its databases are read once for a process.

pytest loads this as a plugin (`-p tests.instance_plugin`, in pyproject.toml). Each new database, in memory or for
the events of one run, is marked with the newest migration, for which alembic imports all of them again: three
quarters of what an ephemeral instance costs, and the tests make a thousand.
"""

from typing import Any

import pytest


def pytest_configure() -> None:
    """Let alembic keep the folders of migrations that it has read."""
    import alembic.script

    patch = pytest.MonkeyPatch()  # for as long as the process lives
    read = alembic.script.ScriptDirectory.from_config
    known: dict[str | None, alembic.script.ScriptDirectory] = {}

    def from_config(config: Any) -> alembic.script.ScriptDirectory:
        """Return the migrations of a configuration; they do not change while tests run."""
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    patch.setattr(alembic.script.ScriptDirectory, "from_config", from_config)
