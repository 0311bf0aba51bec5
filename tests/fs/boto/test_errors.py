"""Errors of botocore, s3transfer and foreign stores, and the codes they become."""

import concurrent.futures
import errno
import inspect
import ssl
from typing import Any

import botocore.exceptions as boto
import pytest
import s3transfer.exceptions

from roboto_dagster import DownloadableFile, DownloadError, PlatformError
from roboto_dagster.errors import ADVICE
from roboto_dagster.fs.boto.errors import download_error
from roboto_dagster.fs.credentials import CredentialsError


def answer(
    status: int, s3_code: str, message: str = "because", operation: str = "GetObject"
) -> boto.ClientError:
    """Return what botocore raises for an error answer."""
    response: Any = {
        "Error": {"Code": s3_code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "R1"},
    }
    return boto.ClientError(response, operation)


@pytest.mark.parametrize(
    ("status", "s3_code", "code", "transient"),
    [
        pytest.param(404, "NoSuchKey", "NOT_FOUND", False, id="no-key"),
        pytest.param(404, "404", "NOT_FOUND", False, id="head-404"),
        pytest.param(405, "MethodNotAllowed", "NOT_FOUND", False, id="delete-marker"),
        pytest.param(403, "AccessDenied", "ACCESS_DENIED", False, id="denied"),
        pytest.param(403, "403", "ACCESS_DENIED", False, id="head-403"),
        pytest.param(403, "InvalidObjectState", "ACCESS_DENIED", False, id="archived"),
        pytest.param(403, "SignatureDoesNotMatch", "CREDENTIALS_INVALID", False, id="signature"),
        pytest.param(403, "InvalidAccessKeyId", "CREDENTIALS_INVALID", False, id="key-id"),
        pytest.param(400, "ExpiredToken", "CREDENTIALS_EXPIRED", True, id="expired"),
        pytest.param(403, "RequestTimeTooSkewed", "CREDENTIALS_EXPIRED", True, id="clock"),
        pytest.param(503, "SlowDown", "THROTTLED", True, id="slow-down"),
        pytest.param(429, "", "THROTTLED", True, id="429"),
        pytest.param(500, "InternalError", "SERVER_ERROR", True, id="500"),
        pytest.param(502, "Bad Gateway", "SERVER_ERROR", True, id="proxy"),
        pytest.param(504, "", "SERVER_ERROR", True, id="504"),
        pytest.param(412, "PreconditionFailed", "CHANGED", True, id="changed"),
        pytest.param(416, "InvalidRange", "CHANGED", True, id="shrunk"),
        pytest.param(418, "Teapot", "UNEXPECTED", False, id="unknown"),
    ],
)
def test_answers_become_codes(
    file: DownloadableFile, status: int, s3_code: str, code: str, *, transient: bool
) -> None:
    """S3's own code decides where it is known, else the status."""
    failure = download_error(file, answer(status, s3_code), 2)
    assert (failure.code, failure.transient, failure.attempts, failure.request_id) == (
        code,
        transient,
        2,
        "R1",
    )


def test_an_answer_is_quoted(file: DownloadableFile) -> None:
    """Status, S3's code and S3's message are in the reason."""
    failure = download_error(file, answer(403, "AccessDenied", "Access Denied."))
    assert failure.reason == "HTTP 403 AccessDenied: Access Denied"


def test_a_bad_head_is_an_old_token(file: DownloadableFile) -> None:
    """A HEAD has no body with S3's code: 400 to a request of botocore's is about the token."""
    failure = download_error(file, answer(400, "400", "Bad Request", "HeadObject"))
    assert failure.code == "CREDENTIALS_EXPIRED"


