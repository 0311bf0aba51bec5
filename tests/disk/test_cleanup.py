"""What killed runs left: removed, kept for resuming, or not ours."""

import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roboto_dagster.disk import owner
from roboto_dagster.disk.cleanup import RESUMABLE_AGE_SECONDS, leftovers_of, reclaim
from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.leftovers import Leftover
from roboto_dagster.disk.resume_log import Identity, Part, log_name
from roboto_dagster.disk.run_record import RunRecord, hold
from roboto_dagster.disk.temp_file import open_partial
from tests.disk.children import die, killed_in


def killed_run(root: pathlib.Path, big: str = "big.bin") -> None:
    """Leave what a run leaves that is killed: a small file, a big one with its log, and a manifest's."""

    def write() -> None:
        with hold(root, "logs/ds_1"):
            files = [
                open_partial(root / "ds_1" / "small.bin", root),
                open_partial(root / ".roboto" / "logs" / "m.parquet", root),
                open_partial(root / "ds_1" / "deep" / big, root),
            ]
            files[-1].keep_parts(Identity("s3://b/big", 8, "e"))
            os.write(files[-1].fd, b"12345678")
            files[-1].note_part(Part(0, 4, "crc32", "x"))
            die()

    before = len(temporaries(root))
    killed_in(write)
    assert len(temporaries(root)) == before + 4


def temporaries(root: pathlib.Path) -> list[str]:
    """Return the temporary files below a folder."""
    found = (path for path in root.rglob(".*") if owner.parse_name(path.name))
    return sorted(path.relative_to(root).as_posix() for path in found)


def records(root: pathlib.Path) -> int:
    """Return how many records of runs there are."""
    return len(list((root / ".roboto" / ".runs").glob("*.jsonl")))


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A destination in which a run was killed."""
    killed_run(tmp_path)
    return tmp_path


@pytest.fixture
def record(root: pathlib.Path) -> Iterator[RunRecord]:
    """The record of the next run."""
    with hold(root, "logs/ds_1") as record:
        yield record


def test_only_what_can_be_resumed_is_kept(root: pathlib.Path, record: RunRecord) -> None:
    """The small file and the manifest's are removed, wherever the run wrote."""
    assert reclaim(record).files_removed == 2
    assert [name.rpartition("/")[0] for name in temporaries(root)] == ["ds_1/deep"] * 2
    assert records(root) == 2


def test_what_can_be_resumed_is_counted(root: pathlib.Path, record: RunRecord) -> None:
    """Its blocks need not be free a second time."""
    blocks = [path.stat().st_blocks for path in (root / "ds_1" / "deep").glob(".*[0-9a-f].part")]
    assert reclaim(record).resumable_bytes == sum(blocks) * 512


def wanted(*names: str) -> Callable[[str], list[str]]:
    """Return a function that names the files to be fetched into a folder."""
    return lambda folder: list(names) if folder == "ds_1/deep" else []


def test_what_is_no_longer_wanted_is_removed(root: pathlib.Path, record: RunRecord) -> None:
    """Parts of a file that was deleted on the platform, or left out by a pattern, go, and the run's record with them."""
    assert reclaim(record, "logs/ds_1", names_wanted=wanted("other.bin")).files_removed == 4
    assert (temporaries(root), records(root)) == ([], 1)


def test_what_is_still_wanted_stays(root: pathlib.Path, record: RunRecord) -> None:
    """Parts of what this run fetches are offered to it."""
    reclaim(record, "logs/ds_1", names_wanted=wanted("big.bin"))
    (left,) = leftovers_of(record).take("ds_1/deep", owner.target_of("big.bin"))
    assert (root / left.path).read_bytes() == b"12345678"


def test_another_assets_parts_stay_for_its_next_run(record: RunRecord) -> None:
    """This run does not know what the other asset wants."""
    assert reclaim(record, "other/ds_1", names_wanted=wanted()).files_removed == 2


def test_what_nobody_resumed_for_a_week_is_removed(root: pathlib.Path, record: RunRecord) -> None:
    """Whoever left it."""
    reclaim(record, now=time.time() + RESUMABLE_AGE_SECONDS + 60)
    assert (temporaries(root), records(root)) == ([], 1)


def test_what_a_listing_or_a_manifest_holds_is_never_touched(
    root: pathlib.Path, record: RunRecord
) -> None:
    """Somebody may have uploaded a folder in which a sync had stopped."""
    before = temporaries(root)
    assert reclaim(record, is_held=before.__contains__).files_removed == 0
    assert temporaries(root) == before


