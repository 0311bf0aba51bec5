"""What was asked can be counted."""

from collections.abc import Callable
from typing import Any

from roboto import Dataset, RobotoClient

from roboto_dagster.testing import LocalRoboto


def test_requests_are_logged(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """A request is logged with its route, body and status."""
    list(Dataset.from_id(dataset_id, client).list_files(["*.mcap"]))
    first, second = local.requests
    assert (first.method, first.route, first.status) == ("GET", f"/v1/datasets/{dataset_id}", 200)
    assert b"*.mcap" in second.body


def test_requests_are_counted(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """Requests are counted by service, method, route and status."""
    Dataset.from_id(dataset_id, client)
    assert local.requests.count() == len(local.requests) == 1
    assert local.requests.count(service="api", method="GET", status=200) == 1
    assert local.requests.count(service="s3") == 0
    assert local.requests.count(route="/v1/datasets/*") == 1


def test_log_can_be_cleared(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """After clear nothing was ever asked."""
    Dataset.from_id(dataset_id, client)
    local.requests.clear()
    assert list(local.requests) == []


def test_log_holds_no_secret(local: LocalRoboto, dataset_id: str, get: Callable[..., Any]) -> None:
    """No key, token or signature is in the log."""
    local.add_file(dataset_id, "a", b"x")
    get(dataset_id, "a")
    logged = repr(list(local.requests))
    assert local.api_key not in logged
    assert "X-Amz-Signature" not in logged
