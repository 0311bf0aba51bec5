"""What is damaged is renamed, never deleted."""

import os
import pathlib

import pytest

from roboto_dagster.sync.damaged import set_aside
from roboto_dagster.sync.manifest import manifest_path


@pytest.mark.parametrize("kind", ["file", "folder", "fifo", "link"])
def test_what_is_set_aside_is_renamed(tmp_path: pathlib.Path, kind: str) -> None:
    """Nothing is deleted, and what was set aside before stays."""
    path = manifest_path(tmp_path, "logs", "ds_1")
    path.parent.mkdir(parents=True)
    names = []
    for _ in range(2):
        if kind == "file":
            path.write_bytes(b"damaged")
        elif kind == "folder":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("elsewhere")
        names.append(set_aside(path, path.parent).name)
    assert names == [".ds_1.parquet.damaged-1", ".ds_1.parquet.damaged-2"]
    assert sorted(each.name for each in path.parent.iterdir()) == names
