"""X1 to X7: paths, names and links that lead astray."""

import os
import pathlib
import socket
import threading
import unicodedata

import pytest

from roboto_dagster.disk import owner
from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.testing import faults
from tests.faults.lab import SMALL, Lab, noise
from tests.faults.matrix import covers

UNSAFE = {
    "parent": "../evil.bin",
    "inner parent": "a/../../../evil.bin",
    "absolute": "/evil.bin",
    "drive": "C:\\evil.bin",
    "drive, relative": "C:evil.bin",
    "backslash": "..\\evil.bin",
    "unc": "\\\\host\\share",
    "empty part": "a//b.bin",
    "dot part": "a/./b.bin",
    "trailing slash": "folder/",
    "nul": "nul\x00.bin",
    "newline": "new\nline.bin",
    "256 bytes": "x" * 256,
    "256 bytes in utf-8": "ü" * 128,
    "4097 bytes": "d/" * 2048 + "x",
    "reserved": "CON",
    "reserved with suffix": "logs/nul.txt",
    "trailing dot": "dot.",
    "trailing space": "space ",
    "no unicode": "bad\ud800.bin",
}


@covers("X1", "X4")
def test_unsafe_paths_are_refused(lab: Lab) -> None:
    """Refused in the plan, by the same rule on every platform; nothing is asked of the store for them."""
    lab.add("good.bin", SMALL)
    for path in UNSAFE.values():
        uri = "s3://roboto-managed/evil"
        lab.local.add_record(lab.dataset_id, relative_path=path, uri=uri, size=3)
    run = lab.run_unchecked()
    assert not run.success
    assert [row["error_code"] for row in run.failed] == ["UNSAFE_PATH"] * len(UNSAFE)
    assert not [one for one in run.requests if one.key == "evil"]
    assert {path.name for path in lab.house.rglob("*") if path.is_file()} == {
        lab.manifest.name,
        "diary.txt",
        "good.bin",
    }


EXACT = [
    "-rf",
    "--",
    "a b.bin",
    " lead.bin",
    "emoji-🤖.bin",
    "x" * 255,
    "#?%+~.bin",
    "a'b\"c$(d).bin",
    ".hidden",
]


@covers("X4", "X5")
def test_odd_names_are_stored_exactly(lab: Lab) -> None:
    """What is odd but possible everywhere arrives under its exact name."""
    for number, path in enumerate(EXACT):
        lab.add(path, noise(100, number))
    lab.survive()


KEYS = [
    "q?x=1#f%25+~ .bin",
    "a//b",
    "./c/../d",
    "../up",
    "/lead",
    "ü/é",
    "%2e%2e",
    "a b+c",
    "semi;colon&amp",
]


@covers("X5")
def test_the_exact_key_is_asked_for(lab: Lab) -> None:
    """Keys that a URL parser would mangle reach the store as they are, whatever the file is called."""
    for number, key in enumerate(KEYS):
        lab.add(f"file-{number}.bin", noise(100, number), key=key)
    run = lab.survive()
    assert {one.key for one in run.requests if one.service == "s3"} == set(KEYS)


COLLISIONS = {
    "twice": ["same.bin", "same.bin"],
    "file and folder": ["a", "a/b"],
    "folder and file": ["c/d/e", "c/d"],
    "case": ["Log.bin", "log.bin"],
    "case of a folder": ["Logs/f.bin", "logs/F.bin"],
    "unicode": [unicodedata.normalize("NFC", "é.bin"), unicodedata.normalize("NFD", "é.bin")],
    "case fold": ["straße", "STRASSE"],
}


@covers("X3")
def test_colliding_files_are_all_refused(lab: Lab) -> None:
    """Nobody wins by chance: all that claim one place are refused before any byte."""
    lab.add("good.bin", SMALL)
    for number, path in enumerate(path for paths in COLLISIONS.values() for path in paths):
        lab.add(path, noise(50, number), key=f"collision-{number}")
    run = lab.run()
    assert [row["error_code"] for row in run.failed] == ["COLLISION"] * 2 * len(COLLISIONS)
    assert not [one for one in run.requests if one.key.startswith("collision-")]
    lab.converge(run, recovers=False)


