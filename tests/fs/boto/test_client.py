"""Requests that botocore makes and signs, and does not send."""

import datetime as dt
from typing import Any

import botocore.exceptions
import pytest

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.boto.client import RequestSigner
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credentials import LiveCredentials, check_credentials

OBJECT = {"Bucket": "bucket", "Key": "a/b c"}
AP_ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/logs"


def live(access_key: str = "AKIATEST") -> LiveCredentials:
    """Return credentials."""
    fields = {
        "access_key": access_key,
        "secret_key": "a-secret",
        "token": "the-token",
        "region": "",
    }
    return check_credentials({**fields, "expiry_time": None}, now=0.0)


def signed(parameters: dict[str, str], endpoint_url: str | None = None, **options: Any) -> Any:
    """Return a signed request of `get_object`."""
    defaults: dict[str, Any] = {"credentials": live(), "region": "us-west-2"}
    signer = RequestSigner(S3Settings(endpoint_url=endpoint_url))
    return signer.sign("get_object", parameters, **{**defaults, **options})


def text_of(request: Any, header: str) -> str:
    """Return a header's text."""
    value = request.headers[header]
    return value.decode() if isinstance(value, bytes) else str(value)


def test_a_request_is_signed_and_not_sent() -> None:
    """Nobody listens at the endpoint, and nobody is asked."""
    request = signed(OBJECT, "http://127.0.0.1:1")
    assert request.url == "http://127.0.0.1:1/bucket/a/b%20c"
    assert "AKIATEST" in text_of(request, "Authorization")
    assert "/us-west-2/s3/aws4_request" in text_of(request, "Authorization")
    assert text_of(request, "X-Amz-Security-Token") == "the-token"


def test_each_thread_of_a_signer_uses_the_credentials_it_was_given() -> None:
    """Fresh credentials count with the next request."""
    signer = RequestSigner(S3Settings(endpoint_url="http://127.0.0.1:1"))
    for name in ("AKIAONE", "AKIATWO"):
        request = signer.sign("get_object", OBJECT, credentials=live(name), region="us-west-2")
        assert name in text_of(request, "Authorization")


def test_the_stores_time_is_signed_with() -> None:
    """Where this machine's clock is wrong, its date is the store's."""
    day = 24 * 3600
    request = signed(OBJECT, "http://127.0.0.1:1", skew_seconds=400.0 * day)
    then = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=400)
    assert text_of(request, "X-Amz-Date").startswith(f"{then:%Y%m%d}")
    assert f"/{then:%Y%m%d}/us-west-2/s3/" in text_of(request, "Authorization")
    assert text_of(request, "X-Amz-Security-Token") == "the-token"


def test_an_access_point_has_its_own_address() -> None:
    """Botocore knows what an ARN means, another region's included."""
    request = signed({"Bucket": AP_ARN, "Key": "key"})
    assert "logs-123456789012.s3-accesspoint.us-west-2.amazonaws.com/key" in request.url


@pytest.mark.parametrize("bucket", ["a@example.com", "", "with space"])
def test_a_bucket_that_cannot_be_is_an_error(bucket: str) -> None:
    """It is botocore's, before anything is sent."""
    with pytest.raises(botocore.exceptions.BotoCoreError):
        signed({"Bucket": bucket, "Key": "key"}, "http://127.0.0.1:1")


def test_a_broken_configuration_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What botocore cannot read is a setting of this machine."""
    broken = tmp_path_factory.mktemp("aws") / "config"
    broken.write_text("[default\nregion =")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    with pytest.raises(ConfigurationError, match="AWS configuration of this machine"):
        signed(OBJECT)
