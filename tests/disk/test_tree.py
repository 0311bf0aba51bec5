"""One rule for what is compared, opened and removed below a destination."""

import os
import pathlib
from collections.abc import Iterator

import pytest

from roboto_dagster.disk.tree import LocalTree

UNSAFE = ["../outside/a", "/etc/passwd", "a/../../outside/a", "", "a\0b", "a\ud800", "n" * 256]


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A destination beside a folder that must not be touched."""
    (tmp_path / "outside" / "sub").mkdir(parents=True)
    (tmp_path / "outside" / "a").write_bytes(b"mine")
    (tmp_path / "root" / "ds_1" / "sub" / "deep").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def tree(root: pathlib.Path) -> Iterator[LocalTree]:
    """The destination."""
    with LocalTree(root) as tree:
        yield tree


def facts(path: pathlib.Path) -> dict[str, int]:
    """Return what a manifest records of a file."""
    status = path.stat()
    return {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


@pytest.mark.parametrize("path", UNSAFE, ids=ascii)
def test_an_unsafe_path_is_neither_compared_nor_opened_nor_removed(
    tree: LocalTree, root: pathlib.Path, path: str
) -> None:
    """Whatever a manifest or a log holds, nothing outside the destination is touched."""
    outside = root.parent / "outside" / "a"
    assert tree.lstat(path) is None
    with pytest.raises(ValueError, match="is not read"):
        tree.open(path)
    assert tree.remove(path, **facts(outside)) == "unsafe"
    tree.remove_empty_tree(path.replace("outside/a", "outside/sub"))
    assert (root.parent / "outside" / "sub").is_dir()
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("depth", ["ds_2/a", "ds_2/sub/a", "ds_1/link/a"])
def test_a_link_on_the_way_is_not_followed(tree: LocalTree, root: pathlib.Path, depth: str) -> None:
    """Comparing, reading and removing treat a linked folder as fetching does."""
    outside = root.parent / "outside"
    (outside / "sub" / "a").write_bytes(b"mine")
    (root / "ds_2").symlink_to(outside)
    (root / "ds_1" / "link").symlink_to(outside)
    assert tree.lstat(depth) is None
    with pytest.raises(OSError, match="symbolic link"):
        tree.open(depth)
    assert tree.remove(depth, **facts(root / depth)) == "failed"
    assert (root / depth).read_bytes() == b"mine"


def test_an_unchanged_file_is_removed_with_its_empty_folders(
    tree: LocalTree, root: pathlib.Path
) -> None:
    """The dataset's own folder stays."""
    path = root / "ds_1" / "sub" / "deep" / "a"
    path.write_bytes(b"ours")
    assert tree.remove("ds_1/sub/deep/a", **facts(path)) == "removed"
    assert list((root / "ds_1").iterdir()) == []


def test_folders_that_hold_something_stay(tree: LocalTree, root: pathlib.Path) -> None:
    """A user's own file keeps its folder."""
    path = root / "ds_1" / "sub" / "deep" / "a"
    path.write_bytes(b"ours")
    (root / "ds_1" / "sub" / "mine").write_bytes(b"mine")
    assert tree.remove("ds_1/sub/deep/a", **facts(path)) == "removed"
    assert [each.name for each in (root / "ds_1" / "sub").iterdir()] == ["mine"]


def test_a_changed_file_stays(tree: LocalTree, root: pathlib.Path) -> None:
    """What was edited since it was published is the user's."""
    path = root / "ds_1" / "a"
    path.write_bytes(b"ours")
    published = facts(path)
    path.write_bytes(b"edited by the user")
    assert tree.remove("ds_1/a", **published) == "changed"
    assert path.exists()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_regular_file_stays(tree: LocalTree, root: pathlib.Path, kind: str) -> None:
    """A folder or a link in a file's place is not ours."""
    path = root / "ds_1" / "a"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(root.parent / "outside" / "a")
    status = path.lstat()
    known = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    assert tree.remove("ds_1/a", **known) == "changed"
    assert os.path.lexists(path)


def test_a_missing_file_is_absent(tree: LocalTree) -> None:
    """Whether the file or one of its folders is missing."""
    results = [tree.remove(path, size_bytes=1, mtime_ns=1) for path in ("ds_1/a", "ds_9/b/a")]
    assert results == ["absent", "absent"]
    assert tree.lstat("ds_9/b/a") is None


