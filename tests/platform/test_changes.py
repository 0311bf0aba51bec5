"""Pages of what has changed on the platform."""

import datetime as dt
from collections.abc import Iterator

import pytest

from roboto_dagster import ConfigurationError, PlatformError
from roboto_dagster.platform.changes import ChangeQueries
from roboto_dagster.platform.pages import PageRequest, query_page, query_records
from roboto_dagster.platform.queries import where
from roboto_dagster.testing import LocalRoboto, faults

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def small() -> Iterator[LocalRoboto]:
    """A platform of this test's own, with two records on a page."""
    with LocalRoboto(page_size=2) as local:
        yield local


def test_datasets_come_oldest_change_first(small: LocalRoboto) -> None:
    """Since a time, and page by page."""
    ids = [small.add_dataset(created=NOON, modified=NOON - n * HOUR) for n in range(4)]
    queries = ChangeQueries(client=small.client())
    first = queries.datasets(None, NOON - 2 * HOUR)
    second = queries.datasets(None, NOON - 2 * HOUR, first.next_token)
    found = [each.dataset_id for page in (first, second) for each in page.changes]
    assert found == [ids[2], ids[1], ids[0]]
    assert second.next_token is None


def test_files_bring_what_identifies_a_change(small: LocalRoboto) -> None:
    """Id, dataset, version, and when it was created and changed."""
    dataset_id = small.add_dataset()
    file_id = small.add_file(dataset_id, "a.bin", b"a", created=NOON - HOUR, modified=NOON)
    (change,) = ChangeQueries(client=small.client()).files(None, NOON).changes
    assert (change.file_id, change.dataset_id, change.version) == (file_id, dataset_id, "1")
    assert (change.created, change.modified) == (NOON - HOUR, NOON)


def test_oldest_file_of_a_dataset(small: LocalRoboto) -> None:
    """The one that was created first, of those that fit."""
    dataset_id = small.add_dataset()
    for hours in (3, 1, 2):
        created = NOON - hours * HOUR
        small.add_file(dataset_id, f"{hours}.bin", b"a", created=created)
    queries = ChangeQueries(client=small.client())
    later = where("created", "GREATER_THAN_OR_EQUAL", NOON - 2 * HOUR)
    found = queries.oldest_file(dataset_id, later)
    assert found is not None
    assert found.created == NOON - 2 * HOUR
    assert queries.oldest_file(dataset_id, where("created", "GREATER_THAN", NOON)) is None
    assert queries.has_files(dataset_id, later)
    assert not queries.has_files("ds_none")


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"dataset_id": "ds_bad"},
        {
            "dataset_id": "ds_bad",
            "created": NOON.isoformat(),
            "modified": "0001-01-01T00:00:00+14:00",
        },
        {"dataset_id": "ds_bad", "created": NOON.isoformat(), "modified": "2026-11-01"},
        "text",
        None,
        7,
    ],
)
def test_record_that_cannot_be_read_is_left_out(small: LocalRoboto, record: object) -> None:
    """Whatever it is, the others are read."""
    good = {"dataset_id": "ds_a", "created": NOON.isoformat(), "modified": NOON.isoformat()}
    payload = {"data": {"items": [record, good], "next_token": None}}
    small.faults.add(faults.answer_json(payload), route="/v1/datasets/query")
    page = ChangeQueries(client=small.client()).datasets(None, None)
    assert [each.dataset_id for each in page.changes] == ["ds_a"]
    assert len(page.unreadable) == 1


def test_time_of_the_answer_is_the_platforms(small: LocalRoboto) -> None:
    """The `Date` of the answer, in whatever case; None where it is missing or nonsense."""
    request = PageRequest(resource="datasets")
    for header, value, time in [
        ("Date", "Sun, 01 Nov 2026 12:00:00 GMT", NOON),
        ("date", "Sun, 01 Nov 2026 12:00:00 GMT", NOON),
        ("Date", "yesterday", None),
        ("Date", "", None),
    ]:
        small.faults.clear()
        small.faults.add(faults.set_headers({header: value}), route="/v1/datasets/query")
        assert query_page(small.client(), request).answered_at == time


def test_stand_in_answers_with_the_time_of_its_clock() -> None:
    """A test that moves the platform's clock moves what sensors take for its time."""
    with LocalRoboto(clock=lambda: NOON) as local:
        page = query_page(local.client(), PageRequest(resource="files"))
    assert page.answered_at == NOON


def test_all_pages_are_read(small: LocalRoboto) -> None:
    """To the end; a platform that repeats a page is an error."""
    for _ in range(5):
        small.add_dataset()
    request = PageRequest(resource="datasets")
    assert len(list(query_records(small.client(), request))) == 5
    payload = {"data": {"items": [], "next_token": "again"}}
    small.faults.add(faults.answer_json(payload), route="/v1/datasets/query")
    with pytest.raises(PlatformError, match="repeats page 'again'"):
        list(query_records(small.client(), request))


def test_query_that_the_sdk_refuses(small: LocalRoboto) -> None:
    """Before a request is sent, with the reason."""
    request = PageRequest(resource="files", query={"field": "x", "comparator": "HAS", "value": 1})
    with pytest.raises(ConfigurationError, match="does not know the query"):
        query_page(small.client(), request)