def test_an_answer_without_anything_is_unexpected(file: DownloadableFile) -> None:
    """A stand-in for S3 may leave everything out."""
    failure = download_error(file, boto.ClientError({}, "GetObject"))
    assert (failure.code, failure.request_id) == ("UNEXPECTED", None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(
            boto.SSLError(endpoint_url="https://s3", error=ValueError("self-signed")),
            "TLS",
            id="certificate",
        ),
        pytest.param(ssl.SSLError(1, "handshake"), "TLS", id="tls"),
        pytest.param(boto.ReadTimeoutError(endpoint_url="u"), "STALLED", id="read-timeout"),
        pytest.param(
            boto.ConnectTimeoutError(endpoint_url="u"), "CONNECTION", id="connect-timeout"
        ),
        pytest.param(
            boto.EndpointConnectionError(endpoint_url="u"), "CONNECTION", id="unreachable"
        ),
        pytest.param(
            boto.ConnectionClosedError(endpoint_url="u"), "CONNECTION", id="connection-closed"
        ),
        pytest.param(boto.ProxyConnectionError(proxy_url="p"), "CONNECTION", id="proxy"),
        pytest.param(
            boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), "CONNECTION", id="short"
        ),
        pytest.param(boto.ResponseStreamingError(error="cut"), "CONNECTION", id="streaming"),
        pytest.param(
            boto.FlexibleChecksumError(error_msg="crc32"), "CHECKSUM_MISMATCH", id="checksum"
        ),
        pytest.param(boto.NoCredentialsError(), "CREDENTIALS_INVALID", id="no-credentials"),
        pytest.param(
            s3transfer.exceptions.S3DownloadFailedError("Contents changed"), "CHANGED", id="changed"
        ),
        pytest.param(s3transfer.exceptions.CancelledError("stop"), "CANCELLED", id="cancelled"),
        pytest.param(concurrent.futures.CancelledError(), "CANCELLED", id="future-cancelled"),
        pytest.param(ConnectionResetError(errno.ECONNRESET, "reset"), "CONNECTION", id="reset"),
        pytest.param(TimeoutError("timed out"), "CONNECTION", id="timeout"),
        pytest.param(OSError(errno.ENOSPC, "No space left"), "NO_SPACE", id="disk-full"),
        pytest.param(OSError(errno.ELOOP, "loop"), "UNSAFE_PATH", id="link"),
        pytest.param(IsADirectoryError(errno.EISDIR, "a folder"), "LOCAL_IO", id="folder"),
        pytest.param(ZeroDivisionError("bug"), "UNEXPECTED", id="bug"),
    ],
)
def test_classes_become_codes(file: DownloadableFile, error: Exception, code: str) -> None:
    """What never was an answer goes by its class."""
    assert download_error(file, error).code == code


def test_the_last_of_many_tries_counts(file: DownloadableFile) -> None:
    """s3transfer's error of giving up is about the last thing that went wrong."""
    gave_up = s3transfer.exceptions.RetriesExceededError(boto.ReadTimeoutError(endpoint_url="u"))
    assert download_error(file, gave_up).code == "STALLED"


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        pytest.param(PlatformError("no", True), "CREDENTIALS_INVALID", True, id="platform"),
        pytest.param(
            CredentialsError("old", True, "CREDENTIALS_EXPIRED"),
            "CREDENTIALS_EXPIRED",
            True,
            id="expired",
        ),
        pytest.param(CredentialsError("bad"), "CREDENTIALS_INVALID", False, id="unusable"),
    ],
)
def test_a_provider_that_fails(
    file: DownloadableFile, error: PlatformError, code: str, *, transient: bool
) -> None:
    """Without credentials no file can be had; the platform's own words are the reason."""
    failure = download_error(file, error)
    assert (failure.code, failure.transient, failure.reason) == (code, transient, error.message)


def test_the_advice_of_an_outage_is_not_to_check_permissions(file: DownloadableFile) -> None:
    """A platform that cannot give credentials just now is asked again; one that refuses them is not."""
    outage = download_error(file, PlatformError("the API answered 503", True))
    refused = download_error(file, PlatformError("the API answered 403"))
    assert outage.advice == "Run it again: completed files are kept."
    assert refused.advice == ADVICE["CREDENTIALS_INVALID"]


def test_an_error_of_the_disk_keeps_its_advice(file: DownloadableFile) -> None:
    """What to do may depend on more than the code."""
    failure = download_error(file, OSError(errno.ELOOP, "Too many levels of symbolic links"))
    assert failure.code == "UNSAFE_PATH"
    assert "links below the destination are not followed" in failure.advice


def test_our_own_error_stays(file: DownloadableFile) -> None:
    """What already is one of ours is returned as it is."""
    error = DownloadError(file, "STALLED", "slow")
    assert download_error(file, error) is error


def test_a_reason_is_one_short_line(file: DownloadableFile) -> None:
    """Pages of text become their first line, cut."""
    reason = download_error(file, ValueError("x" * 1000 + "\nsecond line")).reason
    assert (len(reason) < 350, "second" in reason) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "https://b/k?X-Amz-Signature=SECRET&X-Amz-Security-Token=SECRET",
        "https://b/k?AWSAccessKeyId=SECRET&Signature=SECRET&Expires=1",
        "GET /k?x-goog-signature=SECRET failed",
        "https://account.blob/k?sv=1&sig=SECRET",
    ],
)
def test_what_signs_a_url_is_blotted_out(file: DownloadableFile, text: str) -> None:
    """HTTP clients quote the URL that they could not get; a signed one is a credential."""
    reason = download_error(file, ValueError(text)).reason
    assert ("SECRET" in reason, "=***" in reason) == (False, True)


def test_no_transport_error_of_botocore_is_unmapped(file: DownloadableFile) -> None:
    """Every class below botocore's connection errors has a code that reports it."""
    classes = [
        each
        for _, each in inspect.getmembers(boto, inspect.isclass)
        if issubclass(each, (boto.HTTPClientError, boto.ConnectionError))
    ]
    codes = {each.__name__: download_error(file, each.__new__(each)).code for each in classes}
    assert {name for name, code in codes.items() if code == "UNEXPECTED"} == set()
