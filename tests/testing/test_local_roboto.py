"""`LocalRoboto` under the unchanged SDK, and what it hands out."""

import gc
import os
import socket
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from roboto import Dataset, File, RobotoClient, RobotoSearch
from roboto.exceptions import (
    RobotoInvalidRequestException,
    RobotoNotFoundException,
    RobotoUnauthorizedException,
)
from roboto.query import Comparator, Condition, ConditionGroup, QuerySpecification, SortDirection

from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.server.moto_objects import StoredKey
from roboto_dagster.testing.server.records import split_uri


def test_dataset_from_id(local: LocalRoboto, client: RobotoClient) -> None:
    """A dataset is found by its id, with everything that was recorded of it."""
    dataset_id = local.add_dataset("flight", tags=["sunny"], metadata={"pilot": "Ada"})
    dataset = Dataset.from_id(dataset_id, client)
    assert (dataset.name, dataset.tags, dataset.metadata) == ("flight", ["sunny"], {"pilot": "Ada"})


def test_unknown_dataset(client: RobotoClient) -> None:
    """A dataset that is not there is the SDK's own not-found error."""
    with pytest.raises(RobotoNotFoundException, match="ds_missing"):
        Dataset.from_id("ds_missing", client)


def test_wrong_api_key(local: LocalRoboto, dataset_id: str) -> None:
    """Another API key is refused."""
    local.api_key = "another"
    with pytest.raises(RobotoUnauthorizedException):
        Dataset.from_id(dataset_id, local.client())


def test_list_files_walks_all_pages() -> None:
    """A listing longer than a page comes complete, newest first."""
    with LocalRoboto(page_size=2) as local:
        dataset_id = local.add_dataset()
        start = datetime(2026, 1, 1, tzinfo=timezone.utc)
        for hour in range(5):
            local.add_file(dataset_id, f"{hour}.log", created=start + timedelta(hours=hour))
        files = Dataset.from_id(dataset_id, local.client()).list_files()
        assert [file.relative_path for file in files] == [f"{hour}.log" for hour in (4, 3, 2, 1, 0)]
        assert local.requests.count(route="/v1/datasets/*/files/query") == 3


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.mcap"], None, {"a.mcap", "logs/b.mcap"}),
        (["logs/"], None, {"logs/b.mcap", "logs/c.txt"}),
        (["**/*"], ["*.txt"], {"a.mcap", "logs/b.mcap"}),
        (["logs/*", "!logs/c.txt"], None, {"logs/b.mcap"}),
        ([], [], {"a.mcap", "logs/b.mcap", "logs/c.txt"}),
    ],
)
def test_list_files_by_patterns(
    local: LocalRoboto,
    client: RobotoClient,
    dataset_id: str,
    *,
    include: list[str] | None,
    exclude: list[str] | None,
    expected: set[str],
) -> None:
    """Patterns select files as gitignore would."""
    for path in ("a.mcap", "logs/b.mcap", "logs/c.txt"):
        local.add_file(dataset_id, path)
    files = Dataset.from_id(dataset_id, client).list_files(include, exclude)
    assert {file.relative_path for file in files} == expected


