"""Pages of files, of which only unusual records are looked at by themselves."""

import json
from typing import Any

import pytest

from roboto_dagster.platform.file_pages import parse_file_page
from roboto_dagster.platform.records import RemoteFile
from tests.platform.test_records import RECORD, WRONG

FILE = RemoteFile("fl_1", 3, "a/b.mcap", 5, "s3://bucket/key", "ds_1")


def body(*records: Any, **changes: Any) -> bytes:
    """Return a page as the platform sends it."""
    return json.dumps({"data": {"items": records, "next_token": None, **changes}}).encode()


def test_a_page_of_plain_records_is_files() -> None:
    """Fields that nobody asks for do not matter, whatever they are."""
    other = {**RECORD, "relative_path": "ä", "metadata": {"a": [1]}, "created": 5}
    found = parse_file_page(body(RECORD, other, next_token="2"), "ds_1")
    assert found == ([FILE, FILE._replace(relative_path="ä")], "2", None)


@pytest.mark.parametrize(
    ("org_ids", "expected"), [([5, "a b", "og_1"], "og_1"), ([None, ""], None)]
)
def test_the_organization_comes_with_the_records(org_ids: list[Any], expected: str | None) -> None:
    """The first that can be one is taken, of records of the dataset itself."""
    records = [{**RECORD, "org_id": each} for each in org_ids]
    foreign = {**RECORD, "association_id": "ds_2", "org_id": "og_2"}
    found = parse_file_page(body(foreign, *records), "ds_1")
    assert found is not None
    assert found.org_id == expected


@pytest.mark.parametrize(
    "change", [*WRONG, {"fs_type": "link"}, {"status": "reserved"}, {"uri": "gs://b/k"}], ids=repr
)
def test_an_unusual_record_is_looked_at_by_itself(change: dict[str, Any]) -> None:
    """It comes as it was sent, between files: the quick look lets nothing pass that the closer one finds."""
    unusual = {**RECORD, **change}
    found = parse_file_page(body(RECORD, unusual, RECORD), "ds_1")
    assert found is not None
    assert found.records == [FILE, unusual, FILE]


@pytest.mark.parametrize("name", RECORD)
def test_a_record_without_a_field_is_a_file_if_it_has_a_default(name: str) -> None:
    """As in the platform's own SDK, what has no kind is a file, and what has no status is available."""
    record = {key: value for key, value in RECORD.items() if key != name}
    found = parse_file_page(body(record), "ds_1")
    assert found is not None
    assert found.records == [FILE if name in ("fs_type", "status") else record]


@pytest.mark.parametrize("value", [None, 1, "text", [], [RECORD]], ids=repr)
def test_what_is_no_record_is_looked_at_by_itself(value: Any) -> None:
    """A page may hold anything."""
    found = parse_file_page(body(value, {**RECORD, "org_id": "og_1"}), "ds_1")
    assert found == ([value, FILE], None, "og_1")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": []}',
        b'{"data": {"items": []}}',
        body(next_token=5),
        body(RECORD).replace(b"b.mcap", b"\xff"),
        body({**RECORD, "relative_path": "\ud800"}),
    ],
)
def test_a_page_that_is_none_is_left_to_the_closer_look(answer: bytes) -> None:
    """It has the words for what is wrong."""
    assert parse_file_page(answer, "ds_1") is None
