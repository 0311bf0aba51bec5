"""How a scope's files are listed: page by page, links resolved, bad records named."""

import datetime as dt
import threading
from typing import Any

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.files import FileListing, RemoteFile, is_gone
from roboto_dagster.platform.scope import Scope
from roboto_dagster.testing import LocalRoboto, faults

QUERY = "/v1/datasets/*/files/query"


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """An empty dataset."""
    return local.add_dataset("flight")


def listed(local: LocalRoboto, dataset_id: str, **scope: Any) -> list[RemoteFile]:
    """List a dataset to its end."""
    client = local.client(max_attempts=1)
    return list(FileListing(client, Scope(dataset_id=dataset_id, **scope)))


def paths(files: list[RemoteFile]) -> list[str]:
    """Return the paths, sorted."""
    return sorted(file.relative_path for file in files)


def record(**changes: Any) -> dict[str, Any]:
    """Return a good record but for some changes."""
    good = {
        "file_id": "fl_1",
        "relative_path": "a.mcap",
        "size": 5,
        "version": 1,
        "uri": "s3://b/a.mcap",
        "association_id": "ds_1",
    }
    return {**good, **changes}


def page(*records: Any, next_token: Any = None) -> faults.Fault:
    """Answer with a page of these records."""
    return faults.answer_json({"data": {"items": list(records), "next_token": next_token}})


def test_a_file_has_what_the_platform_records(local: LocalRoboto, dataset_id: str) -> None:
    """Every field of the record that a sync needs."""
    file_id = local.add_file(dataset_id, "logs/a.mcap", b"bytes", bucket="b", key="k", version=4)
    assert listed(local, dataset_id) == [
        RemoteFile(
            file_id=file_id,
            version=4,
            relative_path="logs/a.mcap",
            size_bytes=5,
            uri="s3://b/k",
            association_id=dataset_id,
        )
    ]


def test_all_pages_are_read(local: LocalRoboto, dataset_id: str) -> None:
    """A listing of three pages is three requests, and every file once."""
    for number in range(25):
        local.add_record(dataset_id, relative_path=f"{number:02}", uri="s3://b/k")
    local.requests.clear()
    assert paths(listed(local, dataset_id)) == [f"{number:02}" for number in range(25)]
    assert local.requests.count(route=QUERY) == 3


def test_pages_are_asked_for_as_they_are_needed(local: LocalRoboto, dataset_id: str) -> None:
    """A listing is never all in memory: the second page waits until the first is used."""
    for number in range(25):
        local.add_record(dataset_id, relative_path=f"{number:02}", uri="s3://b/k")
    local.requests.clear()
    next(iter(FileListing(local.client(), Scope(dataset_id=dataset_id))))
    assert local.requests.count(route=QUERY) == 1


def test_patterns_go_to_the_platform(local: LocalRoboto, dataset_id: str) -> None:
    """The platform is asked for no more than is wanted."""
    listed(local, dataset_id, include_patterns=("*.mcap",), exclude_patterns=("tmp/",))
    (asked,) = local.requests.matching(route=QUERY)
    assert b'"include_patterns":["*.mcap"]' in asked.body
    assert b'"exclude_patterns":["tmp/"]' in asked.body


