"""The working set: what is in dispute, what is kept of the last run, what the manifest will say."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.inventory import Inventory, Source, Totals
from roboto_dagster.sync.known import KnownRow
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.outcomes import Failure, Outcomes
from roboto_dagster.sync.refusals import Refusals
from roboto_dagster.types import DownloadableFile


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    """An empty working set."""
    with Inventory() as inventory:
        yield inventory


def remote(path: str, number: int = 1, **changes: Any) -> RemoteFile:
    """Return a file of the platform's."""
    values: dict[str, Any] = {
        "file_id": f"fl_{number}",
        "version": 1,
        "relative_path": path,
        "size_bytes": number,
        "uri": f"s3://b/{path}",
        "association_id": "ds_1",
    }
    return RemoteFile(**{**values, **changes})


def refusals(inventory: Inventory) -> list[Failure]:
    """Refuse what cannot be delivered, and return it."""
    Refusals(inventory).refuse({"s3"})
    return list(Outcomes(inventory).failures("failed", 100))


def refused(inventory: Inventory, *paths: str) -> dict[str, str | None]:
    """Plan files of these paths and return the codes of those that are refused."""
    inventory.add_remote("ds_1", [remote(path, number) for number, path in enumerate(paths, 1)])
    return {each.planned.remote.relative_path: each.code for each in refusals(inventory)}


def plan_fetches(inventory: Inventory, *, keep_facts: bool = True) -> None:
    """Plan to fetch everything that was not refused."""
    planned = [file for file, _ in inventory.undecided()]
    inventory.plan_fetches((file, None, keep_facts) for file in planned)


@pytest.mark.parametrize(
    ("paths", "disputed"),
    [
        pytest.param(["a", "b", "c/a"], [], id="none"),
        pytest.param(["a", "A", "b"], ["a", "A"], id="case"),
        pytest.param(["X/a", "x/A"], ["X/a", "x/A"], id="case-of-folder-and-name"),
        pytest.param(["\u00e9", "e\u0301"], ["\u00e9", "e\u0301"], id="unicode-form"),
        pytest.param(["a", "a/b", "c"], ["a", "a/b"], id="file-and-folder"),
        pytest.param(["a", "a/b/c/d", "a/e"], ["a", "a/b/c/d", "a/e"], id="file-and-deep-folder"),
        pytest.param(["A", "a/b"], ["A", "a/b"], id="file-and-folder-by-case"),
        pytest.param(["a", "a-b", "a.b", "ab/c", "a0"], [], id="only-a-prefix"),
        pytest.param(["a_b", "axb", "a%c", "abc"], [], id="wildcards-are-no-wildcards"),
        pytest.param(["a/b", "a/c", "a/d/e"], [], id="one-folder"),
    ],
)
def test_all_members_of_a_collision_are_refused(
    inventory: Inventory, paths: list[str], disputed: list[str]
) -> None:
    """None of them wins, since which one would be a matter of luck."""
    assert refused(inventory, *paths) == dict.fromkeys(disputed, "COLLISION")


def test_the_same_path_twice_is_a_collision(inventory: Inventory) -> None:
    """Two files of one path cannot both be there."""
    inventory.add_remote("ds_1", [remote("a", 1), remote("a", 2), remote("b", 3)])
    assert [each.code for each in refusals(inventory)] == ["COLLISION", "COLLISION"]


def test_a_file_that_is_listed_twice_counts_once(inventory: Inventory) -> None:
    """Pages shift while files are added: the same file again is no collision with itself."""
    inventory.add_remote("ds_1", [remote("a", version=1), remote("b", 2), remote("a", version=2)])
    assert refusals(inventory) == []
    undecided = [
        (planned.remote.relative_path, planned.remote.version)
        for planned, _ in inventory.undecided()
    ]
    assert undecided == [("b", 1), ("a", 2)]


def test_datasets_do_not_collide(inventory: Inventory) -> None:
    """Each dataset has a folder of its own."""
    inventory.add_remote("ds_1", [remote("a", 1)])
    inventory.add_remote("ds_2", [remote("a", 2)])
    assert refusals(inventory) == []


def test_unsafe_paths_and_bad_records_are_refused(inventory: Inventory) -> None:
    """The listing's own verdict stays, and the plan's comes in beside it."""
    bad = remote("c", 3, code="BAD_RECORD", reason="size is -1")
    inventory.add_remote("ds_1", [remote("../a", 1), remote("b", 2), bad])
    found = {each.planned.remote.relative_path: each.code for each in refusals(inventory)}
    assert found == {"../a": "UNSAFE_PATH", "c": "BAD_RECORD"}


def test_text_that_is_no_unicode_can_be_kept(inventory: Inventory) -> None:
    """A lone surrogate, which JSON can carry, becomes a visible escape."""
    mad = remote("a\ud800", file_id="\ud801", uri="s3://b\ud802/k", association_id="\ud803")
    inventory.add_remote("ds_1", [mad])
    (found,) = refusals(inventory)
    assert (found.planned.remote.relative_path, found.code) == ("a\\ud800", "UNSAFE_PATH")


