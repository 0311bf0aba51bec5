"""How few questions a sync asks of the platform, and what it knows of a dataset nevertheless."""

from typing import TYPE_CHECKING

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Syncer

QUERY = "/v1/datasets/*/files/query"
CREDENTIALS = "/v1/datasets/id/*/credentials"


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of one file."""
    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "a.bin", b"aaaa")
    return dataset_id


def routes(local: LocalRoboto) -> list[str]:
    """Return what the API was asked since the last sync began."""
    return [each.route.rpartition("/")[2] for each in local.requests.matching(service="api")]


def test_a_cold_sync_asks_twice(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """For the listing and for credentials: the organization comes with the records of the files."""
    syncer(dataset_id)
    assert routes(local) == ["query", "credentials"]


def test_a_sync_without_changes_asks_once(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """For the listing alone, and the store is asked nothing."""
    syncer(dataset_id)
    report = syncer(dataset_id)
    assert (routes(local), local.requests.count(service="s3")) == (["query"], 0)
    assert report.files_unchanged == 1


def test_an_empty_dataset_is_told_from_none(syncer: "Syncer", local: LocalRoboto) -> None:
    """The dataset's own record is asked for where the listing is empty."""
    dataset_id = local.add_dataset("flight")
    report = syncer(dataset_id, options=SyncOptions(on_empty="allow"))
    assert routes(local) == ["query", dataset_id]
    assert report.dataset_names == {dataset_id: "flight"}


def test_an_empty_listing_of_no_dataset_fails(syncer: "Syncer", local: LocalRoboto) -> None:
    """A platform that lists nothing for an id that it does not know is found out."""
    local.faults.add(faults.answer_json({"data": {"items": [], "next_token": None}}), route=QUERY)
    with pytest.raises(PlatformError, match="looking up dataset ds_gone: the Roboto API answered"):
        syncer("ds_gone", options=SyncOptions(on_empty="allow"))


def test_records_without_an_organization_cost_one_request_more(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The platform's answers are not trusted: what is no id goes into no header."""
    (page,) = [
        local.client().post(f"v1/datasets/{dataset_id}/files/query", data={}).to_dict(["data"])
    ]
    for record in page["items"]:
        record["org_id"] = "og_1\r\nX-Evil: 1"
    local.faults.add(faults.answer_json({"data": page}), route=QUERY)
    assert syncer(dataset_id).files_fetched == 1
    assert routes(local) == ["query", dataset_id, "credentials"]


def test_a_name_that_is_known_is_kept(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A sync that failed asked for the name; the next ones take it from the manifest."""
    rule = local.faults.add(faults.status(403, "AccessDenied"), service="s3")
    assert syncer(dataset_id).dataset_names == {dataset_id: "flight"}
    local.faults.remove(rule)
    assert [syncer(dataset_id).dataset_names for _ in range(2)] == [{dataset_id: "flight"}] * 2
    assert routes(local) == ["query"]


def test_a_name_that_cannot_be_had_hides_no_failure(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The failed files are reported, without it."""
    local.faults.add(faults.status(403, "AccessDenied"), service="s3")
    local.faults.add(faults.status(500), route=f"/v1/datasets/{dataset_id}")
    report = syncer(dataset_id)
    assert (report.files_failed, report.dataset_names) == (1, {})
