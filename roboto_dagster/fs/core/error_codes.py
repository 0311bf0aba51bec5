"""What an S3 error answer means, for every engine: HTTP status and S3's error code to ours.

Source of the codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from roboto_dagster.errors import ErrorCode

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
    "Throttling": "THROTTLED",
    "ThrottlingException": "THROTTLED",
    "RequestLimitExceeded": "THROTTLED",
    "TooManyRequests": "THROTTLED",
    "RequestTimeout": "STALLED",
    "PreconditionFailed": "CHANGED",
    "InvalidRange": "CHANGED",
    "AccessDenied": "ACCESS_DENIED",
    "AllAccessDisabled": "ACCESS_DENIED",
    "InvalidObjectState": "ACCESS_DENIED",  # archived: it has to be restored before it can be read
}

_BY_STATUS: dict[int, ErrorCode] = {
    401: "ACCESS_DENIED",
    403: "ACCESS_DENIED",
    404: "NOT_FOUND",
    405: "NOT_FOUND",
    408: "STALLED",
    410: "NOT_FOUND",
    412: "CHANGED",
    416: "CHANGED",
    429: "THROTTLED",
    503: "THROTTLED",
}


def error_code(status: int, s3_code: str | None) -> ErrorCode:
    """Tells which of our codes an error answer stands for.

    Args:
        status: HTTP status.
        s3_code: The `Code` of the error document; None or anything unknown (an HTML page of a
            proxy) goes by the status.
    """
    by_code = _BY_S3_CODE.get(s3_code or "")
    if by_code is not None:
        return by_code
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "SERVER_ERROR" if status >= 500 else "UNEXPECTED"