def test_patterns_are_checked_again(local: LocalRoboto, dataset_id: str) -> None:
    """A platform that matches more loosely than Git does not add files."""
    answer = page(record(relative_path="axb"), record(relative_path="a_b", file_id="fl_2"))
    local.faults.add(answer, route=QUERY)
    assert paths(listed(local, dataset_id, include_patterns=("a_b",))) == ["a_b"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"fs_type": "directory"}, id="a-directory"),
        pytest.param({"status": "reserved"}, id="not-yet-uploaded"),
        pytest.param({"status": "deleted"}, id="deleted"),
    ],
)
def test_what_is_no_file_is_left_out(
    local: LocalRoboto, dataset_id: str, changes: dict[str, Any]
) -> None:
    """Directories and files that are not there are nobody's failure."""
    local.faults.add(page(record(**changes)), route=QUERY)
    assert listed(local, dataset_id) == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(None, id="nothing"),
        pytest.param("text", id="text"),
        pytest.param({}, id="empty"),
        pytest.param(record(file_id=None), id="no-id"),
        pytest.param(record(file_id=5), id="number-as-id"),
        pytest.param(record(file_id="fl_\ud800"), id="broken-unicode-as-id"),
        pytest.param(record(relative_path=""), id="no-path"),
        pytest.param(record(relative_path=["a"]), id="list-as-path"),
        pytest.param(record(uri=None), id="no-uri"),
        pytest.param(record(uri="a.mcap"), id="no-scheme"),
        pytest.param(record(uri="s3://b"), id="no-key"),
        pytest.param(record(uri="s3:///k"), id="no-bucket"),
        pytest.param(record(uri="s3://../k"), id="dots-as-bucket"),
        pytest.param(record(uri="s3://a@evil.com/k"), id="user-in-bucket"),
        pytest.param(record(uri="s3://evil.com:80/k"), id="port-in-bucket"),
        pytest.param(record(uri="s3://evil.com?x=/k"), id="query-in-bucket"),
        pytest.param(record(uri="s3://evil.com#/k"), id="fragment-in-bucket"),
        pytest.param(record(uri="s3://a b/k"), id="space-in-bucket"),
        pytest.param(record(uri="s3://arn:aws:s3:::a@b/k"), id="odd-arn"),
        pytest.param(record(uri="://b/k"), id="empty-scheme"),
        pytest.param(record(uri="a b://b/k"), id="odd-scheme"),
        pytest.param(record(association_id="../../x"), id="path-as-association"),
        pytest.param(record(file_id="fl_1/../x"), id="path-as-id"),
        pytest.param(record(size=None), id="no-size"),
        pytest.param(record(size=-1), id="negative-size"),
        pytest.param(record(size="5"), id="size-as-text"),
        pytest.param(record(size=True), id="size-as-truth"),
        pytest.param(record(size=2**64), id="enormous-size"),
        pytest.param(record(size=2**63 - 1), id="largest-integer-as-size"),
        pytest.param(record(version=2**63), id="enormous-version"),
        pytest.param(record(version=None), id="no-version"),
        pytest.param(record(version=1.5), id="half-a-version"),
        pytest.param(record(association_id=None), id="nobodys"),
        pytest.param(record(fs_type="socket"), id="unknown-kind"),
    ],
)
def test_a_bad_record_is_named_and_costs_no_other(
    local: LocalRoboto, dataset_id: str, bad: Any
) -> None:
    """A record that cannot be used comes with a code; the rest of the listing is as it was."""
    local.faults.add(page(bad, record(file_id="fl_good")), route=QUERY)
    first, second = listed(local, dataset_id)
    assert (first.code, second.code, second.file_id) == ("BAD_RECORD", None, "fl_good")
    assert (first.reason or "").startswith("the platform's record is unusable: ")


def test_unknown_fields_do_not_matter(local: LocalRoboto, dataset_id: str) -> None:
    """A newer platform may send more."""
    local.faults.add(page(record(colour="blue")), route=QUERY)
    assert [file.code for file in listed(local, dataset_id)] == [None]


@pytest.mark.parametrize(
    "uri",
    [
        "s3://UPPER_case.legacy/k",
        "s3://bucket/../../etc",
        "s3://bucket/a\r\nX-Injected: 1",
        "s3://arn:aws:s3:us-west-2:123456789012:accesspoint:ap/k",
        "s3://bucket/a@b?c#d",
    ],
)
def test_unusual_uris_are_no_bad_records(local: LocalRoboto, dataset_id: str, uri: str) -> None:
    """Older buckets, access points and any key are what a store may hold."""
    local.faults.add(page(record(uri=uri)), route=QUERY)
    assert [(file.code, file.uri) for file in listed(local, dataset_id)] == [(None, uri)]


def test_a_file_is_listed_once_although_pages_shift(local: LocalRoboto, dataset_id: str) -> None:
    """A file that is added meanwhile pushes the last of a page to the next one."""
    first = page(record(file_id="fl_2", relative_path="2"), record(), next_token="p2")
    second = page(record(), record(file_id="fl_0", relative_path="0"))
    local.faults.add(first, route=QUERY, times=1)
    local.faults.add(second, route=QUERY)
    assert [file.file_id for file in listed(local, dataset_id)] == ["fl_2", "fl_1", "fl_0"]


def test_files_of_one_id_are_all_listed(local: LocalRoboto, dataset_id: str) -> None:
    """A renamed file, or a record with another's id, takes no file out of the listing."""
    both = record(), record(relative_path="b.mcap")
    local.faults.add(page(*both), route=QUERY)
    assert paths(listed(local, dataset_id)) == ["a.mcap", "b.mcap"]


def test_a_file_that_was_changed_while_pages_shift_comes_with_its_new_version(
    local: LocalRoboto, dataset_id: str
) -> None:
    """The later answer is the newer one."""
    local.faults.add(page(record(), next_token="p2"), route=QUERY, times=1)
    local.faults.add(page(record(version=2)), route=QUERY)
    assert [file.version for file in listed(local, dataset_id)] == [1, 2]


