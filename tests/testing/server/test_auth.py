"""Who may ask S3 for what, and until when."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError
from roboto import File, RobotoClient

from roboto_dagster.testing import LocalRoboto

BUCKET = "roboto-managed"


@pytest.fixture
def file(local: LocalRoboto, dataset_id: str) -> str:
    """A dataset with one file, under the key `a`."""
    local.add_file(dataset_id, "a", b"hello", key="a")
    return dataset_id


@pytest.mark.parametrize(
    ("replaced", "code"),
    [
        ({"access_key_id": "ASIAXXXXXXXXXXXXXXXX"}, "InvalidAccessKeyId"),
        ({"secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"session_token": "wrong"}, "InvalidToken"),
    ],
    ids=["access key", "secret key", "session token"],
)
def test_wrong_credentials(
    file: str, s3: Callable[..., Any], replaced: dict[str, str], code: str
) -> None:
    """A wrong key, signature or token is refused, each with its own code."""
    with pytest.raises(ClientError) as caught:
        s3(file, **replaced).get_object(Bucket=BUCKET, Key="a")
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.usefixtures("file")
def test_unsigned_request(local: LocalRoboto, fetch: Callable[..., Any]) -> None:
    """A request without a signature is refused."""
    answer = fetch(f"{local.s3_url}/{BUCKET}/a?")
    assert (answer.status, b"AccessDenied" in answer.body) == (403, True)


def test_credentials_are_read_only(file: str, s3: Callable[..., Any]) -> None:
    """Credentials to download cannot write or delete."""
    client = s3(file)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=BUCKET, Key="a")
    assert client.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"hello"


def test_credentials_are_for_one_bucket(
    local: LocalRoboto, file: str, s3: Callable[..., Any]
) -> None:
    """Each bucket of a dataset has credentials of its own, which do not open another."""
    local.add_file(file, "b", b"there", bucket="customer-bucket", key="b")
    assert s3(file, "customer-bucket").get_object(Bucket="customer-bucket", Key="b")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3(file).get_object(Bucket="customer-bucket", Key="b")


def test_expired_credentials(local: LocalRoboto, file: str, s3: Callable[..., Any]) -> None:
    """Credentials whose life was ended are refused with ExpiredToken; new ones work."""
    client = s3(file)
    local.expire_credentials()
    with pytest.raises(ClientError, match="ExpiredToken"):
        client.get_object(Bucket=BUCKET, Key="a")
    assert s3(file).get_object(Bucket=BUCKET, Key="a")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime.now(timezone.utc)

    def __call__(self) -> datetime:
        """Return the time that it shows."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The platform's clock."""
    return Clock()


@pytest.fixture
def local(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRoboto]:
    """A platform on a clock, whose credentials live a minute."""
    with LocalRoboto(clock=clock, credentials_ttl_seconds=60) as platform:
        for name, value in platform.environment().items():
            monkeypatch.setenv(name, value)
        yield platform


def test_credentials_expire(clock: Clock, file: str, s3: Callable[..., Any]) -> None:
    """Credentials work until their time is over, and not a moment longer."""
    client = s3(file)
    clock.now += timedelta(seconds=59)
    assert client.get_object(Bucket=BUCKET, Key="a")
    clock.now += timedelta(seconds=1)
    with pytest.raises(ClientError, match="ExpiredToken"):
        client.get_object(Bucket=BUCKET, Key="a")


def test_credentials_tell_their_expiry(
    clock: Clock, file: str, credentials: Callable[..., dict[str, Any]]
) -> None:
    """The API says until when credentials work, in a time with its zone."""
    expiry = datetime.fromisoformat(credentials(file)["expiration"])
    assert expiry == clock.now + timedelta(seconds=60)


def test_life_of_credentials_can_change(
    local: LocalRoboto, clock: Clock, file: str, credentials: Callable[..., dict[str, Any]]
) -> None:
    """The life of credentials can be set while the platform runs."""
    local.credentials_ttl_seconds = 10
    expiry = datetime.fromisoformat(credentials(file)["expiration"])
    assert expiry == clock.now + timedelta(seconds=10)


def test_signed_url_expires(
    local: LocalRoboto,
    clock: Clock,
    client: RobotoClient,
    file: str,
    fetch: Callable[..., Any],
) -> None:
    """A signed URL works for an hour, if the credentials behind it live as long."""
    local.credentials_ttl_seconds = 7200
    signed = File.from_path_and_dataset_id("a", file, roboto_client=client).get_signed_url()
    assert fetch(signed).body == b"hello"
    clock.now += timedelta(hours=1, seconds=1)
    assert fetch(signed).status == 403


def test_tampered_signed_url(client: RobotoClient, file: str, fetch: Callable[..., Any]) -> None:
    """A signed URL does not open another object."""
    signed = File.from_path_and_dataset_id("a", file, roboto_client=client).get_signed_url()
    answer = fetch(signed.replace("/a?", "/b?"))
    assert (answer.status, b"SignatureDoesNotMatch" in answer.body) == (403, True)


def test_representation_hides_secrets(local: LocalRoboto) -> None:
    """Secrets do not show in a representation."""
    issued = local._running.store.authority.issue(  # noqa: SLF001
        bucket=BUCKET, prefix="", access="read", ttl_seconds=60
    )
    assert issued.secret_access_key not in repr(issued)
    assert issued.session_token not in repr(issued)
