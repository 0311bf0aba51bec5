"""What the last manifest records is found in any order, and none of it is lost."""

import shutil
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from roboto_dagster.errors import ManifestError
from roboto_dagster.platform.records import RemoteFile
from roboto_dagster.sync.datasets import Datasets
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.known import KnownRow
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.last_manifest import LastManifest
from roboto_dagster.sync.run import sync_listed
from roboto_dagster.sync.shards.places import run_folder, shard_manifest
from roboto_dagster.testing import LocalRoboto
from tests.sync.inventories import manifest_row, plan_fetches, refusals, remote

if TYPE_CHECKING:
    from tests.conftest import Syncer

ROWS_PER_BATCH = 3
FILES_PER_PAGE = 2
NUMBERS = range(30)


def row(number: int, **changes: Any) -> KnownRow:
    """Return what the manifest has of `remote(path, number)` where nothing changed."""
    values = (
        "ds_1",
        f"f{number:02}",
        f"fl_{number}",
        1,
        number,
        1000 + number,
        f"s3://b/f{number:02}",
    )
    return KnownRow(*values, "etag", None, "size", None)._replace(**changes)


def listed(numbers: Iterable[int]) -> list[RemoteFile]:
    """Return files that the manifest records, and others."""
    return [remote(f"f{number:02}", number) for number in numbers]


def manifest(rows: Sequence[KnownRow]) -> Generator[Sequence[KnownRow], None, None]:
    """Yield rows as they are read."""
    for start in range(0, len(rows), ROWS_PER_BATCH):
        yield rows[start : start + ROWS_PER_BATCH]


def find(
    last: LastManifest, files: Sequence[RemoteFile]
) -> list[tuple[RemoteFile, KnownRow | None]]:
    """Find what is recorded of files, page by page."""
    found: list[tuple[RemoteFile, KnownRow | None]] = []
    for start in range(0, len(files), FILES_PER_PAGE):
        page = files[start : start + FILES_PER_PAGE]
        found += zip(page, last.find("ds_1", page), strict=True)
    return found


@pytest.mark.parametrize(
    ("files", "recorded", "unfound"),
    [
        pytest.param(NUMBERS, NUMBERS, 0, id="the same"),
        pytest.param(NUMBERS, NUMBERS[::2], 0, id="new files everywhere"),
        pytest.param(NUMBERS, NUMBERS[15:], 0, id="many new files first"),
        pytest.param(NUMBERS[::2], NUMBERS, 15, id="every second file is gone"),
        pytest.param(NUMBERS[6:], NUMBERS, 6, id="the first files are gone"),
        pytest.param([*NUMBERS[1:], 0], NUMBERS, 1, id="the first is listed last"),
        pytest.param(NUMBERS[::-1], NUMBERS, None, id="another order"),
        pytest.param([(7 * n) % 30 for n in NUMBERS], NUMBERS, None, id="any order"),
        pytest.param([], NUMBERS, 30, id="nothing is listed"),
        pytest.param(NUMBERS, [], 0, id="nothing is recorded"),
    ],
)
def test_every_row_is_found_or_known(
    files: Sequence[int], recorded: Sequence[int], unfound: int | None
) -> None:
    """In the order of the last run all rows are found; in another one, what is not found is known."""
    known: list[KnownRow] = []
    last = LastManifest(manifest([row(number) for number in recorded]), known.extend)
    found = find(last, listed(files))
    last.add_rest()
    assert all(each is None or each.file_id == file.file_id for file, each in found)
    assert sorted([*known, *filter(None, (each for _, each in found))]) == sorted(
        map(row, recorded)
    )
    if unfound is not None:
        assert len(known) == unfound


@pytest.mark.parametrize("change", [{"version": 2}, {"file_id": "fl_x"}, {"uri": "s3://b/moved"}])
def test_another_record_of_the_file_is_known(change: dict[str, Any]) -> None:
    """The plan compares it, and a store is asked whether its object changed."""
    known: list[KnownRow] = []
    last = LastManifest(manifest([row(1, **change), row(2)]), known.extend)
    assert last.find("ds_1", listed([1, 2])) == [None, row(2)]
    assert known == [row(1, **change)]


