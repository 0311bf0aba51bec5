"""The API's routes, beyond what the present SDK happens to ask."""

from typing import Any

import pytest
from roboto import RobotoClient
from roboto.exceptions import (
    RobotoDomainException,
    RobotoInvalidRequestException,
    RobotoUnauthorizedException,
)
from roboto.http import BearerTokenDecorator

from roboto_dagster.testing import LocalRoboto


def _data(client: RobotoClient, path: str, **body: Any) -> Any:
    return client.post(path, data=body).to_dict(json_path=["data"])


def test_both_route_families(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """Files and credentials come by the dataset's routes and by the association's."""
    local.add_file(dataset_id, "a")
    listed = _data(client, f"v1/datasets/{dataset_id}/files/query")
    assert listed == _data(client, f"v1/files/association/id/{dataset_id}/query")
    for family in ("datasets/id", "files/association/id"):
        answer = client.get(f"v1/{family}/{dataset_id}/credentials", query={"mode": "ReadOnly"})
        assert answer.to_dict(json_path=["data"])[0]["bucket"] == "roboto-managed"


def test_next_token_is_always_there(
    local: LocalRoboto, client: RobotoClient, dataset_id: str
) -> None:
    """The last page reports that there is no other."""
    local.add_file(dataset_id, "a")
    page = _data(client, f"v1/datasets/{dataset_id}/files/query")
    assert (len(page["items"]), page["next_token"]) == (1, None)


def test_none_is_no_page_token(client: RobotoClient, dataset_id: str) -> None:
    """The word None, which the SDK sends for nothing, is no page token."""
    path = f"v1/files/association/id/{dataset_id}/directories"
    answer = client.get(path, query={"page_token": None})
    assert answer.to_dict(json_path=["data"]) == {"items": [], "next_token": None}


def test_endpoint_with_a_trailing_slash(local: LocalRoboto, dataset_id: str) -> None:
    """An endpoint with a trailing slash works."""
    client = RobotoClient(f"{local.api_url}/", BearerTokenDecorator(local.api_key))
    found = client.get(f"v1/datasets/{dataset_id}").to_dict(json_path=["data"])
    assert found["dataset_id"] == dataset_id


def test_listing_can_be_limited_and_sorted(
    local: LocalRoboto, client: RobotoClient, dataset_id: str
) -> None:
    """A raw request may ask for fewer files, in another order."""
    for name in ("b", "a", "c"):
        local.add_file(dataset_id, name)
    path = f"v1/datasets/{dataset_id}/files/query"
    page = _data(client, path, limit=2, sort_by="relative_path", sort_direction="ASC")
    assert [one["relative_path"] for one in page["items"]] == ["a", "b"]
    assert page["next_token"] is not None


def test_listing_follows_changes(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """A listing shows what was added after it was first asked for."""
    path = f"v1/datasets/{dataset_id}/files/query"
    assert _data(client, path)["items"] == []
    local.add_file(dataset_id, "a")
    assert len(_data(client, path)["items"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("v1/datasets/query", {"sort_by": "shoe_size"}),
        ("v1/datasets/query", {"after": "nonsense"}),
        ("v1/datasets/query", {"condition": {"field": "name"}}),
        ("v1/query/submit/structured", {"target": "topics", "query": {}}),
    ],
    ids=["unknown sort", "unknown token", "half a condition", "unknown target"],
)
def test_bad_queries(
    local: LocalRoboto, client: RobotoClient, path: str, body: dict[str, Any]
) -> None:
    """A query that makes no sense is an invalid request."""
    local.add_dataset("one")
    with pytest.raises(RobotoInvalidRequestException):
        client.post(path, data=body)


def test_unknown_route(client: RobotoClient) -> None:
    """What is not there reports it, in the platform's form."""
    with pytest.raises(RobotoDomainException, match="LocalRoboto has no GET /v1/unknown"):
        client.get("v1/unknown")


def test_credentials_of_an_empty_dataset(client: RobotoClient, dataset_id: str) -> None:
    """A dataset without files has credentials for the platform's own bucket."""
    answer = client.get(f"v1/datasets/id/{dataset_id}/credentials").to_dict(json_path=["data"])
    assert [one["bucket"] for one in answer] == ["roboto-managed"]


def test_links_are_made_and_listed(
    local: LocalRoboto, client: RobotoClient, dataset_id: str
) -> None:
    """A link made through the API points at the target's version."""
    target = local.add_file(dataset_id, "a")
    path = f"v1/files/association/id/{dataset_id}/link"
    made = client.put(path, data={"relative_path": "b", "target_file_id": target})
    assert made.to_dict(json_path=["data"])["uri"] == f"roboto://file/{target}?v=1"
    assert len(_data(client, f"v1/datasets/{dataset_id}/files/query")["items"]) == 2


@pytest.mark.parametrize(
    "paths",
    [["../a"], ["/b"], [""], ["a/../../b"], [], [f"{number}.bin" for number in range(501)]],
    ids=["parent", "absolute", "empty", "climbing", "none", "too many"],
)
def test_an_upload_names_paths_in_the_dataset(
    client: RobotoClient, dataset_id: str, paths: list[str]
) -> None:
    """An upload to a path outside the dataset, or of more than 500 files, is an invalid request."""
    association = {"association_id": dataset_id, "association_type": "dataset"}
    with pytest.raises(RobotoInvalidRequestException):
        client.post(
            "v1/files/upload",
            data={"association": association, "resource_manifest": dict.fromkeys(paths, 1)},
        )


@pytest.mark.parametrize("option", ["caller_org_id", "owner_org_id"])
def test_another_organization_is_refused(
    client: RobotoClient, dataset_id: str, option: str
) -> None:
    """A request on behalf of an organization that the key is not of is refused."""
    own: dict[str, Any] = {option: "og_local"}
    client.get(f"v1/datasets/{dataset_id}", **own)
    other: dict[str, Any] = {option: "og_other"}
    with pytest.raises(RobotoUnauthorizedException):
        client.get(f"v1/datasets/{dataset_id}", **other)


def test_upload_of_nothing_is_refused(client: RobotoClient, dataset_id: str) -> None:
    """An upload that never reached the store is not taken for one."""
    association = {"association_id": dataset_id, "association_type": "dataset"}
    started = _data(client, "v1/files/upload", association=association, resource_manifest={"a": 1})
    uris = list(started["upload_mappings"].values())
    path = f"v1/files/upload/{started['transaction_id']}/progress"
    with pytest.raises(RobotoInvalidRequestException, match="Nothing was uploaded"):
        client.put(path, data={"manifest_items": uris})
