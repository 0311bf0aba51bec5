"""A1 to A8: listings that fail or lack files, records that make no sense, wrong servers, and an API that is busy."""

import json
import time
from typing import Any

import pytest

from roboto_dagster.testing import faults
from roboto_dagster.testing.server.messages import Request
from tests.faults.lab import SMALL, Lab
from tests.faults.matrix import covers

ROUTE = "/v1/datasets/*/files/query"


@covers("A1")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.status(500), id="500"),
        pytest.param(faults.status(503), id="503"),
        pytest.param(faults.answer("<html>"), id="html"),
        pytest.param(faults.answer_json({"data": {}}), id="no-items"),
        pytest.param(faults.answer_json({}), id="no-data"),
        pytest.param(faults.refuse(), id="reset"),
        pytest.param(faults.truncate(after_bytes=30), id="truncated"),
    ],
)
def test_half_a_listing_changes_nothing(lab: Lab, fault: faults.Fault) -> None:
    """A page that fails ends the run before anything is fetched or removed."""
    lab.add_small(25)  # three pages
    first = lab.run()
    lab.listed.clear()
    lab.fault(fault, service="api", route=ROUTE, after=1)
    before = {path: path.read_bytes() for path in lab.destination.rglob("*.bin")}
    run = lab.run_unchecked(on_missing="remove")
    assert not run.success
    assert "roboto/error" in run.metadata
    assert not run.asked("")
    assert {path: path.read_bytes() for path in lab.destination.rglob("*.bin")} == before
    lab.listed.update(path for path in first.complete)
    lab.converge(first)


@covers("A1")
def test_a_listing_in_circles_ends(lab: Lab) -> None:
    """A page token that repeats ends the run: the list would never be complete."""
    lab.add_small(3)
    page = {"data": {"items": [], "next_token": "again"}}
    rule = lab.fault(faults.answer_json(page), service="api", route=ROUTE)
    run = lab.run_unchecked()
    assert not run.success
    assert "again" in run.description
    assert rule.hits <= 3
    lab.converge(run)


@covers("A1")
def test_an_empty_listing_removes_no_more_than_allowed(lab: Lab) -> None:
    """A platform that suddenly lists nothing does not empty the disk."""
    lab.add_small(12)
    first = lab.run()
    lab.fault(
        faults.answer_json({"data": {"items": [], "next_token": None}}), service="api", route=ROUTE
    )
    run = lab.run_unchecked(on_missing="remove", max_removals=5)
    assert not run.success
    lab.expect_latest()
    lab.converge(first)


BAD_RECORDS: dict[str, dict[str, object]] = {
    "type": {"fs_type": "socket"},
    "negative-size": {"size": -1},
    "no-size": {"size": None},
    "size-as-text": {"size": "12"},
    "impossible-size": {"size": 2**63 - 1},
    "user-in-bucket": {"uri": "s3://a@example.com/k"},
    "port-in-bucket": {"uri": "s3://example.com:80/k"},
    "path-as-owner": {"association_id": "../../x"},
    "no-uri": {"uri": None},
    "empty-uri": {"uri": "s3://"},
    "uri-without-scheme": {"uri": "nonsense"},
    "no-version": {"version": None},
}


@covers("A2")
def test_bad_records_are_named(lab: Lab) -> None:
    """A record that cannot be used fails its file alone."""
    lab.add_small(2)
    for path, fields in BAD_RECORDS.items():
        usable: dict[str, object] = {"uri": "s3://bucket/key", "size": 3}
        lab.local.add_record(lab.dataset_id, relative_path=path, **{**usable, **fields})
        lab.listed[path] += 1
    lab.survive(dict.fromkeys(BAD_RECORDS, "BAD_RECORD"), recovers=False)


@covers("A2")
def test_bad_records_may_be_skipped(lab: Lab) -> None:
    """With `on_refused="skip"` they are listed, and the run is good."""
    lab.add_small(2)
    lab.local.add_record(lab.dataset_id, relative_path="bad.bin", uri=None)
    lab.listed["bad.bin"] += 1
    run = lab.run(on_refused="skip")
    assert run.success
    assert run.codes == {"bad.bin": "BAD_RECORD"}


