"""Files that earlier runs delivered and the listing does not have: remembered until they are removed or changed."""

import functools
import os
import pathlib
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from roboto_dagster.disk.run_record import hold
from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import RemovalError
from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.testing import LocalRoboto, faults
from tests.disk.children import die, killed_in

if TYPE_CHECKING:
    from tests.conftest import Syncer

REMOVE = SyncOptions(on_missing="remove")
QUERY = "/v1/datasets/*/files/query"


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of three files."""
    dataset_id = local.add_dataset()
    for name in ("a.bag", "b.bag", "c.csv"):
        local.add_file(dataset_id, name, name.encode())
    return dataset_id


def names(syncer: "Syncer") -> list[str]:
    """Return the names of all files on disk."""
    return [path.rpartition("/")[2] for path in syncer.files()]


def statuses(syncer: "Syncer") -> dict[str, str]:
    """Return the status of every row of the manifest."""
    return {path: row["status"] for path, row in syncer.rows().items()}


def test_a_missing_file_is_removed(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """In the first run that is asked to; its row reports it, once."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.bag")
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_removed, statuses(syncer)["a.bag"]) == (1, "removed")
    syncer(dataset_id, options=REMOVE)
    assert (names(syncer), sorted(statuses(syncer))) == (["b.bag", "c.csv"], ["b.bag", "c.csv"])


def test_a_run_that_fails_forgets_nothing(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """What it could not remove, the next run removes."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.bag")
    local.replace_file(dataset_id, "b.bag", b"newer")
    local.faults.add(faults.status(403, "AccessDenied"), service="s3")
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_failed, statuses(syncer)["a.bag"]) == (1, "not_listed")
    local.faults.clear()
    assert syncer(dataset_id, options=REMOVE).files_removed == 1
    assert names(syncer) == ["b.bag", "c.csv"]


def test_a_run_that_keeps_forgets_nothing(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Runs with on_missing="keep" may come before the one that removes."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.bag")
    for _ in range(2):
        syncer(dataset_id)
        assert statuses(syncer)["a.bag"] == "not_listed"
    assert syncer(dataset_id, options=REMOVE).files_removed == 1


def test_a_failed_run_and_a_limit_forget_nothing(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """More removals than allowed: none, until the limit is raised."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.bag")
    local.remove_file(dataset_id, "b.bag")
    with pytest.raises(RemovalError, match=r"2 files of .*max_removals=1"):
        syncer(dataset_id, options=SyncOptions(on_missing="remove", max_removals=1))
    assert len(names(syncer)) == 3
    assert syncer(dataset_id, options=REMOVE).files_removed == 2


def test_narrower_patterns_for_one_run_forget_nothing(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """What they leave out is on disk, is not removed, and is not fetched again."""
    syncer(dataset_id)
    syncer(dataset_id, include_patterns=["*.csv"], options=REMOVE)
    assert statuses(syncer) == {"a.bag": "not_listed", "b.bag": "not_listed", "c.csv": "unchanged"}
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_unchanged, local.requests.count(service="s3")) == (3, 0)


def test_what_the_user_changed_is_the_users(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A file that is not as it was published leaves the manifest, and stays."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.bag")
    (syncer.destination / dataset_id / "a.bag").write_bytes(b"mine")
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_removed, "a.bag" in statuses(syncer)) == (0, False)
    assert (syncer.destination / dataset_id / "a.bag").read_bytes() == b"mine"