def test_big_files_come_first(inventory: Inventory) -> None:
    """What takes longest must not be begun last."""
    inventory.add_remote("ds_1", [remote("s", 1), remote("l", 9), remote("m", 5)])
    plan_fetches(inventory)
    (source,) = inventory.sources()
    order = [file.remote.relative_path for file in inventory.files(inventory.to_fetch(source))]
    assert (source, order) == (Source("ds_1", "b"), ["l", "m", "s"])


def test_totals_count_by_action(inventory: Inventory) -> None:
    """Files and bytes, of all and of what is to be done."""
    inventory.add_remote("ds_1", [remote("a", 1), remote("b", 2), remote("../c", 4)])
    Refusals(inventory).refuse({"s3"})
    plan_fetches(inventory)
    inventory.plan_keeps([2])
    found = [inventory.totals(*actions) for actions in ((), ("fetch",), ("keep",), ("refuse",))]
    assert found == [Totals(3, 7), Totals(1, 1), Totals(1, 2), Totals(1, 4)]


KNOWN = KnownRow(
    "ds_1", "a", "fl_old", 3, 5, 77, "s3://b/old", "e", "crc32c:x", "crc32c", 1_000_000
)


def manifest_row(inventory: Inventory) -> dict[str, Any]:
    """Return the first row that the manifest will have."""
    from roboto_dagster.sync.manifest import schema

    (rows,) = list(inventory.manifest_rows(pathlib.Path("/logs")))
    return dict(zip(schema().names, rows[0], strict=True))


def planned_again(inventory: Inventory) -> None:
    """Plan to fetch a file that an earlier run had fetched in another version, of another id."""
    inventory.add_remote("ds_1", [remote("a", 9, version=3, uri="s3://b/new")])
    KnownFiles(inventory).add([KNOWN])
    plan_fetches(inventory)


def test_a_failed_file_keeps_the_last_good_facts(inventory: Inventory) -> None:
    """What lies on disk is the old version: id, version and all else in its row are that one's."""
    planned_again(inventory)
    file = DownloadableFile(
        bucket_name="b", source_uri="s3://b/a", destination_path=pathlib.Path("a")
    )
    Outcomes(inventory).note_failed(1, DownloadError(file, "STALLED", "slow", None, 2))
    row = manifest_row(inventory)
    kept = ("file_id", "version", "size_bytes", "mtime_ns", "uri", "etag", "checksum", "verified")
    assert tuple(row[name] for name in kept) == (*KNOWN[2:6], *KNOWN[6:10])
    assert (row["status"], row["error_code"], row["attempts"]) == ("failed", "STALLED", 2)


def test_a_fetched_file_has_its_own_facts(inventory: Inventory) -> None:
    """After a fetch the row is about the new version alone."""
    planned_again(inventory)
    receipt = Receipt(
        size_bytes=9,
        etag="new",
        checksum="md5:y",
        verified="md5",
        attempts=2,
        duration_seconds=0.5,
    )
    Outcomes(inventory).note_fetched(1, receipt, 99, 2_000_000)
    row = manifest_row(inventory)
    names = ("file_id", "size_bytes", "mtime_ns", "uri", "etag", "checksum", "status", "error")
    assert tuple(row[name] for name in names) == (
        *("fl_9", 9, 99, "s3://b/new", "new", "md5:y", "fetched", None),
    )


def test_what_was_not_reached_is_not_claimed(inventory: Inventory) -> None:
    """A run that was interrupted says of the rest that it was not fetched."""
    planned_again(inventory)
    row = manifest_row(inventory)
    assert (row["status"], row["error_code"]) == ("failed", "CANCELLED")


def test_a_refused_file_has_no_path(inventory: Inventory) -> None:
    """Where a file would go that must not be written is nowhere."""
    refused(inventory, "../a")
    row = manifest_row(inventory)
    assert (row["path"], row["relative_path"], row["mtime_ns"]) == (None, "../a", None)


def test_top_files_are_the_slowest_then_the_largest(inventory: Inventory) -> None:
    """What took long comes first, then what is big among the rest; what failed is not there."""
    inventory.add_remote("ds_1", [remote(path, number) for number, path in enumerate("abcd", 1)])
    inventory.plan_fetches((file, None, False) for file in list(inventory.files([1, 2])))
    receipt = Receipt(
        size_bytes=7, etag=None, checksum=None, verified="size", attempts=2, duration_seconds=1.5
    )
    Outcomes(inventory).note_fetched(1, receipt, 0, 0)
    assert Outcomes(inventory).top_files(2) == [
        ("a", "fetched", 7, 1.5, 2),
        ("d", "unchanged", 4, 0.0, 0),
    ]
