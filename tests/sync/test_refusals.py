"""What the plan refuses: collisions, unsafe paths, bad records, schemes without a store; and what it blocks."""

import pytest

from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.outcomes import Outcomes
from roboto_dagster.sync.refusals import Refusals
from tests.sync.inventories import manifest_row, plan_fetches, refusals, remote


def refused(inventory: Inventory, *paths: str) -> dict[str, str | None]:
    """Plan files of these paths and return the codes of those that are refused."""
    inventory.add_remote("ds_1", [remote(path, number) for number, path in enumerate(paths, 1)])
    return {each.planned.remote.relative_path: each.code for each in refusals(inventory)}


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
    numbers = [file.seq for file in inventory.undecided()]
    undecided = [
        (planned.remote.relative_path, planned.remote.version)
        for planned in inventory.files(numbers)
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


def test_a_refused_file_has_no_path(inventory: Inventory) -> None:
    """Where a file would go that must not be written is nowhere."""
    refused(inventory, "../a")
    row = manifest_row(inventory)
    assert (row["path"], row["relative_path"], row["mtime_ns"]) == (None, "../a", None)


def test_a_scheme_without_a_store_is_a_bad_record(inventory: Inventory) -> None:
    """Only its own files; a scheme that starts with another one is another one."""
    uris = ["s3://b/a", "s3x://b/b", "gs://b/c", "file:///d"]
    files = [remote(f"{n}", n, uri=uri) for n, uri in enumerate(uris, 1)]
    inventory.add_remote("ds_1", files)
    found = {each.planned.remote.uri: each.code for each in refusals(inventory)}
    assert found == dict.fromkeys(uris[1:], "BAD_RECORD")


def test_a_blocked_file_is_failed_and_never_skipped(inventory: Inventory) -> None:
    """What is in the way on this disk is no refusal; files that are not to be fetched are not blocked."""
    inventory.add_remote("ds_1", [remote("a", 1), remote("b", 2), remote("../c", 3)])
    marks = Refusals(inventory)
    marks.refuse({"s3"})
    plan_fetches(inventory)
    inventory.plan_keeps([2])
    marks.block([1, 2], "a folder is in its place")
    marks.skip_refused()
    outcomes = Outcomes(inventory)
    (failure,) = outcomes.failures("failed", 10)
    assert (failure.code, failure.reason) == ("LOCAL_IO", "a folder is in its place")
    assert (outcomes.count("skipped"), outcomes.count("unchanged")) == (1, 1)


def test_files_beneath_a_folder_are_found_by_place(inventory: Inventory) -> None:
    """Not those that only start with its name, and not those of another dataset."""
    paths = ["a/b", "A/c/d", "a-b", "a0", "x/a/b"]
    inventory.add_remote("ds_1", [remote(path, n) for n, path in enumerate(paths, 1)])
    inventory.add_remote("ds_2", [remote("a/b", 9)])
    marks = Refusals(inventory)
    marks.refuse({"s3"})
    plan_fetches(inventory)
    assert marks.beneath("ds_1/a") == [1, 2]
