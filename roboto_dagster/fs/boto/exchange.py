"""One request on its way, and its answer, in a thread of its own.

```
 send ─► head ─┬─ 2xx, accepted ─► read … read ─► close: back to the pool, or cut
               └─ any other ─────► error_body ──► close
 shut_down, from any other thread: whatever it waits for ends
```
"""

import contextlib
import socket
from typing import Any

import botocore.awsrequest

from roboto_dagster.fs.boto.session import WatchedSession
from roboto_dagster.fs.core.download import RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import ERROR_BODY_BYTES, Head
from roboto_dagster.fs.core.stall import StallWatch
from roboto_dagster.fs.engine.tenant import Tenant

READ_BYTES = 256 * 1024
"""How much of a body is read at once, at most."""


class Exchange:
    """Sends one request and reads its answer.

    Args:
        tenant: Whose request it is.
        ranged: What is requested.
        now: The driver's clock, in seconds.

    Attributes:
        tenant: Whose request it is.
        ranged: What is requested.
        failure: Why another thread has ended it, or None.
        is_on_old_connection: Whether it went over a connection that served others before.
        has_head: Whether the head of an answer has arrived.
        is_shut_down: Whether another thread has ended it.
    """

    def __init__(self, tenant: Tenant, ranged: RangeRequest, now: float) -> None:
        self.tenant = tenant
        self.ranged = ranged
        self.failure: Failure | None = None
        self.is_on_old_connection = False
        self.has_head = False
        self.is_shut_down = False
        self._sock: Any = None
        self._raw: Any = None
        self._received = 0
        self._watch = StallWatch(now, 0)

    def send(
        self, session: WatchedSession, request: botocore.awsrequest.AWSPreparedRequest
    ) -> Head:
        """Sends the request, and waits for the head of its answer.

        Args:
            session: Sends it.
            request: The request, signed.

        Raises:
            HTTPClientError: botocore's, if no answer came.
        """
        request.stream_output = True
        response = session.send_watched(request, self._take_socket)
        self._raw = response.raw
        self.has_head = True
        self._received += 1
        headers = {name.lower(): value.strip() for name, value in self._raw.headers.items()}
        return Head(response.status_code, headers)

    def _take_socket(self, sock: Any, *, is_new: bool) -> None:
        # Over TLS it is connected before the request is sent: it comes here twice then.
        self.is_on_old_connection = not is_new and sock is not self._sock
        self._sock = sock
        if self.is_shut_down:
            raise ConnectionAbortedError

    def read(self) -> bytes:
        """Reads what has come of the body; nothing at its end."""
        data: bytes = self._raw.read1(READ_BYTES)
        self._received += len(data)
        return data

    def error_body(self) -> bytes:
        """Reads the start of the body of an error answer."""
        body = b""
        with contextlib.suppress(Exception):  # the head of a broken one is still of use
            while len(body) < ERROR_BODY_BYTES and (data := self.read()):
                body += data
        return body[:ERROR_BODY_BYTES]

    def shut_down(self, failure: Failure | None = None) -> None:
        """Ends it, whatever its thread waits for.

        Args:
            failure: Why, where it is to be recovered from; None where it is not wanted any more.
        """
        self.failure = failure
        self.is_shut_down = True
        sock = self._sock
        with contextlib.suppress(OSError, ValueError):
            if isinstance(sock, socket.socket):
                # Not the TLS socket's own method, which drops its state under the reader's feet.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives the connection back to its pool, or closes it if bytes are left on it."""
        self._sock = None
        raw, self._raw = self._raw, None
        if raw is None:
            return
        with contextlib.suppress(Exception):  # a connection that broke is closed already
            if raw.length_remaining == 0 and not self.is_shut_down:
                raw.read()  # nothing is left: urllib3 gives the connection back
            raw.close()

    def is_stalled(self, now: float, limit_seconds: float) -> bool:
        """Reports whether nothing, or next to nothing, has come for too long since it connected.

        Args:
            now: The driver's clock, in seconds.
            limit_seconds: How long is too long.
        """
        stalled = self._watch.is_stalled(now, self._received, limit_seconds)
        return stalled and self._sock is not None

    def watch_from(self, now: float) -> None:
        """Starts to watch for a stall again.

        Args:
            now: The driver's clock, in seconds.
        """
        self._watch.start(now, self._received)
