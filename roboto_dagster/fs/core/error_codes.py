"""What an S3 error answer means, for every engine: one table from HTTP status and S3's error code.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html, botocore's and MinIO's retry
tables. A code that is not listed goes by the status.
"""

from roboto_dagster.errors import ErrorCode
from roboto_dagster.fs.core.failure import Remedy

_BY_S3_CODE: dict[str, ErrorCode] = {
    "NoSuchKey": "NOT_FOUND",
    "NoSuchBucket": "NOT_FOUND",
    "NoSuchVersion": "NOT_FOUND",
    "MethodNotAllowed": "NOT_FOUND",  # the answer for a delete marker that is named by its version
    "ExpiredToken": "CREDENTIALS_EXPIRED",
    "ExpiredTokenException": "CREDENTIALS_EXPIRED",
    "TokenRefreshRequired": "CREDENTIALS_EXPIRED",
    "RequestTimeTooSkewed": "CREDENTIALS_EXPIRED",
    "RequestExpired": "CREDENTIALS_EXPIRED",
    "InvalidToken": "CREDENTIALS_INVALID",
    "InvalidAccessKeyId": "CREDENTIALS_INVALID",
    "SignatureDoesNotMatch": "CREDENTIALS_INVALID",
    "InvalidClientTokenId": "CREDENTIALS_INVALID",
    "AuthorizationHeaderMalformed": "CREDENTIALS_INVALID",
    "SlowDown": "THROTTLED",
    "SlowDownRead": "THROTTLED",
    "Throttling": "THROTTLED",
    "ThrottlingException": "THROTTLED",
    "ThrottledException": "THROTTLED",
    "RequestThrottled": "THROTTLED",
    "RequestThrottledException": "THROTTLED",
    "RequestLimitExceeded": "THROTTLED",
    "BandwidthLimitExceeded": "THROTTLED",
    "LimitExceededException": "THROTTLED",
    "TooManyRequests": "THROTTLED",
    "TooManyRequestsException": "THROTTLED",
    "ProvisionedThroughputExceededException": "THROTTLED",
    "KMS.ThrottlingException": "THROTTLED",
    "KMS.RequestLimitExceeded": "THROTTLED",
    "RequestTimeout": "STALLED",
    "RequestTimeoutException": "STALLED",
    "ClientDisconnected": "CONNECTION",
    "IncompleteBody": "CONNECTION",
    "OperationAborted": "SERVER_ERROR",
    "InternalError": "SERVER_ERROR",
    "InternalFailure": "SERVER_ERROR",
    "ServiceUnavailable": "THROTTLED",
    "TransactionInProgressException": "SERVER_ERROR",
    "PriorRequestNotComplete": "SERVER_ERROR",
    "XMinioServerNotInitialized": "SERVER_ERROR",
    "XMinioStorageFull": "SERVER_ERROR",
    "KMS.KMSInternalException": "SERVER_ERROR",
    "KMS.DependencyTimeoutException": "SERVER_ERROR",
    "KMS.KeyUnavailableException": "SERVER_ERROR",
    "PreconditionFailed": "CHANGED",
    "InvalidRange": "CHANGED",
    "AccessDenied": "ACCESS_DENIED",
    "AllAccessDisabled": "ACCESS_DENIED",
    "AccountProblem": "ACCESS_DENIED",
    "InvalidObjectState": "ACCESS_DENIED",  # archived: it has to be restored before it can be read
    "KMS.DisabledException": "ACCESS_DENIED",
    "KMS.NotFoundException": "ACCESS_DENIED",
    "KMS.KMSInvalidStateException": "ACCESS_DENIED",
    "KMS.InvalidStateException": "ACCESS_DENIED",
    "KMS.InvalidKeyUsageException": "ACCESS_DENIED",
    "KMS.AccessDeniedException": "ACCESS_DENIED",
    "InvalidEncryptionAlgorithmError": "ACCESS_DENIED",
    # Encrypted with a key that only the uploader has (SSE-C): S3 answers 400 without it.
    "ServerSideEncryptionConfigurationNotFoundError": "ACCESS_DENIED",
}

_BY_STATUS: dict[int, ErrorCode] = {
    401: "ACCESS_DENIED",
    403: "ACCESS_DENIED",
    404: "NOT_FOUND",
    405: "NOT_FOUND",
    408: "STALLED",
    409: "SERVER_ERROR",
    410: "NOT_FOUND",
    412: "CHANGED",
    416: "CHANGED",
    421: "CONNECTION",  # a connection that serves another host
    423: "SERVER_ERROR",
    425: "SERVER_ERROR",
    429: "THROTTLED",
    498: "CREDENTIALS_EXPIRED",  # of proxies and portals: the token is over
    499: "CONNECTION",  # nginx: it takes the client for gone
    503: "THROTTLED",
    509: "THROTTLED",
}

# The message of the 400 that answers a GET of an object encrypted with a customer's key.
_CUSTOMER_KEY = "stored using a form of Server Side Encryption"

_NEEDS_FRESH_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "TokenRefreshRequired",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "InvalidToken",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
    }
)
_FINAL = frozenset(
    {
        "AllAccessDisabled",
        "AccountProblem",
        "InvalidObjectState",
        "InvalidEncryptionAlgorithmError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
_RETRIED = frozenset({"THROTTLED", "SERVER_ERROR", "CONNECTION", "STALLED"})


def error_code(status: int, s3_code: str | None, message: str = "") -> ErrorCode:
    """Return which of our codes an error answer stands for.

    Args:
        status: HTTP status.
        s3_code: The `Code` of the error document; None or anything unknown (an HTML page of a
            proxy) goes by the status.
        message: The `Message` of the error document. Default empty.
    """
    by_code = _BY_S3_CODE.get(s3_code or "")
    if by_code is not None:
        return by_code
    if _CUSTOMER_KEY in message:
        return "ACCESS_DENIED"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "SERVER_ERROR" if status >= 500 else "UNEXPECTED"


def remedy_for(code: ErrorCode, s3_code: str) -> Remedy:
    """Return what may help after an error answer.

    Args:
        code: Ours, from `error_code`.
        s3_code: The `Code` of the error document, or empty.
    """
    if s3_code in _NEEDS_FRESH_CREDENTIALS or (code == "CREDENTIALS_EXPIRED" and not s3_code):
        return "credentials"
    if code == "CHANGED":
        return "restart"
    if code in _RETRIED:
        return "retry"
    is_denied = code == "ACCESS_DENIED" and s3_code not in _FINAL and not s3_code.startswith("KMS.")
    return "denied" if is_denied else "fail"
