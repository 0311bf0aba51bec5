"""Runs of pytest in a process of their own, for the tests of this folder's plugins."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def run_pytest(
    folder: pathlib.Path, *plugins: str, ci: bool, options: tuple[str, ...] = ()
) -> tuple[bool, str]:
    """Run the tests of a folder.

    Args:
        folder: Where they are.
        *plugins: The names of the only plugins that are loaded: each costs time.
        ci: Whether the variable CI is set.
        options: More options of pytest. Default: none.

    Returns:
        Whether the run passed, and what it printed.
    """
    (folder / "pytest.ini").touch()
    loaded = [argument for plugin in plugins for argument in ("-p", plugin)]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "true" if ci else ""}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *loaded, *options, "--rootdir", folder, folder],
        cwd=ROOT,
        env={**os.environ, **alone},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode == 0, result.stdout
