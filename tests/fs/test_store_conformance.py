"""What every store promises, run against both engines and against servers no one here wrote."""

import concurrent.futures
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roboto_dagster.errors import ConfigurationError, DownloadError
from roboto_dagster.fs.credentials import CredentialProvider, Credentials
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.fs.retry import RetryConfig
from tests.fs.s3_servers import BUCKET, S3Server, servers

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
PART = 5 * MIB  # the smallest that S3 knows
AT_ONCE = RetryConfig(max_attempts=2, wait_initial_seconds=0.0, wait_max_seconds=0.0)

# Some servers store objects as files, so they have no empty segments, nor one that is a folder.
KEYS = [
    "plain",
    "with space",
    "and&equals=",
    "plus+plus",
    "percent%20",
    "percent%",
    "tilde~",
    "semi;colon,comma",
    "quote'\"",
    "[brackets](round){curly}<angle>",
    "ünïcode/文件/🤖",
    "pipe|star*colon:at@dollar$",
    "dots..in.names/.hidden/a..",
    "long/" + "x" * 200,
]
# pys3local takes these apart as a URL.
KEYS_WITH_DELIMITERS = ["hash#tag", "question?mark", "back\\slash", "tab\tkey", "new\nline"]
KEYS_THAT_ARE_NO_PATHS = [
    "trailing/",
    "two//slashes",
    "/leading",
    "//",
    "dir/../up",
    "./here",
    "..",
    "a/./b/..",
]

MakeStore = Callable[..., Any]


@pytest.fixture
def make_store(engine: str, server: S3Server) -> MakeStore:
    """Makes stores of the engine in turn for the server in turn."""

    def make(provider: CredentialProvider = server.credentials, **options: Any) -> Any:
        defaults: dict[str, Any] = {
            "engine": engine,
            "endpoint_url": server.url,
            "part_size_bytes": PART,
            "retry": AT_ONCE,
        }
        return StoreRegistry.get_store_for_uri("s3://any/key", provider, **{**defaults, **options})

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[Any]:
    """A store, open for one test."""
    with make_store() as open_store:
        yield open_store


def failure_of(transfer: "concurrent.futures.Future[None]") -> DownloadError:
    """Waits for the transfer to fail."""
    error = transfer.exception(timeout=60)
    assert isinstance(error, DownloadError), error
    return error


def leftovers(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists what is there."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_a_key_is_asked_exactly_as_it_is(
    store: Any, server: S3Server, tmp_path: pathlib.Path, key: str
) -> None:
    """Whatever a key is made of, its object arrives."""
    uri = server.put(f"keys/{key}", key.encode())
    store.get(uri, tmp_path / "file").result(timeout=60)
    assert key.encode() == (tmp_path / "file").read_bytes()


@servers("moto", "rclone", "seaweedfs")
@pytest.mark.parametrize("key", KEYS_WITH_DELIMITERS, ids=repr)
def test_a_key_with_delimiters_is_asked_exactly_as_it_is(
    store: Any, server: S3Server, tmp_path: pathlib.Path, key: str
) -> None:
    """What ends a path in a URL does not end a key."""
    uri = server.put(f"keys/{key}", key.encode())
    store.get(uri, tmp_path / "file").result(timeout=60)
    assert key.encode() == (tmp_path / "file").read_bytes()


@servers("moto")
@pytest.mark.parametrize("key", KEYS_THAT_ARE_NO_PATHS, ids=repr)
def test_a_key_that_is_no_path_is_asked_exactly_as_it_is(
    store: Any, server: S3Server, tmp_path: pathlib.Path, key: str
) -> None:
    """Keys are not paths: empty segments and dots are kept."""
    uri = server.put(key, key.encode())
    store.get(uri, tmp_path / "file").result(timeout=60)
    assert key.encode() == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("size_is", ["known", "unknown"])
