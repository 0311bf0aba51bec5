"""The HTTP transport of our clients of the Roboto API: kept alive, bounded in time, size and rate, and following no redirect.

The SDK's own transport (`roboto.http.HttpClient`) opens a TCP and TLS connection a request; bounds each operation of the
socket, so an API that sends a byte a second keeps it forever; reads any amount into memory; follows redirects with the
API key, to whatever host; and does not heed `Retry-After`. Everything else stays the SDK's: routes, the API key's
header, the waits between attempts, parsing of errors. Importing this module imports the SDK, which takes about a second.

```
 request ─► its turn (`RequestRate`) ─► sent ─┬─ answer ──────────────────────────────────────────► returned
                ▲                             ├─ idle connection was closed, a read: sent again at once, one time
                │                             ├─ throttled (429, 503 with Retry-After) ─► waits ─┐
                └── wait, attempts are left ──┴─ other transient failure ────────────────────────┘
```
"""

import functools
import http.client
import io
import json
import logging
import time
import urllib.error
import urllib.parse
import urllib.response

import tenacity
import urllib3
from roboto.exceptions import ClientError, HttpError, RobotoDomainException, ServerError
from roboto.http import BearerTokenDecorator, HttpClient, RobotoClient
from roboto.http.http_client import is_expected_to_be_transient
from roboto.http.request import HttpRequest, HttpRequestDecorator
from roboto.http.response import HttpResponse

from roboto_dagster.platform.bounded_http import BoundedHttp
from roboto_dagster.platform.connections import (
    TOTAL_TIMEOUT_FACTOR,
    AnswerTooLongError,
    IdleConnectionClosedError,
)
from roboto_dagster.platform.errors import FOREIGN_HEADER, STATUS_HEADER
from roboto_dagster.platform.rate import RequestRate, retry_after_seconds
from roboto_dagster.platform.waits import Waits
from roboto_dagster.version import __version__

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Bound on one answer; a page of a thousand records is about a megabyte."""

MAX_ERROR_BYTES = 64 * 1024
"""Bound on what is read of the body of an error."""

_CHUNK_BYTES = 64 * 1024
_USER_AGENT = f"roboto-dagster/{__version__}"


class BoundedHttpClient(HttpClient):
    """The SDK's client with another way to send one request.

    Args:
        endpoint: URL of the API, without a trailing slash.
        auth: Adds the API key to a request.
        timeout_seconds: Bound on waiting for a connection or for the next bytes; an attempt takes at
            most `connections.TOTAL_TIMEOUT_FACTOR` times as long in all. A `Retry-After` is heeded up to as long.
        max_attempts: How often a request is tried in all.
        rate: When requests may start. Default: at once.
        waits: Between two attempts, and for answers. Default: its own.
    """

    def __init__(
        self,
        endpoint: str,
        auth: HttpRequestDecorator,
        timeout_seconds: float,
        max_attempts: int,
        *,
        rate: RequestRate | None = None,
        waits: Waits | None = None,
    ) -> None:
        super().__init__(
            default_endpoint=endpoint, default_auth=auth, default_timeout=timeout_seconds
        )
        waits = waits or Waits()
        self._http = BoundedHttp(endpoint, waits)
        self._max_pause_seconds = timeout_seconds * TOTAL_TIMEOUT_FACTOR
        self._rate = rate or RequestRate()
        # One for all requests and threads. It must not refer to this client: tenacity's objects are cycles, and a client in one
        # is left to the garbage collector, where an interrupt that meets urllib3's finalizer is lost.
        self._retrying = tenacity.Retrying(
            retry=functools.partial(_is_retried, self._max_pause_seconds),
            stop=tenacity.stop_after_attempt(max_attempts),
            wait=_pause_seconds,
            sleep=waits.sleep,
            before_sleep=_log_retry,
            reraise=True,
        )

    # Every verb of the SDK's class goes through this one method, whose name is private to it. The tests of
    # redirects and of slow answers fail if a release of the SDK renames it.
    def _HttpClient__request(  # noqa: N802 - the SDK's name
        self, request: HttpRequest, timeout: float | None
    ) -> HttpResponse:
        if self.auth_decorator is not None:
            request = self.auth_decorator(request)
        try:
            return self._retrying(self._send_once_more, request, timeout)
        except urllib.error.HTTPError as error:
            raise _sdk_error(error) from None
        except urllib.error.URLError as error:  # as the SDK's own transport translates it
            if isinstance(error.reason, ConnectionRefusedError):
                message = f"Couldn't connect to endpoint {request.url}"
                raise ConnectionRefusedError(message) from None
            raise

    def _send_once_more(self, request: HttpRequest, timeout: float | None) -> HttpResponse:
        """Make one attempt; a read that met a connection which the server had closed meanwhile was no attempt."""
        try:
            return self._send(request, timeout)
        except IdleConnectionClosedError:
            if not _is_read(request):
                raise
            return self._send(request, timeout)

    def _send(self, request: HttpRequest, timeout: float | None) -> HttpResponse:
        """Send a request, and read the answer to its end."""
        self._rate.acquire()
        headers = {"User-Agent": _USER_AGENT, **request.headers}
        with self._http.open(
            request.method,
            request.url,
            body=request.body,
            headers=headers,
            timeout_seconds=timeout,
        ) as answer:
            if 200 <= answer.status < 300:
                self._rate.answered()
                return HttpResponse(_answer(_read(answer), answer, request.url))
            error = _http_error(answer, request.url)
        if _asks_to_slow_down(error):
            path = urllib.parse.urlsplit(request.url).path
            self._rate.throttled(path, min(_retry_after(error), self._max_pause_seconds))
        else:
            self._rate.answered()
        raise error


class BoundedRobotoClient(RobotoClient):
    """A client whose requests are bounded, and which knows who set its endpoint.

    Args:
        endpoint: URL of the API, without a trailing slash.
        endpoint_source: What set it, for messages.
        api_key: The access token.
        timeout_seconds: Bound on waiting for the next bytes.
        max_attempts: How often a request is tried in all.
        rate: When requests may start. Default: at once.
        waits: Between attempts, and for answers. Default: its own.

    Attributes:
        waits: The same.
    """

    def __init__(
        self,
        endpoint: str,
        endpoint_source: str,
        api_key: str,
        timeout_seconds: float,
        max_attempts: int,
        *,
        rate: RequestRate | None = None,
        waits: Waits | None = None,
    ) -> None:
        auth = BearerTokenDecorator(api_key)
        super().__init__(endpoint, auth)
        self.endpoint_source = endpoint_source
        self.waits = waits or Waits()
        # The SDK has no public way to exchange the transport.
        self._RobotoClient__http_client = BoundedHttpClient(
            endpoint, auth, timeout_seconds, max_attempts, rate=rate, waits=self.waits
        )


def _is_read(request: HttpRequest) -> bool:
    """Return whether a request changes nothing on the platform."""
    path = urllib.parse.urlsplit(request.url).path
    return request.method == "GET" or (request.method == "POST" and path.endswith("/query"))


def _asks_to_slow_down(error: urllib.error.HTTPError) -> bool:
    """Return whether an answer is about the number of requests: 503 alone is a server that fails, at whatever rate."""
    return error.code == 429 or (error.code == 503 and "Retry-After" in error.headers)


def _retry_after(error: BaseException) -> float:
    if not isinstance(error, urllib.error.HTTPError):
        return 0.0
    return retry_after_seconds(error.headers.get("Retry-After"), time.time())


def _is_retried(max_pause_seconds: float, state: tenacity.RetryCallState) -> bool:
    """Extend the SDK's predicate: answers that were cut off, and pauses that nobody waits for."""
    request, error = _request_and_error(state)
    if error is None:
        return False
    if isinstance(error, (http.client.IncompleteRead, http.client.BadStatusLine)):
        return bool(request.idempotent)
    if not is_expected_to_be_transient(request, error):
        return False
    is_answer = isinstance(error, urllib.error.HTTPError)
    return not is_answer or _retry_after(error) <= max_pause_seconds


