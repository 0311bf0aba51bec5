"""The registry of stores, and how a URI is taken apart."""

import pathlib
import threading
from types import TracebackType
from typing import Any

import pytest
from typing_extensions import Self

from roboto_dagster import ConfigurationError, CredentialProvider, Credentials, StoreRegistry
from roboto_dagster.fs.boto.store import BotoStore
from roboto_dagster.fs.object_store import (
    FutureLike,
    ObjectStore,
    OnProgress,
    Receipt,
    Transfer,
)
from roboto_dagster.uri import split_s3_uri


class NowhereStore:
    """A store of a scheme of its own, which keeps what it was made with."""

    def __init__(self, credential_provider: CredentialProvider, options: dict[str, Any]) -> None:
        self.credential_provider = credential_provider
        self.options = options

    @classmethod
    def create(cls, credential_provider: CredentialProvider, **kwargs: Any) -> "NowhereStore":
        """Make one."""
        return cls(credential_provider, kwargs)

    def __enter__(self) -> Self:
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
        self, source_uri: str, destination: pathlib.Path, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Get nothing."""
        raise NotImplementedError


def keys() -> Credentials:
    """Return made-up credentials."""
    return Credentials(access_key="a", secret_key="s", token="", region="", expiry_time=None)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(StoreRegistry, "_stores", dict(StoreRegistry._stores))  # noqa: SLF001


def test_a_registered_store_serves_its_scheme() -> None:
    """A team can register its own store: provider and options arrive as they were given."""
    assert StoreRegistry.register("nowhere")(NowhereStore) is NowhereStore
    store = StoreRegistry.get_store_for_uri("nowhere://b/k", keys, colour="blue")
    assert isinstance(store, NowhereStore)
    assert (store.credential_provider, store.options) == (keys, {"colour": "blue"})


def test_a_store_of_ones_own_is_an_object_store() -> None:
    """The protocol is checked at run time by what a class has."""
    assert issubclass(NowhereStore, ObjectStore)


def test_a_scheme_is_registered_once() -> None:
    """Two stores for one scheme would be a matter of luck."""
    with pytest.raises(ConfigurationError, match="'s3' is already served by S3Store"):
        StoreRegistry.register("s3")(NowhereStore)


@pytest.mark.parametrize("uri", ["gs://bucket/key", "S3://bucket/key", "/local/path", ""])
def test_an_unknown_scheme_is_named(uri: str) -> None:
    """The error names the URI and which schemes there are."""
    with pytest.raises(ConfigurationError) as caught:
        StoreRegistry.get_store_for_uri(uri, keys)
    assert str(caught.value) == f"No object store serves {uri!r}; registered schemes: s3."


def test_the_engine_can_be_chosen() -> None:
    """`engine="boto3"` is the portable engine."""
    store = StoreRegistry.get_store_for_uri("s3://b/k", keys, engine="boto3")
    assert isinstance(store, BotoStore)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"engine": "wget"}, 'engine must be "auto", "curl" or "boto3"', id="engine"),
        pytest.param({"colour": 1}, "Unknown store option colour; there are ", id="unknown"),
        pytest.param({"endpoint_url": "s3.local"}, "must start with http", id="endpoint"),
        pytest.param({"max_connections": 0}, "at least 1, not 0", id="connections"),
        pytest.param({"verify": "md5"}, '"auto", "checksum" or "size"', id="verify"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    """A setting that cannot work is named, with what can be set."""
    with pytest.raises(ConfigurationError, match=message):
        StoreRegistry.get_store_for_uri("s3://b/k", keys, **options)


@pytest.mark.parametrize("uri", [5, None, b"s3://b/k", ""], ids=repr)
def test_what_is_no_uri_is_refused(uri: Any) -> None:
    """It is named, with the schemes that are served."""
    with pytest.raises(ConfigurationError, match=r"No object store serves .*s3"):
        StoreRegistry.get_store_for_uri(uri, keys)


def test_credentials_in_place_of_their_provider_are_refused() -> None:
    """A provider is called again when they expire; the message does not show them."""
    provider: Any = {"secret_key": "nobody-may-see"}
    with pytest.raises(
        ConfigurationError, match="credential_provider must be a function"
    ) as caught:
        StoreRegistry.get_store_for_uri("s3://b/k", provider)
    assert "nobody-may-see" not in str(caught.value)


def test_curl_without_pycurl_names_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the fast engine and has it not gets an error with how to install it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="pip install pycurl"):
        StoreRegistry.get_store_for_uri("s3://b/k", keys, engine="curl")


def test_auto_without_pycurl_is_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default engine works everywhere."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert isinstance(StoreRegistry.get_store_for_uri("s3://b/k", keys), BotoStore)


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        pytest.param("s3://b/a/b.mcap", "b", "a/b.mcap", id="plain"),
        pytest.param("s3://b/what?.mcap", "b", "what?.mcap", id="question-mark"),
        pytest.param("s3://b/no#1.mcap", "b", "no#1.mcap", id="hash"),
        pytest.param("s3://b//lead//double/", "b", "/lead//double/", id="slashes"),
        pytest.param("s3://b/a\tb\n.mcap", "b", "a\tb\n.mcap", id="tab-and-newline"),
        pytest.param("s3://b/100%25 +~é.mcap", "b", "100%25 +~é.mcap", id="percent-space-plus"),
        pytest.param("s3://b/../a/./b", "b", "../a/./b", id="dots"),
        pytest.param("s3://b/a://b", "b", "a://b", id="a-scheme-in-the-key"),
        pytest.param("s3://my.bucket-1/k", "my.bucket-1", "k", id="dotted-bucket"),
        pytest.param("s3://b/ ", "b", " ", id="a-space"),
    ],
)
def test_keys_are_taken_exactly(uri: str, bucket: str, key: str) -> None:
    """A key is everything behind the bucket's slash, byte for byte."""
    assert split_s3_uri(uri) == (bucket, key)


