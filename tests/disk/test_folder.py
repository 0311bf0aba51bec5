"""Folders that are opened without following links, and closed when their last user closes them."""

import errno
import os
import pathlib
from collections.abc import Callable

import pytest

from roboto_dagster.disk import folder as module
from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.folder_cache import FolderCache
from roboto_dagster.disk.temp_file import open_partial


def is_open(fd: int | None) -> bool:
    """Return whether a descriptor is open."""
    try:
        os.fstat(-1 if fd is None else fd)
    except OSError:
        return False
    return True


def test_a_folder_is_closed_by_its_last_user(tmp_path: pathlib.Path) -> None:
    """However long somebody refers to it, it is closed once all users have closed it."""
    folder = Folder.open(tmp_path)
    fd = folder.share().fd
    folder.close()
    assert is_open(fd)
    folder.close()
    assert not is_open(fd)


def test_a_missing_folder_is_made_only_if_wanted(tmp_path: pathlib.Path) -> None:
    """To look for a file makes no folder."""
    with pytest.raises(FileNotFoundError):
        Folder.open(tmp_path / "a" / "b", tmp_path, create=False)
    assert not (tmp_path / "a").exists()
    Folder.open(tmp_path / "a" / "b", tmp_path).close()
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("path", ["link", "link/sub"])
@pytest.mark.parametrize("create", [False, True])
def test_no_link_is_followed(tmp_path: pathlib.Path, path: str, *, create: bool) -> None:
    """A link below the boundary stops it, whether or not folders may be made."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="symbolic link") as caught:
        Folder.open(tmp_path / "root" / path, tmp_path / "root", create=create)
    assert caught.value.errno == errno.ELOOP
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_path_that_climbs_is_not_below_its_boundary(tmp_path: pathlib.Path) -> None:
    """`..` is refused even if it would come back."""
    with pytest.raises(ValueError, match="not below"):
        Folder.open(tmp_path / "root" / ".." / "root", tmp_path / "root")


def flushed_folders(monkeypatch: pytest.MonkeyPatch, function: Callable[[], None]) -> list[str]:
    """Return what a function forces to the disk, by path."""
    seen = []
    fsync = os.fsync

    def note(fd: int) -> None:
        seen.append(str(pathlib.Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    function()
    monkeypatch.undo()
    return seen


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="takes Linux's /proc")
def test_full_durability_flushes_the_parents_of_new_folders(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in a new folder survives a loss of power only if each new folder's entry does."""
    root = tmp_path / "new" / "root"
    target = root / "a" / "b" / "file.bin"
    folders = FolderCache()
    publish = lambda: open_partial(target, root, folders, "full").publish()  # noqa: E731 - called twice
    first = flushed_folders(monkeypatch, publish)
    again = flushed_folders(monkeypatch, publish)
    folders.close()
    expected = [root / "a" / "b", root / "a", root, tmp_path / "new", tmp_path]
    assert first[1:] == [str(each) for each in expected]
    assert again[1:] == [str(root / "a" / "b")]


def test_without_descriptors_a_path_is_used(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot open relative to a folder, files are named by their full path."""
    monkeypatch.setattr(module, "HAS_DIR_FD", False)
    with Folder.open(tmp_path / "a", tmp_path) as folder:
        folder.flush()
        assert (folder.fd, folder.name_of("b")) == (None, str(tmp_path / "a" / "b"))
