"""What error answers of S3 mean, and what may help."""

import pytest

from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.response import Head


def error_answer(status: int, code: str = "", **headers: str) -> tuple[Head, bytes]:
    """Make an error answer as S3 sends it."""
    body = f"<Error><Code>{code}</Code><Message>Why.</Message></Error>" if code else "<html>"
    return Head(status, {"x-amz-request-id": "R1", **headers}), body.encode()


@pytest.mark.parametrize(
    ("status", "s3_code", "code", "remedy"),
    [
        (404, "NoSuchKey", "NOT_FOUND", "fail"),
        (404, "NoSuchBucket", "NOT_FOUND", "fail"),
        (403, "AccessDenied", "ACCESS_DENIED", "denied"),
        (403, "InvalidObjectState", "ACCESS_DENIED", "fail"),
        (403, "SignatureDoesNotMatch", "CREDENTIALS_INVALID", "fail"),
        (400, "ExpiredToken", "CREDENTIALS_EXPIRED", "credentials"),
        (400, "InvalidToken", "CREDENTIALS_INVALID", "credentials"),
        (403, "InvalidAccessKeyId", "CREDENTIALS_INVALID", "credentials"),
        (503, "SlowDown", "THROTTLED", "retry"),
        (429, "", "THROTTLED", "retry"),
        (500, "InternalError", "SERVER_ERROR", "retry"),
        (502, "", "SERVER_ERROR", "retry"),
        (425, "", "SERVER_ERROR", "retry"),
        (498, "", "CREDENTIALS_EXPIRED", "credentials"),
        (499, "ClientDisconnected", "CONNECTION", "retry"),
        (409, "OperationAborted", "SERVER_ERROR", "retry"),
        (400, "KMS.ThrottlingException", "THROTTLED", "retry"),
        (400, "ThrottlingException", "THROTTLED", "retry"),
        (400, "BandwidthLimitExceeded", "THROTTLED", "retry"),
        (400, "IncompleteBody", "CONNECTION", "retry"),
        (400, "KMS.DisabledException", "ACCESS_DENIED", "fail"),
        (403, "RequestTimeTooSkewed", "CREDENTIALS_EXPIRED", "credentials"),
        (520, "", "SERVER_ERROR", "retry"),
        (412, "PreconditionFailed", "CHANGED", "restart"),
        (416, "InvalidRange", "CHANGED", "restart"),
        (403, "", "ACCESS_DENIED", "denied"),
        (302, "", "UNEXPECTED", "fail"),
    ],
)
def test_an_error_answer_has_a_code(status: int, s3_code: str, code: str, remedy: str) -> None:
    """By S3's own code where there is one, else by the status."""
    failure = failure_of_answer(*error_answer(status, s3_code))
    assert (failure.code, failure.remedy, failure.request_id) == (code, remedy, "R1")


@pytest.mark.parametrize(
    ("status", "s3_code"),
    [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (307, ""), (400, "")],
)
def test_the_right_region_is_learnt_from_the_answer(status: int, s3_code: str) -> None:
    """A store that names the bucket's region is asked again there."""
    head, body = error_answer(status, s3_code, **{"x-amz-bucket-region": "eu-north-1"})
    assert (failure_of_answer(head, body).remedy, failure_of_answer(head, body).hint) == (
        "region",
        "eu-north-1",
    )


def test_a_refusal_that_names_the_region_is_still_a_refusal() -> None:
    """S3 sends the bucket's region with many answers."""
    head, body = error_answer(403, "AccessDenied", **{"x-amz-bucket-region": "eu-north-1"})
    assert failure_of_answer(head, body).remedy == "denied"


def test_a_wrong_clock_is_learnt_from_the_answer() -> None:
    """The store's own time is what the next request is signed with."""
    head, body = error_answer(403, "RequestTimeTooSkewed", date="Sun, 22 Nov 2026 18:44:14 GMT")
    failure = failure_of_answer(head, body)
    assert (failure.remedy, float(failure.hint)) == ("clock", 1795373054.0)


def test_a_403_on_expired_credentials_is_an_expiry() -> None:
    """Proxies hide the code, and Ceph answers AccessDenied; our own clock knows."""
    failure = failure_of_answer(*error_answer(403), credentials_expired=True)
    assert (failure.code, failure.remedy) == ("CREDENTIALS_EXPIRED", "credentials")


def test_the_pause_that_is_asked_for_is_kept() -> None:
    """`Retry-After` reaches the retry policy."""
    head, body = error_answer(503, "SlowDown", **{"retry-after": "20"})
    assert failure_of_answer(head, body).retry_after_seconds == 20.0


def test_an_object_encrypted_with_the_uploaders_key_cannot_be_read() -> None:
    """S3 answers a plain GET of it (SSE-C) with a general code; the message reports why."""
    message = (
        "The object was stored using a form of Server Side Encryption. "
        "The correct parameters must be provided to retrieve the object."
    )
    body = f"<Error><Code>InvalidRequest</Code><Message>{message}</Message></Error>".encode()
    failure = failure_of_answer(Head(400, {}), body)
    assert (failure.code, failure.remedy) == ("ACCESS_DENIED", "denied")


def test_a_redirect_names_where_the_credentials_are_not_sent() -> None:
    """Only the origin: path and query of another host may hold anything."""
    location = "https://user:hidden@elsewhere.example/path?X-Amz-Security-Token=secret"
    failure = failure_of_answer(Head(302, {"location": location}), b"")
    assert failure.reason == (
        "HTTP 302 the store redirects to https://elsewhere.example, where the credentials are not sent"
    )