def test_what_was_read_of_a_damaged_manifest_counts() -> None:
    """What is wrong with the rest is kept for whoever sets it aside."""

    def damaged() -> Generator[Sequence[KnownRow], None, None]:
        yield [row(1)]
        raise ManifestError("page checksum")

    known: list[KnownRow] = []
    last = LastManifest(damaged(), known.extend)
    assert last.find("ds_1", listed([1, 2])) == [row(1), None]
    last.add_rest()
    assert (str(last.error), known) == ("page checksum", [])


def test_a_file_that_is_listed_twice_keeps_what_is_known_of_it(inventory: Inventory) -> None:
    """Its record changed while it was listed: the older one's facts are those of the file on disk."""
    inventory.recorded = lambda _, files: [row(1) if file.version == 1 else None for file in files]
    inventory.add_remote("ds_1", [remote("f01", 1), remote("f01", 1, version=2)])
    assert refusals(inventory) == []
    (file,) = inventory.undecided()
    assert (file.size_bytes, file.mtime_ns, file.is_same_record) == (1, 1001, False)


def test_a_log_knows_more_than_the_manifest(inventory: Inventory) -> None:
    """Another run has published the file again since the manifest was read."""
    inventory.recorded = lambda _, files: [row(number) for number in range(1, len(files) + 1)]
    inventory.add_remote("ds_1", listed([1, 2]))
    known = KnownFiles(inventory)
    known.add_found([row(1, mtime_ns=9, version=2), row(2, version=0)])
    assert refusals(inventory) == []
    known.prefer_newer()
    facts = [(file.mtime_ns, file.is_same_record) for file in inventory.undecided()]
    assert facts == [(9, False), (1002, True)]


def test_what_does_not_match_the_disk_is_forgotten(inventory: Inventory) -> None:
    """The manifest of a run that could not fetch the file must not say that it is on disk."""
    inventory.recorded = lambda *_: [row(1)]
    inventory.add_remote("ds_1", listed([1]))
    plan_fetches(inventory, keep_facts=False)
    found = manifest_row(inventory)
    assert (found["mtime_ns"], found["etag"], found["size_bytes"]) == (None, None, 1)


class Interrupted(Datasets):
    """Lets something happen after the files were listed, and the manifest was read as far as they need it."""

    between: Callable[[], object]

    def list_into(self, inventory: Inventory) -> None:
        """List the files."""
        super().list_into(inventory)
        self.between()


def test_what_another_run_delivers_while_files_are_listed_is_not_fetched(
    syncer: "Syncer", local: LocalRoboto
) -> None:
    """Its manifest is newer than the one that was read meanwhile."""
    dataset_id = local.add_dataset()
    for name in ("a.bin", "b.bin"):
        local.add_file(dataset_id, name, b"old")
    syncer(dataset_id)
    local.replace_file(dataset_id, "a.bin", b"newer")
    scopes, settings = syncer.scopes(dataset_id), syncer.settings()
    datasets = Interrupted(scopes, settings)

    def deliver() -> None:
        assert syncer.run_beside(dataset_id).files_fetched == 1
        local.requests.clear()

    datasets.between = deliver
    report = sync_listed(scopes, settings, datasets)
    assert (report.files_unchanged, local.requests.count(service="s3")) == (2, 0)
    assert syncer.files()[f"{dataset_id}/a.bin"] == b"newer"


def test_a_listing_that_fails_leaves_a_damaged_manifest_alone(
    syncer: "Syncer", local: LocalRoboto
) -> None:
    """It is read while the files are listed, and touched only once they are."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"a")
    syncer(dataset_id)
    syncer.manifest.write_bytes(b"garbage")
    scopes, settings = syncer.scopes(dataset_id), syncer.settings()
    datasets = Interrupted(scopes, settings)

    def fail() -> None:
        raise ConnectionError

    datasets.between = fail
    with pytest.raises(ConnectionError):
        sync_listed(scopes, settings, datasets)
    assert syncer.manifest.read_bytes() == b"garbage"


def test_what_shards_left_long_ago_does_not_replace_what_is_recorded(
    syncer: "Syncer", local: LocalRoboto
) -> None:
    """Their manifest has an older version of the file: what is on disk decides."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"old")
    syncer(dataset_id)
    left = shard_manifest(run_folder(syncer.manifest, "run"), 1)
    left.parent.mkdir(parents=True)
    shutil.copy(syncer.manifest, left)
    local.replace_file(dataset_id, "a.bin", b"newer")
    assert syncer(dataset_id).files_fetched == 1
    report = syncer(dataset_id)
    assert (report.files_unchanged, local.requests.count(service="s3")) == (1, 0)
