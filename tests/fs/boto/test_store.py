"""What is particular to the boto3 engine; what both engines promise is in test_store_conformance."""

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roboto_dagster import ConfigurationError, Credentials, DownloadError, RetryConfig
from roboto_dagster.fs.boto.store import BotoStore
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.server.messages import Request

MIB = 1024 * 1024
AT_ONCE = RetryConfig(max_attempts=3, wait_initial_seconds=0.0, wait_max_seconds=0.0)

MakeStore = Callable[..., BotoStore]


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """An empty dataset."""
    return local.add_dataset("flight")


@pytest.fixture
def make_store(local: LocalRoboto, dataset_id: str) -> MakeStore:
    """Makes stores that read the dataset."""

    def provide() -> Credentials:
        path = f"v1/datasets/id/{dataset_id}/credentials"
        (found,) = local.client().get(path, query={"mode": "ReadOnly"}).to_dict(json_path=["data"])
        return Credentials(
            access_key=found["access_key_id"],
            secret_key=found["secret_access_key"],
            token=found["session_token"],
            region=found["region"],
            expiry_time=found["expiration"],
        )

    def make(**options: Any) -> BotoStore:
        defaults: dict[str, Any] = {"endpoint_url": local.s3_url, "retry": AT_ONCE}
        return BotoStore.create(provide, **{**defaults, **options})

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[BotoStore]:
    """A store, open for one test."""
    with make_store() as open_store:
        yield open_store


def add(local: LocalRoboto, dataset_id: str, name: str, data: bytes, **options: Any) -> str:
    """Add a file and return its URI; the log of requests is empty afterwards."""
    local.add_file(dataset_id, name, data, **options)
    local.requests.clear()
    return str(local.record(dataset_id, name)["uri"])


def failure_of(transfer: Any) -> DownloadError:
    """Return why a transfer failed."""
    error = transfer.exception()
    assert isinstance(error, DownloadError)
    return error


def test_a_small_file_is_one_request(
    local: LocalRoboto, dataset_id: str, store: BotoStore, tmp_path: pathlib.Path
) -> None:
    """No HEAD, and no range."""
    uri = add(local, dataset_id, "a.bin", b"bytes")
    store.get(uri, tmp_path / "a.bin", size_bytes=5).result()
    assert [each.method for each in local.requests.matching(service="s3")] == ["GET"]


@pytest.fixture
def slow(local: LocalRoboto) -> None:
    """Answers come slowly, so that several connections take part in one file."""
    local.faults.add(faults.trickle(bytes_per_second=4 * MIB), service="s3")


@pytest.mark.usefixtures("slow")
def test_ranges_of_a_big_file_are_pinned(
    local: LocalRoboto, dataset_id: str, make_store: MakeStore, tmp_path: pathlib.Path
) -> None:
    """One plain request reports the version; every range is requested of that version."""
    data = os.urandom(3 * MIB + 1)
    uri = add(local, dataset_id, "big.bin", data)
    with make_store(part_size_bytes=MIB) as store:
        transfer = store.get(uri, tmp_path / "big.bin", size_bytes=len(data))
    assert (tmp_path / "big.bin").read_bytes() == data
    initial, *ranges = local.requests.matching(service="s3")
    assert (initial.method, initial.range, initial.if_match) == ("GET", None, None)
    assert ranges
    assert all(each.if_match for each in ranges)
    assert transfer.receipt is not None
    assert transfer.receipt.verified == "crc64nvme"


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.ignore_range(), id="200-to-a-range"),
        pytest.param(faults.shorter_range(by=10), id="shorter-range"),
        pytest.param(faults.offset_range(by=10), id="other-range"),
    ],
)
def test_a_wrong_range_is_never_spliced_in(
    local: LocalRoboto,
    dataset_id: str,
    make_store: MakeStore,
    tmp_path: pathlib.Path,
    fault: faults.Fault,
) -> None:
    """An answer that is not the range that was requested is refused, and requested again."""
    data = os.urandom(4 * MIB)
    uri = add(local, dataset_id, "big.bin", data)
    local.faults.add(fault, service="s3", key="*", when=has_range, times=1)
    with make_store(part_size_bytes=MIB) as store:
        transfer = store.get(uri, tmp_path / "big.bin", size_bytes=len(data))
    assert (tmp_path / "big.bin").read_bytes() == data
    assert transfer.receipt is not None
    assert transfer.receipt.attempts == 2


def has_range(request: Request) -> bool:
    """Report whether a request is for a range."""
    return "range" in request.headers


@pytest.mark.usefixtures("slow")
def test_another_version_between_ranges_is_never_mixed(
    local: LocalRoboto, dataset_id: str, make_store: MakeStore, tmp_path: pathlib.Path
) -> None:
    """An object that is replaced between two ranges arrives complete, in one of its versions."""
    old, new = os.urandom(4 * MIB), os.urandom(4 * MIB)
    uri = add(local, dataset_id, "big.bin", old)
    local.faults.add(faults.swap(new), service="s3", when=has_range, times=1)
    with make_store(part_size_bytes=MIB) as store:
        store.get(uri, tmp_path / "big.bin", size_bytes=len(old)).result()
    assert (tmp_path / "big.bin").read_bytes() == new


