"""The HTTP transport of our clients of the Roboto API: bounded in time and size, and following no redirect.

The SDK's own transport (`roboto.http.HttpClient`) bounds each operation of the socket, so an API that
sends a byte a second keeps it forever; reads any amount into memory; and follows redirects with the
API key, to whatever host. Everything else stays the SDK's: routes, retries, parsing of errors.
Importing this module imports the SDK, which takes about a second.
"""

import functools
import http.client
import io
import json
import logging
import urllib.error
import urllib.request
import urllib.response
from typing import Any

import tenacity
from roboto.exceptions import ClientError, HttpError, RobotoDomainException, ServerError
from roboto.http import BearerTokenDecorator, HttpClient, RobotoClient
from roboto.http.http_client import is_expected_to_be_transient
from roboto.http.options import HttpClientOptions, HttpRetryOptions
from roboto.http.request import HttpRequest, HttpRequestDecorator
from roboto.http.response import HttpResponse

from roboto_dagster.platform.bounded_http import bounded_opener
from roboto_dagster.platform.errors import FOREIGN_HEADER, STATUS_HEADER

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Bound on one answer; a page of a thousand records is about a megabyte."""

MAX_ERROR_BYTES = 64 * 1024
"""Bound on what is read of the body of an error."""

TOTAL_TIMEOUT_FACTOR = 2
"""An attempt ends after so many times the timeout, even while bytes arrive."""

_CHUNK_BYTES = 64 * 1024


class AnswerTooLongError(ValueError):
    """An answer is longer than `MAX_ANSWER_BYTES`."""


class BoundedHttpClient(HttpClient):
    """The SDK's client with another way to send one request.

    Args:
        endpoint: URL of the API, without a trailing slash.
        auth: Adds the API key to a request.
        timeout_seconds: Bound on waiting for a connection or for the next bytes; an attempt takes at
            most `TOTAL_TIMEOUT_FACTOR` times as long in all.
        max_attempts: How often a request is tried in all.
    """

    def __init__(
        self, endpoint: str, auth: HttpRequestDecorator, timeout_seconds: float, max_attempts: int
    ) -> None:
        options = HttpClientOptions(retry=HttpRetryOptions(max_attempts=max_attempts))
        super().__init__(
            default_endpoint=endpoint,
            default_auth=auth,
            default_timeout=timeout_seconds,
            options=options,
        )
        self._max_attempts = max_attempts

    # Every verb of the SDK's class goes through this one method, whose name is private to it. The tests of
    # redirects and of slow answers fail if a release of the SDK renames it.
    def _HttpClient__request(  # noqa: N802 - the SDK's name
        self, request: HttpRequest, timeout: float | None
    ) -> HttpResponse:
        if self.auth_decorator is not None:
            request = self.auth_decorator(request)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(functools.partial(_is_transient, request)),
            stop=tenacity.stop_after_attempt(self._max_attempts),
            wait=lambda state: request.retry_wait(state, None) / 1000,
            before_sleep=functools.partial(_log_retry, request),
            reraise=True,
        )
        try:
            return retrying(_send, request, timeout)
        except urllib.error.HTTPError as error:
            raise _sdk_error(error) from None
        except urllib.error.URLError as error:  # as the SDK's own transport translates it
            if isinstance(error.reason, ConnectionRefusedError):
                message = f"Couldn't connect to endpoint {request.url}"
                raise ConnectionRefusedError(message) from None
            raise


class BoundedRobotoClient(RobotoClient):
    """A client whose requests are bounded, and which knows who set its endpoint.

    Args:
        endpoint: URL of the API, without a trailing slash.
        endpoint_source: What set it, for messages.
        api_key: The access token.
        timeout_seconds: Bound on waiting for the next bytes.
        max_attempts: How often a request is tried in all.
    """

    def __init__(
        self,
        endpoint: str,
        endpoint_source: str,
        api_key: str,
        timeout_seconds: float,
        max_attempts: int,
    ) -> None:
        auth = BearerTokenDecorator(api_key)
        super().__init__(endpoint, auth)
        self.endpoint_source = endpoint_source
        # The SDK has no public way to exchange the transport.
        self._RobotoClient__http_client = BoundedHttpClient(
            endpoint, auth, timeout_seconds, max_attempts
        )


def _is_transient(request: HttpRequest, error: BaseException) -> bool:
    """Extend the SDK's predicate by answers that were cut off, which it does not know."""
    if isinstance(error, (http.client.IncompleteRead, http.client.BadStatusLine)):
        return bool(request.idempotent)
    return is_expected_to_be_transient(request, error)


