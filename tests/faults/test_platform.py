"""A1 to A3: listings that fail, and records that make no sense."""

import pytest

from roboto_dagster.testing import faults
from roboto_dagster.testing.server.http import Request
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
    lab.listed.update(path for path in first.whole)
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
    lab.survive(dict.fromkeys(BAD_RECORDS, "BAD_RECORD"), heals=False)


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
    lab.survive({"dangling.bin": "NOT_FOUND"}, heals=False)


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
