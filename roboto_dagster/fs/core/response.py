"""Reads what an S3 server answers: the head of an answer, a range, an error document. Pure."""

import datetime as dt
import email.utils
import re
from typing import NamedTuple

_END_OF_HEAD = b"\r\n"
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")
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
        """The length that the body was said to have, or None."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def content_range(self) -> tuple[int, int, int] | None:
        """First byte, end (exclusive) and size of the whole object, or None."""
        match = _CONTENT_RANGE.match(self.headers.get("content-range", ""))
        if match is None:
            return None
        first, last, size = (int(number) for number in match.groups())
        return first, last + 1, size

    @property
    def request_id(self) -> str | None:
        """The store's name of this request, for its support."""
        return plain_text(self.headers.get("x-amz-request-id", ""), 100) or None

    @property
    def date(self) -> float | None:
        """The server's clock, in seconds since the epoch."""
        try:
            return email.utils.parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return None

    @property
    def retry_after_seconds(self) -> float:
        """How long the server asks to wait; 0 if it does not."""
        text = self.headers.get("retry-after", "")
        return min(float(text), 3600.0) if text.isascii() and text.isdigit() else 0.0


def parse_head(lines: list[bytes]) -> Head:
    """Reads an answer's header lines; of several heads (a proxy's, `100 Continue`) the last."""
    while _END_OF_HEAD in lines and (end := lines.index(_END_OF_HEAD) + 1) < len(lines):
        lines = lines[end:]
    status_line, *fields = b"".join(lines).decode("latin-1").split("\r\n") if lines else [""]
    headers = {}
    for field in fields:  # a regular expression takes four times as long
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    status = status_line[9:12]
    return Head(int(status) if status.isdigit() else 0, headers)


class ErrorDocument(NamedTuple):
    """What an error's body says; empty where it says nothing, as in a proxy's HTML page."""

    code: str
    message: str
    region: str
    request_id: str
    server_time: float | None


def parse_error(body: bytes) -> ErrorDocument:
    """Reads an error document, however broken."""
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
    """Makes foreign text fit for one line of a message."""
    if text.isascii() and text.isprintable():
        return text.strip()[:limit]
    return _PLAIN_TEXT.sub(" ", text).strip()[:limit]