@covers("X2")
def test_a_planted_folder_link_is_not_followed(lab: Lab) -> None:
    """A link in place of a folder fails its files; what it leads to stays as it was."""
    lab.add("sub/file.bin", SMALL)
    lab.add("good.bin", SMALL)
    lab.local_path("sub").parent.mkdir()
    lab.local_path("sub").symlink_to(lab.house / "neighbour", target_is_directory=True)
    run = lab.run_unchecked()
    assert run.codes == {"sub/file.bin": "UNSAFE_PATH"}
    assert [path.name for path in (lab.house / "neighbour").iterdir()] == ["diary.txt"]
    lab.local_path("sub").unlink()
    lab.converge(run)


@covers("X2")
@pytest.mark.parametrize("dangling", [False, True])
def test_a_planted_file_link_is_replaced(lab: Lab, *, dangling: bool) -> None:
    """A link in place of a file is replaced by the file; what it led to stays as it was."""
    lab.add("file.bin", SMALL)
    lab.local_path("file.bin").parent.mkdir()
    diary = lab.house / "neighbour" / ("none" if dangling else "diary.txt")
    lab.local_path("file.bin").symlink_to(diary)
    lab.survive()
    assert not lab.local_path("file.bin").is_symlink()


@covers("X2")
def test_links_planted_during_the_run_are_not_followed(lab: Lab) -> None:
    """An attacker who swaps folders for links all the time gets nothing written elsewhere."""
    outside = lab.house / "neighbour"
    for number in range(40):
        lab.add(f"sub-{number % 4}/file-{number}.bin", noise(200, number))
    stop = threading.Event()
    attacker = threading.Thread(target=plant_links, args=(lab, outside, stop))
    attacker.start()
    try:
        run = lab.run_unchecked()
    finally:
        stop.set()
        attacker.join()
    assert [path.name for path in outside.rglob("*")] == ["diary.txt"]
    assert set(run.codes.values()) <= {"UNSAFE_PATH", "LOCAL_IO"}
    for number in range(4):
        folder = lab.local_path(f"sub-{number}")
        if folder.is_symlink():
            folder.unlink()
    lab.local.faults.clear()
    assert lab.run_unchecked().success
    lab.expect_latest()


def plant_links(lab: Lab, outside: pathlib.Path, stop: threading.Event) -> None:
    """Move folders away and put links in their places, until asked to stop."""
    number = 0
    while not stop.is_set():
        number += 1
        folder = lab.local_path(f"sub-{number % 4}")
        aside = lab.house / f"aside-{number}"
        try:
            folder.rename(aside)
            folder.symlink_to(outside, target_is_directory=True)
            stop.wait(0.001)
            folder.unlink()
            aside.rename(folder)
        except OSError:
            continue


