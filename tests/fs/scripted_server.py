"""An HTTP server for hostile and odd answers: each is what a test's own function sends, byte by byte.

`LocalRoboto` and its faults are the servers of choice; this one is for answers that they cannot
give, and for both engines alike:

```python
def answer(asked: Asked) -> Iterable[bytes]:
    yield head(200, {"Content-Length": "10"})
    yield b"five!"                      # and then the connection ends

with ScriptedServer(answer) as server:
    transfer = store_for(server.url).get(...)
assert server.asked[0].headers["range"] == "bytes=0-9"
```
"""

import base64
import contextlib
import dataclasses
import hashlib
import http.client
import io
import re
import socket
import socketserver
import threading
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType

from typing_extensions import Self

from roboto_dagster.fs.credentials import Credentials

_HEAD_END = b"\r\n\r\n"
_RECEIVE_BYTES = 65536
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request.

    Attributes:
        method: Its method.
        path: Its decoded path, without the query.
        headers: Its headers, names in lower case.
        number: How many requests came before it, to any path.
        closing: Set when the server ends: what an answer that stalls waits for.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    number: int
    closing: threading.Event = dataclasses.field(repr=False)

    @property
    def byte_range(self) -> tuple[int, int | None] | None:
        """First and last byte asked for; None where there is no range, or no last byte."""
        match = _RANGE.match(self.headers.get("range", ""))
        return (int(match[1]), int(match[2]) if match[2] else None) if match else None


Answer = Callable[[Asked], Iterable[bytes]]
"""Returns what is sent for a request, in parts; the connection ends after the last one."""


class ScriptedServer:
    """Sends what `answer` returns, on a free port of the loopback; use it in a `with`.

    Args:
        answer: See `Answer`. Called from a thread for each connection.

    Attributes:
        asked: The requests so far.
        sent_bytes: How many bytes were sent, in all.
    """

    def __init__(self, answer: Answer) -> None:
        self.asked: list[Asked] = []
        self.sent_bytes = 0
        self._answer = answer
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server = _TcpServer(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # waits for the threads of the connections
        self._thread.join()

    def serve(self, connection: socket.socket) -> None:
        """Answer one request of a connection; called by its thread."""
        with self._lock:
            self._connections.add(connection)
        try:
            asked = self._read(connection)
            if asked is not None:
                self._send(connection, self._answer(asked))
        except OSError:  # the client went away
            return
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _read(self, connection: socket.socket) -> Asked | None:
        data = b""
        while _HEAD_END not in data:
            received = connection.recv(_RECEIVE_BYTES)
            if not received:
                return None
            data += received
        request_line, _, rest = data.partition(b"\r\n")
        method, target, _ = request_line.decode("latin-1").split(" ")
        fields = http.client.parse_headers(io.BytesIO(rest))
        with self._lock:
            asked = Asked(
                method=method,
                path=urllib.parse.unquote(target.partition("?")[0]),
                headers={name.lower(): value for name, value in fields.items()},
                number=len(self.asked),
                closing=self._closing,
            )
            self.asked.append(asked)
        return asked

    def _send(self, connection: socket.socket, parts: Iterable[bytes]) -> None:
        for part in parts:
            connection.sendall(part)
            with self._lock:
                self.sent_bytes += len(part)


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, scripted: ScriptedServer) -> None:
        self._scripted = scripted
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Hand a connection over, in the thread that socketserver made for it."""
        assert isinstance(request, socket.socket)
        self._scripted.serve(request)


def head(status: int, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the head of an answer, whose connection ends after it.

    Args:
        status: HTTP status.
        headers: Pairs, so that a name may stand twice.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"HTTP/1.1 {status} Status", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in pairs]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def error(status: int, code: str, message: str = "no", **headers: str) -> list[bytes]:
    """Return an error answer as S3 gives it.

    Args:
        status: HTTP status.
        code: S3's code.
        message: S3's message.
        **headers: More headers, with `_` for `-`.
    """
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    pairs = {name.replace("_", "-"): value for name, value in headers.items()}
    return [head(status, {"Content-Length": str(len(body)), **pairs}), body.encode()]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that is served by the rules, but for what a test changes.

    Attributes:
        data: Its bytes.
        etag: Its ETag as sent, with its quotes; None sends none, "" that of the MD5.
        checksum: Whether a GET of all of it sends its CRC32.
        has_ranges: Whether ranges are answered.
        checks_if_match: Whether another ETag in If-Match is answered 412.
        headers: More headers.
        pause_seconds: How long to wait before each 32 KiB, so that an engine takes ranges.
    """

    data: bytes
    etag: str | None = ""
    checksum: bool = True
    has_ranges: bool = True
    checks_if_match: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    pause_seconds: float = 0.0

    def answer(self, asked: Asked) -> Iterator[bytes]:
        """Answer a request for the object."""
        etag = md5_etag(self.data) if self.etag == "" else self.etag
        if self.checks_if_match and asked.headers.get("if-match") not in (None, etag, "*"):
            yield from error(412, "PreconditionFailed")
            return
        first, last, size = 0, len(self.data) - 1, len(self.data)
        wanted = asked.byte_range if self.has_ranges else None
        if wanted is not None:
            first, last = wanted[0], min(last if wanted[1] is None else wanted[1], last)
        headers = [("Content-Length", str(last - first + 1)), *self.headers]
        if etag is not None:
            headers.append(("ETag", etag))
        if wanted is not None:
            headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
        elif self.checksum:
            headers.append(("x-amz-checksum-crc32", crc32(self.data)))
        yield head(200 if wanted is None else 206, headers)
        if asked.method != "HEAD":
            yield from self._body(asked, first, last + 1)

    def _body(self, asked: Asked, start: int, stop: int) -> Iterator[bytes]:
        step = 32 * 1024 if self.pause_seconds else max(stop - start, 1)
        for offset in range(start, stop, step):
            if self.pause_seconds:
                asked.closing.wait(self.pause_seconds)
            yield self.data[offset : min(offset + step, stop)]


def md5_etag(data: bytes) -> str:
    """Return the ETag of a plain upload, in quotes."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def crc32(data: bytes) -> str:
    """Return the CRC32 as S3 sends it."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def credentials() -> Credentials:
    """Return credentials that no scripted server checks."""
    return Credentials(
        access_key="AKIASCRIPTED",
        secret_key="scripted-secret",
        token="scripted-token",
        region="us-west-2",
        expiry_time=None,
    )