def _pause_seconds(state: tenacity.RetryCallState) -> float:
    request, error = _request_and_error(state)
    own = float(request.retry_wait(state, None)) / 1000
    return own if error is None else max(own, _retry_after(error))


def _log_retry(state: tenacity.RetryCallState) -> None:
    request, error = _request_and_error(state)
    logger.debug(
        "%s %s: attempt %d failed: %s", request.method, request.url, state.attempt_number, error
    )


def _request_and_error(
    state: tenacity.RetryCallState,
) -> tuple[HttpRequest, BaseException | None]:
    """Return the first argument of what is retried, and how its last attempt failed."""
    return state.args[0], state.outcome.exception() if state.outcome else None


def _answer(body: bytes, answer: urllib3.BaseHTTPResponse, url: str) -> urllib.response.addinfourl:
    return urllib.response.addinfourl(io.BytesIO(body), _headers(answer), url, answer.status)


def _headers(answer: urllib3.BaseHTTPResponse) -> http.client.HTTPMessage:
    headers = http.client.HTTPMessage()
    for name, value in answer.headers.items():
        headers[name] = value
    return headers


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    """Read a body to its end."""
    body = bytearray()
    for chunk in answer.stream(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerTooLongError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _http_error(answer: urllib3.BaseHTTPResponse, url: str) -> urllib.error.HTTPError:
    """Return what the SDK takes apart: a status, and a body that it can parse."""
    body, is_foreign = _readable_error(_read_error(answer))
    headers = _headers(answer)
    del headers[STATUS_HEADER], headers[FOREIGN_HEADER]
    headers[STATUS_HEADER], headers[FOREIGN_HEADER] = str(answer.status), str(is_foreign)
    return urllib.error.HTTPError(
        url, answer.status, answer.reason or "", headers, io.BytesIO(body)
    )


def _read_error(answer: urllib3.BaseHTTPResponse) -> bytes:
    """Read the beginning of an error's body, as far as it comes: the status is what counts."""
    body = bytearray()
    try:
        for chunk in answer.stream(_CHUNK_BYTES, decode_content=False):
            body += chunk
            if len(body) >= MAX_ERROR_BYTES:
                break
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError):
        logger.debug("The body of an answer %d was cut off.", answer.status)
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