@covers("A3")
def test_a_link_that_leads_nowhere_is_named(lab: Lab) -> None:
    """A link to a version that is not there fails alone."""
    lab.add_small(2)
    lab.add("target.bin", SMALL)
    target = lab.local.record(lab.dataset_id, "target.bin")["file_id"]
    for name, version in (("dangling.bin", 77), ("good.bin", 1)):
        lab.local.add_link(lab.dataset_id, name, target, target_version=version)
        lab.listed[name] += 1
    lab.versions["good.bin"] = [SMALL]
    lab.survive({"dangling.bin": "NOT_FOUND"}, recovers=False)


@covers("A1")
def test_the_platform_is_asked_again(lab: Lab) -> None:
    """A listing that fails once is repeated by the client, as far as `max_attempts` goes."""

    def is_listing(request: Request) -> bool:
        return request.route.endswith("/files/query")

    lab.add_small(2)
    rule = lab.fault(faults.refuse(), service="api", when=is_listing, times=1)
    lab.api_attempts = 2
    lab.survive()
    assert rule.hits == 1


def listing(*records: dict[str, Any]) -> faults.Fault:
    """Answer a listing with these records."""
    page = {"data": {"items": records, "next_token": None}}
    return faults.answer(json.dumps(page, default=str), content_type="application/json")


@covers("A4")
@pytest.mark.parametrize("status", ["reserved", None])
def test_only_what_is_really_gone_is_removed(lab: Lab, status: str | None) -> None:
    """One file is deleted, and another is not listed for a moment: the first alone is removed."""
    paths = lab.add_small(4)
    lab.run()
    records = [lab.local.record(lab.dataset_id, path) for path in paths]
    lab.local.remove_file(lab.dataset_id, paths[0])
    kept = [] if status is None else [{**records[1], "status": status}]
    lab.fault(listing(*kept, *records[2:]), service="api", route=ROUTE, times=1)
    run = lab.run_unchecked(on_missing="remove")
    on_disk = {path.name for path in lab.destination.rglob("*.bin")}
    assert run.success
    assert on_disk == {path.rpartition("/")[2] for path in paths[1:]}


@covers("A5")
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param(
            faults.answer("<html>shop</html>", status=404), "not the Roboto API", id="html"
        ),
        pytest.param(
            faults.answer("404 page not found", status=404), "not the Roboto API", id="text"
        ),
        pytest.param(
            faults.answer("", status=302, headers={"Location": "http://localhost:9/x"}),
            "redirects to http://localhost:9",
            id="redirect",
        ),
    ],
)
def test_another_server_is_named_and_nothing_is_removed(
    lab: Lab, fault: faults.Fault, text: str
) -> None:
    """Whatever else stands at the endpoint changes nothing on disk."""
    lab.add_small(3)
    lab.run()
    lab.fault(fault, service="api")
    run = lab.run_unchecked(on_missing="remove")
    assert not run.success
    assert text in run.description
    assert f"{lab.local.api_url} (set by RobotoResource.endpoint)" in run.description
    assert len(list(lab.destination.rglob("*.bin"))) == 3


@covers("A6")
def test_an_api_that_trickles_ends(lab: Lab) -> None:
    """A byte now and then is no progress."""
    lab.add_small(1)
    lab.fault(faults.trickle(bytes_per_second=20), service="api")
    lab.api_timeout_seconds = 0.2
    started = time.monotonic()
    run = lab.run_unchecked()
    assert not run.success
    assert time.monotonic() - started < 10
    assert "the Roboto API cannot be reached" in run.description


@covers("A7")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.refuse(), id="reset"),
        pytest.param(faults.truncate(after_bytes=0), id="closed-after-the-head"),
    ],
)
def test_a_connection_that_the_api_closes_costs_nothing(lab: Lab, fault: faults.Fault) -> None:
    """The second of three pages meets it, and comes over another connection."""
    lab.add_small(25)  # three pages
    lab.api_attempts = 1 if fault.name == "refuse" else 2
    rule = lab.fault(fault, service="api", route=ROUTE, after=1, times=1)
    run = lab.run()
    assert (run.success, rule.hits) == (True, 1)


@covers("A8")
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("seconds", "succeeds"), [("0", True), ("3600", False)])
def test_an_api_that_throttles_is_waited_for(
    lab: Lab, status: int, seconds: str, *, succeeds: bool
) -> None:
    """As long as it asks for, within reason: an hour is none, and the run says so at once."""
    lab.add_small(25)
    lab.api_attempts = 2
    throttle = faults.answer(b"{}", status=status, headers={"Retry-After": seconds})
    rule = lab.fault(throttle, service="api", route=ROUTE, times=1)
    run = lab.run_unchecked()
    assert (run.success, rule.hits) == (succeeds, 1)
    lab.converge(run)