def test_a_listing_that_lacks_a_file_removes_nothing_by_itself(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Pages may shift while they are read: a lookup of the record decides."""
    syncer(dataset_id)
    client = local.client()
    listed = client.post(f"v1/datasets/{dataset_id}/files/query", data={}).to_dict(
        json_path=["data"]
    )
    shifted = [item for item in listed["items"] if item["relative_path"] != "a.bag"]
    local.faults.add(
        faults.answer_json({"data": {"items": shifted, "next_token": None}}), route=QUERY
    )
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_removed, len(names(syncer))) == (0, 3)
    assert any("the platform still has its record" in line for _, line in syncer.lines)
    local.faults.clear()
    assert syncer(dataset_id, options=REMOVE).files_unchanged == 3


def test_a_row_that_leads_outside_is_left_out(
    syncer: "Syncer", dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """A manifest is on a disk that others write to; removal trusts no path in it."""
    syncer(dataset_id)
    victim = tmp_path / "victim.txt"
    victim.write_bytes(b"precious")
    status = victim.stat()
    table = read_manifest(syncer.manifest)
    rows = table.to_pylist()
    for path in ("../../victim.txt", "../../../victim.txt", str(victim)):
        evil = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "file_id": "fl_x"}
        rows.append({**rows[0], **evil, "relative_path": path})
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), syncer.manifest)
    syncer(dataset_id, options=REMOVE)
    assert victim.read_bytes() == b"precious"


def test_removal_follows_no_link(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """A dataset's folder that is a link leads to somebody else's files, even if they look like ours."""
    syncer(dataset_id)
    folder = syncer.destination / dataset_id
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    local.remove_file(dataset_id, "a.bag")
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_removed, report.files_unchanged) == (0, 0)
    assert {failure.code for failure in report.failures} == {"UNSAFE_PATH"}
    assert len(list(elsewhere.iterdir())) == 3


@pytest.mark.parametrize(
    ("before", "after"), [("a", "a/b"), ("a/b", "a"), ("x/a", "x/a/b/c"), ("x/a/b/c", "x/a")]
)
def test_a_file_becomes_a_folder_and_back(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, before: str, after: str
) -> None:
    """What an earlier run delivered is removed before the transfer, if removal is asked for."""
    local.add_file(dataset_id, before, b"old")
    syncer(dataset_id)
    local.remove_file(dataset_id, before)
    local.add_file(dataset_id, after, b"new")
    report = syncer(dataset_id)
    (failure,) = report.failures
    assert (
        failure.code,
        failure.attempts,
        f"{before}, which an earlier run" in failure.reason,
    ) == (
        "LOCAL_IO",
        0,
        True,
    )
    assert syncer(dataset_id, options=REMOVE).failures == []
    assert syncer.files()[f"{dataset_id}/{after}"] == b"new"


@pytest.mark.parametrize(("before", "after"), [("a", "a/b"), ("a/b", "a")])
def test_a_users_file_in_the_way_is_named_and_stays(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, before: str, after: str
) -> None:
    """It is not ours to remove; the message reports what to move."""
    path = syncer.destination / dataset_id / before
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    local.add_file(dataset_id, after, b"new")
    report = syncer(dataset_id, options=REMOVE)
    (failure,) = report.failures
    assert (failure.code, "move it away" in failure.reason) == ("LOCAL_IO", True)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("folder", ["a", "a/b/c"])
def test_empty_folders_in_the_way_are_removed(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, folder: str
) -> None:
    """An earlier run may have made them and failed to fill them."""
    (syncer.destination / dataset_id / folder).mkdir(parents=True)
    local.add_file(dataset_id, "a", b"new")
    assert syncer(dataset_id).failures == []


def test_a_killed_run_is_not_in_the_way(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The temporary files that it left in a folder go before a file takes the folder's place."""
    killed_in(functools.partial(_die_while_writing, syncer.destination, f"{dataset_id}/a/b/c"))
    local.add_file(dataset_id, "a", b"new")
    assert syncer(dataset_id).failures == []


def _die_while_writing(destination: pathlib.Path, path: str) -> None:
    with hold(destination, "logs/ds_1"):
        open_partial(destination / path, destination)
        die()


def test_a_touched_file_is_not_removed(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Whoever touched it may be using it."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.bag")
    os.utime(syncer.destination / dataset_id / "a.bag", ns=(1, 1))
    assert syncer(dataset_id, options=REMOVE).files_removed == 0
    assert "a.bag" in names(syncer)
