"""Connections that are kept alive, and whose answers keep to a deadline.

```
 new ──► request ──► answer read to its end ──► idle ──► request …      (no new TCP and TLS handshake)
                          │                      └─ for MAX_IDLE_SECONDS, or closed by the server ──► reconnected
                          └─ cut off, late, too long ──► closed
```

A timeout of a socket bounds one operation: a server that sends a byte a second never exceeds it. Here every read
of an answer, of its status, its headers and its body, is given the time that is left, and what is read in all is
bounded as well.
"""

import contextlib
import functools
import http.client
import io
import socket
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from roboto_dagster.platform.waits import Waits

MAX_IDLE_SECONDS = 50.0
"""A connection that was idle for longer is opened again: load balancers drop theirs after a minute."""

MAX_RECEIVED_BYTES = 64 * 1024 * 1024
"""Bound on all that is read of one answer, whatever part of it that is."""

TOTAL_TIMEOUT_FACTOR = 2
"""An attempt ends after so many times the timeout, even while bytes arrive."""

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


class IdleConnectionClosedError(ConnectionResetError):
    """A connection that had been kept alive was closed before it answered the next request."""


class AnswerTooLongError(ValueError):
    """An answer is longer than it may be."""


class _Bounds:
    """The time by which the answer to the request under way has to be there."""

    def __init__(self) -> None:
        self.timeout_seconds: float | None = None
        self.deadline: float | None = None

    def start(self, timeout_seconds: Any) -> None:
        """Start to count.

        Args:
            timeout_seconds: Bound on waiting for the next bytes; None for none at all.
        """
        is_bounded = isinstance(timeout_seconds, int | float)
        self.timeout_seconds = timeout_seconds if is_bounded else None
        self.deadline = (
            time.monotonic() + timeout_seconds * TOTAL_TIMEOUT_FACTOR if is_bounded else None
        )

    def apply_to(self, sock: socket.socket) -> None:
        """Bound the next read of a socket.

        Raises:
            TimeoutError: No time is left.
        """
        if _QUICK_ACK is not None:
            # A server that sends head and body apart, with Nagle's algorithm, waits for the head's acknowledgement, which a
            # connection that is kept alive otherwise delays by 40 ms.
            with contextlib.suppress(OSError, AttributeError):  # TLS within TLS is no socket
                sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        if self.timeout_seconds is None or self.deadline is None:
            return
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long in all")
        sock.settimeout(min(self.timeout_seconds, left))


class _BoundedConnection(HTTPConnection):
    """What both kinds of connections add to urllib3's."""

    def __init__(self, *arguments: Any, waits: Waits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waits = waits
        self._bounds = _Bounds()
        self._has_answered = False
        self._idle_since = time.monotonic()
        self.response_class = functools.partial(  # type: ignore[assignment]  # called only
            _BoundedResponse, bounds=self._bounds
        )

    def connect(self) -> None:
        """Connect; a proxy's answer is bounded too."""
        self._bounds.start(self.timeout)
        self._has_answered = False
        super().connect()
        self._waits.cover(self.sock)

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used again, as far as that can be seen from here."""
        return time.monotonic() - self._idle_since < MAX_IDLE_SECONDS and super().is_connected

    def request(self, *arguments: Any, **named: Any) -> None:
        """Send a request."""
        self._bounds.start(self.timeout)
        super().request(*arguments, **named)

    def getresponse(self) -> Any:
        """Return the answer, whose body is still to be read.

        Raises:
            IdleConnectionClosedError: There is none, on a connection that has answered before.
        """
        try:
            answer = super().getresponse()
        except ConnectionError as error:
            if not self._has_answered:
                raise
            raise IdleConnectionClosedError(str(error)) from error
        self._has_answered = True
        # Every answer is read within its deadline, so that this bounds the time since its end as well.
        self._idle_since = time.monotonic()
        return answer


class _BoundedTlsConnection(_BoundedConnection, HTTPSConnection):
    """The same with TLS."""


class HttpPool(urllib3.HTTPConnectionPool):
    """Keeps such connections."""

    ConnectionCls = _BoundedConnection


class HttpsPool(urllib3.HTTPSConnectionPool):
    """Keeps such connections with TLS."""

    ConnectionCls = _BoundedTlsConnection


class _BoundedResponse(http.client.HTTPResponse):
    """An answer of which the status, the headers and the body are read under one deadline."""

    def __init__(self, sock: socket.socket, *arguments: Any, bounds: _Bounds, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_BoundedReader(sock, raw, bounds))


class _BoundedReader(io.RawIOBase):
    """Reads a socket with the time that is left."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, bounds: _Bounds) -> None:
        super().__init__()
        self._sock, self._raw, self._bounds = sock, raw, bounds
        self._received_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._bounds.apply_to(self._sock)
        received = self._raw.readinto(buffer)
        self._received_bytes += received or 0
        if self._received_bytes > MAX_RECEIVED_BYTES:
            raise AnswerTooLongError(f"an answer of more than {MAX_RECEIVED_BYTES} bytes")
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()