def test_a_users_file_that_looks_like_ours_is_kept(root: pathlib.Path, record: RunRecord) -> None:
    """Without a record of its token, or in a folder that the record does not name, a name proves nothing."""
    (token,) = {found.token for found in map(parse, temporaries(root)) if found}
    others = [
        f"ds_1/{owner.new_name('a', owner.new_token())}",
        f"ds_2/{owner.new_name('a', token)}",
        "ds_1/.mine.part",
        "ds_1/.5f399b2ad4a9-deadbeef-0-349d-4baa0002.part",
    ]
    (root / "ds_2").mkdir()
    for path in others:
        (root / path).write_text("mine")
    reclaim(record, now=time.time() + 2 * RESUMABLE_AGE_SECONDS)
    assert [(root / path).read_text() for path in others] == ["mine"] * 4


def parse(path: str) -> owner.TemporaryName | None:
    """Take apart the name of a temporary file."""
    return owner.parse_name(path.rpartition("/")[2])


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_neither_file_nor_folder_is_kept(
    root: pathlib.Path, record: RunRecord, kind: str
) -> None:
    """Our temporary files are regular ones, in folders of ours or beside their targets."""
    (token,) = {found.token for found in map(parse, temporaries(root)) if found}
    path = root / "ds_1" / owner.new_name("a", token)
    make = {"fifo": os.mkfifo, "link": lambda path: path.symlink_to("small")}
    make[kind](path)
    reclaim(record)
    assert os.path.lexists(path)


def test_a_living_run_keeps_its_files(tmp_path: pathlib.Path) -> None:
    """What this process writes is not touched by another run of it."""
    file = open_partial(tmp_path / "a.bin", tmp_path)
    with hold(tmp_path, "any") as record:
        assert reclaim(record).files_removed == 0
    file.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_became_a_link_is_not_followed(
    root: pathlib.Path, record: RunRecord, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What it leads to is not ours; the record stays for the day the folder is back."""
    outside = tmp_path_factory.mktemp("outside")
    (root / "ds_1").rename(outside / "moved")
    (root / "ds_1").symlink_to(outside / "moved")
    reclaim(record, now=time.time() + 2 * RESUMABLE_AGE_SECONDS)
    assert len(temporaries(outside)) == 3
    assert records(root) == 2


def listed_folders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every folder is added that is listed from now on."""
    listed: list[str] = []
    names = Folder.names

    def note(folder: Folder) -> list[str]:
        listed.append(folder.where)
        return names(folder)

    monkeypatch.setattr(Folder, "names", note)
    return listed


def test_a_folder_is_listed_once_however_many_runs_and_files(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for parts costs nothing for each file."""
    killed_run(root, "big-2.bin")
    listed = listed_folders(monkeypatch)
    with hold(root, "logs/ds_1") as record:
        for _ in range(100):
            leftovers_of(record).take("ds_1/deep", owner.target_of("another.bin"))
    assert sorted(listed) == [".roboto/.runs", ".roboto/logs", "ds_1", "ds_1/deep"]


def test_without_killed_runs_no_folder_is_listed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only that of the records, whatever the dataset holds."""
    (tmp_path / "ds_1").mkdir()
    listed = listed_folders(monkeypatch)
    with hold(tmp_path, "any") as record:
        reclaim(record)
        leftovers_of(record)
    assert listed == [".roboto/.runs"]


def test_a_log_without_its_file_is_removed(root: pathlib.Path, record: RunRecord) -> None:
    """And a file without its log: half a pair is of no use."""
    (big,) = (path for path in (root / "ds_1" / "deep").iterdir() if ".parts." not in path.name)
    big.unlink()
    assert (root / "ds_1" / "deep" / log_name(big.name)).exists()
    assert reclaim(record).files_removed == 3
    assert temporaries(root) == []


def test_nobody_sees_leftovers_that_are_still_looked_for(
    root: pathlib.Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second file that asks meanwhile waits for all of them: with none it would be fetched again."""
    abandoned, seen = record.abandoned_runs, []

    def look() -> Any:
        seen.append(record.leftovers)
        return abandoned()

    monkeypatch.setattr(record, "abandoned_runs", look)
    assert leftovers_of(record).take("ds_1/deep", owner.target_of("big.bin"))
    assert (seen, root.exists()) == ([None], True)


def test_what_this_run_released_outlives_a_second_look(record: RunRecord) -> None:
    """Another partition of the same process reclaims, too, while this one is under way."""
    leftovers_of(record).add("own", Leftover("ds_1", ".own.part", is_certain=True))
    reclaim(record, "logs/ds_1")
    reclaim(record, "logs/ds_1")
    found = leftovers_of(record)
    assert len(found.take("ds_1", "own")) == 1
    assert len(found.take("ds_1/deep", owner.target_of("big.bin"))) == 1