@pytest.mark.parametrize("uri", ["s3://", "s3://b", "s3://b/", "s3:///k", "gs://b/k", "b/k", ""])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    """Without a bucket or a key there is nothing to ask for."""
    with pytest.raises(ConfigurationError, match="Not an S3 URI"):
        split_s3_uri(uri)


RECEIPT = Receipt(
    size_bytes=1, etag=None, checksum=None, verified="size", attempts=1, duration_seconds=0.0
)


def test_a_transfer_under_way_is_waited_for_only_so_long() -> None:
    """Waiting ends with a timeout while the file is under way."""
    transfer = Transfer(lambda _: None)
    assert not transfer.done()
    with pytest.raises(TimeoutError):
        transfer.result(timeout=0.0)


def test_a_transfer_that_went_well_has_its_receipt() -> None:
    """What is known of a published file is kept with its transfer."""
    transfer = Transfer(lambda _: None)
    transfer.succeed(RECEIPT)
    transfer.result()
    assert transfer.done()
    assert transfer.exception() is None
    assert transfer.receipt is RECEIPT


def test_a_transfer_that_failed_raises_its_error_each_time() -> None:
    """Asked twice, a failure is raised twice."""
    transfer = Transfer(lambda _: None)
    error = ValueError("broken")
    transfer.fail(error)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            transfer.result()
    assert transfer.exception() is error


def test_everybody_who_waits_for_a_transfer_hears_of_its_end() -> None:
    """Several threads may wait for one file."""
    transfer = Transfer(lambda _: None)
    waiting = threading.Barrier(4)
    heard: list[BaseException | None] = []

    def wait() -> None:
        waiting.wait()
        heard.append(transfer.exception(timeout=60))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting.wait()
    transfer.succeed(RECEIPT)
    for thread in threads:
        thread.join()
    assert heard == [None, None, None]


def test_only_a_transfer_under_way_is_cancelled() -> None:
    """The store is not asked to end what has ended."""
    asked: list[Transfer] = []
    transfer = Transfer(asked.append)
    transfer.cancel()
    transfer.succeed(RECEIPT)
    transfer.cancel()
    assert asked == [transfer]