def test_refused_keys_cost_no_attempt(
    local: LocalRoboto, dataset_id: str, store: BotoStore, tmp_path: pathlib.Path
) -> None:
    """An expired token refreshes the keys, and the request is repeated at once."""
    uri = add(local, dataset_id, "a.bin", b"bytes")
    local.faults.add(faults.status(400, "ExpiredToken"), service="s3", times=1)
    transfer = store.get(uri, tmp_path / "a.bin", size_bytes=5)
    transfer.result()
    assert transfer.receipt is not None
    assert transfer.receipt.attempts == 1
    assert local.requests.count(route="*/credentials") == 2


def test_a_wrong_checksum_twice_is_the_truth(
    local: LocalRoboto, dataset_id: str, store: BotoStore, tmp_path: pathlib.Path
) -> None:
    """Bytes that do not fit are fetched once more, and then the file fails for good."""
    uri = add(local, dataset_id, "a.bin", b"bytes")
    local.faults.add(faults.flip_bit(at=2), service="s3")
    failure = failure_of(store.get(uri, tmp_path / "a.bin", size_bytes=5))
    assert (failure.code, failure.transient, failure.attempts) == ("CHECKSUM_MISMATCH", False, 2)
    assert list(tmp_path.iterdir()) == []


def test_uploads_arrive(tmp_path: pathlib.Path, local: LocalRoboto, dataset_id: str) -> None:
    """This engine serves uploads too, for whichever engine downloads."""
    from roboto import Dataset

    source = tmp_path / "new.bin"
    source.write_bytes(b"new")
    upload = local.client().post(
        "v1/files/upload",
        data={
            "association": {"association_id": dataset_id, "association_type": "dataset"},
            "origination": "test",
            "resource_manifest": {"new.bin": 3},
        },
    )
    transaction = upload.to_dict(json_path=["data"])
    uri = transaction["upload_mappings"]["new.bin"]

    def provide() -> Credentials:
        path = f"v1/files/upload/{transaction['transaction_id']}/credentials"
        (found,) = local.client().get(path).to_dict(json_path=["data"])
        return Credentials(
            access_key=found["access_key_id"],
            secret_key=found["secret_access_key"],
            token=found["session_token"],
            region=found["region"],
            expiry_time=found["expiration"],
        )

    with BotoStore.create(provide, endpoint_url=local.s3_url) as store:
        store.put(source, uri).result()
    path = f"v1/files/upload/{transaction['transaction_id']}/progress"
    local.client().put(path, data={"manifest_items": [uri]})
    files = list(Dataset.from_id(dataset_id, local.client()).list_files())
    assert [(each.relative_path, each.record.size) for each in files] == [("new.bin", 3)]


def test_nothing_is_asked_before_the_first_file(local: LocalRoboto, make_store: MakeStore) -> None:
    """A store that fetches nothing needs no credentials."""
    local.requests.clear()
    with make_store():
        pass
    assert len(local.requests) == 0


def test_a_closed_store_is_an_error(make_store: MakeStore, tmp_path: pathlib.Path) -> None:
    """After its `with`, a store takes no more work."""
    with make_store() as store:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        store.get("s3://b/k", tmp_path / "k")


def test_a_store_of_another_process_is_an_error(
    make_store: MakeStore, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections and threads do not survive a fork, so the store refuses to be used there."""
    with make_store() as store, monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        with pytest.raises(ConfigurationError, match="another process"):
            store.get("s3://b/k", tmp_path / "k")


def test_a_broken_progress_callback_does_not_stop_the_file(
    local: LocalRoboto,
    dataset_id: str,
    store: BotoStore,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug of the caller's is logged once, and the bytes arrive."""

    def broken(_: int) -> None:
        raise ZeroDivisionError

    uri = add(local, dataset_id, "a.bin", b"bytes")
    store.get(uri, tmp_path / "a.bin", broken, size_bytes=5).result()
    assert (tmp_path / "a.bin").read_bytes() == b"bytes"
    assert caplog.text.count("on_progress failed") == 1


def test_bytes_that_are_fetched_again_are_counted_once(
    local: LocalRoboto, dataset_id: str, store: BotoStore, tmp_path: pathlib.Path
) -> None:
    """What a failed try counted is taken back."""
    data = os.urandom(MIB)
    uri = add(local, dataset_id, "a.bin", data)
    local.faults.add(faults.truncate(after_bytes=MIB // 2), service="s3", times=1)
    counted: list[int] = []
    store.get(uri, tmp_path / "a.bin", counted.append, size_bytes=MIB).result()
    assert sum(counted) == MIB


def test_a_broken_aws_configuration_is_named(
    make_store: MakeStore, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What botocore cannot read is reported as what it is: a setting of this machine."""
    broken = tmp_path / "config"
    broken.write_text("[default\nregion =")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    with make_store() as store:
        failure = failure_of(store.get("s3://roboto-managed/k", tmp_path / "k", size_bytes=5))
    assert "AWS configuration of this machine cannot be used" in failure.reason