def test_other_stores_uris_are_taken_as_they_are(local: LocalRoboto, dataset_id: str) -> None:
    """A scheme that a user's store may serve is no bad record."""
    local.faults.add(page(record(uri="gs://bucket/a#b?c")), route=QUERY)
    (file,) = listed(local, dataset_id)
    assert (file.code, file.uri, file.bucket_name) == (None, "gs://bucket/a#b?c", "bucket")


# --- what breaks a listing ---


def test_a_looping_token_is_noticed(local: LocalRoboto, dataset_id: str) -> None:
    """A platform that repeats a page would be asked for ever."""
    local.faults.add(page(record(), next_token="again"), route=QUERY)
    with pytest.raises(PlatformError, match=r"repeats page 'again'.*incomplete") as caught:
        listed(local, dataset_id)
    assert caught.value.transient
    assert local.requests.count(route=QUERY) == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.status(500), id="server-error"),
        pytest.param(faults.refuse(), id="reset"),
        pytest.param(faults.truncate(after_bytes=20), id="cut"),
        pytest.param(faults.answer("<html>proxy</html>"), id="html"),
        pytest.param(faults.answer_json({"data": {}}), id="no-items"),
        pytest.param(faults.answer_json({"data": {"items": []}}), id="no-token"),
        pytest.param(faults.answer_json({"data": {"items": 5, "next_token": None}}), id="number"),
        pytest.param(page(record(), next_token={"a": 1}), id="mad-token"),
    ],
)
def test_a_page_that_breaks_is_one_error(
    local: LocalRoboto, dataset_id: str, fault: faults.Fault
) -> None:
    """A listing that cannot be read to its end is an error that names the dataset."""
    for number in range(15):
        local.add_record(dataset_id, relative_path=f"{number:02}", uri="s3://b/k")
    local.faults.add(fault, route=QUERY, after=1, times=2)  # a connection that was idle is forgiven
    with pytest.raises(PlatformError, match=f"listing the files of {dataset_id}"):
        listed(local, dataset_id)


# --- links ---


def test_a_link_resolves_to_its_targets_object(local: LocalRoboto, dataset_id: str) -> None:
    """Id and path are the link's; object, size and owner are the target's."""
    other = local.add_dataset("other")
    target = local.add_file(other, "target.mcap", b"bytes", bucket="b", key="k")
    link = local.add_link(dataset_id, "link.mcap", target)
    assert listed(local, dataset_id) == [
        RemoteFile(
            file_id=link,
            version=1,
            relative_path="link.mcap",
            size_bytes=5,
            uri="s3://b/k",
            association_id=other,
        )
    ]


def test_a_link_is_pinned_to_a_version(local: LocalRoboto, dataset_id: str) -> None:
    """A link to an older version resolves to that one, where it still has an object of its own."""
    other = local.add_dataset("other")
    target = local.add_file(other, "target.mcap", b"old", key="old")
    local.add_link(dataset_id, "link.mcap", target)
    local.replace_file(other, "target.mcap", b"newer", key="new")
    (file,) = listed(local, dataset_id)
    assert (file.size_bytes, file.uri) == (3, "s3://roboto-managed/old")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(faults.status(404), "NOT_FOUND", id="gone"),
        pytest.param(faults.status(403), "ACCESS_DENIED", id="not-ours-to-see"),
        pytest.param(faults.status(400), "BAD_RECORD", id="rejected"),
        pytest.param(faults.answer_json({"data": {}}), "BAD_RECORD", id="bad-target"),
        pytest.param(
            faults.answer_json({"data": record(status="deleted")}), "NOT_FOUND", id="deleted"
        ),
        pytest.param(
            faults.answer_json({"data": record(fs_type="link", uri="roboto://file/fl_9")}),
            "BAD_RECORD",
            id="a-link-itself",
        ),
    ],
)
def test_a_link_without_target_costs_no_other_file(
    local: LocalRoboto, dataset_id: str, fault: faults.Fault, code: str
) -> None:
    """What is wrong with one link's target is that file's failure."""
    local.add_record(
        dataset_id, relative_path="link", fs_type="link", uri="roboto://file/fl_none?v=1"
    )
    local.add_record(dataset_id, relative_path="good", uri="s3://b/k")
    local.faults.add(fault, route="/v1/files/record/*")
    found = {file.relative_path: file.code for file in listed(local, dataset_id)}
    assert found == {"link": code, "good": None}


