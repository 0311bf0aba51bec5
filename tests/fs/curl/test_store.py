"""What is particular to the curl engine; what both engines promise is in test_store_conformance."""

import collections
import errno
import logging
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from roboto_dagster.disk import temp_file
from roboto_dagster.errors import ConfigurationError, DownloadError, ErrorCode
from roboto_dagster.fs.core import coordinator
from roboto_dagster.fs.credentials import CredentialProvider, Credentials
from roboto_dagster.fs.curl import loop as curl_loop
from roboto_dagster.fs.curl.keys import has_dot_segments, quote_key
from roboto_dagster.fs.curl.store import CurlStore
from roboto_dagster.fs.object_store import Transfer
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.testing import LocalRoboto, faults
from tests.fs.scripted_server import Asked, ScriptedServer, StoredObject, credentials, head

KIB = 1024
PART = 64 * KIB
SOON = (getattr(signal, "ITIMER_REAL", 0), 0.05)
AT_ONCE = RetryConfig(max_attempts=3, wait_initial_seconds=0.0, wait_max_seconds=0.0)

MakeStore = Callable[..., CurlStore]
Put = Callable[..., str]


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """An empty dataset."""
    return local.add_dataset("flight")


@pytest.fixture
def provide(local: LocalRoboto, dataset_id: str) -> CredentialProvider:
    """Asks the platform for credentials."""

    def ask() -> Credentials:
        path = f"v1/datasets/id/{dataset_id}/credentials"
        (found,) = local.client().get(path, query={"mode": "ReadOnly"}).to_dict(json_path=["data"])
        return Credentials(
            access_key=found["access_key_id"],
            secret_key=found["secret_access_key"],
            token=found["session_token"],
            region=found["region"],
            expiry_time=found["expiration"],
        )

    return ask


@pytest.fixture
def make_store(local: LocalRoboto, provide: CredentialProvider) -> MakeStore:
    """Makes stores with small parts, that do not wait between tries."""

    def make(provider: CredentialProvider = provide, **options: Any) -> CurlStore:
        defaults: dict[str, Any] = {
            "endpoint_url": local.s3_url,
            "part_size_bytes": PART,
            "retry": AT_ONCE,
        }
        return CurlStore.create(provider, **{**defaults, **options})

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[CurlStore]:
    """A store, open for one test."""
    with make_store() as open_store:
        yield open_store


@pytest.fixture
def put(local: LocalRoboto, dataset_id: str) -> Put:
    """Adds a file and returns its URI; the log of requests is empty afterwards."""

    def add(name: str, data: bytes, **options: Any) -> str:
        local.add_file(dataset_id, name, data, **options)
        local.requests.clear()
        return str(local.record(dataset_id, name)["uri"])

    return add


@pytest.fixture
def slow(local: LocalRoboto) -> None:
    """Answers come slowly, so that several connections take part in one file."""
    local.faults.add(faults.trickle(bytes_per_second=1_000_000), service="s3")


def code_of(transfer: Transfer) -> ErrorCode:
    """Wait for the transfer to fail, and return its code."""
    error = transfer.exception(timeout=60)
    assert isinstance(error, DownloadError), error
    return error.code


