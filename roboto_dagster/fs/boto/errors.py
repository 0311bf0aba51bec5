"""The one place where errors of botocore, s3transfer and foreign stores become `DownloadError`s."""

import concurrent.futures
import re
import ssl

import botocore.exceptions as boto
import s3transfer.exceptions

from roboto_dagster.errors import DownloadError, ErrorCode, PlatformError, from_os_error
from roboto_dagster.fs.core.error_codes import error_code
from roboto_dagster.fs.credentials import CredentialsError
from roboto_dagster.types import DownloadableFile

_BAD_REQUEST = 400

# What signs a URL; errors of HTTP clients quote the URL that they could not get.
_SIGNATURE = re.compile(
    r"(?i)\b(x-amz-[a-z-]+|x-goog-[a-z-]+|signature|awsaccesskeyid|sig|token)=[^&\s'\")>]+"
)


class WrongRangeError(boto.ResponseStreamingError):
    """An answer that is not the range that was asked for."""

    fmt = "{error}"


class ObjectReplacedError(boto.ResponseStreamingError):
    """A range of another version of the object than the one that was begun."""

    fmt = "{error}"


# Most specific first: the first class that matches decides.
_BY_CLASS: tuple[tuple[type[Exception], ErrorCode], ...] = (
    (WrongRangeError, "SERVER_ERROR"),
    (ObjectReplacedError, "CHANGED"),
    (boto.SSLError, "TLS"),
    (ssl.SSLError, "TLS"),
    (boto.ReadTimeoutError, "STALLED"),
    (boto.ConnectTimeoutError, "CONNECTION"),
    (boto.HTTPClientError, "CONNECTION"),
    (boto.ConnectionError, "CONNECTION"),
    (boto.IncompleteReadError, "CONNECTION"),
    (boto.ResponseStreamingError, "CONNECTION"),
    (boto.FlexibleChecksumError, "CHECKSUM_MISMATCH"),
    (boto.NoCredentialsError, "CREDENTIALS_INVALID"),
    (boto.PartialCredentialsError, "CREDENTIALS_INVALID"),
    (boto.CredentialRetrievalError, "CREDENTIALS_INVALID"),
    (s3transfer.exceptions.S3DownloadFailedError, "CHANGED"),
    (s3transfer.exceptions.CancelledError, "CANCELLED"),
    (concurrent.futures.CancelledError, "CANCELLED"),
    (ConnectionError, "CONNECTION"),
    (TimeoutError, "CONNECTION"),
)


def download_error(  # noqa: PLR0911 - a return for each border
    file: DownloadableFile, error: BaseException, attempts: int = 1
) -> DownloadError:
    """Translates any store's error about one file.

    Args:
        file: The file that failed.
        error: What the store raised.
        attempts: How often the file was tried.

    Returns:
        The failure; the caller chains it to the original.
    """
    if isinstance(error, DownloadError):
        return error
    if isinstance(error, s3transfer.exceptions.RetriesExceededError):
        return download_error(file, error.last_exception, attempts)
    if isinstance(error, boto.ClientError):
        return _from_answer(file, error, attempts)
    if isinstance(error, PlatformError):  # the credential provider failed
        code = error.code if isinstance(error, CredentialsError) else "CREDENTIALS_INVALID"
        attempts = max(attempts, getattr(error, "attempts", 0))
        return DownloadError(file, code, error.message.rstrip("."), error.transient, attempts)
    for error_class, code in _BY_CLASS:
        if isinstance(error, error_class):
            return DownloadError(file, code, _reason(error), None, attempts)
    if isinstance(error, OSError):
        return from_os_error(file, error, attempts)
    return DownloadError(file, "UNEXPECTED", _reason(error), None, attempts)


def _from_answer(file: DownloadableFile, error: boto.ClientError, attempts: int) -> DownloadError:
    answer = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    s3_code = answer.get("Code")
    reason = f"HTTP {status} {s3_code}: {answer.get('Message') or 'no message'}".rstrip(".")
    request_id = metadata.get("RequestId") or None
    code = error_code(status, s3_code)
    if error.operation_name == "HeadObject" and status == _BAD_REQUEST:
        # An answer to HEAD has no body, so S3's code is not told; with requests made by botocore it
        # is the token.
        code = "CREDENTIALS_EXPIRED"
    return DownloadError(file, code, reason, None, attempts, request_id)


def _reason(error: BaseException) -> str:
    text = _SIGNATURE.sub(r"\1=***", str(error).strip()) or type(error).__name__
    return f"{type(error).__name__}: {text.splitlines()[0].rstrip('.')[:300]}"
