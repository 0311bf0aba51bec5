"""Complete syncs on the local platform: what arrives, what is asked for, what the manifest contains."""

import concurrent.futures
import gc
import os
import pathlib
import re
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typing_extensions import Self

from roboto_dagster import (
    ConfigurationError,
    CredentialProvider,
    DownloadError,
    ObjectStoreResource,
    PlatformError,
    RetryConfig,
    StoreRegistry,
)
from roboto_dagster.errors import DiskSpaceError
from roboto_dagster.fs.object_store import FutureLike, ObjectStore, OnProgress
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Syncer

pytestmark = pytest.mark.slow

QUERY = "/v1/datasets/*/files/query"


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of three files, one of them empty."""
    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "logs/a.mcap", b"aaaa")
    local.add_file(dataset_id, "logs/b.mcap", b"bb")
    local.add_file(dataset_id, "empty.txt", b"")
    return dataset_id


def keys_asked_for(local: LocalRoboto) -> list[str]:
    """Return the names of what the store was asked for since the last sync started."""
    return sorted(each.key.rpartition("/")[2] for each in local.requests.matching(service="s3"))


# --- what arrives ---


def test_files_arrive_where_the_platform_has_them(syncer: "Syncer", dataset_id: str) -> None:
    """Below the dataset's folder, under their own paths, and nothing else."""
    report = syncer(dataset_id)
    assert syncer.files() == {
        f"{dataset_id}/empty.txt": b"",
        f"{dataset_id}/logs/a.mcap": b"aaaa",
        f"{dataset_id}/logs/b.mcap": b"bb",
    }
    assert (report.files_total, report.files_fetched, report.bytes_fetched) == (3, 3, 6)
    assert (report.failures, report.root) == ([], syncer.destination / dataset_id)


