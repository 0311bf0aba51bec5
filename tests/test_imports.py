"""What importing a part of the package costs, and that it works where Dagster is not installed.

Each import runs in an interpreter of its own. Counted are modules, since times depend on the machine.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from roboto_dagster.testing import LocalRoboto
from tests.test_import_line import MODULES, WITHOUT_DAGSTER, room_of
from tests.waiting import GUARD_SECONDS

pytestmark = pytest.mark.slow

# Each takes from a tenth of a second to two seconds.
HEAVY = {
    *("awscrt", "boto3", "botocore", "dagster", "dagster_shared", "moto", "numpy", "pandas"),
    *("pathspec", "pyarrow", "pycurl", "pydantic", "roboto", "s3transfer", "sqlite3", "tenacity"),
}
# Of the surface: what a command line words in the same way.
SHARED = {"chart", "messages"}
PLAIN = sorted(
    module
    for module in MODULES
    if room_of(module) in {*WITHOUT_DAGSTER, "testing", "testing.server"} or module in SHARED
    if not module.endswith("__main__")
)


def modules_after(program: str, **environment: str) -> set[str]:
    """Run a program, and return the names of the packages that it has imported."""
    result = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
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


def test_a_sync_needs_no_dagster(local: LocalRoboto, tmp_path: pathlib.Path) -> None:
    """A program that delivers a dataset, with key and store from the environment, runs without Dagster."""
    dataset = local.add_dataset()
    local.add_file(dataset, relative_path="a.bin", data=b"abc")
    program = f"""
import pathlib, sys
sys.modules["dagster"] = sys.modules["dagster_shared"] = None
from roboto_dagster.fs.opening import open_store
from roboto_dagster.platform.client import make_client
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.run import sync
from roboto_dagster.sync.values import SyncMetadata
folder = pathlib.Path({str(tmp_path)!r})
def opened(session, uri, retry, on_retry):
    return open_store(session, uri, s3_options={{"retry": retry, "on_retry": on_retry}})
settings = SyncSettings(
    client=make_client(), open_store=opened, destination=folder, manifest=folder / ".roboto" / "m.parquet"
)
report = sync([Scope(dataset_id={dataset!r})], settings)
assert SyncMetadata.of(report).plain_values()["dagster/row_count"] == 1
"""
    modules_after(program, **local.environment())
    assert [path.read_bytes() for path in tmp_path.rglob("a.bin")] == [b"abc"]


def test_a_manifest_needs_no_compute_functions(tmp_path: pathlib.Path) -> None:
    """Neither writing nor reading one imports `pyarrow.compute`, which takes ten MiB and more."""
    program = f"""
import pathlib, sys
from roboto_dagster.sync.manifest import iterate_columns, schema, write_manifest
path = pathlib.Path({str(tmp_path)!r}, "m.parquet")
row = tuple(1 if "int" in str(each.type) or each.name == "fetched_at" else None for each in schema())
write_manifest(path, [[row]])
(columns,) = iterate_columns(path, ["fetched_at", "version"])
assert columns == [[1], [1]], columns
assert "pyarrow.parquet" in sys.modules and "pyarrow.compute" not in sys.modules
"""
    assert "pyarrow" in modules_after(program)


def test_a_sync_imports_neither_dagster_nor_an_engine() -> None:
    """`sync` is ready in a fraction of a second."""
    allowed = {"sqlite3", "tenacity"}
    assert modules_after("from roboto_dagster.sync.run import sync") & HEAVY <= allowed
