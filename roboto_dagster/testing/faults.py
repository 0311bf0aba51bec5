"""What can go wrong between client and platform: named faults, and rules for when they strike.

```python
from roboto_dagster.testing import LocalRoboto, faults

with LocalRoboto() as local:
    local.faults.add(faults.status(503, "SlowDown"), key="logs/*", times=2)
    local.faults.add(faults.truncate(after_bytes=10), service="s3", method="GET", after=1, times=1)
    local.faults.add(faults.status(500), route="/v1/datasets/*/files/query")
```

A `Fault` changes the request before it is served (or answers in its stead), changes the response,
or changes its delivery. Several may strike the same request: they compose, in the order in which
they were added.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from roboto_dagster.testing.delivery_faults import (
    chunked,
    close_idle,
    content_length,
    delay,
    delivered,
    flip_bit,
    no_content_length,
    reset,
    short_body,
    stall,
    trickle,
    truncate,
)
from roboto_dagster.testing.request_log import asked_range, matches
from roboto_dagster.testing.rules import Fault, Faults, ReplaceObject, Rule
from roboto_dagster.testing.server.content import BytesContent
from roboto_dagster.testing.server.messages import Request, Response, Service

__all__ = [
    "Fault",
    "Faults",
    "Rule",
    "answer",
    "answer_json",
    "call",
    "chunked",
    "close_idle",
    "content_length",
    "delay",
    "drop_headers",
    "flip_bit",
    "ignore_if_match",
    "ignore_range",
    "no_content_length",
    "offset_range",
    "ok_with_error_body",
    "refuse",
    "reset",
    "set_headers",
    "short_body",
    "shorter_range",
    "stall",
    "status",
    "swap",
    "trickle",
    "truncate",
    "wrong_region",
]

_MESSAGES = {
    "SlowDown": "Please reduce your request rate.",
    "ExpiredToken": "The provided token has expired.",
    "NoSuchKey": "The specified key does not exist.",
    "AccessDenied": "Access Denied",
    "InternalError": "We encountered an internal error. Please try again.",
}
_S3_CODES = {
    403: "AccessDenied",
    404: "NoSuchKey",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
}
_API_CODES = {
    400: "RobotoInvalidRequestException",
    401: "RobotoUnauthorizedException",
    403: "RobotoUnauthorizedException",
    404: "RobotoNotFoundException",
    409: "RobotoConflictException",
    500: "RobotoInternalException",
    503: "RobotoServiceUnavailableException",
}


# --- answers given instead of serving the request


def status(
    code: int,
    error: str | None = None,
    *,
    message: str | None = None,
    headers: Mapping[str, str] | None = None,
    extra: str = "",
) -> Fault:
    """Answer with an HTTP status and an error body, in S3's XML or the API's JSON.

    Args:
        code: The HTTP status.
        error: The error's code: for S3 such as `"SlowDown"`, for the API the name of an exception
            of the SDK.
        message: The error's message.
        headers: Headers to add, such as `{"Retry-After": "20"}`.
        extra: XML to put into S3's body, such as `"<Region>eu-west-1</Region>"`.
    """

    def answer(request: Request, _: ReplaceObject) -> Response:
        codes = _API_CODES if request.service == "api" else _S3_CODES
        name = error or codes.get(code, "")
        text = message or _MESSAGES.get(name, "An injected fault.")
        content_type, body = _error_body(request.service, name, text, extra)
        all_headers = {"Content-Type": content_type, "x-amz-request-id": "FAULT", **(headers or {})}
        return Response(status=code, headers=all_headers, body=BytesContent(body))

    return Fault(name=f"status {code} {error or ''}".strip(), before=answer)


def _error_body(service: Service, name: str, message: str, extra: str) -> tuple[str, bytes]:
    """Return the content type and the body of an error in the form of *service*."""
    if service == "api":
        error = {"error": {"error_code": name, "message": message}}
        return "application/json", json.dumps(error).encode()
    xml = f"<Error><Code>{name}</Code><Message>{escape(message)}</Message>{extra}</Error>"
    return "application/xml", b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml.encode()


def answer(
    body: bytes | str,
    *,
    status: int = 200,
    content_type: str = "text/html",
    headers: Mapping[str, str] | None = None,
) -> Fault:
    """Answer with any body: an HTML page of a proxy, broken XML, JSON of the wrong shape.

    Args:
        body: The body.
        status: The HTTP status. Default 200.
        content_type: Its type. Default `text/html`.
        headers: Headers to add.
    """
    data = body.encode() if isinstance(body, str) else body
    response = Response(
        status=status,
        headers={"Content-Type": content_type, **(headers or {})},
        body=BytesContent(data),
    )
    return Fault(name=f"answer {status}", before=lambda _request, _replace: response)


def answer_json(payload: object) -> Fault:
    """Answer 200 with JSON of any shape, such as `{"data": []}` for credentials."""
    return replace(answer(json.dumps(payload), content_type="application/json"), name="answer_json")


def ok_with_error_body(error: str = "InternalError") -> Fault:
    """Answer 200 with an S3 error as its body, as S3 may do once it has started to answer."""
    body = f"<Error><Code>{error}</Code><Message>{_MESSAGES.get(error, '')}</Message></Error>"
    return replace(answer(body, content_type="application/xml"), name=f"200 with {error}")


def wrong_region(region: str, *, code: int = 400) -> Fault:
    """Refuse requests that are signed for another region, naming the right one as S3 does.

    Args:
        region: The right region.
        code: 400 (default) answers `AuthorizationHeaderMalformed`, 301 `PermanentRedirect`, 307
            `TemporaryRedirect`.
    """
    error = {301: "PermanentRedirect", 307: "TemporaryRedirect"}.get(
        code, "AuthorizationHeaderMalformed"
    )
    fault = status(
        code,
        error,
        message=f"the region is wrong; expecting '{region}'",
        headers={"x-amz-bucket-region": region},
        extra=f"<Region>{region}</Region>",
    )
    return replace(
        fault,
        region=region,
        applies=lambda request: f"/{region}/s3/" not in request.headers.get("authorization", ""),
    )


def refuse() -> Fault:
    """Reset the connection instead of answering."""
    return Fault(name="refuse", after=delivered(cut_after=-1, cut="reset"))


# --- ranges and conditions


def ignore_range() -> Fault:
    """Answer a ranged request with 200 and the complete object."""
    return Fault(name="ignore_range", before=_overriding({"range": None}), applies=_is_ranged)


def ignore_if_match() -> Fault:
    """Serve the object whatever If-Match is sent."""
    return Fault(name="ignore_if_match", before=_overriding({"if-match": None}))


def shorter_range(*, by: int) -> Fault:
    """Answer a ranged request with a range that ends *by* bytes early, with a Content-Range that fits."""
    return Fault(name="shorter_range", before=_shifted(start=0, stop=-by), applies=_is_ranged)


def offset_range(*, by: int) -> Fault:
    """Answer a ranged request with a range that lies *by* bytes further on, with a Content-Range that fits."""
    return Fault(name="offset_range", before=_shifted(start=by, stop=by), applies=_is_ranged)


def _overriding(overrides: Mapping[str, str | None]) -> Callable[[Request, ReplaceObject], Request]:
    return lambda request, _: replace(request, overrides={**request.overrides, **overrides})


def _shifted(*, start: int, stop: int) -> Callable[[Request, ReplaceObject], Request]:
    def shift(request: Request, _: ReplaceObject) -> Request:
        first, last = asked_range(request) or (0, 0)
        asked = f"bytes={first + start}-{max(first + start, last + stop)}"
        return replace(request, overrides={**request.overrides, "range": asked})

    return shift


def _is_ranged(request: Request) -> bool:
    return asked_range(request) is not None


# --- headers and objects


def set_headers(headers: Mapping[str, str]) -> Fault:
    """Set or replace headers of the answer: a wrong checksum, `Content-Encoding: gzip`."""

    def change(_: Request, response: Response) -> Response:
        replaced = {name.lower() for name in headers}
        kept = {
            name: value for name, value in response.headers.items() if name.lower() not in replaced
        }
        return replace(response, headers={**kept, **headers})

    return Fault(name="set_headers", after=change)


def drop_headers(*names: str) -> Fault:
    """Leave headers out of the answer; a name may be a pattern, such as `x-amz-checksum-*`."""

    def change(_: Request, response: Response) -> Response:
        kept = {
            header: value
            for header, value in response.headers.items()
            if not any(matches(header.lower(), name.lower()) for name in names)
        }
        return replace(response, headers=kept)

    return Fault(name="drop_headers", after=change)


def swap(data: bytes) -> Fault:
    """Replace the object's content for good, just before the request is served."""

    def change(request: Request, replace_object: ReplaceObject) -> Request:
        replace_object(request.bucket, request.key, data)
        return request

    return Fault(name="swap", before=change, applies=lambda request: bool(request.key))


def call(function: Callable[[], object]) -> Fault:
    """Call *function* just before the request is served: to change something, or to wait."""

    def run(request: Request, _: ReplaceObject) -> Request:
        function()
        return request

    return Fault(name="call", before=run)
