"""Where an asset delivers to."""

import pathlib

import pytest

from roboto_dagster import manifest_path
from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.testing import LocalRoboto
from tests.conftest import Materializer


def test_a_root_for_tests_moves_the_destination(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """The variable moves every destination below one folder, and not the definition."""
    config = DatasetAssetConfig.checked(destination=tmp_path / "production")
    before = (config.code_version(), config.to_metadata())
    monkeypatch.setenv("ROBOTO_DAGSTER_DESTINATION_ROOT", str(tmp_path / "root"))
    moved = tmp_path / "root" / (tmp_path / "production").relative_to("/")
    assert config.destination == moved
    assert (config.code_version(), config.to_metadata()) == before


def test_nothing_is_written_outside_the_root(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    local: LocalRoboto,
    materialize: Materializer,
) -> None:
    """A materialization with a root leaves the folder that the asset defines alone."""
    root, production = tmp_path / "root", tmp_path / "production"
    monkeypatch.setenv("ROBOTO_DAGSTER_DESTINATION_ROOT", str(root))
    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "a.bin", b"a")
    asset = materialize.asset(dataset_id=dataset_id, destination=production)
    assert materialize(asset).success
    assert not production.exists()
    moved = root / production.relative_to("/")
    assert (moved / dataset_id / "a.bin").read_bytes() == b"a"
    assert manifest_path(moved, "logs", dataset_id).exists()
