"""What importing a part of the package costs, and that it works where Dagster is not installed.

Each import runs in an interpreter of its own. Counted are modules, since times depend on the machine.
"""

import subprocess
import sys

import pytest

from tests.test_import_line import MODULES, WITHOUT_DAGSTER, room_of

# Each takes from a tenth of a second to two seconds.
HEAVY = {
    *("awscrt", "boto3", "botocore", "dagster", "dagster_shared", "moto", "numpy", "pandas"),
    *("pathspec", "pyarrow", "pycurl", "pydantic", "roboto", "s3transfer", "sqlite3", "tenacity"),
}
PLAIN = sorted(
    module
    for module in MODULES
    if room_of(module) in {*WITHOUT_DAGSTER, "testing", "testing.server"}
    and not module.endswith("__main__")
)


def modules_after(program: str) -> set[str]:
    """Run a program, and return the names of the packages that it has imported."""
    result = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {name.partition(".")[0] for name in result.stdout.split()}


def test_every_module_below_the_surface_imports_without_dagster() -> None:
    """Engine, sync, platform and disk, and the stand-in for the platform, work where Dagster is barred."""
    program = f"""
import importlib, sys
sys.modules["dagster"] = sys.modules["dagster_shared"] = None
for name in {PLAIN!r}:
    importlib.import_module(f"roboto_dagster.{{name}}".rstrip("."))
"""
    modules_after(program)


@pytest.mark.parametrize(
    "program",
    [
        "import roboto_dagster",
        "import roboto_dagster.errors",
        "from roboto_dagster import DownloadSession",
        "from roboto_dagster.fs.download_session import DownloadSession",
        "from roboto_dagster import DownloadError, DownloadSession, StoreRegistry",
    ],
)
def test_a_script_that_downloads_imports_nothing_heavy(program: str) -> None:
    """Neither Dagster nor the SDK nor an engine is imported before it is used."""
    assert modules_after(program) & HEAVY == set()


def test_a_sync_imports_neither_dagster_nor_an_engine() -> None:
    """`sync` is ready in a fraction of a second."""
    allowed = {"sqlite3", "tenacity"}
    assert modules_after("from roboto_dagster.sync.run import sync") & HEAVY <= allowed
