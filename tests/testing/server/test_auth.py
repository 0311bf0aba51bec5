"""Who may ask S3 for what, and until when."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
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


Signed = Callable[..., tuple[int, str]]


@pytest.fixture
def signed(
    file: str,
    local: LocalRoboto,
    credentials: Callable[..., dict[str, Any]],
    fetch: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Signed:
    """Asks for the file `a` with a signature made for some region, service and time."""

    def ask(
        region: str = "us-west-2",
        service: str = "s3",
        later: timedelta = timedelta(),
        signer: type[SigV4Auth] = S3SigV4Auth,
        **options: int,
    ) -> tuple[int, str]:
        keys = credentials(file)
        identity = Credentials(
            keys["access_key_id"], keys["secret_access_key"], keys["session_token"]
        )
        now = datetime.now(timezone.utc) + later
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now)
        request = AWSRequest(method="GET", url=f"{local.s3_url}/{BUCKET}/a")
        signer(identity, service, region, **options).add_auth(request)
        answer = fetch(request.url, **{k.replace("-", "_"): v for k, v in request.headers.items()})
        code = re.search(r"<Code>(\w+)</Code>", answer.body.decode())
        return answer.status, code[1] if code else answer.body.decode()

    return ask


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ({}, (200, "hello")),
        ({"region": "eu-central-1"}, (400, "AuthorizationHeaderMalformed")),
        ({"service": "ec2"}, (400, "AuthorizationHeaderMalformed")),
        ({"later": timedelta(days=-1)}, (403, "RequestTimeTooSkewed")),
        ({"later": timedelta(minutes=-16)}, (403, "RequestTimeTooSkewed")),
        ({"later": timedelta(minutes=16)}, (403, "RequestTimeTooSkewed")),
        ({"later": timedelta(minutes=-14)}, (200, "hello")),
    ],
    ids=["right", "region", "service", "a day old", "old", "future", "14 minutes old"],
)
def test_a_signature_is_for_here_and_now(
    signed: Signed, how: dict[str, Any], answer: tuple[int, str]
) -> None:
    """A signature for another region, service or time is refused with S3's code."""
    assert signed(**how) == answer


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ({"expires": 3600}, (200, "hello")),
        ({"expires": 30 * 86400}, (400, "AuthorizationQueryParametersError")),
        ({"expires": 3600, "region": "x-y-1"}, (400, "AuthorizationQueryParametersError")),
        ({"expires": 3600, "later": timedelta(hours=-2)}, (403, "AccessDenied")),
        ({"expires": 3600, "later": timedelta(hours=2)}, (403, "AccessDenied")),
    ],
    ids=["right", "30 days", "region", "expired", "future"],
)
def test_a_link_lives_for_a_week_at_most(
    signed: Signed, how: dict[str, Any], answer: tuple[int, str]
) -> None:
    """A presigned link for longer, for another region, expired or not yet valid is refused."""
    assert signed(signer=S3SigV4QueryAuth, **how) == answer


def test_read_credentials_open_their_dataset_alone(
    local: LocalRoboto, file: str, s3: Callable[..., Any]
) -> None:
    """Files, imports and targets of links can be read; another dataset's files cannot."""
    other = local.add_dataset("other")
    target = local.add_file(other, "linked", b"target")
    local.add_file(other, "secret", b"x")
    client = s3(file)
    local.add_link(file, "link", target)
    key = f"og_local/{other}/linked"
    assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"target"
    assert client.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"hello"
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_object(Bucket=BUCKET, Key=f"og_local/{other}/secret")


class Clock:
    """A clock that moves when a test moves it."""

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
    """The API reports until when credentials work, in a time with its zone."""
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
