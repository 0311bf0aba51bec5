"""Uploads fail with errors of our own."""

import pathlib
from collections.abc import Callable

import pytest

from roboto_dagster.errors import ConfigurationError, RobotoDagsterError, UploadError
from roboto_dagster.fs.boto.store import BotoStore
from roboto_dagster.fs.retry import RetryConfig
from tests.fs.scripted_server import Answer, ScriptedServer, credentials, error, head

AT_ONCE = RetryConfig(max_attempts=1)


def put(answer: Answer, source: pathlib.Path, uri: str = "s3://bucket/key") -> None:
    """Upload a file to a server, and wait."""
    with ScriptedServer(answer) as server:
        store = BotoStore.create(credentials, endpoint_url=server.url, retry=AT_ONCE)
        with store:
            store.put(source, uri).result()


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small file."""
    path = tmp_path / "source"
    path.write_bytes(b"bytes")
    return path


def test_an_upload_reports_its_bytes(source: pathlib.Path) -> None:
    """Numbers of bytes add up to the size."""
    counted: list[int] = []
    with ScriptedServer(lambda _: [head(200, {"Content-Length": "0"})]) as server:
        store = BotoStore.create(credentials, endpoint_url=server.url)
        with store:
            store.put(source, "s3://bucket/key", counted.append).result()
    assert sum(counted) == 5


@pytest.mark.parametrize(
    ("status", "s3_code", "code"),
    [
        (403, "AccessDenied", "ACCESS_DENIED"),
        (404, "NoSuchBucket", "NOT_FOUND"),
        (503, "SlowDown", "THROTTLED"),
    ],
)
def test_a_refusal_has_a_code(source: pathlib.Path, status: int, s3_code: str, code: str) -> None:
    """The store's answer decides, by the table of downloads."""
    with pytest.raises(UploadError, match="source -> s3://bucket/key") as raised:
        put(lambda _: error(status, s3_code), source)
    assert raised.value.code == code
    assert raised.value.uri == "s3://bucket/key"


def test_a_missing_source_is_named(tmp_path: pathlib.Path) -> None:
    """A file that is not there is an error of this machine."""
    with pytest.raises(UploadError, match="LOCAL_IO"):
        put(lambda _: [head(200)], tmp_path / "none")


@pytest.mark.parametrize("answer", [None, {}, {"access_key": "a"}])
def test_unusable_credentials_are_named(source: pathlib.Path, answer: object) -> None:
    """What the provider returned is no error of botocore's."""
    provide: Callable[..., object] = lambda: answer  # noqa: E731 - a provider
    store = BotoStore.create(provide, retry=AT_ONCE)  # type: ignore[arg-type]  # what is tested
    with store, pytest.raises(RobotoDagsterError, match="CREDENTIALS_INVALID"):
        store.put(source, "s3://bucket/key").result()


def test_a_closed_store_takes_no_upload(source: pathlib.Path) -> None:
    """Nor does a URI that is none of S3's."""
    with BotoStore.create(credentials) as store, pytest.raises(ConfigurationError):
        store.put(source, "gs://bucket/key")
    with pytest.raises(ConfigurationError, match="closed"):
        store.put(source, "s3://bucket/key")
