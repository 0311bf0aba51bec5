"""botocore's own HTTP session, where who sends a request can reach its socket.

A thread that waits for an answer can only be woken by shutting its socket down, and urllib3 hands
that out only once the answer has started.
"""

import http
import http.client
import socket
import threading
from typing import Any, Protocol

import botocore.awsrequest
import botocore.httpsession
import urllib3.connectionpool

from roboto_dagster.fs.core.endpoint import Endpoint
from roboto_dagster.fs.core.settings import S3Settings

_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]


class OnSocket(Protocol):
    """Called, in the thread that sends, with the socket that carries its request."""

    def __call__(self, sock: Any, /, *, is_new: bool) -> None:
        """Takes the socket.

        Args:
            sock: The socket, connected.
            is_new: Whether it was connected for this request.
        """
        ...


class _Sending(threading.local):
    on_socket: OnSocket | None = None


_sending = _Sending()


class _Response(http.client.HTTPResponse):
    """An answer that may follow any interim ones; http.client knows `100 Continue` alone."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in the stubs
        is_interim = 100 <= status < 200 and status != http.HTTPStatus.SWITCHING_PROTOCOLS
        return version, http.HTTPStatus.CONTINUE if is_interim else status, reason


class _Watched:
    """Mixin: hands a connection's socket to whoever sends a request over it."""

    sock: Any
    response_class = _Response

    def connect(self) -> None:
        """Connects."""
        super().connect()  # type: ignore[misc]  # of the class it is mixed with
        if _sending.on_socket is not None:
            _sending.on_socket(self.sock, is_new=True)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Sends a request."""
        if _sending.on_socket is not None and self.sock is not None:
            _sending.on_socket(self.sock, is_new=False)
        return super().request(*args, **kwargs)  # type: ignore[misc]


class _HttpConnection(_Watched, botocore.awsrequest.AWSHTTPConnection):  # type: ignore[misc]  # botocore mixes likewise
    pass


class _HttpsConnection(_Watched, botocore.awsrequest.AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _NoRedirects:
    """Mixin: has no redirect followed, which would take credentials to another host."""

    def urlopen(self, *args: Any, **kwargs: Any) -> Any:
        """Sends a request."""
        return super().urlopen(*args, **{**kwargs, "redirect": False})  # type: ignore[misc]


class _HttpPool(_NoRedirects, urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(_NoRedirects, urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class WatchedSession(botocore.httpsession.URLLib3Session):
    """Sends botocore's requests; proxies, CA bundle and TLS are botocore's.

    Args:
        endpoint: Whose certificates and proxy to use.
        settings: See `S3Settings`.
        max_connections: How many idle connections are kept.
    """

    def __init__(self, endpoint: Endpoint, settings: S3Settings, max_connections: int) -> None:
        scheme = endpoint.base_url.partition(":")[0]
        options: dict[str, Any] = {  # the stubs know less than botocore takes
            "verify": endpoint.ca_bundle or True,
            "proxies": {scheme: endpoint.proxy} if endpoint.proxy else {},
            "timeout": (settings.connect_timeout_seconds, settings.stall_timeout_seconds),
            "max_pool_connections": max_connections,
            "socket_options": _SOCKET_OPTIONS,
        }
        super().__init__(**options)
        # The one dictionary that all of its pools are made from.
        pool_classes: dict[str, type[Any]] = self._pool_classes_by_scheme  # type: ignore[attr-defined]
        pool_classes.update(http=_HttpPool, https=_HttpsPool)

    def send_watched(
        self, request: botocore.awsrequest.AWSPreparedRequest, on_socket: OnSocket
    ) -> botocore.awsrequest.AWSResponse:
        """Sends a request, and waits for the head of its answer.

        Args:
            request: Signed.
            on_socket: Called before anything is sent.

        Raises:
            HTTPClientError: botocore's, if no answer came.
        """
        _sending.on_socket = on_socket
        try:
            return self.send(request)
        finally:
            _sending.on_socket = None
