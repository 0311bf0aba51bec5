"""The one place where errors of botocore, urllib3, s3transfer and foreign stores become failures."""

import concurrent.futures
import errno
import http.client
import pathlib
import ssl

import botocore.exceptions as boto
import s3transfer.exceptions
import urllib3.exceptions

from roboto_dagster.errors import (
    ConfigurationError,
    DownloadError,
    ErrorCode,
    PlatformError,
    RobotoDagsterError,
    UploadError,
)
from roboto_dagster.fs.core.error_codes import error_code, remedy_for
from roboto_dagster.fs.core.failure import Failure, credentials_failure, local_failure
from roboto_dagster.fs.core.response import plain_text
from roboto_dagster.redaction import mask_secrets, safe_cause
from roboto_dagster.types import DownloadableFile

_REASON_LENGTH = 300
_BAD_REQUEST = 400
_TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)
_RETRIED = ("CONNECTION", "STALLED", "CHANGED", "CHECKSUM_MISMATCH")
# What OpenSSL reports when the connection broke in the middle of a handshake, which is retried.
_BROKEN_HANDSHAKE = ("EOF", "SYSCALL", "reset", "timed out")


class _Absent(Exception):  # noqa: N818 - stands for a class that this release of a library lacks
    """Is never raised."""


def _of(module: object, name: str) -> type[Exception]:
    found: type[Exception] = getattr(module, name, _Absent)
    return found


# Most specific first: the first class that matches decides.
_BY_CLASS: tuple[tuple[type[BaseException], ErrorCode], ...] = (
    (boto.ReadTimeoutError, "STALLED"),
    (urllib3.exceptions.ReadTimeoutError, "STALLED"),
    (boto.HTTPClientError, "CONNECTION"),
    (boto.ConnectionError, "CONNECTION"),
    (boto.IncompleteReadError, "CONNECTION"),
    (boto.ResponseStreamingError, "CONNECTION"),
    (urllib3.exceptions.HTTPError, "CONNECTION"),
    (http.client.HTTPException, "CONNECTION"),
    (boto.FlexibleChecksumError, "CHECKSUM_MISMATCH"),
    (boto.NoCredentialsError, "CREDENTIALS_INVALID"),
    (boto.PartialCredentialsError, "CREDENTIALS_INVALID"),
    (boto.CredentialRetrievalError, "CREDENTIALS_INVALID"),
    # No request can be made for such a bucket or key.
    (boto.ParamValidationError, "BAD_RECORD"),
    (_of(boto, "UnsupportedS3ArnError"), "BAD_RECORD"),
    (_of(boto, "UnsupportedS3AccesspointConfigurationError"), "BAD_RECORD"),
    (_of(boto, "UnsupportedOutpostResourceError"), "BAD_RECORD"),
    (_of(boto, "EndpointProviderError"), "BAD_RECORD"),
    (_of(s3transfer.exceptions, "S3DownloadFailedError"), "CHANGED"),
    (s3transfer.exceptions.CancelledError, "CANCELLED"),
    (concurrent.futures.CancelledError, "CANCELLED"),
    (ConnectionError, "CONNECTION"),
    (TimeoutError, "CONNECTION"),
)
_OF_TLS = (boto.SSLError, ssl.SSLError, urllib3.exceptions.SSLError)


def failure_of(  # noqa: PLR0911 - a return for each border
    error: BaseException, file: DownloadableFile
) -> Failure:
    """Translates any error about one file.

    Args:
        error: What was raised.
        file: The file that it happened to.
    """
    match error:
        case s3transfer.exceptions.RetriesExceededError():
            return failure_of(error.last_exception, file)
        case boto.ClientError():
            return _from_answer(error)
        case PlatformError():
            return credentials_failure(error)
        case ConfigurationError():
            return Failure(code="UNEXPECTED", reason=str(error), remedy="fail", cause=error)
    local = _too_many_open(error)
    if local is not None:
        return local_failure(file, local)
    if isinstance(error, _OF_TLS):
        is_broken = any(mark in str(error) for mark in _BROKEN_HANDSHAKE)
        return _failure("CONNECTION" if is_broken else "TLS", error)
    for error_class, code in _BY_CLASS:
        if isinstance(error, error_class):
            return _failure(code, error)
    if isinstance(error, (RobotoDagsterError, OSError, UnicodeError)):
        return local_failure(file, error)
    failure = local_failure(file, error)
    return _failure("UNEXPECTED", error) if failure.code == "UNEXPECTED" else failure


def network_failure(error: BaseException, file: DownloadableFile) -> Failure:
    """Translates what was raised while a request was sent or its answer read.

    Args:
        error: What was raised.
        file: The file that was requested.
    """
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return _failure("CONNECTION", error)  # http.client could not make sense of an answer
    return failure_of(error, file)


def download_error(
    file: DownloadableFile, error: BaseException, attempts: int = 1
) -> DownloadError:
    """Translates any store's error about one file.

    Args:
        file: The file that failed.
        error: What the store raised.
        attempts: How often the file was tried. Default 1.

    Returns:
        The failure; the caller chains it to the original.
    """
    if isinstance(error, DownloadError):
        return error
    failure = failure_of(error, file)
    return failure.error(file, max(attempts, failure.attempts))


def upload_error(error: BaseException, source: pathlib.Path, uri: str) -> RobotoDagsterError:
    """Translates what was raised while a file was uploaded.

    Args:
        error: What was raised.
        source: The file.
        uri: Where it was to go.
    """
    if isinstance(error, ConfigurationError):
        return error
    file = DownloadableFile(bucket_name="", source_uri=uri, destination_path=source)
    failure = failure_of(error, file)
    return UploadError(source, uri, failure.code, failure.reason, failure.transient)


def _from_answer(error: boto.ClientError) -> Failure:
    answer = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    status, s3_code = metadata.get("HTTPStatusCode", 0), answer.get("Code") or ""
    message = str(answer.get("Message") or "no message")
    code = error_code(status, s3_code, message)
    if error.operation_name == "HeadObject" and status == _BAD_REQUEST:
        # An answer to HEAD has no body, so S3's code is not there; with requests made by botocore it
        # is the token.
        code = "CREDENTIALS_EXPIRED"
    return Failure(
        code=code,
        reason=mask_secrets(f"HTTP {status} {s3_code}: {message}".rstrip(".")),
        remedy=remedy_for(code, s3_code),
        status=status,
        request_id=metadata.get("RequestId") or None,
    )


def _failure(code: ErrorCode, error: BaseException) -> Failure:
    return Failure(
        code=code,
        reason=_reason(error),
        remedy="retry" if code in _RETRIED else "fail",
        cause=safe_cause(_without_frames(error)),
    )


def _too_many_open(error: BaseException) -> OSError | None:
    """Finds that no socket could be made, behind what urllib3 and botocore make of it."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno in _TOO_MANY_OPEN:
            return link
        link = link.__cause__ or link.__context__
    return None


def _reason(error: BaseException) -> str:
    text = mask_secrets(error).strip().partition("\n")[0]
    name = type(error).__name__
    return f"{name}: {plain_text(text, _REASON_LENGTH).rstrip('.')}" if text else name


def _without_frames(error: BaseException) -> BaseException:
    """Frees what the frames of an error hold: connections and buffers. Errors live long, in reports."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