def test_a_folder_swapped_for_a_link_keeps_what_it_leads_to(
    tree: LocalTree, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty folders are removed without following a link that was planted in that instant."""
    outside = root.parent / "outside"
    path = root / "ds_1" / "sub" / "deep" / "a"
    path.write_bytes(b"ours")
    (outside / "deep").mkdir()
    unlink = os.unlink

    def plant(name: str, *, dir_fd: int | None = None) -> None:
        unlink(name, dir_fd=dir_fd)
        (root / "ds_1" / "sub").rename(root / "moved")
        (root / "ds_1" / "sub").symlink_to(outside)

    monkeypatch.setattr(os, "unlink", plant)
    assert tree.remove("ds_1/sub/deep/a", **facts(path)) == "removed"
    assert (outside / "deep").is_dir()


def test_a_file_is_opened_and_compared(tree: LocalTree, root: pathlib.Path) -> None:
    """A safe path of a regular file is simply read."""
    (root / "ds_1" / "a").write_bytes(b"ours")
    status = tree.lstat("ds_1/a")
    with tree.open("ds_1/a", max_bytes=4) as file:
        assert file.read() == b"ours"
    assert status is not None
    assert status.st_size == 4


def test_a_fifo_is_not_opened(tree: LocalTree, root: pathlib.Path) -> None:
    """A reader of delivered files never waits for a writer."""
    os.mkfifo(root / "ds_1" / "a")
    with pytest.raises(OSError, match="FIFO"):
        tree.open("ds_1/a")


@pytest.mark.parametrize("others", [[], ["../folder/a", "folder/ä"]], ids=["plain", "any"])
def test_many_files_are_compared_as_each_is(tmp_path: pathlib.Path, others: list[str]) -> None:
    """No link is followed, nothing is found outside, and what is missing is None."""
    for path in ("folder/a", "folder/b", "other/a", "a"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"1")
    (tmp_path / "folder" / "ä").write_bytes(b"22")
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "folder" / "to-b").symlink_to("b")
    paths = ["folder/a", "link/a", "folder/b", "folder/c", "none/a", "none/b", "a", "other/a"]
    paths += ["folder/to-b", *others, "folder/a"]
    with LocalTree(tmp_path) as tree:
        found = tree.lstat_all(paths)
        assert found == [tree.lstat(path) for path in paths]
    assert [status is not None for status in found[:9]] == [1, 0, 1, 0, 0, 0, 1, 1, 1]


def test_a_folder_that_was_made_meanwhile_is_seen(tmp_path: pathlib.Path) -> None:
    """That there was none is not remembered."""
    with LocalTree(tmp_path) as tree:
        assert tree.lstat("folder/a") is None
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a").touch()
        assert tree.lstat("folder/a") is not None


def test_a_folder_that_holds_only_folders_is_removed(tree: LocalTree, root: pathlib.Path) -> None:
    """With all of them; what is around it stays."""
    (root / "ds_1" / "sub" / "b" / "c").mkdir(parents=True)
    tree.remove_empty_tree("ds_1/sub")
    assert list(root.rglob("*")) == [root / "ds_1"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_that_holds_anything_else_stays(
    tree: LocalTree, root: pathlib.Path, kind: str
) -> None:
    """With all its folders, the empty ones too: they may be as much a user's as what is beside them."""
    (root / "ds_1" / "a" / "b").mkdir(parents=True)
    (root / "elsewhere").mkdir()
    place = root / "ds_1" / "a" / "c"
    place.write_bytes(b"mine") if kind == "file" else place.symlink_to(root / "elsewhere")
    tree.remove_empty_tree("ds_1/a")
    assert sorted(path.name for path in (root / "ds_1" / "a").iterdir()) == ["b", "c"]
    assert (root / "elsewhere").is_dir()


def test_a_folder_that_was_made_again_is_looked_into(tree: LocalTree, root: pathlib.Path) -> None:
    """Another run may have removed it and filled a new one since it was opened."""
    assert tree.lstat("ds_1/sub/deep/a") is None
    (root / "ds_1" / "sub" / "deep").rmdir()
    (root / "ds_1" / "sub" / "deep").mkdir()
    (root / "ds_1" / "sub" / "deep" / "a").write_bytes(b"a")
    assert tree.size_of("ds_1/sub/deep/a") == 1