def test_a_target_that_cannot_be_asked_for_now_breaks_the_listing(
    local: LocalRoboto, dataset_id: str
) -> None:
    """A transient failure is no verdict about the link."""
    local.add_record(dataset_id, relative_path="link", fs_type="link", uri="roboto://file/fl_1?v=1")
    local.faults.add(faults.status(503), route="/v1/files/record/*")
    with pytest.raises(PlatformError, match="resolving the link to fl_1"):
        listed(local, dataset_id)


def test_only_wanted_links_are_resolved(local: LocalRoboto, dataset_id: str) -> None:
    """Neither pattern nor window lets the others cost a request, or fail the listing."""
    links = [
        record(
            file_id=f"fl_link{number}",
            relative_path=f"links/{number}",
            fs_type="link",
            uri=f"roboto://file/fl_{number}?v=1",
            created="2026-01-01T00:00:00Z",
        )
        for number in range(5)
    ]
    local.faults.add(page(*links, record()), route=QUERY)
    local.faults.add(faults.status(503), route="/v1/files/record/*")
    assert paths(listed(local, dataset_id, exclude_patterns=("links/",))) == ["a.mcap"]
    later = dt.datetime(2026, 2, 1, tzinfo=dt.timezone.utc)
    assert paths(listed(local, dataset_id, created_from=later)) == ["a.mcap"]
    assert local.requests.count(route="/v1/files/record/*") == 0


def test_links_are_resolved_side_by_side_and_each_target_once(
    local: LocalRoboto, dataset_id: str
) -> None:
    """Thirty links to three files are three requests under way together; the order stays."""
    other = local.add_dataset("other")
    targets = [local.add_file(other, f"{number}", b"x", key=f"k{number}") for number in range(3)]
    links = [
        record(
            file_id=f"fl_link{number}",
            relative_path=f"{number:02}",
            fs_type="link",
            uri=f"roboto://file/{targets[number % 3]}?v=1",
        )
        for number in range(30)
    ]
    local.faults.add(page(*links), route=QUERY)
    together = threading.Barrier(3, timeout=60)
    local.faults.add(faults.call(together.wait), route="/v1/files/record/*")
    files = listed(local, dataset_id)
    assert [file.relative_path for file in files] == [f"{number:02}" for number in range(30)]
    assert {file.uri for file in files} == {f"s3://roboto-managed/k{number}" for number in range(3)}
    assert local.requests.count(route="/v1/files/record/*") == 3


@pytest.mark.parametrize(
    "uri",
    [
        "roboto://file/",
        "roboto://dataset/ds_1",
        "roboto://file/a/b",
        "roboto://file/../x",
        "roboto://[file/fl_1",
        "https://file/fl_1",
        "s3://b/k",
    ],
)
def test_a_link_to_anything_else_is_a_bad_record(
    local: LocalRoboto, dataset_id: str, uri: str
) -> None:
    """Only files can be linked to, and nothing else is asked for."""
    local.add_record(dataset_id, relative_path="link", fs_type="link", uri=uri)
    local.requests.clear()
    assert [file.code for file in listed(local, dataset_id)] == ["BAD_RECORD"]
    assert local.requests.count(route="/v1/files/record/*") == 0


# --- what a listing lacks ---


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, False, id="there"),
        pytest.param({"status": "reserved"}, False, id="not-available-just-now"),
        pytest.param({"version": 9, "size": 9}, False, id="replaced"),
        pytest.param({"status": "deleted"}, True, id="deleted"),
        pytest.param({"relative_path": "b.mcap"}, True, id="renamed"),
        pytest.param({"association_id": "ds_2"}, True, id="moved"),
    ],
)
def test_only_a_record_that_is_deleted_is_gone(
    local: LocalRoboto, changes: dict[str, Any], *, expected: bool
) -> None:
    """What a listing lacks may be there all the same: its record decides."""
    local.faults.add(faults.answer_json({"data": record(**changes)}), route="/v1/files/record/*")
    assert is_gone(local.client(), "ds_1", "fl_1", "a.mcap") is expected


def test_a_record_that_is_not_there_is_gone(local: LocalRoboto) -> None:
    """The platform knows no such file."""
    assert is_gone(local.client(), "ds_1", "fl_none", "a.mcap")


def test_a_platform_that_cannot_be_asked_proves_nothing(local: LocalRoboto) -> None:
    """Neither an outage nor a missing right is a deletion."""
    for status in (503, 403):
        local.faults.add(faults.status(status), route="/v1/files/record/*", times=1)
        with pytest.raises(PlatformError, match="looking up file fl_1"):
            is_gone(local.client(max_attempts=1), "ds_1", "fl_1", "a.mcap")
