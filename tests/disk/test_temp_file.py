"""Temporary files: hidden until they are complete, published by one rename, and never through a planted link."""

import errno
import os
import pathlib
from collections.abc import Callable

import pytest

from roboto_dagster.disk import folder
from roboto_dagster.disk.resume_log import Identity, Part
from roboto_dagster.disk.run_record import hold
from roboto_dagster.disk.temp_file import PartialFile, open_partial
from tests.disk.children import die, killed_in


def write(file: PartialFile, data: bytes) -> PartialFile:
    """Write some bytes to a partial file."""
    os.write(file.fd, data)
    return file


def names(folder: pathlib.Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in pathlib.Path("/dev/fd").iterdir())


def test_a_published_file_has_its_bytes(tmp_path: pathlib.Path) -> None:
    """Publishing puts the bytes under the final name, and leaves nothing beside it."""
    write(open_partial(tmp_path / "a.mcap"), b"bytes").publish()
    status = (tmp_path / "a.mcap").stat()
    assert (names(tmp_path), status.st_size) == (["a.mcap"], 5)
    assert (tmp_path / "a.mcap").read_bytes() == b"bytes"


def test_the_final_name_is_not_seen_before(tmp_path: pathlib.Path) -> None:
    """While it is fetched, a file has a hidden name that ends in `.part`."""
    file = write(open_partial(tmp_path / "a.mcap"), b"half")
    (name,) = names(tmp_path)
    file.discard()
    assert (name[0], name[-5:]) == (".", ".part")


def test_discard_leaves_nothing(tmp_path: pathlib.Path) -> None:
    """A transfer that failed leaves the folder as it was."""
    write(open_partial(tmp_path / "a.mcap"), b"half").discard()
    assert names(tmp_path) == []


@pytest.mark.parametrize("end", ["publish", "discard"])
def test_discard_after_the_end_is_harmless(tmp_path: pathlib.Path, end: str) -> None:
    """`discard` may stand in a `finally`, whatever went before."""
    file = open_partial(tmp_path / "a.mcap")
    getattr(file, end)()
    file.discard()
    assert names(tmp_path) == (["a.mcap"] if end == "publish" else [])


def test_discard_survives_a_swept_folder(tmp_path: pathlib.Path) -> None:
    """Somebody may have cleaned up meanwhile: that must not hide what went wrong before."""
    file = open_partial(tmp_path / "a.mcap")
    for path in tmp_path.iterdir():
        path.unlink()
    file.discard()
    assert names(tmp_path) == []


def test_publishing_replaces_the_old_file(tmp_path: pathlib.Path) -> None:
    """The old version stays complete until the new one is."""
    target = tmp_path / "a.mcap"
    target.write_bytes(b"old")
    file = write(open_partial(target), b"new")
    before = target.read_bytes()
    file.publish()
    assert (before, target.read_bytes()) == (b"old", b"new")


def replaced(path: pathlib.Path) -> None:
    """Put another file in the place of one."""
    path.unlink()
    path.write_bytes(b"another's")


@pytest.mark.parametrize("harm", [pathlib.Path.unlink, replaced])
def test_a_name_that_is_no_longer_ours_is_not_published(
    tmp_path: pathlib.Path, harm: Callable[[pathlib.Path], None]
) -> None:
    """Taken over by another run or cleaned up: nothing is published, overwritten or removed."""
    target = tmp_path / "a.mcap"
    target.write_bytes(b"the other run's")
    file = write(open_partial(target), b"ours")
    (hidden,) = tmp_path.glob(".*.part")
    harm(hidden)
    after = names(tmp_path)
    with pytest.raises(OSError, match="taken over by another run") as caught:
        file.publish()
    assert caught.value.errno == errno.ESTALE
    assert target.read_bytes() == b"the other run's"
    assert names(tmp_path) == after


def test_writing_stops_once_the_name_is_gone(tmp_path: pathlib.Path) -> None:
    """At the end of each part it is noticed that the file has been taken away."""
    file = open_partial(tmp_path / "a.mcap", tmp_path)
    file.keep_parts(Identity("s3://b/a", 8, "etag"))
    (hidden,) = (path for path in tmp_path.glob(".*.part") if ".parts." not in path.name)
    hidden.unlink()
    with pytest.raises(OSError, match="removed or taken over"):
        file.note_part(Part(0, 4, "crc32", "x"))
    file.discard()


def test_a_released_file_is_offered_to_the_next_attempt(tmp_path: pathlib.Path) -> None:
    """Without any part there is nothing to offer."""
    with hold(tmp_path, "any"):
        for parts in ([], [Part(0, 4, "crc32", "x")]):
            file = write(open_partial(tmp_path / "a.mcap", tmp_path), b"12345678")
            file.keep_parts(Identity("s3://b/a", 8, "etag"))
            for part in parts:
                file.note_part(part)
            file.release()
            file.release()
            assert len(list(tmp_path.glob(".*.part"))) == 2 * len(parts)


def test_a_small_file_without_a_boundary_has_no_record(tmp_path: pathlib.Path) -> None:
    """A caller that gives only a path gets no `.roboto` beside it."""
    file = open_partial(tmp_path / "a.mcap")
    assert len(names(tmp_path)) == 1
    file.publish()
    assert names(tmp_path) == ["a.mcap"]


def test_a_big_file_without_a_boundary_is_resumed_after_a_kill(tmp_path: pathlib.Path) -> None:
    """As long as it is written it has a record in its own folder."""
    identity, part = Identity("s3://b/a", 8, "etag"), Part(0, 4, "crc32", "x")

    def write_a_part() -> None:
        file = write(open_partial(tmp_path / "a.mcap"), b"1234")
        file.keep_parts(identity)
        file.note_part(part)
        die()

    killed_in(write_a_part)
    file = open_partial(tmp_path / "a.mcap")
    left = file.keep_parts(identity)
    assert left is not None
    assert left.parts == [part]
    left.close()
    file.publish()
    assert names(tmp_path) == ["a.mcap"]