def test_an_empty_file_is_asked_for(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """A record of 0 bytes proves nothing: content that was never asked for is not published."""
    syncer(dataset_id)
    assert keys_asked_for(local) == ["a.mcap", "b.mcap", "empty.txt"]


def test_the_manifest_has_a_row_for_every_file(syncer: "Syncer", dataset_id: str) -> None:
    """What was fetched, how it was verified, and where it lies."""
    syncer(dataset_id)
    rows = syncer.rows()
    row = rows["logs/a.mcap"]
    path = syncer.destination / dataset_id / "logs/a.mcap"
    assert sorted(rows) == ["empty.txt", "logs/a.mcap", "logs/b.mcap"]
    assert (row["path"], row["size_bytes"], row["mtime_ns"]) == (
        str(path),
        4,
        path.stat().st_mtime_ns,
    )
    assert (row["status"], row["verified"], row["attempts"]) == ("fetched", "crc64nvme", 1)
    assert (row["error_code"], row["error"], row["dataset_id"]) == (None, None, dataset_id)


def test_patterns_choose(syncer: "Syncer", dataset_id: str) -> None:
    """Only what is wanted is fetched, and is in the manifest."""
    syncer(dataset_id, include_patterns=["*.mcap"], exclude_patterns=["b.*"])
    assert list(syncer.rows()) == ["logs/a.mcap"]


@pytest.mark.parametrize(
    "key",
    [
        "what?.mcap",
        "no#1.mcap",
        "/leading/slash.mcap",
        "double//slash.mcap",
        "tab\there.mcap",
        "100% +~.mcap",
        "..%2F..",
        "dünn/日本語",
    ],
    ids=ascii,
)
def test_awkward_keys_are_asked_for_exactly(syncer: "Syncer", local: LocalRoboto, key: str) -> None:
    """The object's key is taken from its URI byte for byte."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.mcap", b"right", key=f"og_local/{dataset_id}/{key}")
    local.add_file(dataset_id, "b.mcap", b"complete")
    syncer(dataset_id)
    assert syncer.files()[f"{dataset_id}/a.mcap"] == b"right"


def test_several_datasets_go_to_several_folders(syncer: "Syncer", local: LocalRoboto) -> None:
    """One sync may be about many datasets; its manifest has all of them."""
    one, other = local.add_dataset(), local.add_dataset()
    local.add_file(one, "a", b"1")
    local.add_file(other, "a", b"2")
    report = syncer(one, other)
    assert syncer.files() == {f"{one}/a": b"1", f"{other}/a": b"2"}
    assert report.root == syncer.destination


def test_a_link_into_another_dataset_is_read_with_its_credentials(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The object is the target's, so the credentials are asked of the target's dataset."""
    other = local.add_dataset("other")
    target = local.add_file(other, "target.mcap", b"linked")
    local.add_link(dataset_id, "link.mcap", target)
    syncer(dataset_id)
    assert syncer.files()[f"{dataset_id}/link.mcap"] == b"linked"
    assert local.requests.count(route=f"/v1/datasets/id/{other}/credentials") == 1


# --- what is asked again, and what is not ---


def test_unchanged_files_cost_the_store_nothing(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The second sync asks the platform for its list, and nobody for anything else."""
    syncer(dataset_id)
    report = syncer(dataset_id)
    assert local.requests.count(service="s3") == 0
    assert local.requests.count(route="*/credentials") == 0
    assert (report.files_unchanged, report.files_fetched) == (3, 0)
    assert {row["status"] for row in syncer.rows().values()} == {"unchanged"}


def test_facts_stay_from_run_to_run(syncer: "Syncer", dataset_id: str) -> None:
    """An unchanged file's row still has when it was fetched and how it was verified."""
    syncer(dataset_id)
    first = syncer.rows()["logs/a.mcap"]
    syncer(dataset_id)
    syncer(dataset_id)
    again = syncer.rows()["logs/a.mcap"]
    changed = {name for name in first if first[name] != again[name]}
    assert changed == {"status", "attempts", "duration_seconds"}


def test_a_new_version_is_fetched(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """A file whose record changed is fetched again, and only that."""
    syncer(dataset_id)
    version = local.replace_file(dataset_id, "logs/a.mcap", b"newer")
    syncer(dataset_id)
    assert keys_asked_for(local) == ["a.mcap"]
    assert syncer.files()[f"{dataset_id}/logs/a.mcap"] == b"newer"
    assert syncer.rows()["logs/a.mcap"]["version"] == version


def test_another_file_of_the_same_path_is_fetched(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A file that was deleted and uploaded again has another id, at version 1 again."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "logs/a.mcap")
    local.add_file(dataset_id, "logs/a.mcap", b"again")
    syncer(dataset_id)
    assert syncer.files()[f"{dataset_id}/logs/a.mcap"] == b"again"


def test_a_failed_replacement_is_fetched_in_the_next_run(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """What failed is never taken for unchanged later, whatever its id and version are."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "logs/a.mcap")
    local.add_file(dataset_id, "logs/a.mcap", b"again")
    local.faults.add(faults.status(403, "AccessDenied"), service="s3")
    syncer(dataset_id)
    local.faults.clear()
    report = syncer(dataset_id)
    assert (report.files_fetched, syncer.files()[f"{dataset_id}/logs/a.mcap"]) == (1, b"again")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.unlink(), id="deleted"),
        pytest.param(lambda path: path.write_bytes(b"cut"), id="another-size"),
        pytest.param(lambda path: os.utime(path, ns=(1, 1)), id="touched"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("b.mcap")), id="now-a-link"),
    ],
)
def test_a_file_that_changed_on_disk_is_fetched_again(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, harm: Any
) -> None:
    """What is not as it was published is not trusted."""
    syncer(dataset_id)
    path = syncer.destination / dataset_id / "logs/a.mcap"
    harm(path)
    syncer(dataset_id)
    assert (keys_asked_for(local), path.is_symlink(), path.read_bytes()) == (
        ["a.mcap"],
        False,
        b"aaaa",
    )


def test_after_a_deleted_manifest_all_is_checked_again(syncer: "Syncer", dataset_id: str) -> None:
    """Without a manifest nothing is known, so everything is fetched."""
    syncer(dataset_id)
    syncer.manifest.unlink()
    assert syncer(dataset_id).files_fetched == 3


# --- failures ---


def test_a_missing_object_costs_no_other_file(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """What is gone is named; the rest is complete, and the manifest has both."""
    local.remove_object(dataset_id, "logs/a.mcap")
    report = syncer(dataset_id)
    (failure,) = report.failures
    assert (failure.code, failure.attempts, failure.file["destination_path"]) == (
        "NOT_FOUND",
        1,
        syncer.destination / dataset_id / "logs/a.mcap",
    )
    assert sorted(syncer.files()) == [f"{dataset_id}/empty.txt", f"{dataset_id}/logs/b.mcap"]
    rows = syncer.rows()
    assert (rows["logs/a.mcap"]["status"], rows["logs/a.mcap"]["error_code"]) == (
        "failed",
        "NOT_FOUND",
    )
    assert rows["logs/b.mcap"]["status"] == "fetched"


def test_a_failed_refetch_keeps_the_old_file_and_its_facts(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Old data stays complete until the new is."""
    syncer(dataset_id)
    before = syncer.rows()["logs/a.mcap"]
    local.replace_file(dataset_id, "logs/a.mcap", b"newer")
    local.faults.add(faults.status(403, "AccessDenied"), service="s3")
    syncer(dataset_id)
    after = syncer.rows()["logs/a.mcap"]
    assert syncer.files()[f"{dataset_id}/logs/a.mcap"] == b"aaaa"
    kept = ("file_id", "version", "size_bytes", "mtime_ns", "checksum", "fetched_at")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert (after["status"], after["error_code"]) == ("failed", "ACCESS_DENIED")


def test_a_transient_failure_is_retried_and_logged(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """A busy store is asked again; the report has no failure, the manifest the attempts."""
    local.faults.add(faults.status(503, "SlowDown"), key="*/a.mcap", times=2)
    report = syncer(dataset_id)
    assert (report.failures, syncer.rows()["logs/a.mcap"]["attempts"]) == ([], 3)
    reported = [line for _, line in syncer.lines if "a.mcap: THROTTLED" in line]
    assert len(reported) == 2


def test_a_store_that_stays_busy_is_asked_no_more_than_configured(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """`max_attempts` bounds the requests of a file over engine and attempts together."""
    local.faults.add(faults.status(503, "SlowDown"), key="*/a.mcap")
    report = syncer(dataset_id)
    (failure,) = report.failures
    assert (failure.code, failure.attempts, report.is_retryable) == ("THROTTLED", 3, True)
    assert local.requests.count(service="s3", key="*/a.mcap") == 3


@pytest.mark.parametrize("path", ["../evil", "/evil", "a/../../evil", "C:\\evil", "nul", "a\nb"])
def test_an_unsafe_path_is_refused_before_the_first_byte(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, path: str
) -> None:
    """It is not asked for, nothing is written outside, and the others arrive."""
    local.add_file(dataset_id, path, b"evil", key="evil")
    report = syncer(dataset_id)
    (failure,) = report.failures
    assert (failure.code, failure.attempts) == ("UNSAFE_PATH", 0)
    assert local.requests.count(service="s3", key="evil") == 0
    assert len(syncer.files()) == 3
    assert [each.name for each in syncer.destination.parent.iterdir()] == ["logs"]


def test_colliding_files_are_all_refused(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """None of them is fetched; the others are."""
    local.add_file(dataset_id, "Logs/A.mcap", b"other")
    report = syncer(dataset_id)
    assert [failure.code for failure in report.failures] == ["COLLISION", "COLLISION"]
    assert keys_asked_for(local) == ["b.mcap", "empty.txt"]


def test_a_planted_link_is_not_followed(
    syncer: "Syncer", dataset_id: str, tmp_path: pathlib.Path
) -> None:
    """A folder of the dataset that is a link to elsewhere is that folder's failure."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (syncer.destination / dataset_id).mkdir(parents=True)
    (syncer.destination / dataset_id / "logs").symlink_to(outside)
    report = syncer(dataset_id)
    assert {failure.code for failure in report.failures} == {"UNSAFE_PATH"}
    assert (list(outside.iterdir()), report.files_fetched) == ([], 1)


def test_a_wrong_size_is_no_success(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """An object that is not of the recorded size is refused with both numbers."""
    local.add_file(dataset_id, "odd.mcap", b"12345", size=7)
    (failure,) = syncer(dataset_id).failures
    assert (failure.code, "5" in failure.reason, "7" in failure.reason) == (
        "SIZE_MISMATCH",
        True,
        True,
    )
    assert f"{dataset_id}/odd.mcap" not in syncer.files()


def test_failures_of_a_sync_can_be_pickled(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """What a step of another process raises has to cross."""
    import pickle

    local.remove_object(dataset_id, "logs/a.mcap")
    (failure,) = syncer(dataset_id).failures
    copy = pickle.loads(pickle.dumps(failure))  # noqa: S301 -- our own bytes
    assert (str(copy), copy.file) == (str(failure), failure.file)


# --- several buckets and stores ---


@pytest.fixture
def two_buckets(local: LocalRoboto) -> str:
    """A dataset in two buckets."""
    dataset_id = local.add_dataset("two buckets")
    local.add_file(dataset_id, "a", b"a", bucket="a-bucket")
    local.add_file(dataset_id, "b", b"b", bucket="b-bucket")
    return dataset_id


def test_several_buckets_arrive(syncer: "Syncer", two_buckets: str) -> None:
    """Each bucket is read with credentials of its own."""
    syncer(two_buckets)
    assert sorted(syncer.files()) == [f"{two_buckets}/a", f"{two_buckets}/b"]


@pytest.mark.parametrize("broken", ["a", "b"], ids=["first", "second"])
def test_one_buckets_failure_does_not_stop_another(
    syncer: "Syncer", local: LocalRoboto, two_buckets: str, broken: str
) -> None:
    """A bucket without credentials costs its own files alone, whichever comes first."""
    complete = "b" if broken == "a" else "a"
    client = local.client()
    route = f"v1/datasets/id/{two_buckets}/credentials"
    offered = client.get(route, query={"mode": "ReadOnly"}).to_dict(json_path=["data"])
    only = [each for each in offered if each["bucket"] == f"{complete}-bucket"]
    local.faults.add(faults.answer_json({"data": only}), route="*/credentials")
    report = syncer(two_buckets)
    (failure,) = report.failures
    assert failure.code == "CREDENTIALS_INVALID"
    assert f"'{broken}-bucket'" in failure.reason
    assert list(syncer.files()) == [f"{two_buckets}/{complete}"]


class MemoryStore:
    """A store of a scheme `mem`, whose objects are a dictionary."""

    objects: ClassVar[dict[str, bytes | Exception]] = {}
    on_enter: ClassVar[Exception | None] = None

    def __init__(self, credential_provider: CredentialProvider) -> None:
        self.credential_provider = credential_provider

    @classmethod
    def create(cls, credential_provider: CredentialProvider, **_: Any) -> "MemoryStore":
        """Make one."""
        return cls(credential_provider)

    def __enter__(self) -> Self:
        if self.on_enter is not None:
            raise self.on_enter
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """End."""

    def put(
        self, source: pathlib.Path, destination_uri: str, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Put nothing."""
        raise NotImplementedError

    def get(
        self,
        source_uri: str,
        destination: pathlib.Path,
        on_progress: OnProgress | None = None,
    ) -> FutureLike[None]:
        """Write an object at once, or raise what stands in its place."""
        del on_progress  # at once
        data = self.objects[source_uri]
        if isinstance(data, Exception):
            raise data
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(data)
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        future.set_result(None)
        return future


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes | Exception]]:
    """The objects of the store for `mem`, which is registered for one test."""
    stores = {**StoreRegistry._stores, "mem": MemoryStore}  # noqa: SLF001
    monkeypatch.setattr(StoreRegistry, "_stores", stores)
    MemoryStore.objects.clear()
    yield MemoryStore.objects
    MemoryStore.objects.clear()


@pytest.fixture
def mixed(local: LocalRoboto, memory: dict[str, bytes | Exception]) -> str:
    """A dataset with one file in S3 and one in the store for `mem`."""
    dataset_id = local.add_dataset("mixed")
    local.add_file(dataset_id, "s3.mcap", b"in s3")
    local.add_record(dataset_id, relative_path="mem.mcap", uri="mem://b/k", size=6)
    memory["mem://b/k"] = b"in mem"
    return dataset_id


def test_a_users_own_store_serves_its_scheme(syncer: "Syncer", mixed: str) -> None:
    """A store registered for another scheme takes part like ours."""
    syncer(mixed)
    assert syncer.files() == {f"{mixed}/mem.mcap": b"in mem", f"{mixed}/s3.mcap": b"in s3"}
    assert syncer.rows()["mem.mcap"]["verified"] == "size"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        pytest.param(KeyError("mem://b/k"), "UNEXPECTED", id="raises-anything"),
        pytest.param(PlatformError("no credentials"), "CREDENTIALS_INVALID", id="no-credentials"),
        pytest.param(ConnectionResetError(104, "reset"), "CONNECTION", id="network"),
        pytest.param(b"of another size", "SIZE_MISMATCH", id="publishes-a-wrong-size"),
    ],
)
def test_a_foreign_store_that_fails_costs_its_own_file(
    syncer: "Syncer",
    memory: dict[str, bytes | Exception],
    mixed: str,
    outcome: bytes | Exception,
    code: str,
) -> None:
    """Whatever another's store raises at once is its file's failure, and nothing wrong stays."""
    memory["mem://b/k"] = outcome
    report = syncer(mixed)
    assert [failure.code for failure in report.failures] == [code]
    assert list(syncer.files()) == [f"{mixed}/s3.mcap"]


def test_a_foreign_store_that_does_not_open_costs_its_own_files(
    syncer: "Syncer", mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may need more than it gets, and report it only when it is entered."""
    monkeypatch.setattr(MemoryStore, "on_enter", RuntimeError("no such account"))
    report = syncer(mixed)
    (failure,) = report.failures
    assert (failure.code, "no such account" in failure.reason) == ("UNEXPECTED", True)
    assert list(syncer.files()) == [f"{mixed}/s3.mcap"]


def test_a_scheme_without_store_is_that_files_bad_record(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """It is judged by the plan, before any store is opened, and hides no other failure."""
    local.add_record(dataset_id, relative_path="gs.mcap", uri="gs://b/k", size=6)
    local.remove_object(dataset_id, "logs/a.mcap")
    report = syncer(dataset_id)
    assert report.error_codes == {"BAD_RECORD": 1, "NOT_FOUND": 1}
    assert "no object store is registered for gs:// URIs" in report.failures[0].reason
    assert len(syncer.files()) == 2


def test_a_store_that_cannot_be_configured_is_the_runs_error(
    syncer: "Syncer", dataset_id: str
) -> None:
    """Where a setting fails every file, the setting is named, and the manifest has the files as failed."""

    def open_store(*_: Any) -> ObjectStore:
        raise ConfigurationError("the engine is not installed")

    with pytest.raises(ConfigurationError, match="the engine is not installed"):
        syncer(dataset_id, open_store=open_store)
    assert {row["status"] for row in syncer.rows().values()} == {"failed"}


# --- interrupts ---


def test_an_interrupted_sync_writes_its_manifest(
    syncer: "Syncer", dataset_id: str, resources: dict[str, Any]
) -> None:
    """What had arrived is known; the rest is reported as missing."""

    class Interrupting:
        """Ends the run when the store is asked for a second file."""

        def __init__(self, store: Any) -> None:
            self._store = store
            self._asked = 0

        def __enter__(self) -> Any:
            self._store.__enter__()
            return self

        def __exit__(self, *exc_info: object) -> None:
            self._store.__exit__(*exc_info)

        def get(
            self, uri: str, destination: pathlib.Path, _on_progress: OnProgress | None = None
        ) -> Any:
            self._asked += 1
            if self._asked == 2:
                raise KeyboardInterrupt
            future = self._store.get(uri, destination)
            future.result()
            return future

    object_store: ObjectStoreResource = resources["object_store"]

    def open_store(*args: Any) -> ObjectStore:
        store: Any = Interrupting(object_store.open_store(*args))
        return store  # type: ignore[no-any-return]

    with pytest.raises(KeyboardInterrupt):
        syncer(dataset_id, open_store=open_store)
    found = {path: (row["status"], row["error_code"]) for path, row in syncer.rows().items()}
    assert found == {
        "logs/a.mcap": ("fetched", None),
        "logs/b.mcap": ("failed", "CANCELLED"),
        "empty.txt": ("failed", "CANCELLED"),
    }
    assert syncer(dataset_id).files_unchanged == 1


# --- bad input ---


def nothing_was_touched(syncer: "Syncer") -> bool:
    """Report whether there is neither file nor manifest."""
    return not syncer.files() and not syncer.manifest.exists()


def test_an_unknown_dataset_is_named(syncer: "Syncer", local: LocalRoboto) -> None:
    """The id, the platform's answer, and what to check."""
    with pytest.raises(PlatformError, match=r"ds_unknown.*Check the id") as caught:
        syncer("ds_unknown")
    assert (caught.value.transient, nothing_was_touched(syncer)) == (False, True)
    assert local.requests.count() == 1


def test_a_wrong_api_key_is_named_without_telling_it(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The setting to check is named; the key is in no text."""
    from roboto.http import BearerTokenDecorator, RobotoClient

    client = RobotoClient(local.api_url, BearerTokenDecorator("wrong-key-1234"))
    with pytest.raises(PlatformError, match=r"401.*Check ROBOTO_API_KEY") as caught:
        syncer(dataset_id, client=client)
    assert ("wrong-key-1234" in repr(caught.value), nothing_was_touched(syncer)) == (False, True)
    assert local.requests.count() == 1


def test_an_unreachable_platform_is_retryable(syncer: "Syncer") -> None:
    """Nobody listens there: the error names the endpoint to check, and is retryable."""
    from roboto.http import BearerTokenDecorator, HttpClientOptions, HttpRetryOptions, RobotoClient

    options = HttpClientOptions(retry=HttpRetryOptions(max_attempts=1))
    client = RobotoClient("http://127.0.0.1:9", BearerTokenDecorator("k"), {"options": options})
    with pytest.raises(PlatformError, match=r"cannot be reached.*Check the endpoint") as caught:
        syncer("ds_1", client=client)
    assert (caught.value.transient, nothing_was_touched(syncer)) == (True, True)


@pytest.mark.parametrize("after", [0, 1], ids=["first-page", "second-page"])
def test_a_listing_that_breaks_touches_nothing(
    syncer: "Syncer", local: LocalRoboto, after: int
) -> None:
    """Half a list is no list: nothing is fetched before it is complete."""
    dataset_id = local.add_dataset()
    for number in range(15):
        local.add_file(dataset_id, f"{number}", b"x")
    local.faults.add(faults.status(500), route=QUERY, after=after)
    with pytest.raises(PlatformError, match=f"listing the files of {dataset_id}"):
        syncer(dataset_id)
    assert (local.requests.count(service="s3"), nothing_was_touched(syncer)) == (0, True)


def test_a_destination_that_is_a_file_is_named(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Nobody is asked for anything before there is somewhere to put it."""
    syncer.destination.write_bytes(b"precious")
    with pytest.raises(
        ConfigurationError, match=r"cannot be a folder.*Choose another one"
    ) as caught:
        syncer(dataset_id)
    assert str(syncer.destination) in str(caught.value)
    assert (local.requests.count(), syncer.destination.read_bytes()) == (0, b"precious")


def test_a_destination_that_cannot_be_written_is_named(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions are looked at first, too."""
    monkeypatch.setattr(os, "access", lambda *_: False)  # a test may run as root, who may all
    with pytest.raises(ConfigurationError, match="is not writable for this user"):
        syncer(dataset_id)
    assert local.requests.count() == 0


def test_an_empty_dataset_is_an_error(syncer: "Syncer", local: LocalRoboto) -> None:
    """No file at all is more often a mistake than the truth."""
    dataset_id = local.add_dataset("empty")
    with pytest.raises(ConfigurationError) as caught:
        syncer(dataset_id)
    assert str(caught.value) == (
        f"There is no file in {dataset_id}, so nothing was touched. Upload files, correct the id "
        'or the patterns, or set on_empty="allow" if this is as it should be.'
    )
    assert nothing_was_touched(syncer)


@pytest.mark.parametrize(
    ("patterns", "reported"),
    [
        pytest.param(
            {"include_patterns": ["*.bag"]}, "that include_patterns ['*.bag'] match", id="include"
        ),
        pytest.param(
            {"exclude_patterns": ["*"]}, "that exclude_patterns ['*'] do not match", id="exclude"
        ),
        pytest.param(
            {"include_patterns": ["*.txt"], "exclude_patterns": ["*"]},
            "that include_patterns ['*.txt'] match and that exclude_patterns ['*'] do not match",
            id="both",
        ),
    ],
)
def test_patterns_that_match_nothing_are_named(
    syncer: "Syncer", dataset_id: str, patterns: dict[str, list[str]], reported: str
) -> None:
    """The patterns are the first thing to look at."""
    with pytest.raises(
        ConfigurationError, match=re.escape(f"no file in {dataset_id} {reported}, so")
    ):
        syncer(dataset_id, **patterns)


def test_an_empty_listing_does_not_forget_the_last_run(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Where everything seems gone, files and manifest stay as they were."""
    syncer(dataset_id)
    before = syncer.manifest.read_bytes()
    answer = faults.answer_json({"data": {"items": [], "next_token": None}})
    local.faults.add(answer, route=QUERY)
    with pytest.raises(ConfigurationError):
        syncer(dataset_id)
    assert (syncer.manifest.read_bytes(), len(syncer.files())) == (before, 3)


def test_an_empty_dataset_can_be_allowed(syncer: "Syncer", local: LocalRoboto) -> None:
    """Then it is a sync of nothing, with an empty manifest."""
    dataset_id = local.add_dataset("empty")
    report = syncer(dataset_id, options=SyncOptions(on_empty="allow"))
    assert (report.files_total, report.failures, syncer.rows()) == (0, [], {})


# --- attempts ---


def test_attempts_are_reported(syncer: "Syncer", dataset_id: str) -> None:
    """One pass over what was to be fetched is one attempt."""
    (only,) = syncer(dataset_id).attempts
    assert (only.number, only.files, only.failed, only.bytes_fetched) == (1, 3, 0, 6)


def test_what_a_store_gave_up_on_gets_another_round(
    syncer: "Syncer", memory: dict[str, bytes | Exception], mixed: str
) -> None:
    """A store that does not retry by itself is asked again, attempt by attempt, as configured."""
    failures: Iterator[Exception] = iter([TimeoutError("1"), TimeoutError("2")])

    class Healing(dict[str, bytes | Exception]):
        def __getitem__(self, uri: str) -> bytes | Exception:
            return next(failures, b"in mem")

    MemoryStore.objects = Healing()
    try:
        report = syncer(mixed, retry=RetryConfig(max_attempts=3, wait_initial_seconds=0.0))
    finally:
        MemoryStore.objects = memory
    assert [(each.files, each.failed) for each in report.attempts] == [(2, 1), (1, 1), (1, 0)]
    assert (report.failures, syncer.rows()["mem.mcap"]["attempts"]) == ([], 3)
    assert sum("what is transient is tried again in" in line for _, line in syncer.lines) == 2


def test_a_foreign_failure_is_counted_over_the_rounds(
    syncer: "Syncer", memory: dict[str, bytes | Exception], mixed: str
) -> None:
    """In the end the error reports how often the file was tried, in all."""
    memory["mem://b/k"] = TimeoutError("for ever")
    (failure,) = syncer(mixed).failures
    assert isinstance(failure, DownloadError)
    assert (failure.attempts, syncer.rows()["mem.mcap"]["attempts"]) == (3, 3)


# --- what is skipped ---


@pytest.mark.parametrize("marker", ["logs/", "logs", "logs/deep/", "empty folder/"])
def test_a_directory_marker_is_skipped(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, marker: str
) -> None:
    """S3 consoles make empty objects `folder/`, other tools an empty `folder` beside its files: neither is a file."""
    local.add_file(dataset_id, marker, b"", key="marker")
    report = syncer(dataset_id)
    assert (report.failures, report.files_fetched) == ([], 3)
    assert (report.files_skipped, report.directory_markers, report.skipped) == (1, 1, [])
    row = syncer.rows()[marker]
    assert (row["status"], row["error_code"], "directory marker" in row["error"]) == (
        "skipped",
        None,
        True,
    )
    assert syncer(dataset_id).files_unchanged == 3


@pytest.mark.parametrize(("path", "code"), [("logs/", "UNSAFE_PATH"), ("logs", "COLLISION")])
def test_what_has_content_is_no_marker(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, path: str, code: str
) -> None:
    """Its bytes would be lost, so it is refused by name."""
    local.add_file(dataset_id, path, b"x", key="k")
    assert code in syncer(dataset_id).error_codes


def test_refused_files_may_be_skipped(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The manifest reports it, with the reason, and the sync does not fail."""
    local.add_file(dataset_id, "../evil", b"evil", key="evil")
    local.add_file(dataset_id, "Logs/A.mcap", b"other")
    report = syncer(dataset_id, options=SyncOptions(on_refused="skip"))
    assert (report.failures, report.files_skipped, report.files_failed) == ([], 3, 0)
    assert sorted(failure.code for failure in report.skipped) == [
        "COLLISION",
        "COLLISION",
        "UNSAFE_PATH",
    ]
    rows = syncer.rows()
    assert {
        path: row["error_code"] for path, row in rows.items() if row["status"] == "skipped"
    } == {
        "../evil": "UNSAFE_PATH",
        "Logs/A.mcap": "COLLISION",
        "logs/a.mcap": "COLLISION",
    }


def test_an_obstacle_on_this_disk_is_never_skipped(syncer: "Syncer", dataset_id: str) -> None:
    """`on_refused` is about the platform's paths and records, not about what somebody put on the disk."""
    (syncer.destination / dataset_id).mkdir(parents=True)
    (syncer.destination / dataset_id / "logs").write_bytes(b"mine")
    report = syncer(dataset_id, options=SyncOptions(on_refused="skip"))
    assert (report.error_codes, report.files_skipped) == ({"LOCAL_IO": 2}, 0)
    assert "logs is a file that this asset did not deliver" in report.failures[0].reason


# --- many failures ---


def test_a_report_names_some_failures_and_counts_all(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The manifest has every one of them."""
    for number in range(120):
        local.add_record(dataset_id, relative_path=f"{number}", uri=f"gs://b/{number}", size=1)
    report = syncer(dataset_id)
    assert (len(report.failures), report.files_failed) == (100, 120)
    assert (report.error_codes, report.is_retryable) == ({"BAD_RECORD": 120}, False)
    assert sum(row["status"] == "failed" for row in syncer.rows().values()) == 120


# --- limits of this machine ---


def test_a_path_that_is_too_long_below_the_destination_is_refused(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """The rule for paths allows 4,096 bytes; no program could open the file below its destination."""
    path = "/".join(["d" * 200] * 20) + "/" + "e" * 70
    local.add_file(dataset_id, path, b"x")
    (failure,) = syncer(dataset_id).failures
    assert (failure.code, failure.attempts) == ("UNSAFE_PATH", 0)
    assert "longer than 4095 bytes" in failure.reason


def test_a_full_folder_for_temporary_files_is_named(
    syncer: "Syncer", dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inventory spills to the disk where it is large: what is full is not the destination."""
    import sqlite3

    from roboto_dagster.sync.inventory import Inventory

    def spill(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Inventory, "add_remote", spill)
    with pytest.raises(DiskSpaceError, match=r"folder for temporary files, .* is full.*TMPDIR"):
        syncer(dataset_id)


@pytest.mark.parametrize("text", ["s3://bucket/logs", "gs://b", "", "file:///tmp/x"])
def test_a_destination_is_a_folder_on_this_machine(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, text: str
) -> None:
    """A URL or an empty text must not become a folder of that name."""
    with pytest.raises(ConfigurationError, match="destination must be"):
        syncer(dataset_id, destination=text)
    assert local.requests.count() == 0


def test_a_sync_lets_go_of_its_client_at_once(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Nothing of it is left to the garbage collector, also where files were fetched."""
    gc.collect()
    gc.disable()
    try:
        client = local.client()
        assert syncer(dataset_id, client=client).files_fetched
        freed = weakref.ref(client)
        del client
        assert freed() is None
    finally:
        gc.enable()