@covers("X6")
@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_a_special_file_in_the_way_is_refused(lab: Lab, kind: str) -> None:
    """A FIFO or a socket at the final path is neither opened nor replaced; moved away, the file arrives."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this platform has no FIFOs")
    lab.add("file.bin", SMALL)
    place = lab.local_path("file.bin")
    place.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(place)
    else:
        bind_socket(place)
    run = lab.run_unchecked()
    assert run.codes == {"file.bin": "LOCAL_IO"}
    assert not place.is_file()
    place.unlink()
    assert lab.run().success


def bind_socket(place: pathlib.Path) -> None:
    """Leave a Unix socket at a path, which may be longer than the system's bound for such."""
    here = os.open(place.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{place.name}")
    finally:
        os.close(here)


@covers("X7")
def test_a_users_file_with_our_name_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary name that is taken is not touched: another one is chosen."""
    lab.add("file.bin", SMALL)
    lab.local_path("file.bin").parent.mkdir()
    users_own = owner.new_name("file.bin", owner.new_token())
    lab.local_path(users_own).write_bytes(b"mine")
    names = iter([users_own])
    new_name = owner.new_name
    monkeypatch.setattr(
        owner, "new_name", lambda final, token: next(names, None) or new_name(final, token)
    )
    run = lab.run_unchecked()
    assert run.success
    assert lab.local_path(users_own).read_bytes() == b"mine"


@covers("X7")
def test_files_that_end_in_part_are_kept(lab: Lab) -> None:
    """A user's own `.part` files and hidden files stay where they are."""
    lab.add("file.bin", SMALL)
    lab.local_path("file.bin").parent.mkdir()
    for name in (".mine.part", "download.part", ".file.bin"):
        lab.local_path(name).write_bytes(b"mine")
    lab.survive()


@covers("X1")
def test_refused_files_may_be_skipped(lab: Lab) -> None:
    """With `on_refused="skip"` what is refused is listed, and the run is good."""
    lab.add("good.bin", SMALL)
    lab.local.add_record(lab.dataset_id, relative_path="../evil.bin", uri="s3://b/k", size=3)
    lab.listed["../evil.bin"] += 1
    lab.fault(faults.status(500), "good.bin", times=1)
    run = lab.run(on_refused="skip")
    assert run.success
    assert run.codes == {"../evil.bin": "UNSAFE_PATH"}


OUTSIDE = {
    "parent": {"relative_path": "../../neighbour/diary.txt"},
    "inner parent": {"relative_path": "a/../../../neighbour/diary.txt"},
    "dataset": {"dataset_id": "../neighbour", "relative_path": "diary.txt"},
    "dataset, deeper": {"dataset_id": "..", "relative_path": "neighbour/diary.txt"},
    "absolute": {"relative_path": "{house}/neighbour/diary.txt"},
}


@covers("X9")
@pytest.mark.parametrize("row", OUTSIDE.values(), ids=OUTSIDE)
def test_a_manifest_row_leads_nowhere_outside(one_lab: Lab, row: dict[str, str]) -> None:
    """Whoever wrote it: what it names outside the destination is neither removed nor called delivered."""
    lab = one_lab
    lab.add("good.bin", SMALL)
    lab.run()
    diary = lab.house / "neighbour" / "diary.txt"
    named = {key: value.format(house=lab.house) for key, value in row.items()}
    plant_row(lab, diary, named)
    run = lab.run_unchecked(on_missing="remove")
    assert diary.read_text(encoding="utf-8") == "mine"
    assert {
        each["relative_path"] for each in run.rows or [] if each["status"] == "removed"
    } == set()
    lab.expect_latest()


def plant_row(lab: Lab, place: pathlib.Path, named: dict[str, str]) -> None:
    """Add a row to the manifest by which a file of somebody else's was delivered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = read_manifest(lab.manifest)
    rows = table.to_pylist()
    facts = {"size_bytes": place.stat().st_size, "mtime_ns": place.stat().st_mtime_ns}
    rows.append({**rows[0], **facts, "file_id": "fl_x", "path": str(place), **named})
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), lab.manifest)


@covers("X9")
@pytest.mark.parametrize("depth", ["dataset", "folder"])
def test_a_folder_that_became_a_link_is_not_compared(one_lab: Lab, depth: str) -> None:
    """A file behind a link is not called unchanged, and nothing behind it is removed."""
    lab = one_lab
    lab.add("sub/old.bin", SMALL)
    lab.add("sub/kept.bin", SMALL)
    lab.run()
    linked = lab.local_path("sub") if depth == "folder" else lab.local_path("sub").parent
    elsewhere = lab.house / "elsewhere"
    linked.rename(elsewhere)
    linked.symlink_to(elsewhere, target_is_directory=True)
    lab.local.remove_file(lab.dataset_id, "sub/old.bin")
    run = lab.run_unchecked(on_missing="remove")
    assert not run.success
    assert run.row("sub/kept.bin")["error_code"] == "UNSAFE_PATH"
    assert sorted(path.name for path in elsewhere.rglob("*.bin")) == ["kept.bin", "old.bin"]


@covers("X9")
@pytest.mark.parametrize("place", [".roboto", ".roboto/.runs"])
def test_what_is_in_the_place_of_our_records_is_named(one_lab: Lab, place: str) -> None:
    """A link in the place of our own folders is not followed: the run names it."""
    lab = one_lab
    lab.add("good.bin", SMALL)
    outside = lab.house / "neighbour"
    path = lab.destination / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside, target_is_directory=True)
    assert str(path) in lab.failing_run()
    assert [each.name for each in outside.iterdir()] == ["diary.txt"]
