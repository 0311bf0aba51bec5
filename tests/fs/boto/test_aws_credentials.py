"""The team's own AWS identity: what boto3 finds, and roles assumed with it."""

import http.server
import logging
import pathlib
import stat
import sys
import threading
from typing import Any

import boto3
import botocore.exceptions
import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.fs.boto.aws_credentials import aws_credential_provider
from roboto_dagster.fs.credentials import CredentialsError

SECRET = "a-secret-of-the-team"


@pytest.fixture
def aws_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An AWS configuration file, still empty."""
    path = tmp_path / "aws-config"
    path.touch()
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return path


def test_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any setting, boto3's usual search finds the keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert aws_credential_provider(None, None, None)() == {
        "access_key": "AKIA",
        "secret_key": SECRET,
        "token": "token",
        "region": "eu-west-1",
        "expiry_time": None,
    }


def test_a_profile_is_read(aws_file: pathlib.Path) -> None:
    """A named profile has its keys and its region; keys without a token have none."""
    aws_file.write_text(
        f"[profile team]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n"
        "region = eu-west-1\n"
    )
    found = aws_credential_provider("team", None, None)()
    assert (found["access_key"], found["token"], found["region"]) == ("AKIA", "", "eu-west-1")


def test_a_given_region_wins(aws_file: pathlib.Path) -> None:
    """The bucket may lie elsewhere than where the profile lives."""
    aws_file.write_text(
        "[profile team]\naws_access_key_id = A\naws_secret_access_key = S\nregion = eu-west-1\n"
    )
    assert aws_credential_provider("team", None, "us-east-2")()["region"] == "us-east-2"


@pytest.mark.skipif(sys.platform == "win32", reason="the helper is a shell script")
def test_keys_of_a_helper_process_are_found(aws_file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Single sign-on helpers, which hand out keys for a while, work as with any AWS tool."""
    helper = tmp_path / "helper"
    helper.write_text(
        f"""#!/bin/sh
echo '{{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "{SECRET}",
"SessionToken": "token", "Expiration": "2099-01-01T00:00:00Z"}}'
"""
    )
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    aws_file.write_text(f"[profile team]\ncredential_process = {helper}\nregion = eu-west-1\n")
    found = aws_credential_provider("team", None, None)()
    assert (found["token"], found["expiry_time"]) == ("token", "2099-01-01T00:00:00+00:00")


class AssumingSession:
    """A boto3 session whose STS knows one role."""

    region_name = "eu-west-1"

    def __init__(self, **_: object) -> None:
        pass

    def client(self, service: str) -> "AssumingSession":
        """Return itself as the client."""
        assert service == "sts"
        return self

    def assume_role(self, **request: str) -> dict[str, Any]:
        """Hand out keys for the role, or refuse."""
        import datetime as dt

        if request["RoleArn"] != "arn:aws:iam::1:role/logs":
            answer: Any = {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}
            raise botocore.exceptions.ClientError(answer, "AssumeRole")
        expiry = dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc)
        keys = {"AccessKeyId": "ASIA", "SecretAccessKey": SECRET, "SessionToken": "token"}
        return {"Credentials": {**keys, "Expiration": expiry}}


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> None:
    """STS is on this machine."""
    monkeypatch.setattr(boto3, "Session", AssumingSession)


@pytest.mark.usefixtures("sts")
def test_a_role_is_assumed() -> None:
    """The role's keys come with their expiry, so that they are renewed in time."""
    assert aws_credential_provider(None, "arn:aws:iam::1:role/logs", None)() == {
        "access_key": "ASIA",
        "secret_key": SECRET,
        "token": "token",
        "region": "eu-west-1",
        "expiry_time": "2030-01-01T00:00:00+00:00",
    }


@pytest.mark.usefixtures("sts")
def test_a_refused_role_names_what_to_check() -> None:
    """What STS answered, and which settings to look at."""
    with pytest.raises(ConfigurationError, match=r"not authorized.*Check the profile and the role"):
        aws_credential_provider(None, "arn:aws:iam::1:role/other", None)()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        pytest.param(None, "Unable to locate credentials", id="no-identity"),
        pytest.param("nobody", "profile .nobody. could not be found", id="no-such-profile"),
    ],
)
@pytest.mark.usefixtures("aws_file")
def test_no_identity_names_what_to_check(profile: str | None, message: str) -> None:
    """Without keys the error names the resource that should have them."""
    with pytest.raises(ConfigurationError, match=f"{message}.*AwsCredentialsResource"):
        aws_credential_provider(profile, None, None)()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts"), id="no-answer"
        ),
        pytest.param(
            botocore.exceptions.ClientError(
                {"Error": {"Code": "Throttling", "Message": "slow"}}, "AssumeRole"
            ),
            id="throttled",
        ),
        pytest.param(
            botocore.exceptions.ClientError(
                {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 503}},  # type: ignore[typeddict-item]  # partly
                "AssumeRole",
            ),
            id="503",
        ),
    ],
)
def test_an_outage_of_sts_is_transient(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the same call may succeed later, files wait for it instead of failing."""

    class Failing(AssumingSession):
        def assume_role(self, **_: str) -> dict[str, Any]:
            raise error

    monkeypatch.setattr(boto3, "Session", Failing)
    with pytest.raises(CredentialsError, match=r"^No AWS credentials from .*role 'r'") as caught:
        aws_credential_provider(None, "r", None)()
    assert (caught.value.transient, caught.value.__cause__) == (True, None)


def test_the_advice_names_the_identity() -> None:
    """Where a store rejects the credentials, the message reports whose they are."""
    provider: Any = aws_credential_provider("team", "arn:aws:iam::1:role/logs", None)
    assert "profile 'team', role 'arn:aws:iam::1:role/logs'" in provider.advice
    found: Any = aws_credential_provider(None, None, None)
    assert "AwsCredentialsResource (the usual search of boto3)" in found.advice


def test_nothing_is_asked_before_it_is_needed() -> None:
    """Making the provider needs no identity: only calling it does."""
    assert callable(aws_credential_provider("nobody", None, None))


class _Sts(http.server.BaseHTTPRequestHandler):
    """STS as far as it is asked here."""

    def do_POST(self) -> None:
        """Hand out keys for whatever role."""
        body = (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>"
            f"<SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{SECRET}-token</SessionToken>"
            "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_debug_logs_of_boto3_show_no_credentials(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Botocore logs the complete answer of STS at DEBUG; the credentials in it are masked."""
    caplog.set_level(logging.DEBUG)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET}-own")
        found = aws_credential_provider(None, "arn:aws:iam::1:role/logs", "us-west-2")()
        server.shutdown()
    assert (found["secret_key"], found["token"]) == (SECRET, f"{SECRET}-token")
    assert "AssumeRoleResponse" in caplog.text
    assert SECRET not in caplog.text
