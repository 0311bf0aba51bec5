"""What errors of libcurl and of S3 mean, and how the engine goes on."""

import pycurl
import pytest

from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.curl.errors import from_answer, from_curl


@pytest.mark.parametrize(
    ("number", "message", "code", "remedy"),
    [
        (pycurl.E_COULDNT_RESOLVE_HOST, "Could not resolve host: x", "CONNECTION", "retry"),
        (pycurl.E_COULDNT_CONNECT, "refused", "CONNECTION", "retry"),
        (pycurl.E_OPERATION_TIMEDOUT, "Connection timed out", "CONNECTION", "retry"),
        (pycurl.E_PARTIAL_FILE, "end of response with 5 bytes missing", "CONNECTION", "retry"),
        (pycurl.E_RECV_ERROR, "reset by peer", "CONNECTION", "retry"),
        (pycurl.E_GOT_NOTHING, "Empty reply", "CONNECTION", "retry"),
        (pycurl.E_PEER_FAILED_VERIFICATION, "self-signed certificate", "TLS", "fail"),
        (pycurl.E_SSL_CACERT_BADFILE, "no such file", "TLS", "fail"),
        (pycurl.E_SSL_CONNECT_ERROR, "error:0A00010B:wrong version number", "TLS", "fail"),
        (pycurl.E_SSL_CONNECT_ERROR, "unexpected eof while reading", "CONNECTION", "retry"),
        (pycurl.E_OUT_OF_MEMORY, "", "UNEXPECTED", "fail"),
    ],
)
def test_an_error_of_libcurl_has_a_code(number: int, message: str, code: str, remedy: str) -> None:
    """What may heal is retried; a certificate or a fault of ours is not."""
    failure = from_curl(number, message)
    assert (failure.code, failure.remedy) == (code, remedy)
    assert f"libcurl {number}" in failure.reason


def test_a_proxys_password_is_not_told() -> None:
    """The text of libcurl may quote the proxy's URL."""
    proxy = "http://me:hidden@proxy:3128"
    assert "hidden" not in from_curl(5, f"Could not resolve proxy: {proxy}", proxy).reason


def error_answer(status: int, code: str = "", **headers: str) -> tuple[Head, bytes]:
    """Make an error answer as S3 sends it."""
    body = f"<Error><Code>{code}</Code><Message>Why.</Message></Error>" if code else "<html>"
    return Head(status, {"x-amz-request-id": "R1", **headers}), body.encode()


@pytest.mark.parametrize(
    ("status", "s3_code", "code", "remedy"),
    [
        (404, "NoSuchKey", "NOT_FOUND", "fail"),
        (404, "NoSuchBucket", "NOT_FOUND", "fail"),
        (403, "AccessDenied", "ACCESS_DENIED", "fail"),
        (403, "InvalidObjectState", "ACCESS_DENIED", "fail"),
        (403, "SignatureDoesNotMatch", "CREDENTIALS_INVALID", "fail"),
        (400, "ExpiredToken", "CREDENTIALS_EXPIRED", "credentials"),
        (400, "InvalidToken", "CREDENTIALS_INVALID", "credentials"),
        (403, "InvalidAccessKeyId", "CREDENTIALS_INVALID", "credentials"),
        (503, "SlowDown", "THROTTLED", "retry"),
        (429, "", "THROTTLED", "retry"),
        (500, "InternalError", "SERVER_ERROR", "retry"),
        (502, "", "SERVER_ERROR", "retry"),
        (412, "PreconditionFailed", "CHANGED", "restart"),
        (416, "InvalidRange", "CHANGED", "restart"),
        (403, "", "ACCESS_DENIED", "fail"),
        (302, "", "UNEXPECTED", "fail"),
    ],
)
def test_an_error_answer_has_a_code(status: int, s3_code: str, code: str, remedy: str) -> None:
    """By S3's own code where there is one, else by the status."""
    failure = from_answer(*error_answer(status, s3_code))
    assert (failure.code, failure.remedy, failure.request_id) == (code, remedy, "R1")


@pytest.mark.parametrize(
    ("status", "s3_code"),
    [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (307, ""), (400, "")],
)
def test_the_right_region_is_learnt_from_the_answer(status: int, s3_code: str) -> None:
    """A store that names the bucket's region is asked again there."""
    head, body = error_answer(status, s3_code, **{"x-amz-bucket-region": "eu-north-1"})
    assert (from_answer(head, body).remedy, from_answer(head, body).hint) == (
        "region",
        "eu-north-1",
    )


def test_a_refusal_that_names_the_region_is_still_a_refusal() -> None:
    """S3 sends the bucket's region with many answers."""
    head, body = error_answer(403, "AccessDenied", **{"x-amz-bucket-region": "eu-north-1"})
    assert from_answer(head, body).remedy == "fail"


def test_a_wrong_clock_is_learnt_from_the_answer() -> None:
    """The store's own time is what the next request is signed with."""
    head, body = error_answer(403, "RequestTimeTooSkewed", date="Sun, 22 Nov 2026 18:44:14 GMT")
    failure = from_answer(head, body)
    assert (failure.remedy, float(failure.hint)) == ("clock", 1795373054.0)


def test_a_bare_403_with_keys_that_are_over_is_an_expiry() -> None:
    """A proxy's page hides the code; our own clock tells."""
    failure = from_answer(*error_answer(403), keys_are_over=True)
    assert (failure.code, failure.remedy) == ("CREDENTIALS_EXPIRED", "credentials")


def test_the_pause_that_is_asked_for_is_kept() -> None:
    """`Retry-After` reaches the retry policy."""
    head, body = error_answer(503, "SlowDown", **{"retry-after": "20"})
    assert from_answer(head, body).retry_after_seconds == 20.0
