"""What lies in `examples/` runs."""

import importlib.util
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import dagster as dg
import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def load(path: pathlib.Path) -> ModuleType:
    """Imports a code location as Dagster does, by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[ModuleType]:
    """The quickstart with written logs, its files in a folder of the test's."""
    monkeypatch.delenv("ROBOTO_API_KEY", raising=False)
    monkeypatch.setenv("ROBOTO_DEMO_FOLDER", str(tmp_path))
    monkeypatch.setenv("ROBOTO_DEMO_LOGS", str(tmp_path / "none"))
    module = load(EXAMPLES / "quickstart.py")
    yield module
    module.PLATFORM.stop()


def test_the_quickstart_tells_the_formats_of_its_logs(quickstart: ModuleType) -> None:
    """A partition materializes, and the asset downstream reads its manifest and its logs."""
    result = dg.materialize(
        [quickstart.robot_logs, quickstart.log_formats],
        resources=quickstart.resources,
        partition_key="ds_rover_runs",
    )
    (formats,) = result.asset_materializations_for_node("log_formats")
    table = formats.metadata["formats"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(row.data["format"], row.data["files"]) for row in table.records] == [("MCAP", 3)]


def test_the_quickstart_is_the_same_in_the_next_process(quickstart: ModuleType) -> None:
    """Ids are stable, so that a run in another process finds its files unchanged."""
    again = load(EXAMPLES / "quickstart.py")
    try:
        assert again.dataset_ids == quickstart.dataset_ids
        ids = [
            module.PLATFORM.record("ds_rover_runs", "rover_1.mcap")["file_id"]
            for module in (quickstart, again)
        ]
        assert ids[0] == ids[1]
    finally:
        again.PLATFORM.stop()


@pytest.mark.slow
@pytest.mark.parametrize("logs", ["written", "given"])
def test_the_demo_keeps_its_promise(logs: str, tmp_path: pathlib.Path) -> None:
    """`make demo` ends well with logs that it writes, and with a folder of the reader's own."""
    given = tmp_path / "given"
    if logs == "given":
        given.mkdir()
        for name in ("a.bag", "b.bag", "c.mcap"):
            (given / name).write_bytes(b"#ROSBAG V2.0\n" + name.encode())
    home = tmp_path / "dagster"
    home.mkdir()
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "ROBOTO_DEMO_FOLDER": str(tmp_path / "demo"),
        "ROBOTO_DEMO_LOGS": str(given),
    }
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT_FOUND" in done.stdout
    assert "0 requests to the store" in done.stdout
