"""An opener of URLs whose answers keep to a deadline, and which follows no redirect.

A timeout of a socket bounds one operation: a server that sends a byte a second never exceeds it. Here every read
of an answer, of its status, its headers and its body, is given the time that is left.
"""

import functools
import http.client
import io
import socket
import time
import urllib.request
from typing import IO, Any

from roboto.http.tls import https_ssl_context


def bounded_opener(
    timeout_seconds: float | None, total_seconds: float | None
) -> urllib.request.OpenerDirector:
    """Make an opener for one request; proxies are those of the environment, as with urllib.

    Args:
        timeout_seconds: Bound on waiting for the next bytes; None for no bounds.
        total_seconds: Bound on the complete answer, from now on; None for no bounds.
    """
    deadline = None if total_seconds is None else time.monotonic() + total_seconds
    connect = functools.partial(_connection, timeout_seconds=timeout_seconds, deadline=deadline)
    return urllib.request.build_opener(_HttpHandler(connect), _HttpsHandler(connect), _NoRedirect)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Turns a redirect into an error: the API key is for one host, and a POST would become a GET."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self,
        req: urllib.request.Request,  # noqa: ARG002
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: http.client.HTTPMessage,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


class _HttpHandler(urllib.request.HTTPHandler):
    """Opens bounded connections; proxies are urllib's matter, as with the SDK."""

    def __init__(self, connect: Any) -> None:
        super().__init__()
        self._connect = connect

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._connect, http.client.HTTPConnection), req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    """The same with TLS, whose settings are the SDK's."""

    def __init__(self, connect: Any) -> None:
        super().__init__(context=https_ssl_context())
        self._connect = connect

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        factory = functools.partial(
            self._connect, http.client.HTTPSConnection, context=https_ssl_context()
        )
        return self.do_open(factory, req)


def _connection(
    kind: type[http.client.HTTPConnection],
    host: str,
    *,
    timeout_seconds: float | None,
    deadline: float | None,
    **arguments: Any,
) -> http.client.HTTPConnection:
    """Make a connection whose answers keep to the deadline."""
    connection = kind(host, **arguments)
    if timeout_seconds is not None and deadline is not None:
        connection.response_class = functools.partial(  # type: ignore[assignment]  # called only
            _BoundedResponse, timeout_seconds=timeout_seconds, deadline=deadline
        )
    return connection


class _BoundedResponse(http.client.HTTPResponse):
    """An answer of which the status, the headers and the body are read under one deadline."""

    def __init__(
        self,
        sock: socket.socket,
        *arguments: Any,
        timeout_seconds: float,
        deadline: float,
        **named: Any,
    ) -> None:
        super().__init__(sock, *arguments, **named)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_BoundedReader(sock, raw, timeout_seconds, deadline))


class _BoundedReader(io.RawIOBase):
    """Reads a socket with the time that is left."""

    def __init__(
        self, sock: socket.socket, raw: io.RawIOBase, timeout_seconds: float, deadline: float
    ) -> None:
        super().__init__()
        self._sock, self._raw = sock, raw
        self._timeout_seconds, self._deadline = timeout_seconds, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long in all")
        self._sock.settimeout(min(self._timeout_seconds, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