@pytest.mark.parametrize(
    "size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 123], ids=str
)
def test_a_file_of_any_size_arrives_verified(
    store: Any, server: S3Server, tmp_path: pathlib.Path, size: int, size_is: str
) -> None:
    """At and around the bounds of a part, the bytes are the object's and the receipt reports it."""
    data = os.urandom(size)
    uri = server.put(f"sizes/{size}", data)
    transfer = store.get(uri, tmp_path / "file", size_bytes=size if size_is == "known" else None)
    transfer.result(timeout=60)
    assert data == (tmp_path / "file").read_bytes()
    assert size == transfer.receipt.size_bytes
    # A store that ignores ranges is asked once more, for one stream.
    assert transfer.receipt.attempts <= (1 if server.has_ranges else 2)
    if size:
        assert server.verified == transfer.receipt.verified


@pytest.mark.parametrize("size", [0, 1, 3 * PART + 7])
def test_progress_adds_up_to_the_size(
    store: Any, server: S3Server, tmp_path: pathlib.Path, size: int
) -> None:
    """Every byte is reported once."""
    uri = server.put("progress", os.urandom(size))
    reported: list[int] = []
    store.get(uri, tmp_path / "file", reported.append).result(timeout=60)
    assert size == sum(reported)


def test_a_broken_progress_callback_breaks_no_transfer(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """What the caller's callback raises is the caller's affair."""
    uri = server.put("progress", b"data")
    store.get(uri, tmp_path / "file", lambda _: 1 // 0).result(timeout=60)
    assert (tmp_path / "file").read_bytes() == b"data"


@servers("rclone", "seaweedfs")  # what takes an upload in parts
def test_an_upload_in_parts_arrives(store: Any, server: S3Server, tmp_path: pathlib.Path) -> None:
    """The SDK's default checksums of an upload in parts are not all of the complete object."""
    data = os.urandom(3 * PART + 7)
    (tmp_path / "source").write_bytes(data)
    server.client.upload_file(str(tmp_path / "source"), BUCKET, "parts")  # type: ignore[attr-defined]
    transfer = store.get(f"s3://{BUCKET}/parts", tmp_path / "file", size_bytes=len(data))
    transfer.result(timeout=60)
    assert (tmp_path / "file").read_bytes() == data


def test_the_headers_of_an_object_can_be_asked(store: Any, server: S3Server) -> None:
    """Its size and ETag come with `head`; of what is not there, it is an error."""
    uri = server.put("headers", b"12345")
    headers = store.head(uri)
    assert headers["content-length"] == "5"
    assert headers["etag"]
    with pytest.raises(DownloadError, match="NOT_FOUND"):
        store.head(f"{uri}-not")


def test_many_files_arrive(store: Any, server: S3Server, tmp_path: pathlib.Path) -> None:
    """More files than connections, in one store."""
    uris = {name: server.put(f"many/{name}", name.encode()) for name in map(str, range(60))}
    transfers = [store.get(uri, tmp_path / name) for name, uri in uris.items()]
    for transfer in transfers:
        transfer.result(timeout=60)
    assert sorted(uris) == sorted(path.read_text() for path in tmp_path.iterdir())


def test_leaving_the_store_waits_for_what_is_running(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """After the `with`, every transfer has ended."""
    uri = server.put("one", b"data")
    with make_store() as store:
        transfer = store.get(uri, tmp_path / "file")
    assert transfer.done()
    assert (tmp_path / "file").read_bytes() == b"data"


def test_a_missing_object_is_named(store: Any, server: S3Server, tmp_path: pathlib.Path) -> None:
    """The failure reports which file, and that it is not there; nothing is left."""
    uri = server.put("there", b"data").replace("there", "not-there")
    error = failure_of(store.get(uri, tmp_path / "file"))
    assert (error.code, error.transient, error.attempts) == ("NOT_FOUND", False, 1)
    assert error.file["source_uri"] == uri
    assert error.file["destination_path"] == tmp_path / "file"
    assert leftovers(tmp_path) == []


def test_a_missing_object_does_not_stop_the_others(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """One file's failure is its own."""
    uri = server.put("there", b"data")
    missing = store.get(f"{uri}-not", tmp_path / "missing")
    present = store.get(uri, tmp_path / "present")
    assert failure_of(missing).code == "NOT_FOUND"
    present.result(timeout=60)


def with_fields(provider: CredentialProvider, **fields: str) -> CredentialProvider:
    """Returns a provider whose credentials differ in some fields."""

    def provide() -> Credentials:
        return Credentials(**{**provider(), **fields})  # type: ignore[typeddict-item]

    return provide


def test_a_wrong_secret_is_refused(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """The failure reports that the credentials are wrong, and does not quote them."""
    uri = server.put("there", b"data")
    with make_store(with_fields(server.credentials, secret_key="not-the-secret")) as store:
        error = failure_of(store.get(uri, tmp_path / "file"))
    assert error.code in ("CREDENTIALS_INVALID", "ACCESS_DENIED")
    assert not error.transient
    assert "not-the-secret" not in str(error)
    assert leftovers(tmp_path) == []


@servers("moto")
def test_a_wrong_token_is_refused(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """A session token that the store does not know is refused."""
    uri = server.put("there", b"data")
    with make_store(with_fields(server.credentials, token="not-the-token")) as store:
        error = failure_of(store.get(uri, tmp_path / "file"))
    assert error.code.startswith("CREDENTIALS_")
    assert "not-the-token" not in str(error)


@pytest.mark.parametrize("answer", [{}, [], None, "html", {"access_key": "a"}], ids=repr)
def test_garbled_credentials_are_named(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path, answer: Any
) -> None:
    """Credentials of another shape fail the files, with the shape that was wrong."""
    uri = server.put("there", b"data")
    with make_store(lambda: answer) as store:
        error = failure_of(store.get(uri, tmp_path / "file"))
    assert error.code == "CREDENTIALS_INVALID"


def test_the_provider_is_asked_once(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """Credentials that live cost one call, whatever the number of files."""
    uri = server.put("there", b"data")
    calls: list[int] = []

    def counted() -> Credentials:
        calls.append(1)
        return server.credentials()

    with make_store(counted) as store:
        for number in range(20):
            store.get(uri, tmp_path / str(number))
    assert len(calls) == 1


def test_an_object_of_another_size_is_refused(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """A recorded size that is not the object's is a failure with both numbers; nothing is left."""
    uri = server.put("size", b"12345678")
    error = failure_of(store.get(uri, tmp_path / "file", size_bytes=9))
    assert (error.code, error.transient) == ("SIZE_MISMATCH", False)
    assert "8" in error.reason
    assert "9" in error.reason
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("there", [b"12345678", None], ids=["not-empty", "absent"])
def test_a_file_recorded_as_empty_is_requested(
    store: Any, server: "S3Server", tmp_path: pathlib.Path, there: bytes | None
) -> None:
    """An empty file is published only if the store has an empty object; a record may be wrong."""
    uri = server.put("there", there or b"")
    uri, code = (uri, "SIZE_MISMATCH") if there else (f"{uri}-absent", "NOT_FOUND")
    error = failure_of(store.get(uri, tmp_path / "file", size_bytes=0))
    assert error.code == code
    assert leftovers(tmp_path) == []


def test_an_empty_file_is_published(store: Any, server: "S3Server", tmp_path: pathlib.Path) -> None:
    """An empty object is a file like any other."""
    store.get(server.put("there", b""), tmp_path / "file", size_bytes=0).result(timeout=60)
    assert (tmp_path / "file").read_bytes() == b""


def test_parent_folders_are_made(store: Any, server: S3Server, tmp_path: pathlib.Path) -> None:
    """A destination's folders need not be there."""
    uri = server.put("there", b"data")
    store.get(uri, tmp_path / "a" / "b" / "file", within=tmp_path).result(timeout=60)
    assert leftovers(tmp_path) == [tmp_path / "a" / "b" / "file"]


def test_an_older_file_is_replaced(store: Any, server: S3Server, tmp_path: pathlib.Path) -> None:
    """What stood at the destination gives way to what was fetched."""
    uri = server.put("there", b"new")
    (tmp_path / "file").write_bytes(b"older and longer")
    store.get(uri, tmp_path / "file").result(timeout=60)
    assert (tmp_path / "file").read_bytes() == b"new"


def test_an_older_file_survives_a_failure(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """What stood at the destination stays if the fetch fails."""
    uri = server.put("there", b"new")
    (tmp_path / "file").write_bytes(b"old")
    failure_of(store.get(uri, tmp_path / "file", size_bytes=99))
    assert (tmp_path / "file").read_bytes() == b"old"
    assert leftovers(tmp_path) == [tmp_path / "file"]


def test_a_file_is_seen_complete_or_not_at_all(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """While bytes arrive, the final name does not exist."""
    uri = server.put("big", os.urandom(3 * PART))
    seen: list[bool] = []
    transfer = store.get(
        uri, tmp_path / "file", lambda _: seen.append((tmp_path / "file").exists())
    )
    transfer.result(timeout=60)
    assert seen
    assert not any(seen)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
@pytest.mark.parametrize("linked", ["folder", "file"])
def test_a_planted_link_is_not_followed(
    store: Any, server: S3Server, tmp_path: pathlib.Path, linked: str
) -> None:
    """A link below the destination leads nowhere: it is refused, or replaced by the file."""
    uri = server.put("there", b"data")
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").write_bytes(b"untouched")
    if linked == "folder":
        (root / "folder").symlink_to(outside)
        transfer = store.get(uri, root / "folder" / "file", within=root)
        assert failure_of(transfer).code == "UNSAFE_PATH"
    else:
        (root / "file").symlink_to(outside / "file")
        store.get(uri, root / "file", within=root).result(timeout=60)
        assert not (root / "file").is_symlink()
    assert (outside / "file").read_bytes() == b"untouched"


def test_a_folder_in_the_way_is_a_local_error(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """A destination that is a folder fails that file, and nothing is left."""
    uri = server.put("there", b"data")
    (tmp_path / "file" / "inner").mkdir(parents=True)
    assert failure_of(store.get(uri, tmp_path / "file")).code == "LOCAL_IO"
    assert leftovers(tmp_path) == []


def test_a_cancelled_transfer_leaves_nothing(
    store: Any, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """`cancel` ends a running transfer with a failure of its own code."""
    uri = server.put("big", os.urandom(8 * PART))
    arrived, go_on = threading.Event(), threading.Event()

    def hold(_: int) -> None:
        arrived.set()
        go_on.wait(60)

    transfer = store.get(uri, tmp_path / "file", hold)
    assert arrived.wait(60)
    transfer.cancel()
    go_on.set()
    assert failure_of(transfer).code == "CANCELLED"
    assert leftovers(tmp_path) == []


def test_leaving_the_store_on_an_error_cancels(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """An exception in the `with` wins, and what was running is cancelled."""
    uri = server.put("big", os.urandom(8 * PART))
    arrived, go_on = threading.Event(), threading.Event()
    transfers: list[concurrent.futures.Future[None]] = []

    def hold(_: int) -> None:
        arrived.set()
        go_on.wait(60)

    def fail_while_it_runs() -> None:
        with make_store() as store:
            transfers.append(store.get(uri, tmp_path / "file", hold))
            assert arrived.wait(60)
            threading.Timer(0.1, go_on.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail_while_it_runs()
    assert failure_of(transfers[0]).code == "CANCELLED"
    assert leftovers(tmp_path) == []


def test_a_closed_store_refuses_work(
    make_store: MakeStore, server: S3Server, tmp_path: pathlib.Path
) -> None:
    """After the `with`, the store reports it."""
    with make_store() as store:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        store.get(server.put("there", b""), tmp_path / "file")


@servers("rclone", "seaweedfs", "pys3local")  # the keys of the other only read
def test_what_was_put_can_be_got(store: Any, server: S3Server, tmp_path: pathlib.Path) -> None:
    """Both engines upload."""
    uri = server.put("put", b"before")
    (tmp_path / "source").write_bytes(b"after")
    store.put(tmp_path / "source", uri).result()
    store.get(uri, tmp_path / "file").result(timeout=60)
    assert (tmp_path / "file").read_bytes() == b"after"


@pytest.mark.parametrize(
    "options", [{"no_such_option": 1}, {"max_connections": 0}, {"endpoint_url": "ftp://host"}]
)
def test_a_wrong_option_is_named(make_store: MakeStore, options: dict[str, Any]) -> None:
    """What cannot work is refused when the store is made."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        make_store(**options)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://", "gs://bucket/key", "/a/path"])
def test_a_uri_that_is_none_of_s3_is_refused(store: Any, tmp_path: pathlib.Path, uri: str) -> None:
    """A URI that names no object is a mistake, not a failed transfer."""
    with pytest.raises(ConfigurationError):
        store.get(uri, tmp_path / "file")