def _log_retry(request: HttpRequest, state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.debug(
        "%s %s: attempt %d failed: %s", request.method, request.url, state.attempt_number, error
    )


def _send(request: HttpRequest, timeout: float | None) -> HttpResponse:
    """Make one attempt, and read the answer to its end."""
    total = None if timeout is None else timeout * TOTAL_TIMEOUT_FACTOR
    opener = bounded_opener(timeout, total)
    message = urllib.request.Request(  # noqa: S310 - the scheme was checked with the endpoint
        request.url, data=request.body, headers=request.headers, method=request.method
    )
    try:
        with opener.open(message, timeout=timeout) as answer:
            body = _read(answer)
            return HttpResponse(_answer(body, answer))
    except urllib.error.HTTPError as error:
        body, is_foreign = _readable_error(_read_error(error))
        headers = error.headers
        del headers[STATUS_HEADER], headers[FOREIGN_HEADER]
        headers[STATUS_HEADER], headers[FOREIGN_HEADER] = str(error.code), str(is_foreign)
        raise urllib.error.HTTPError(
            error.url, error.code, error.msg, headers, io.BytesIO(body)
        ) from None


def _answer(body: bytes, answer: Any) -> urllib.response.addinfourl:
    return urllib.response.addinfourl(
        io.BytesIO(body), answer.headers, answer.geturl(), answer.status
    )


def _read(answer: http.client.HTTPResponse) -> bytes:
    """Read a body to its end, by what there is at each time: a larger read would wait for all of it."""
    body = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerTooLongError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    if answer.length:  # read1 does not notice that the connection closed early
        raise http.client.IncompleteRead(bytes(body), answer.length)
    return bytes(body)


def _read_error(error: urllib.error.HTTPError) -> bytes:
    """Read the beginning of an error's body, as far as it comes: the status is what counts."""
    body = bytearray()
    try:
        with error:
            while len(body) < MAX_ERROR_BYTES and (chunk := error.fp.read1(_CHUNK_BYTES)):  # type: ignore[attr-defined]  # urllib's own answer
                body += chunk
    except (OSError, http.client.HTTPException, AttributeError, ValueError):
        logger.debug("The body of an answer %d was cut off.", error.code)
    return bytes(body[:MAX_ERROR_BYTES])


def _readable_error(body: bytes) -> tuple[bytes, bool]:
    """Reduce an error's body to what the SDK can parse: it fails on bytes that are no UTF-8, and hands
    fields that it does not know to a constructor.

    Returns:
        The body, and whether it is not an error of the Roboto API.
    """
    text = body.decode("utf-8", "replace")
    try:
        error = json.loads(text)["error"]
        code, message = error["error_code"], error["message"]
        reduced = {"error": {"error_code": code, "message": message}}
        RobotoDomainException.from_json(reduced)
    except (ValueError, LookupError, TypeError):  # no error of the API, or one of a newer release
        return text.encode(), "Roboto" not in text
    return json.dumps(reduced).encode(), False


def _sdk_error(error: urllib.error.HTTPError) -> HttpError:
    if error.code >= 500:
        return ServerError(error)
    return ClientError(error) if error.code >= 400 else HttpError(error)
