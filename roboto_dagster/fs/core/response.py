"""Reads what an S3 server answers: the head of an answer, a range, an error document. Pure."""

import datetime as dt
import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

# Lines may end in LF alone (RFC 9112, 2.2), as libcurl accepts them.
_ENDS_OF_HEAD = (b"\r\n", b"\n")
_END = ["\r", ""]  # of the usual head, split at each LF
# Range units are case-insensitive (RFC 9110, 14.1), and a size may be unknown (14.4).
_CONTENT_RANGE = re.compile(r"bytes[ \t]+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)
_RETRY_AFTER_MAX_SECONDS = 3600.0
# Error documents are small; a regular expression reads them where an XML parser would have to be
# kept from entities and from depth, and reads truncated ones too.
_TAG = "<{0}>([^<]{{0,1000}})</{0}>"
_CODE, _MESSAGE, _REGION, _REQUEST_ID, _SERVER_TIME = (
    re.compile(_TAG.format(tag)) for tag in ("Code", "Message", "Region", "RequestId", "ServerTime")
)
_PLAIN_TEXT = re.compile(r"[^\x20-\x7e]+")

ERROR_BODY_BYTES = 64 * 1024
"""How much of an error document is kept."""


class Head(NamedTuple):
    """Status and headers of an answer; names in lower case."""

    status: int
    headers: dict[str, str]

    @property
    def content_length(self) -> int | None:
        """The length that the body was announced with, in bytes, or None."""
        text = self.headers.get("content-length", "")
        if "," in text:  # repeated: valid if it is the same each time (RFC 9110, 8.6)
            values = {value.strip() for value in text.split(",")}
            text = values.pop() if len(values) == 1 else ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    @property
    def content_range(self) -> tuple[int, int, int | None] | None:
        """First byte, end (exclusive) and size of the complete object, or None.

        The size is None where the server does not know it.
        """
        match = _CONTENT_RANGE.fullmatch(self.headers.get("content-range", ""))
        if match is None:
            return None
        first, last, size = match.groups()
        return int(first), int(last) + 1, None if size == "*" else int(size)

    @property
    def request_id(self) -> str | None:
        """The store's name of this request, for its support."""
        text = self.headers.get("x-amz-request-id")
        return (plain_text(text, 100) or None) if text else None

    @property
    def date(self) -> float | None:
        """The server's clock, in seconds since the epoch."""
        try:
            return email.utils.parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return None

    @property
    def retry_after_seconds(self) -> float:
        """How long the server asks to wait, in seconds; 0 if it does not, at most an hour."""
        text = self.headers.get("retry-after", "")
        if not text:
            return 0.0
        try:
            seconds = float(text)
        except ValueError:
            seconds = self._seconds_until(text)
        if not math.isfinite(seconds):
            return 0.0
        return min(max(seconds, 0.0), _RETRY_AFTER_MAX_SECONDS)

    def _seconds_until(self, text: str) -> float:
        """Read a date (RFC 9110, 5.6.7), by the server's clock where it shows it."""
        try:
            moment = email.utils.parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            return 0.0
        now = self.date
        return moment - (time.time() if now is None else now)


def pinning_etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag that ranges of the same version can be requested with.

    The one place that decides whether an object can be pinned: a weak ETag never satisfies
    If-Match (RFC 9110, 8.8.3.2), and an empty one is the same for every version.

    Args:
        headers: Of the answer whose body the ranges shall continue, names in lower case.

    Returns:
        The ETag without its quotes; None where there is none that pins a version.
    """
    etag = headers.get("etag", "")
    if len(etag) > 1 and etag[0] == etag[-1] == '"':
        etag = etag[1:-1]
    elif " " in etag or "," in etag or etag[:2] in ("W/", "w/"):
        return None
    if not etag.strip() or '"' in etag or not (etag.isascii() and etag.isprintable()):
        return None
    return etag


def parse_head(lines: list[bytes]) -> Head:
    """Read an answer's header lines.

    Args:
        lines: As they came, line ends included.

    Returns:
        The head; of several (a proxy's, `100 Continue`) the last. Repeated fields are joined by
        commas, as RFC 9110, 5.3 has it.
    """
    text = b"".join(lines).decode("latin-1")
    status_line, *fields = text.split("\n")
    headers: dict[str, str] = {}
    for field in fields:  # of all that Python does for a small file, this takes longest
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()  # of `\r` too
    # A name, or an empty line, that comes twice; an end in LF alone; a space before a colon.
    is_unusual = len(headers) < len(fields) or fields[-2:] != _END
    if is_unusual or " :" in text or "\t:" in text:
        return _parse_unusual(lines)
    return _head(status_line, headers)


def _parse_unusual(lines: list[bytes]) -> Head:
    for end_of_head in _ENDS_OF_HEAD:
        while end_of_head in lines and (end := lines.index(end_of_head) + 1) < len(lines):
            lines = lines[end:]
    status_line, *fields = b"".join(lines).decode("latin-1").split("\n")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name, value = name.lower().rstrip(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers and name else value
    return _head(status_line, headers)


def _head(status_line: str, headers: dict[str, str]) -> Head:
    status = status_line.partition(" ")[2].lstrip()[:3]
    return Head(int(status) if status.isdigit() else 0, headers)


class ErrorDocument(NamedTuple):
    """The message in an error's body; empty where there is none, as in a proxy's HTML page."""

    code: str
    message: str
    region: str
    request_id: str
    server_time: float | None


def parse_error(body: bytes) -> ErrorDocument:
    """Read an error document, however broken."""
    text = body[:ERROR_BODY_BYTES].decode("utf-8", "replace")
    return ErrorDocument(
        _first(_CODE, text),
        _first(_MESSAGE, text),
        _first(_REGION, text),
        _first(_REQUEST_ID, text),
        _time(_first(_SERVER_TIME, text)),
    )


def _time(text: str) -> float | None:
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _first(tag: re.Pattern[str], text: str) -> str:
    match = tag.search(text)
    return plain_text(match.group(1), 300) if match else ""


def plain_text(text: str, limit: int) -> str:
    """Make foreign text fit for one line of a message.

    Args:
        text: The text.
        limit: How many characters are kept.
    """
    if text.isascii() and text.isprintable():
        return text.strip()[:limit]
    return _PLAIN_TEXT.sub(" ", text).strip()[:limit]
