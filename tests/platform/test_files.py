"""How a scope's files are listed: page by page, links resolved, bad records named."""

from typing import Any

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.files import RemoteFile, list_files
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
    return list(list_files(client, Scope(dataset_id=dataset_id, **scope)))


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


def test_a_file_has_what_the_platform_says(local: LocalRoboto, dataset_id: str) -> None:
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
    next(list_files(local.client(), Scope(dataset_id=dataset_id)))
    assert local.requests.count(route=QUERY) == 1


def test_patterns_go_to_the_platform(local: LocalRoboto, dataset_id: str) -> None:
    """The platform is asked for no more than is wanted."""
    listed(local, dataset_id, include_patterns=("*.mcap",), exclude_patterns=("tmp/",))
    (asked,) = local.requests.matching(route=QUERY)
    assert b'"include_patterns":["*.mcap"]' in asked.body
    assert b'"exclude_patterns":["tmp/"]' in asked.body


def test_patterns_are_checked_again(local: LocalRoboto, dataset_id: str) -> None:
    """A platform that matches more loosely than Git does not bring more files."""
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
        pytest.param(record(size=None), id="no-size"),
        pytest.param(record(size=-1), id="negative-size"),
        pytest.param(record(size="5"), id="size-as-text"),
        pytest.param(record(size=True), id="size-as-truth"),
        pytest.param(record(size=2**64), id="enormous-size"),
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
    """A newer platform may tell more."""
    local.faults.add(page(record(colour="blue")), route=QUERY)
    assert [file.code for file in listed(local, dataset_id)] == [None]


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
    local.faults.add(fault, route=QUERY, after=1, times=1)
    with pytest.raises(PlatformError, match=f"listing the files of {dataset_id}"):
        listed(local, dataset_id)


# --- links ---


def test_a_link_brings_its_targets_object(local: LocalRoboto, dataset_id: str) -> None:
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
    """A link to an older version brings that one, where it still has an object of its own."""
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
        pytest.param(faults.status(400), "BAD_RECORD", id="refused"),
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
    local.add_record(dataset_id, relative_path="whole", uri="s3://b/k")
    local.faults.add(fault, route="/v1/files/record/*")
    found = {file.relative_path: file.code for file in listed(local, dataset_id)}
    assert found == {"link": code, "whole": None}


def test_a_target_that_cannot_be_asked_for_now_breaks_the_listing(
    local: LocalRoboto, dataset_id: str
) -> None:
    """A transient failure is no verdict about the link."""
    local.add_record(dataset_id, relative_path="link", fs_type="link", uri="roboto://file/fl_1?v=1")
    local.faults.add(faults.status(503), route="/v1/files/record/*")
    with pytest.raises(PlatformError, match="resolving the link to fl_1"):
        listed(local, dataset_id)


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
