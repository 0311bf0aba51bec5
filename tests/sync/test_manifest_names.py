"""A manifest keeps the names of its datasets."""

import pathlib

import pytest

from roboto_dagster.sync.manifest import read_file_metadata, write_manifest
from roboto_dagster.sync.manifest_names import names_metadata, read_dataset_names


def test_names_come_back(tmp_path: pathlib.Path) -> None:
    """By the id of the dataset, beside the manifest's version."""
    path = tmp_path / "m.parquet"
    write_manifest(path, [], metadata=names_metadata({"ds_1": "flight \u00fc"}))
    assert read_dataset_names(path, within=tmp_path) == {"ds_1": "flight \u00fc"}
    assert read_file_metadata(path)[b"roboto_dagster.manifest_version"] == b"2"


def test_no_manifest_has_no_names(tmp_path: pathlib.Path) -> None:
    """Before the first sync, and where a manifest is damaged."""
    (tmp_path / "bad.parquet").write_bytes(b"damaged")
    assert read_dataset_names(tmp_path / "none.parquet") == {}
    assert read_dataset_names(tmp_path / "bad.parquet") == {}


@pytest.mark.parametrize("stored", [b"[1]", b"{", b'{"ds_1": 7}', b'{"ds_1": ""}', b"\xff"])
def test_names_that_are_none_are_left_out(tmp_path: pathlib.Path, stored: bytes) -> None:
    """Others may write to the folder: nothing but text is a name."""
    path = tmp_path / "m.parquet"
    write_manifest(path, [], metadata={b"roboto_dagster.dataset_names": stored})
    assert read_dataset_names(path) == {}
