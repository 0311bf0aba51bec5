"""Folders that are filled under a temporary name and published by one rename."""

import errno
import os
import pathlib
from collections.abc import Iterator

import pytest

from roboto_dagster.disk import owner
from roboto_dagster.disk.cleanup import reclaim
from roboto_dagster.disk.folder import Durability
from roboto_dagster.disk.run_record import RunRecord, hold
from roboto_dagster.disk.temp_folder import PartialFolder
from tests.disk.children import die, killed_in

OLD = ["a.parquet", "b.parquet"]


@pytest.fixture
def record(tmp_path: pathlib.Path) -> Iterator[RunRecord]:
    """The record of a run."""
    with hold(tmp_path, "topics/ds_1") as record:
        yield record


@pytest.fixture
def target(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where an earlier run has published two files."""
    target = tmp_path / "ds_1" / "sub" / "log.mcap"
    target.mkdir(parents=True)
    for name in OLD:
        (target / name).write_text("old")
    return target


def filled(
    target: pathlib.Path, record: RunRecord, final: list[str], durability: Durability = "none"
) -> PartialFolder:
    """Return a folder with files, complete and not yet published."""
    folder = PartialFolder(target, record.destination, record, durability)
    for number, name in enumerate(final):
        fd = folder.create(f"{number}.part")
        os.write(fd, b"new")
        os.close(fd)
        folder.finish(f"{number}.part", name)
    return folder


def content(folder: pathlib.Path) -> dict[str, str]:
    """Return what is in a folder, hidden names as well."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


def names(folder: pathlib.Path) -> list[str]:
    """Return the names of everything in a folder, hidden ones as well."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durability", ["none", "file", "full"])
def test_a_new_folder_is_published(
    tmp_path: pathlib.Path, record: RunRecord, durability: Durability
) -> None:
    """Where nothing is, its parents are made and it is renamed."""
    target = tmp_path / "ds_1" / "sub" / "log.mcap"
    with filled(target, record, ["a.parquet"], durability) as folder:
        assert not target.exists()
        folder.publish([])
    assert content(target) == {"a.parquet": "new"}
    assert names(target.parent) == ["log.mcap"]


def test_the_old_files_are_replaced_as_one(target: pathlib.Path, record: RunRecord) -> None:
    """Nothing of an earlier run stays, also what the new one has not."""
    with filled(target, record, ["a.parquet", "c.parquet"]) as folder:
        folder.publish(OLD)
    assert content(target) == {"a.parquet": "new", "c.parquet": "new"}
    assert names(target.parent) == ["log.mcap"]


def test_what_is_not_published_is_removed(target: pathlib.Path, record: RunRecord) -> None:
    """A folder that is given up leaves the old one as it was."""
    with filled(target, record, ["a.parquet"]):
        pass
    assert content(target) == dict.fromkeys(OLD, "old")
    assert names(target.parent) == ["log.mcap"]


def test_the_users_files_stay_in_their_folder(target: pathlib.Path, record: RunRecord) -> None:
    """Notes beside the tables are neither moved nor removed."""
    (target / "notes.txt").write_text("mine")
    (target / "plots").mkdir()
    inode = (target / "notes.txt").stat().st_ino
    with filled(target, record, ["a.parquet"]) as folder:
        folder.publish(OLD)
    assert content(target) == {"a.parquet": "new", "notes.txt": "mine"}
    assert (target / "plots").is_dir()
    assert (target / "notes.txt").stat().st_ino == inode
    assert names(target.parent) == ["log.mcap"]


def test_a_users_file_is_not_replaced(target: pathlib.Path, record: RunRecord) -> None:
    """Where a table's name is taken, nothing is published and the message names it."""
    with (
        filled(target, record, ["a.parquet"]) as folder,
        pytest.raises(FileExistsError, match=r"did not write.*log.mcap/a.parquet"),
    ):
        folder.publish(["b.parquet"])
    assert content(target) == dict.fromkeys(OLD, "old")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_not_replaced(
    tmp_path: pathlib.Path, record: RunRecord, kind: str
) -> None:
    """A log itself, if the destination is that of the logs, is not replaced by a folder."""
    target = tmp_path / "log.mcap"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path)
    with (
        filled(target, record, ["a.parquet"]) as folder,
        pytest.raises(FileExistsError, match="no folder"),
    ):
        folder.publish([])
    assert target.is_symlink() is (kind == "link")


def test_what_comes_into_the_old_folder_meanwhile_is_kept(
    target: pathlib.Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written between the look and the rename is in the new folder afterwards."""
    rename = os.rename

    def rename_late(old: str, new: str, **given: int) -> None:
        if old == "log.mcap":
            (target / "late.txt").write_text("mine")
        rename(old, new, **given)

    monkeypatch.setattr(os, "rename", rename_late)
    with filled(target, record, ["a.parquet"]) as folder:
        folder.publish(OLD)
    assert content(target) == {"a.parquet": "new", "late.txt": "mine"}
    assert names(target.parent) == ["log.mcap"]


def test_two_runs_may_publish_the_same_folder(
    target: pathlib.Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another run was quicker, the folder is looked at again."""
    rename = os.rename
    with filled(target, record, ["a.parquet"]) as other, filled(target, record, OLD) as folder:

        def rename_after_the_other(old: str, new: str, **given: int) -> None:
            monkeypatch.setattr(os, "rename", rename)
            other.publish(OLD)
            rename(old, new, **given)

        monkeypatch.setattr(os, "rename", rename_after_the_other)
        folder.publish(OLD)
    assert content(target) == dict.fromkeys(OLD, "new")
    assert names(target.parent) == ["log.mcap"]


def test_what_a_killed_run_left_is_removed(target: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The next run removes its temporary folder, and nothing that somebody else has put there."""

    def write() -> None:
        with hold(tmp_path, "topics/ds_1") as record:
            filled(target, record, OLD).create("2.part")
            theirs = filled(target.with_name("other.mcap"), record, OLD)
            os.close(os.open(target.parent / str(theirs.path) / "mine.txt", os.O_CREAT))
            die()

    killed_in(write)
    assert len(list(target.parent.glob(".*"))) == 2
    with hold(tmp_path, "topics/ds_1") as record:
        assert reclaim(record).files_removed == 1
    (left,) = target.parent.glob(".*")
    assert names(left) == ["mine.txt"]
    assert content(target) == dict.fromkeys(OLD, "old")


def test_a_link_in_place_of_a_temporary_folder_is_not_followed(
    target: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Others may write to the disk, too."""

    def write() -> None:
        with hold(tmp_path, "topics/ds_1") as record:
            filled(target, record, OLD)
            die()

    killed_in(write)
    (left,) = target.parent.glob(".*")
    left.rename(left.with_name("elsewhere"))
    left.symlink_to("elsewhere")
    with hold(tmp_path, "topics/ds_1") as record:
        reclaim(record)
    assert names(left.with_name("elsewhere")) == OLD
    assert owner.parse_name(left.name) is not None


def test_an_old_folder_that_cannot_be_removed_is_left_to_a_later_run(
    target: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that fails for a moment; what is new is published all the same."""
    rmdir = os.rmdir

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with hold(tmp_path, "topics/ds_1") as record:
        with filled(target, record, OLD) as folder:
            monkeypatch.setattr(os, "rmdir", fail)
            folder.publish(OLD)
            monkeypatch.setattr(os, "rmdir", rmdir)
        assert content(target) == dict.fromkeys(OLD, "new")
        assert len(list(target.parent.glob(".*"))) == 1
    with hold(tmp_path, "topics/ds_1") as record:
        reclaim(record)
    assert names(target.parent) == ["log.mcap"]