def test_list_directories(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """Every folder that a file lies in is listed once."""
    local.add_file(dataset_id, "logs/day 1/a.mcap")
    local.add_file(dataset_id, "logs/b.mcap")
    found = Dataset.from_id(dataset_id, client).files.list_directories()
    assert {directory.relative_path for directory in found} == {"logs", "logs/day 1"}


def test_download_files_from_several_buckets(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, tmp_path: Path
) -> None:
    """Files of one dataset in two buckets arrive, one of them by ranges."""
    big = bytes(range(256)) * 40_000
    local.add_file(dataset_id, "logs/log one #1.mcap", b"small")
    local.add_file(dataset_id, "big.bin", big, bucket="customer-bucket", key="archive/big.bin")
    Dataset.from_id(dataset_id, client).download_files(tmp_path, print_progress=False)
    assert (tmp_path / "logs/log one #1.mcap").read_bytes() == b"small"
    assert (tmp_path / "big.bin").read_bytes() == big
    assert local.requests.count(key="archive/big.bin", method="GET", status=206) == 2


def test_download_follows_links(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, tmp_path: Path
) -> None:
    """A link to an older version of a file in another dataset downloads that version's bytes."""
    other = local.add_dataset("calibrations")
    target = local.add_file(other, "camera.yaml", b"old")
    local.add_link(dataset_id, "calibration.yaml", target, target_version=1)
    local.replace_file(other, "camera.yaml", b"new", key="camera-2.yaml")
    Dataset.from_id(dataset_id, client).download_files(tmp_path, print_progress=False)
    assert (tmp_path / "calibration.yaml").read_bytes() == b"old"


def test_link_to_missing_version(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, tmp_path: Path
) -> None:
    """A link to nothing is the SDK's own not-found error."""
    link = local.add_link(dataset_id, "gone.yaml", "fl_gone", target_version=3)
    with pytest.raises(RobotoNotFoundException, match="link"):
        File.from_id(link, roboto_client=client).download(tmp_path / "gone", print_progress=False)


def test_file_versions(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """Replacing a file makes a new version; the old one can still be asked for."""
    file_id = local.add_file(dataset_id, "a.log", b"one")
    assert local.replace_file(dataset_id, "a.log", b"three") == 2
    assert File.from_id(file_id, roboto_client=client).record.size == 5
    assert File.from_id(file_id, version_id=1, roboto_client=client).record.size == 3


def test_dataset_query(local: LocalRoboto, client: RobotoClient) -> None:
    """Datasets are found by conditions, sorted, over several pages."""
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for day in range(6):
        tags = ["sunny"] if day % 2 else []
        local.add_dataset(str(day), modified=start + timedelta(days=day), tags=tags)
    late = Condition(
        field="modified", comparator=Comparator.GreaterThan, value="2026-01-01T12:00:00Z"
    )
    sunny = Condition(field="tags", comparator=Comparator.Contains, value="sunny")
    spec = QuerySpecification(
        condition=ConditionGroup.and_group(late, sunny),
        limit=2,
        sort_by="modified",
        sort_direction=SortDirection.Ascending,
    )
    assert [found.name for found in Dataset.query(spec, client)] == ["1", "3", "5"]
    assert local.requests.count(route="/v1/datasets/query") == 2


def test_file_query(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """Files are found by conditions across datasets."""
    local.add_file(dataset_id, "a.log", tags=["crash"])
    local.add_file(local.add_dataset(), "b.log")
    spec = QuerySpecification(
        condition=Condition(field="tags", comparator=Comparator.Contains, value="crash")
    )
    assert [file.relative_path for file in File.query(spec, client)] == ["a.log"]


def test_search_by_structured_query(local: LocalRoboto, client: RobotoClient) -> None:
    """The search of the SDK finds datasets by a query specification."""
    local.add_dataset("one")
    local.add_dataset("two")
    spec = QuerySpecification(
        condition=Condition(field="name", comparator=Comparator.Equals, value="two")
    )
    search = RobotoSearch.for_roboto_client(client)
    assert [found.name for found in search.find_datasets(spec)] == ["two"]


def test_roboql_is_refused(client: RobotoClient) -> None:
    """RoboQL is not evaluated, and the answer reports it."""
    with pytest.raises(RobotoInvalidRequestException, match="RoboQL"):
        list(RobotoSearch.for_roboto_client(client).find_datasets("name = 'x'"))


# The SDK reads pydantic's fields in a way that pydantic 2.11 deprecates.
@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")
def test_create_upload_and_download(client: RobotoClient, tmp_path: Path) -> None:
    """What the SDK uploads, small and in parts, it can download again."""
    big = b"0123456789abcdef" * 700_000
    (tmp_path / "in").mkdir()
    (tmp_path / "in/small.txt").write_bytes(b"hello")
    (tmp_path / "in/big.bin").write_bytes(big)
    dataset = Dataset.create(name="mine", roboto_client=client)
    dataset.upload_directory(tmp_path / "in", print_progress=False)
    downloaded = dataset.download_files(tmp_path / "out", print_progress=False)
    assert {record.relative_path for record, _ in downloaded} == {"small.txt", "big.bin"}
    assert (tmp_path / "out/big.bin").read_bytes() == big
    assert (tmp_path / "out/small.txt").read_bytes() == b"hello"


def test_upload_files_overwrites(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, tmp_path: Path
) -> None:
    """Uploading to a path that is taken makes a new version of that file."""
    old = local.add_file(dataset_id, "a.log", b"old")
    (tmp_path / "a.log").write_bytes(b"newer")
    dataset = Dataset.from_id(dataset_id, client)
    uploaded = dataset.upload_files([tmp_path / "a.log"], print_progress=False)
    assert uploaded == {tmp_path / "a.log": old}
    assert local.record(dataset_id, "a.log")["version"] == 2
    assert local.record(dataset_id, "a.log")["size"] == 5


def test_changes_through_the_sdk(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """Metadata, tags and names can be changed and files deleted; a file's version goes up."""
    file_id = local.add_file(dataset_id, "a.log", b"x")
    dataset = Dataset.from_id(dataset_id, client)
    dataset.put_metadata({"pilot": "Ada"})
    dataset.update(name="renamed")
    file = File.from_id(file_id, roboto_client=client)
    file.put_tags(["checked"])
    assert (file.version, file.tags) == (2, ["checked"])
    assert file.rename_file(file_id, "b.log").relative_path == "b.log"
    file.delete()
    assert list(dataset.list_files()) == []
    assert (dataset.metadata, dataset.name) == ({"pilot": "Ada"}, "renamed")


def test_import_of_existing_objects(
    local: LocalRoboto, client: RobotoClient, dataset_id: str
) -> None:
    """An object that is already in a bucket becomes a file without an upload."""
    local.replace_object("customer-bucket", "x/y.bin", b"12345")
    uri = "s3://customer-bucket/x/y.bin"
    file = File.import_one(dataset_id, "y.bin", uri, roboto_client=client)
    assert file.record.size == 5


@pytest.mark.parametrize("uri", ["s3://customer-bucket/gone", "s3://nowhere/x", "gs://b/x"])
def test_import_of_an_absent_object(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, uri: str
) -> None:
    """An object that is not there cannot be imported."""
    local.replace_object("customer-bucket", "x", b"12345")
    with pytest.raises(RobotoInvalidRequestException, match="no object"):
        File.import_one(dataset_id, "y.bin", uri, roboto_client=client)
    assert local.dataset_ids() == [dataset_id]


def test_removed_object(local: LocalRoboto, dataset_id: str, s3: Callable[..., Any]) -> None:
    """A file whose object is gone is still listed, and S3 answers that there is no such key."""
    local.add_file(dataset_id, "a.log", b"x", key="a")
    local.remove_object(dataset_id, "a.log")
    with pytest.raises(ClientError) as caught:
        s3(dataset_id).get_object(Bucket="roboto-managed", Key="a")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    assert local.record(dataset_id, "a.log")["size"] == 1


def test_removed_file(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """A removed file is no longer listed."""
    local.add_file(dataset_id, "a.log", b"x")
    local.remove_file(dataset_id, "a.log")
    assert list(Dataset.from_id(dataset_id, client).list_files()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"relative_path": "../escape"},
        {"relative_path": "a", "size": -1},
        {"relative_path": "a", "uri": None},
        {"relative_path": "a", "fs_type": "hologram"},
        {"relative_path": "a", "association_id": "ds_other"},
    ],
    ids=["unsafe path", "negative size", "null uri", "unknown kind", "foreign association"],
)
def test_raw_records_go_out_as_they_are(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, fields: dict[str, Any]
) -> None:
    """A record that no sane platform would send is sent."""
    local.add_record(dataset_id, **fields)
    sent = client.post(f"v1/datasets/{dataset_id}/files/query", data={}).to_dict(["data"])["items"]
    assert {name: sent[0][name] for name in fields} == fields


def test_a_record_may_lie_about_the_size(
    local: LocalRoboto, client: RobotoClient, dataset_id: str
) -> None:
    """The size in the record can be another than the object's."""
    file_id = local.add_file(dataset_id, "a.log", b"12345", size=7)
    assert File.from_id(file_id, roboto_client=client).record.size == 7


def test_folder_of_datasets(tmp_path: Path) -> None:
    """Each sub-folder is a dataset, loose files are one more, and hidden files are left out."""
    for path in ("one/a.log", "one/deep/b.log", "two/c.log", "loose.log", "one/.hidden"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    with LocalRoboto(tmp_path) as local:
        found = [(name, files) for _, name, files in local.summary()]
        assert found == [("one", 2), ("two", 1), (tmp_path.name, 1)]


def test_folder_keeps_its_ids(tmp_path: Path) -> None:
    """A folder that is served again has the same ids; the version changes with the content alone."""
    (tmp_path / "one").mkdir()
    path = tmp_path / "one/a.log"
    records = []
    for content, seconds in ((b"old", 1_000), (b"new", 1_000), (b"new", 2_000)):
        path.write_bytes(content)
        os.utime(path, (seconds, seconds))
        with LocalRoboto(tmp_path) as local:
            records.append(local.record(local.dataset_ids()[0], "a.log"))
    assert len({record["file_id"] for record in records}) == 1
    old, new, touched = (record["version"] for record in records)
    assert old != new == touched


def ids_of_a_session(**options: Any) -> tuple[str, str]:
    """Return the ids of a dataset and of a file of a new platform."""
    with LocalRoboto(**options) as local:
        dataset_id = local.add_dataset("flight 1")
        return dataset_id, local.add_file(dataset_id, "logs/a.mcap", b"")


def test_each_session_has_its_own_ids() -> None:
    """What one test has delivered is never taken for what the next one adds under the same name."""
    first, second = ids_of_a_session(), ids_of_a_session()
    assert {*first} & {*second} == set()


def test_a_seed_repeats_the_ids() -> None:
    """Two platforms with one seed, on which the same is done, have the same ids."""
    assert ids_of_a_session(seed=1) == ids_of_a_session(seed=1) != ids_of_a_session(seed=2)


def test_a_given_file_id_has_a_version_for_each_content() -> None:
    """The same id with other bytes, in another session, is another version of the file."""
    versions = []
    for content in (b"first", b"other", b"first"):
        with LocalRoboto() as local:
            local.add_dataset("flight", dataset_id="ds_1")
            local.add_file("ds_1", "a", content, file_id="fl_1")
            versions.append(local.record("ds_1", "a")["version"])
    first, other, again = versions
    assert first == again != other


@pytest.mark.parametrize("taken", ["api_port", "s3_port"])
def test_a_taken_port_leaves_nothing_running(taken: str) -> None:
    """If either port is taken, starting fails and no thread or port is kept."""
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ports = {"api_port": 0, "s3_port": 0, taken: port}
        local = LocalRoboto(**ports)
        with pytest.raises(OSError, match="in use"):
            local.start()
    assert set(threading.enumerate()) <= before
    other = int(local.s3_url.rpartition(":")[2])
    if taken == "api_port":  # the S3 server was started first
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", other), timeout=60)


def test_it_can_be_started_again() -> None:
    """A platform that was stopped starts again, empty of objects."""
    local = LocalRoboto()
    for name in ("first", "second"):
        with local:
            dataset_id = local.add_dataset(name)
            local.add_file(dataset_id, "a", b"x")
            assert len(list(Dataset.from_id(dataset_id, local.client()).list_files())) == 1


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A folder that is not there is an error that names it."""
    with pytest.raises(NotADirectoryError, match="nowhere"), LocalRoboto(tmp_path / "nowhere"):
        pass


# Dagster 1.13 reads the fields of nested resources by pydantic's old name.
@pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
def test_resources(local: LocalRoboto) -> None:
    """The Dagster resources that it hands out lead to it."""
    resources = local.resources()
    assert sorted(resources) == ["object_store", "roboto"]
    assert resources["object_store"].endpoint_url == local.s3_url
    assert (resources["roboto"].api_key, resources["roboto"].endpoint) == (
        local.api_key,
        local.api_url,
    )


def test_use_before_start() -> None:
    """Before it runs, an error asks to start it."""
    with pytest.raises(RuntimeError, match="start"):
        LocalRoboto().expire_credentials()


def test_instances_share_nothing() -> None:
    """Two platforms may have the same bucket, key and dataset with different bytes."""
    with LocalRoboto() as one, LocalRoboto() as two:
        for local, data in ((one, b"one"), (two, b"two")):
            local.add_file(local.add_dataset(dataset_id="ds_same"), "a", data, key="same")
        assert one.api_key != two.api_key
        assert one.record("ds_same", "a")["uri"] == two.record("ds_same", "a")["uri"]
        two.remove_object("ds_same", "a")
        for local, size in ((one, 3), (two, None)):
            assert local._running.store.size_of("roboto-managed", "same") == size  # noqa: SLF001


def test_clock_dates_records() -> None:
    """Records are dated by the clock that is given."""
    noon = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
    with LocalRoboto(clock=lambda: noon) as local:
        dataset_id = local.add_dataset()
        local.add_file(dataset_id, "a")
        assert local.record(dataset_id, "a")["modified"] == noon


def test_touched_dataset_is_modified(local: LocalRoboto, client: RobotoClient) -> None:
    """A dataset's modification can be dated by hand."""
    dataset_id = local.add_dataset()
    later = datetime(2030, 1, 1, tzinfo=timezone.utc)
    local.touch_dataset(dataset_id, modified=later)
    assert Dataset.from_id(dataset_id, client).modified == later


def test_clear_empties_a_running_platform(
    local: LocalRoboto, client: RobotoClient, tmp_path: Path
) -> None:
    """Datasets, objects, faults and requests are gone; what is added afterwards has other ids, and arrives."""
    old = local.add_dataset()
    local.add_file(old, "a.bin", b"old")
    uri = local.record(old, "a.bin")["uri"]
    local.faults.add(faults.status(500), service="s3")
    local.clear()
    assert (local.dataset_ids(), len(local.requests)) == ([], 0)
    new = local.add_dataset()
    local.add_file(new, "a.bin", b"new")
    assert (new != old, local.record(new, "a.bin")["uri"] != uri) == (True, True)
    Dataset.from_id(new, client).download_files(tmp_path, print_progress=False)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert local._running.store.size_of(*split_uri(uri)) is None  # noqa: SLF001


def test_bytes_that_are_gone_take_no_memory(local: LocalRoboto, dataset_id: str) -> None:
    """Objects that were replaced, removed or cleared are kept nowhere."""

    def kept() -> int:
        gc.collect()  # what earlier tests left may go at any moment
        # Not isinstance, which follows weak proxies.
        return sum(type(each) is StoredKey for each in gc.get_objects())

    before = kept()
    for number in range(3):
        local.add_file(dataset_id, f"{number}.bin", b"x")
    local.replace_file(dataset_id, "0.bin", b"y")
    local.remove_object(dataset_id, "1.bin")
    assert kept() == before + 2
    local.clear()
    assert kept() == before


def test_stop_ends_everything() -> None:
    """After stop nothing listens, and nothing is left of the platform in moto."""
    before = (len(s3_backends), len(sts_backends))
    local = LocalRoboto().start()
    local.add_file(local.add_dataset(dataset_id="ds_1"), "a", b"x")
    local.client(max_attempts=1).get("v1/datasets/id/ds_1/credentials")
    local.stop()
    assert (len(s3_backends), len(sts_backends)) == before
    with pytest.raises(OSError, match=r"connect to endpoint|timed out"):
        local.client(max_attempts=1).get("v1/datasets/ds_1")


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, starting is an error with what to install."""
    monkeypatch.setitem(sys.modules, "roboto_dagster.testing.server.api", None)
    with pytest.raises(ImportError, match=r"roboto-dagster\[local\]"):
        LocalRoboto().start()


def test_representations_hold_no_secret(local: LocalRoboto) -> None:
    """The API key does not show in a representation."""
    assert local.api_key not in repr(local) + repr(local._running)  # noqa: SLF001
