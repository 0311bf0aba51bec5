"""The one place where libcurl's errors and S3's error answers become codes and ways to go on."""

import dataclasses
from typing import Literal

import pycurl

from roboto_dagster.errors import ErrorCode
from roboto_dagster.fs.core.error_codes import error_code
from roboto_dagster.fs.core.response import Head, parse_error, plain_text

Remedy = Literal["retry", "fail", "credentials", "region", "clock", "restart", "one_stream"]
"""How to go on after a failed request:

- `retry`: ask the same bytes again, by the retry policy
- `fail`: the file has failed
- `credentials`: ask again with fresh credentials
- `region`: ask again in the region that the store named
- `clock`: ask again with the store's time
- `restart`: the object was replaced; begin the file anew, once
- `one_stream`: the store cannot do ranges; begin the file anew as one stream
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request failed, and how to go on.

    Attributes:
        code: For the user, should it come to that.
        reason: For the user, without any credential.
        remedy: For the engine.
        transient: Whether a later run may fare better; None goes by the code.
        request_id: The store's id of the request.
        retry_after_seconds: How long the store asks to wait.
        hint: What the remedy needs: the region, or the store's time.
        cause: The original error.
    """

    code: ErrorCode
    reason: str
    remedy: Remedy = "retry"
    transient: bool | None = None
    request_id: str | None = None
    retry_after_seconds: float = 0.0
    hint: str = ""
    cause: BaseException | None = None


_TLS = frozenset(
    {
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_SSL_PINNEDPUBKEYNOTMATCH,
    }
)
# What OpenSSL says when the connection broke in the middle of a handshake, which may heal.
_BROKEN_HANDSHAKE = ("unexpected eof", "SYSCALL", "reset", "Connection was")
_NOT_OF_THE_NETWORK = frozenset(
    {
        pycurl.E_FAILED_INIT,
        pycurl.E_OUT_OF_MEMORY,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_BAD_FUNCTION_ARGUMENT,
        pycurl.E_UNKNOWN_OPTION,
        pycurl.E_NOT_BUILT_IN,
    }
)


def from_curl(number: int, message: str, proxy: str = "") -> Failure:
    """Tells what an error of libcurl means.

    Args:
        number: libcurl's `CURLcode`.
        message: libcurl's text.
        proxy: The proxy's URL: its password is kept out of the text.
    """
    text = message.replace(proxy, "the proxy") if proxy else message
    reason = f"{plain_text(text, 300) or 'no answer'} (libcurl {number})"
    cause = pycurl.error(number, reason)
    if number in _TLS or (
        number == pycurl.E_SSL_CONNECT_ERROR and not any(part in text for part in _BROKEN_HANDSHAKE)
    ):
        return Failure(code="TLS", reason=reason, remedy="fail", cause=cause)
    if number in _NOT_OF_THE_NETWORK:
        return Failure(code="UNEXPECTED", reason=reason, remedy="fail", cause=cause)
    return Failure(code="CONNECTION", reason=reason, cause=cause)


_NEEDS_FRESH_KEYS = frozenset(
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
_OTHER_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocation"}
)
_RETRIED = frozenset({"THROTTLED", "SERVER_ERROR", "CONNECTION", "STALLED"})


def from_answer(head: Head, body: bytes, *, keys_are_over: bool = False) -> Failure:
    """Tells what an error answer means, by S3's code where there is one, else by the status.

    Args:
        head: Of the answer.
        body: An error document, a proxy's page, or anything.
        keys_are_over: Whether the keys of the request have expired by our clock.
    """
    document = parse_error(body)
    code = error_code(head.status, document.code)
    said = ": ".join(part for part in (document.code, document.message.rstrip(".")) if part)
    failure = Failure(
        code=code,
        reason=f"HTTP {head.status} {said}".strip(),
        remedy=_remedy(code, document.code),
        request_id=head.request_id or document.request_id or None,
        retry_after_seconds=head.retry_after_seconds,
    )
    region = head.headers.get("x-amz-bucket-region") or document.region
    if (
        region
        and head.status in (301, 307, 400, 403)
        and _asks_elsewhere(document.code, head.status)
    ):
        return dataclasses.replace(failure, remedy="region", hint=plain_text(region, 40))
    server_time = document.server_time or head.date
    if document.code == "RequestTimeTooSkewed" and server_time is not None:
        return dataclasses.replace(failure, remedy="clock", hint=str(server_time))
    if head.status == 403 and not document.code and keys_are_over:
        return dataclasses.replace(failure, remedy="credentials", code="CREDENTIALS_EXPIRED")
    return failure


def _asks_elsewhere(s3_code: str, status: int) -> bool:
    return s3_code in _OTHER_REGION or (not s3_code and status in (301, 307, 400))


def _remedy(code: ErrorCode, s3_code: str) -> Remedy:
    if s3_code in _NEEDS_FRESH_KEYS:
        return "credentials"
    if code == "CHANGED":
        return "restart"
    return "retry" if code in _RETRIED else "fail"
