"""Requests and responses of the stand-in's servers, as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from roboto_dagster.testing.server.content import (
    BodyContent,
    BytesContent,
)

Service = Literal["api", "s3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as it arrived.

    Attributes:
        service: Who was asked: `"api"` or `"s3"`.
        method: The HTTP method.
        path: The path as sent, still percent-encoded, without the query.
        query: The query string as sent.
        headers: The headers, with names in lower case.
        body: The body.
        connection: Number of the connection on which it came, which is that of no other connection of this process.
        overrides: Headers that are to be taken for something else (None: absent) once the signature
            is checked.
    """

    service: Service
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    connection: int = 0
    overrides: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The path and the query, as on the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def route(self) -> str:
        """The decoded path, with one leading slash."""
        return "/" + unquote(self.path).lstrip("/")

    @property
    def bucket(self) -> str:
        """The bucket that S3 was asked about, or nothing."""
        return unquote(self.path.split("/", 2)[1]) if self.service == "s3" else ""

    @property
    def key(self) -> str:
        """The decoded key of the object that S3 was asked about, or nothing."""
        parts = self.path.split("/", 2)
        return unquote(parts[2]) if self.service == "s3" and len(parts) > 2 else ""

    def header(self, name: str) -> str | None:
        """Return the header *name* (in lower case) that is to be obeyed, after `overrides`."""
        return self.overrides[name] if name in self.overrides else self.headers.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a response goes over the wire, when not as it should.

    Attributes:
        delay_seconds: Wait so long before the first byte.
        stall_after: Stop for `stall_seconds` after so many bytes of the body.
        stall_seconds: How long to stall.
        cut_after: End the connection after so many bytes of the body.
        cut: How it ends then: closed, or reset (RST).
        bytes_per_second: Send the body no faster than this.
        framing: How the end of the body is marked: by its length, by chunks, or only by closing.
        declared_length: The Content-Length to claim instead of the true one.
        close_after: Close the connection after the response, without having announced it.
    """

    delay_seconds: float = 0.0
    stall_after: int | None = None
    stall_seconds: float = 0.0
    cut_after: int | None = None
    cut: Literal["close", "reset"] = "close"
    bytes_per_second: float | None = None
    framing: Literal["length", "chunked", "close"] = "length"
    declared_length: int | None = None
    close_after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response; `Content-Length` is added when it is sent."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: BodyContent = field(default_factory=lambda: BytesContent(b""), repr=False)
    delivery: Delivery = Delivery()


Handler = Callable[[Request], Response]
