"""What was asked of the platform and its store, to be counted. No signature is kept."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from roboto_dagster.testing.server.messages import Request, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request and what it got.

    Attributes:
        service: `"api"` or `"s3"`.
        method: The HTTP method.
        route: The decoded path.
        bucket: The bucket (S3 only).
        key: The object's key (S3 only).
        query: The query string (API only, since S3's may hold a signature).
        range: The Range header, if there was one.
        if_match: The If-Match header, if there was one.
        body: The body of an API request.
        status: The HTTP status of the answer.
        size_bytes: The size of the answer's body, as far as a fault did not cut it.
        faults: The names of the faults that took part.
        connection: Number of the connection on which it came; see `RequestLog.count_connections`.
    """

    service: Service
    method: str
    route: str
    bucket: str
    key: str
    query: str
    range: str | None
    if_match: str | None
    body: bytes
    status: int
    size_bytes: int
    faults: tuple[str, ...]
    connection: int = 0


class RequestLog:
    """Every request since the start or the last `clear`, oldest first, for any thread."""

    def __init__(self) -> None:
        self._entries: list[LoggedRequest] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        with self._lock:
            return iter(list(self._entries))

    def count(
        self,
        *,
        service: Service | None = None,
        method: str | None = None,
        key: str | None = None,
        route: str | None = None,
        status: int | None = None,
    ) -> int:
        """Return how many requests fit; see `matching`.

        Args:
            service: As in `matching`.
            method: As in `matching`.
            key: As in `matching`.
            route: As in `matching`.
            status: As in `matching`.
        """
        return len(
            self.matching(service=service, method=method, key=key, route=route, status=status)
        )

    def matching(
        self,
        *,
        service: Service | None = None,
        method: str | None = None,
        key: str | None = None,
        route: str | None = None,
        status: int | None = None,
    ) -> list[LoggedRequest]:
        """Return the requests that fit everything that is given.

        Args:
            service: `"api"` or `"s3"`.
            method: The HTTP method.
            key: An object's key, or a pattern with `*` for it (which also matches `/`).
            route: A path, or a pattern for it, such as `/v1/datasets/*/files/query`.
            status: The HTTP status of the answer.
        """
        return [
            entry
            for entry in self
            if (service is None or entry.service == service)
            and (method is None or entry.method == method)
            and (key is None or matches(entry.key, key))
            and (route is None or matches(entry.route, route))
            and (status is None or entry.status == status)
        ]

    def count_connections(self, *, service: Service | None = None, route: str | None = None) -> int:
        """Return over how many connections the requests that fit came.

        Args:
            service: As in `matching`.
            route: As in `matching`.
        """
        return len({each.connection for each in self.matching(service=service, route=route)})

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def add(self, request: Request, status: int, size_bytes: int, faults: tuple[str, ...]) -> None:
        """Note one request.

        Args:
            request: The request.
            status: HTTP status of the answer.
            size_bytes: Size of the answer's body.
            faults: Names of the faults that struck it.
        """
        is_api = request.service == "api"
        entry = LoggedRequest(
            service=request.service,
            method=request.method,
            route=request.route,
            bucket=request.bucket,
            key=request.key,
            query=request.query if is_api else "",
            range=request.headers.get("range"),
            if_match=request.headers.get("if-match"),
            body=request.body if is_api else b"",
            status=status,
            size_bytes=size_bytes,
            faults=faults,
            connection=request.connection,
        )
        with self._lock:
            self._entries.append(entry)


def matches(name: str, pattern: str) -> bool:
    """Return whether *name* is *pattern*, or fits it as a shell pattern.

    Args:
        name: A key, path or header name.
        pattern: What it shall fit, with `*` and `?`.
    """
    return name == pattern or fnmatchcase(name, pattern)


def asked_range(request: Request) -> tuple[int, int] | None:
    """Return the range that a request asks for: first byte and end (exclusive), or None."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    return (int(asked.group(1)), int(asked.group(2) or 2**62)) if asked else None
