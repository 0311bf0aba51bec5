"""What is on disk, compared with what was published."""

import os
import pathlib

import pytest

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.sync.local import is_as_published, local_file


def test_a_file_that_nobody_touched_is_as_published(tmp_path: pathlib.Path) -> None:
    """Size and modification time are those with which it was published."""
    (tmp_path / "a").write_bytes(b"12345")
    os.utime(tmp_path / "a", ns=(7, 7))
    assert is_as_published((tmp_path / "a").lstat(), 5, 7)


@pytest.mark.parametrize(
    ("size_bytes", "mtime_ns"),
    [
        pytest.param(4, 7, id="another-size"),
        pytest.param(5, 8, id="touched"),
        pytest.param(None, None, id="never-published"),
    ],
)
def test_another_file_is_not_as_published(
    tmp_path: pathlib.Path, size_bytes: int | None, mtime_ns: int | None
) -> None:
    """One that was changed, or that is somebody else's, is not taken for ours."""
    (tmp_path / "a").write_bytes(b"12345")
    os.utime(tmp_path / "a", ns=(7, 7))
    assert not is_as_published((tmp_path / "a").lstat(), size_bytes, mtime_ns)


def test_what_is_no_file_is_not_as_published(tmp_path: pathlib.Path) -> None:
    """Neither a link, whatever its size and time, nor nothing at all."""
    (tmp_path / "a").symlink_to("12345")
    status = (tmp_path / "a").lstat()
    assert not is_as_published(status, status.st_size, status.st_mtime_ns)
    assert not is_as_published(None, 0, 0)


def test_a_folder_is_seen_where_a_file_should_be(tmp_path: pathlib.Path) -> None:
    """What is there is described, and that nothing is there."""
    (tmp_path / "folder").mkdir()
    with LocalTree(tmp_path) as tree:
        found = local_file(tree, "folder")
        assert found is not None
        assert (found.is_folder, found.is_regular) == (True, False)
        assert local_file(tree, "nothing") is None
