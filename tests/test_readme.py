"""What the README shows works."""

import pathlib
import re
from typing import Any

import dagster as dg
import pytest

from roboto_dagster.testing import LocalRoboto

README = pathlib.Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
MAX_LINES = 120


def run(block: str, names: dict[str, Any]) -> dict[str, Any]:
    """Runs a block of the README with some names at hand; returns all names."""
    exec(compile(block, str(README), "exec"), names)  # noqa: S102 - our own text
    return names


@pytest.fixture
def in_empty_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, local: LocalRoboto
) -> pathlib.Path:
    """A working directory of its own, in an environment that leads to LocalRoboto."""
    monkeypatch.chdir(tmp_path)
    for name, value in local.environment().items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_the_readme_is_short() -> None:
    """The README fits on two screens."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_the_example_brings_a_dataset(in_empty_folder: pathlib.Path, local: LocalRoboto) -> None:
    """The example's asset materializes a partition into the folder that it names."""
    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "logs/a.mcap", b"a log")
    local.add_file(dataset_id, "notes.txt", b"no log")
    defs = run(BLOCKS[0], {})["defs"]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("roboto_datasets", [dataset_id])
        job = defs.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(partition_key=dataset_id, instance=instance).success
    root = in_empty_folder / "data" / dataset_id
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "logs" / "a.mcap"]


@pytest.mark.usefixtures("in_empty_folder")
def test_the_session_example_downloads(tmp_path: pathlib.Path, local: LocalRoboto) -> None:
    """The lines about the engine without Dagster download a file."""
    from roboto import Association

    from roboto_dagster import DownloadSession, StoreRegistry

    local.add_dataset("session", dataset_id="ds_123")
    local.add_file("ds_123", "a.bin", b"bytes")
    uri = local.record("ds_123", "a.bin")["uri"]
    file = {
        "bucket_name": uri.split("/")[2],
        "source_uri": uri,
        "destination_path": tmp_path / "a.bin",
    }
    names = {
        "DownloadSession": DownloadSession,
        "StoreRegistry": StoreRegistry,
        "Association": Association,
        "client": local.client(),
        "files": [file],
    }
    run(BLOCKS[1], names)
    assert (tmp_path / "a.bin").read_bytes() == b"bytes"


def test_the_testing_example_heals_a_fault(tmp_path: pathlib.Path) -> None:
    """The lines about testing one's own pipeline run, and the fault that they inject heals."""
    from roboto_dagster import build_roboto_dataset_asset

    asset = build_roboto_dataset_asset(
        "logs", partitions_def=dg.StaticPartitionsDefinition(["ds_flight"]), destination=tmp_path
    )
    block = BLOCKS[2].replace(
        'add_dataset("flight 1")', 'add_dataset("flight 1", dataset_id="ds_flight")'
    )
    run(block, {"dg": dg, "my_asset": asset})
    assert (tmp_path / "ds_flight" / "logs" / "a.mcap").read_bytes() == b"..."
