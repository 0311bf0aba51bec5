"""Removal: looked up first, many at once, and never by a guess."""

from typing import TYPE_CHECKING

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Syncer

REMOVE = SyncOptions(on_missing="remove", max_removals=1000)


@pytest.fixture
def emptied(syncer: "Syncer", local: LocalRoboto) -> str:
    """A dataset of which thirty files were delivered, and one is left on the platform."""
    dataset_id = local.add_dataset()
    for number in range(31):
        local.add_file(dataset_id, f"{number}.bin", b"x")
    syncer(dataset_id)
    for number in range(30):
        local.remove_file(dataset_id, f"{number}.bin")
    return dataset_id


def test_each_file_is_looked_up_once(syncer: "Syncer", local: LocalRoboto, emptied: str) -> None:
    """And removed; the next run has nothing to look up."""
    report = syncer(emptied, options=REMOVE)
    assert (report.files_removed, local.requests.count(route="/v1/files/record/*")) == (30, 30)
    assert list(syncer.files()) == [f"{emptied}/30.bin"]
    syncer(emptied, options=REMOVE)
    assert local.requests.count(route="/v1/files/record/*") == 0


def test_without_an_answer_nothing_more_is_removed(
    syncer: "Syncer", local: LocalRoboto, emptied: str
) -> None:
    """The run fails, everything listed is delivered, and the next run removes the rest."""
    local.faults.add(faults.status(500), route="/v1/files/record/*")
    with pytest.raises(PlatformError, match="looking up file"):
        syncer(emptied, options=REMOVE)
    assert (len(syncer.files()), syncer.rows()["30.bin"]["status"]) == (31, "unchanged")
    local.faults.clear()
    assert syncer(emptied, options=REMOVE).files_removed == 30


def test_a_record_that_is_not_available_just_now_is_not_gone(
    syncer: "Syncer", local: LocalRoboto
) -> None:
    """The platform may be busy with it; its file stays."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"a")
    local.add_file(dataset_id, "b.bin", b"b")
    syncer(dataset_id)
    record = {"association_id": dataset_id, "relative_path": "a.bin", "status": "reserved"}
    local.faults.add(faults.answer_json({"data": record}), route="/v1/files/record/*")
    local.remove_file(dataset_id, "a.bin")
    report = syncer(dataset_id, options=REMOVE)
    assert (report.files_removed, len(syncer.files())) == (0, 2)
    assert syncer.rows()["a.bin"]["status"] == "not_listed"