def test_a_file_of_one_part_is_one_request(
    store: CurlStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """No HEAD, and no range."""
    store.get(put("a", os.urandom(PART)), tmp_path / "a").result(30)
    (asked,) = local.requests.matching(service="s3")
    assert (asked.method, asked.range) == ("GET", None)


@pytest.mark.usefixtures("slow")
def test_the_ranges_of_a_large_file_are_pinned(
    store: CurlStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """One plain request reports the version; every range is asked of that version."""
    store.get(put("a", os.urandom(4 * PART)), tmp_path / "a").result(30)
    initial, *ranges = local.requests.matching(service="s3")
    assert (initial.range, initial.if_match) == (None, None)
    assert sorted(asked.range or "" for asked in ranges) == sorted(
        f"bytes={start}-{start + PART - 1}" for start in (PART, 2 * PART, 3 * PART)
    )
    assert all(asked.if_match for asked in ranges)


@pytest.mark.usefixtures("slow")
def test_one_connection_fetches_a_large_file_in_one_request(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """Without connections to spare, the initial stream runs to the end."""
    uri = put("a", os.urandom(4 * PART))
    with make_store(max_connections=1) as store:
        store.get(uri, tmp_path / "a").result(30)
    assert local.requests.count(service="s3") == 1


@pytest.mark.usefixtures("slow")
def test_a_hash_of_several_ranges_is_checked(
    store: CurlStore, put: Put, tmp_path: pathlib.Path
) -> None:
    """An MD5, which goes by order, is computed from the file."""
    transfer = store.get(put("a", os.urandom(4 * PART), checksum_algorithm=None), tmp_path / "a")
    transfer.result(30)
    assert transfer.receipt is not None
    assert transfer.receipt.verified == "md5"


@pytest.mark.usefixtures("slow")
def test_bytes_that_are_fetched_again_are_taken_back(
    store: CurlStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """A flipped bit costs a second fetch, and progress still adds up."""
    reported: list[int] = []
    uri = put("a", os.urandom(4 * PART))
    local.faults.add(faults.flip_bit(at=10), service="s3", times=1)
    transfer = store.get(uri, tmp_path / "a", reported.append)
    transfer.result(30)
    assert sum(reported) == 4 * PART
    assert min(reported) == -4 * PART
    assert transfer.receipt is not None
    assert transfer.receipt.attempts == 2


def test_a_cut_body_goes_on_where_it_stopped(
    store: CurlStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """The bytes that are there are not asked again."""
    uri = put("a", os.urandom(PART))
    local.faults.add(faults.truncate(after_bytes=1000), service="s3", times=1)
    store.get(uri, tmp_path / "a").result(30)
    assert [asked.range for asked in local.requests.matching(service="s3")] == [
        None,
        f"bytes=1000-{PART - 1}",
    ]


def test_the_region_is_learnt_once(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """A bucket elsewhere costs one refusal, not one a file."""
    uri = put("a", b"data")
    local.faults.add(faults.wrong_region("eu-north-1"), service="s3")
    with make_store() as store:
        for number in range(5):
            store.get(uri, tmp_path / str(number)).result(30)
    assert local.requests.count(service="s3", status=400) == 1


def test_expired_credentials_are_refreshed_once(
    make_store: MakeStore,
    provide: CredentialProvider,
    put: Put,
    local: LocalRoboto,
    tmp_path: pathlib.Path,
) -> None:
    """Whatever the number of files under way, one call refreshes the credentials, and no file fails."""
    uris = [put(str(number), b"data") for number in range(30)]
    calls: list[int] = []

    def counted() -> Credentials:
        calls.append(1)
        return provide()

    with make_store(counted) as store:
        store.get(uris[0], tmp_path / "first").result(30)
        local.expire_credentials()
        transfers = [store.get(uri, tmp_path / str(n)) for n, uri in enumerate(uris)]
    assert [transfer.exception() for transfer in transfers] == [None] * 30
    assert len(calls) == 2


def test_a_store_that_is_down_is_not_worn_out(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """When nobody was answered, files that wait fail with the first, without requests."""
    uri = put("a", b"data")
    local.faults.add(faults.status(503, "SlowDown"), service="s3")
    with make_store(max_connections=1) as store:
        transfers = [store.get(uri, tmp_path / str(number)) for number in range(40)]
    assert {code_of(transfer) for transfer in transfers} == {"THROTTLED"}
    assert local.requests.count(service="s3") < 40


def test_every_retry_is_reported(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """`on_retry` hears what failed, and the number of the attempt."""
    reported: list[tuple[str, int]] = []
    uri = put("a", b"data")
    local.faults.add(faults.status(500), service="s3", times=2)
    with make_store(
        on_retry=lambda error, _: reported.append((error.code, error.attempts))
    ) as store:
        store.get(uri, tmp_path / "a").result(30)
    assert reported == [("SERVER_ERROR", 1), ("SERVER_ERROR", 2)]


def test_a_callback_of_retries_that_fails_stops_nothing(
    make_store: MakeStore,
    put: Put,
    local: LocalRoboto,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller's bug is logged."""
    uri = put("a", b"data")
    local.faults.add(faults.status(500), service="s3", times=1)
    with make_store(on_retry=lambda _error, _pause: 1 // 0) as store:
        store.get(uri, tmp_path / "a").result(30)
    assert "on_retry failed" in caplog.text


def test_a_full_disk_stops_new_work(
    make_store: MakeStore,
    put: Put,
    local: LocalRoboto,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file that met it and those that wait fail with the code, the latter without requests."""
    uri = put("a", b"data")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(coordinator, "open_partial", full)
    with make_store(max_connections=1) as store:
        transfers = [store.get(uri, tmp_path / str(number)) for number in range(20)]
    assert {code_of(transfer) for transfer in transfers} == {"NO_SPACE"}
    assert local.requests.count(service="s3") < 20


@pytest.mark.parametrize("attempt", range(10))
def test_too_many_open_files_shrink_the_store(
    make_store: MakeStore,
    put: Put,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    attempt: int,
) -> None:
    """A process short of files gets there with fewer connections; a loop that has none left looks for one again."""
    uris = [put(f"{attempt}/{number}", b"data") for number in range(20)]
    refusals = collections.deque([errno.EMFILE] * 5)

    def scarce(*arguments: Any) -> temp_file.PartialFile:
        if refusals:
            raise OSError(refusals.pop(), "too many")
        return temp_file.open_partial(*arguments)

    monkeypatch.setattr(coordinator, "open_partial", scarce)
    with make_store(retry=RetryConfig(wait_initial_seconds=0.0)) as store:
        transfers = [store.get(uri, tmp_path / str(n)) for n, uri in enumerate(uris)]
    assert [transfer.exception() for transfer in transfers] == [None] * 20


def test_a_fault_of_the_loop_leaves_nobody_waiting(
    make_store: MakeStore,
    put: Put,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Should the loop itself break, every file fails, and the store can be left."""
    uri = put("a", b"data")
    monkeypatch.setattr(curl_loop.CurlLoop, "_launch", lambda _: 1 // 0)
    with make_store() as store, caplog.at_level(logging.CRITICAL):
        transfers = [store.get(uri, tmp_path / str(number)) for number in range(3)]
    assert {code_of(transfer) for transfer in transfers} <= {"UNEXPECTED", "CANCELLED"}


def test_a_fault_in_one_file_leaves_the_others_alone(
    make_store: MakeStore, put: Put, tmp_path: pathlib.Path
) -> None:
    """What a file's own callback breaks is that file's failure."""
    uri = put("a", b"data")

    def fail(*_: object) -> None:
        raise KeyError

    with make_store() as store:
        broken = store.get(uri, tmp_path / "a", before_publish=fail)
        complete = store.get(uri, tmp_path / "b")
    assert code_of(broken) == "UNEXPECTED"
    complete.result()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_files_that_end_together_are_renamed_together(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """What precedes renames is done before each, but once for several; and never for a file not asked about before."""
    uri = put("a", b"data")
    asked: list[int] = []
    renamed_at_call: list[int] = []
    go_on = threading.Event()
    local.faults.add(faults.call(lambda: go_on.wait(30)), service="s3")

    def before_renames() -> None:
        renamed_at_call.append(sum(not each.name.startswith(".") for each in tmp_path.iterdir()))
        assert renamed_at_call[-1] < len(asked)

    with make_store() as store:
        transfers = [
            store.get(
                uri,
                tmp_path / str(number),
                before_publish=lambda *_, number=number: asked.append(number),
                before_renames=before_renames,
            )
            for number in range(50)
        ]
        go_on.set()
        for transfer in transfers:
            transfer.result()
    assert sorted(asked) == list(range(50))
    assert renamed_at_call[0] == 0
    assert len(renamed_at_call) <= 50


def test_many_files_wait_their_turn(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """`get` blocks once enough is queued, so that memory does not grow with the files."""
    uri = put("a", b"data")
    go_on = threading.Event()
    local.faults.add(faults.call(lambda: go_on.wait(60)), service="s3")
    handed_over: list[Transfer] = []

    def hand_over(store: CurlStore) -> None:
        handed_over.extend(store.get(uri, tmp_path / str(number)) for number in range(200))

    with make_store(max_connections=4) as store:
        for number in range(64):
            store.get(uri, tmp_path / f"early-{number}")
        thread = threading.Thread(target=hand_over, args=(store,))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        go_on.set()
        thread.join(60)
    assert len(handed_over) == 200


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_signal_while_the_store_is_left_cancels_and_waits(
    make_store: MakeStore, put: Put, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """Ctrl-C while transfers run ends them; when it surfaces, no thread and no part is left."""
    uri = put("a", os.urandom(PART))
    local.faults.add(faults.stall(after_bytes=100, seconds=30), service="s3")
    transfers: list[Transfer] = []

    def interrupt_soon(_: int) -> None:
        signal.setitimer(*SOON)

    def leave() -> None:
        with make_store() as store:
            transfers.append(store.get(uri, tmp_path / "a", interrupt_soon))

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            leave()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert code_of(transfers[0]) == "CANCELLED"
    assert not [one for one in threading.enumerate() if one.name == "roboto-curl"]
    assert list(tmp_path.iterdir()) == []


def _child_of_a_fork(store: CurlStore, destination: pathlib.Path, reported: Any) -> None:
    try:
        store.get("s3://bucket/key", destination)
    except ConfigurationError as error:
        reported.put(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_store_is_refused_after_a_fork(
    store: CurlStore, put: Put, tmp_path: pathlib.Path
) -> None:
    """A child shares no connections with its parent, and its error names what to do."""
    store.get(put("a", b"data"), tmp_path / "a").result(30)
    context = multiprocessing.get_context("fork")
    reported = context.Queue()
    child = context.Process(target=_child_of_a_fork, args=(store, tmp_path / "b", reported))
    child.start()
    assert "another process" in reported.get(timeout=60)
    child.join()


def test_no_thread_is_made_before_it_is_needed(make_store: MakeStore) -> None:
    """A store that is opened and left costs nothing."""
    before = threading.active_count()
    with make_store():
        assert threading.active_count() == before


def test_the_threads_end_with_the_store(
    make_store: MakeStore, put: Put, tmp_path: pathlib.Path
) -> None:
    """Nothing is left running."""
    uri, before = put("a", b"data"), set(threading.enumerate())
    with make_store() as store:
        store.get(uri, tmp_path / "a").result(30)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("roboto-curl")]


@pytest.mark.parametrize(
    ("key", "quoted"),
    [
        ("a b#c?d&e+f%20~", "a%20b%23c%3Fd%26e%2Bf%2520~"),
        ("/lead//in/", "/lead//in/"),
        ("\t\n\\", "%09%0A%5C"),
        ("é文", "%C3%A9%E6%96%87"),
    ],
)
def test_keys_are_quoted_as_they_are_signed(key: str, quoted: str) -> None:
    """Everything but `/` and unreserved characters is encoded, once."""
    assert quote_key(key) == quoted


@pytest.mark.parametrize(
    ("key", "has_them"),
    [
        ("a/../b", True),
        ("./a", True),
        ("..", True),
        ("a/.", True),
        ("a..b/.c", False),
        ("a", False),
    ],
)
def test_keys_that_libcurl_would_shorten_are_known(key: str, has_them: bool) -> None:  # noqa: FBT001
    """Segments of dots alone go to the other engine."""
    assert has_dot_segments(key) is has_them


@pytest.mark.parametrize("durability", ["file", "full"])
def test_the_loop_does_not_wait_for_the_disk(
    make_store: MakeStore,
    put: Put,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    durability: str,
) -> None:
    """What is forced to the disk is waited for in another thread: all connections would stand still."""
    forcing = set()
    force = os.fsync

    def fsync(fd: int) -> None:
        forcing.add(threading.current_thread().name.partition("_")[0])
        force(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with make_store(durability=durability) as store:
        store.get(put("a", b"data"), tmp_path / "a", size_bytes=4).result(30)
    assert (tmp_path / "a").read_bytes() == b"data"
    assert forcing == {"roboto-worker"}


def test_a_directory_bucket_is_left_to_boto3(tmp_path: pathlib.Path) -> None:
    """Its objects are requested within a session, signed for another service."""
    bucket = "logs--usw2-az1--x-s3"
    session = (
        b"<CreateSessionResult><Credentials><SessionToken>ST</SessionToken>"
        b"<SecretAccessKey>SS</SecretAccessKey><AccessKeyId>AK</AccessKeyId>"
        b"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"
    )

    def answer(asked: Asked) -> Iterable[bytes]:
        if not asked.path.endswith("/key"):
            return [head(200, {"Content-Length": str(len(session))}), session]
        return StoredObject(data=b"data").answer(asked)

    with (
        ScriptedServer(answer) as server,
        CurlStore.create(credentials, endpoint_url=server.url) as store,
    ):
        store.get(f"s3://{bucket}/key", tmp_path / "file", size_bytes=4).result(30)
    last = server.asked[-1].headers
    assert (tmp_path / "file").read_bytes() == b"data"
    assert "/s3express/aws4_request" in last["authorization"]
    assert last["x-amz-s3session-token"] == "ST"


@pytest.mark.usefixtures("slow")
def test_a_temporary_file_that_is_taken_away_ends_the_transfer(
    make_store: MakeStore, put: Put, tmp_path: pathlib.Path
) -> None:
    """Bytes that nobody will find are not written for long, and nothing is published."""
    uri = put("a", os.urandom(2_000_000))
    started = threading.Event()
    with make_store(stall_timeout_seconds=0.5, max_connections=1) as store:
        transfer = store.get(uri, tmp_path / "a", lambda _: started.set())
        assert started.wait(60)
        for path in tmp_path.glob(".*.part"):
            path.unlink()
        error = transfer.exception(30)
    assert isinstance(error, DownloadError)
    assert (error.code, error.transient) == ("LOCAL_IO", True)
    assert not (tmp_path / "a").exists()
