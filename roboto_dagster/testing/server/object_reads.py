"""Answers reads of one object: headers, conditions and ranges."""

import itertools
import re
from dataclasses import replace
from datetime import timezone
from email.utils import formatdate, parsedate_to_datetime
from xml.sax.saxutils import escape

from moto.s3.models import FakeKey

from roboto_dagster.testing.server.content import BodyContent, BytesContent, Window
from roboto_dagster.testing.server.messages import Request, Response
from roboto_dagster.testing.server.moto_objects import (
    SpooledContent,
    StoredKey,
)
from roboto_dagster.testing.server.signatures import RefusedError

SPOOLED_BYTES = 1024 * 1024
HEADER_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-cache-control": "Cache-Control",
}


_request_ids = itertools.count(1)


def error_response(status: int, code: str, message: str, extra: str = "") -> Response:
    """Return an error in S3's own form.

    Args:
        status: HTTP status.
        code: S3's code.
        message: The text.
        extra: XML to put into the body. Default empty.
    """
    headers = {**common_headers(), "Content-Type": "application/xml"}
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{extra}"
        f"<RequestId>{headers['x-amz-request-id']}</RequestId><HostId>local</HostId></Error>"
    )
    return Response(status=status, headers=headers, body=BytesContent(body.encode()))


def common_headers() -> dict[str, str]:
    """Return the headers that every answer has."""
    return {
        "x-amz-request-id": f"LOCAL{next(_request_ids):011d}",
        "Date": formatdate(usegmt=True),
        "Server": "AmazonS3",
    }


def object_headers(found: FakeKey, request: Request) -> dict[str, str]:
    """Return the headers that describe an object.

    Args:
        found: The object.
        request: What was asked, which may override some.
    """
    headers = common_headers()
    headers.update({name: str(value) for name, value in found.metadata.items()})
    headers.update(
        {
            name: str(value)
            for name, value in found.response_dict.items()
            if name.lower() != "content-length"
        }
    )
    headers.pop("x-amz-sdk-checksum-algorithm", None)
    headers["Accept-Ranges"] = "bytes"
    if (
        request.header("x-amz-checksum-mode") == "ENABLED"
        and found.checksum_algorithm
        and found.checksum_value
    ):
        composite = found.checksum_type == "COMPOSITE"
        suffix = f"-{found.checksum_parts}" if composite else ""
        name = f"x-amz-checksum-{found.checksum_algorithm.lower()}"
        headers[name] = f"{found.checksum_value}{suffix}"
        headers["x-amz-checksum-type"] = found.checksum_type or "FULL_OBJECT"
    return headers


def content_of(found: FakeKey) -> BodyContent:
    """Return the bytes of an object, wherever they are."""
    if isinstance(found, StoredKey):
        return found.content
    # A small object is read at once, so that replacing it does not pull it from under a reader.
    return BytesContent(found.value) if found.size <= SPOOLED_BYTES else SpooledContent(found)


def check_conditions(request: Request, found: FakeKey) -> Response | None:
    """Check a read's conditions.

    Args:
        request: What was asked.
        found: The object.

    Returns:
        The answer 304; None where the read may continue.
    """
    if_match = request.header("if-match")
    if if_match and if_match != "*" and found.etag.strip('"') != if_match.strip('"'):
        raise RefusedError(
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        )
    modified = found.last_modified.replace(microsecond=0, tzinfo=timezone.utc)
    unmodified_since = request.header("if-unmodified-since")
    if unmodified_since and not if_match and modified > parsedate_to_datetime(unmodified_since):
        raise RefusedError(
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        )
    if_none_match = request.header("if-none-match")
    if if_none_match and if_none_match.strip('"') in ("*", found.etag.strip('"')):
        return Response(status=304, headers={**common_headers(), "ETag": found.etag})
    modified_since = request.header("if-modified-since")
    if modified_since and not if_none_match and modified <= parsedate_to_datetime(modified_since):
        return Response(status=304, headers={**common_headers(), "ETag": found.etag})
    return None


def ranged(request: Request, headers: dict[str, str], content: BodyContent) -> Response:
    """Answer a read, in full or the range that was asked for.

    Args:
        request: What was asked.
        headers: Of the object.
        content: Its bytes.
    """
    size = len(content)
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.header("range") or "")
    if asked is None or asked.group(0) == "bytes=-":
        return Response(status=200, headers=headers, body=content)
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size or (not first and int(last) == 0):
        return _unsatisfiable(size)
    if stop <= start:
        return Response(status=200, headers=headers, body=content)
    if stop - start < size:
        headers = {
            name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")
        }
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(status=206, headers=headers, body=Window(content, start, stop))


def _unsatisfiable(size: int) -> Response:
    response = error_response(416, "InvalidRange", "The requested range is not satisfiable")
    return replace(response, headers={**response.headers, "Content-Range": f"bytes */{size}"})