def test_parents_are_made(tmp_path: pathlib.Path) -> None:
    """Folders on the way are made, whether or not there is a boundary."""
    open_partial(tmp_path / "a" / "b" / "c.mcap").publish()
    open_partial(tmp_path / "d" / "e" / "f.mcap", within=tmp_path).publish()
    assert (tmp_path / "a/b/c.mcap").exists()
    assert (tmp_path / "d/e/f.mcap").exists()


def test_a_users_file_of_the_same_hidden_name_is_kept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the random name is taken, another one is chosen."""
    taken: list[pathlib.Path] = []
    really_open = os.open

    def contested(path: str, flags: int, *args: int, **options: int) -> int:
        if flags & os.O_EXCL and not taken:
            taken.append(tmp_path / path)
            taken[0].write_bytes(b"the user's")
        return really_open(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", contested)
    open_partial(tmp_path / "a.mcap").publish()
    assert names(tmp_path) == [taken[0].name, "a.mcap"]
    assert taken[0].read_bytes() == b"the user's"


def test_publishing_onto_a_folder_is_refused(tmp_path: pathlib.Path) -> None:
    """A folder of that name stays, and nothing is left behind."""
    (tmp_path / "a.mcap").mkdir()
    file = open_partial(tmp_path / "a.mcap")
    with pytest.raises(IsADirectoryError):
        file.publish()
    assert names(tmp_path) == ["a.mcap"]


def test_a_file_where_a_folder_should_be_is_refused(tmp_path: pathlib.Path) -> None:
    """A file in the way is named as such."""
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        open_partial(tmp_path / "a" / "b.mcap", within=tmp_path)


@pytest.fixture
def outside(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder that must stay untouched."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("depth", ["link/a.mcap", "link/deeper/a.mcap", "real/link/a.mcap"])
def test_a_planted_link_is_not_followed(
    tmp_path: pathlib.Path, outside: pathlib.Path, depth: str
) -> None:
    """A link to elsewhere on the way stops the file, at any depth."""
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "real" / "link").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link") as caught:
        open_partial(root / depth, within=root)
    assert (caught.value.errno, names(outside)) == (errno.ELOOP, [])


def test_a_planted_link_as_the_file_is_replaced(
    tmp_path: pathlib.Path, outside: pathlib.Path
) -> None:
    """A link of the file's own name gives way; what it points to is not touched."""
    (outside / "precious").write_bytes(b"keep")
    (tmp_path / "a.mcap").symlink_to(outside / "precious")
    write(open_partial(tmp_path / "a.mcap", within=tmp_path), b"new").publish()
    assert (tmp_path / "a.mcap").read_bytes() == b"new"
    assert (outside / "precious").read_bytes() == b"keep"


def test_a_link_planted_while_the_file_is_fetched_leads_nowhere(
    tmp_path: pathlib.Path, outside: pathlib.Path
) -> None:
    """The folder is held open: swapping it for a link changes nothing any more."""
    folder = tmp_path / "root" / "sub"
    file = write(open_partial(folder / "a.mcap", within=tmp_path / "root"), b"bytes")
    folder.rename(tmp_path / "root" / "moved")
    folder.symlink_to(outside)
    file.publish()
    assert names(outside) == []
    assert (tmp_path / "root" / "moved" / "a.mcap").read_bytes() == b"bytes"


def test_the_users_own_folder_may_be_a_link(tmp_path: pathlib.Path, outside: pathlib.Path) -> None:
    """Above the boundary the user decides, and a link to a big disk is common."""
    (tmp_path / "data").symlink_to(outside)
    open_partial(tmp_path / "data" / "a.mcap", within=tmp_path / "data").publish()
    assert names(outside) == ["a.mcap"]


@pytest.mark.parametrize(
    "destination",
    [
        pytest.param(lambda root: root / "link" / "a.mcap", id="link"),
        pytest.param(lambda root: root / "file" / "a.mcap", id="file-in-the-way"),
        pytest.param(lambda root: root.parent / "a.mcap", id="not-within"),
    ],
)
def test_refusals_leave_no_descriptor_open(
    tmp_path: pathlib.Path,
    outside: pathlib.Path,
    destination: Callable[[pathlib.Path], pathlib.Path],
) -> None:
    """Ten thousand refused files must not use up what the process may open."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file").write_bytes(b"")
    before, kept = open_descriptors(), []
    for _ in range(3):
        with pytest.raises((OSError, ValueError)) as caught:
            open_partial(destination(root), within=root)
        kept.append(caught.value)  # as a report keeps it, with its frames
    assert open_descriptors() == before


@pytest.fixture
def _by_full_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work as on Windows, where nothing can be opened relative to a folder."""
    monkeypatch.setattr(folder, "HAS_DIR_FD", False)


@pytest.mark.usefixtures("_by_full_path")
def test_without_descriptors_of_folders_it_works_by_path(tmp_path: pathlib.Path) -> None:
    """Where the system cannot open relative to a folder, full paths do the same."""
    write(open_partial(tmp_path / "a" / "b.mcap", within=tmp_path), b"bytes").publish()
    assert names(tmp_path / "a") == ["b.mcap"]


@pytest.mark.usefixtures("_by_full_path")
def test_without_descriptors_of_folders_links_are_refused_too(
    tmp_path: pathlib.Path, outside: pathlib.Path
) -> None:
    """A link that is there when the file is opened is refused in any case."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        open_partial(root / "link" / "a.mcap", within=root)
