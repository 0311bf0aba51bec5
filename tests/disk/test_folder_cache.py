"""Folders that are kept open."""

import os
import pathlib

import pytest

from roboto_dagster.disk.folder_cache import FolderCache
from roboto_dagster.disk.temp_file import open_partial
from tests.disk.test_folder import is_open


def test_folders_are_opened_once(tmp_path: pathlib.Path) -> None:
    """A cache keeps the folder of the file before."""
    cache = FolderCache()
    open_partial(tmp_path / "a" / "1.mcap", tmp_path, cache).publish()
    first = cache.get(str(tmp_path / "a"), tmp_path)
    open_partial(tmp_path / "a" / "2.mcap", tmp_path, cache).publish()
    assert cache.get(str(tmp_path / "a"), tmp_path) is first
    cache.close()


def test_a_folder_that_was_removed_is_opened_again(tmp_path: pathlib.Path) -> None:
    """Another run may remove it, since it is empty, and a third one make it again."""
    cache = FolderCache()
    first = cache.get(str(tmp_path / "a"), tmp_path)
    (tmp_path / "a").rmdir()
    open_partial(tmp_path / "a" / "1.mcap", tmp_path, cache).publish()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["1.mcap"]
    assert first.fd is None
    cache.close()


def test_folders_are_closed_when_the_cache_is_full(tmp_path: pathlib.Path) -> None:
    """However many folders a dataset has, only the last ones are open; closing the cache closes those."""
    cache = FolderCache(size=2)
    folders = []
    for number in range(10):
        open_partial(tmp_path / str(number) / "a.mcap", tmp_path, cache).publish()
        folders.append(cache.get(str(tmp_path / str(number)), tmp_path))
    assert [each.fd is not None for each in folders] == [False] * 8 + [True] * 2
    cache.close()
    assert [each.fd for each in folders] == [None] * 10


def test_an_error_that_lives_on_keeps_no_folder_open(tmp_path: pathlib.Path) -> None:
    """A report keeps errors, and errors keep the frames in which they were raised."""
    cache = FolderCache()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    kept = []
    for name in ("fifo", "folder"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - whichever it is
            open_partial(tmp_path / name, tmp_path, cache).publish()
        kept.append(caught.value)
    folder = cache.get(str(tmp_path), tmp_path)
    fd = folder.fd
    cache.close()
    assert not is_open(fd)
