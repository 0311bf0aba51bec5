"""HTTP/1.1 over loopback sockets: reads requests, calls a handler, sends what it returns.

Knows nothing of Roboto or S3. It is written on bare sockets because a test needs what HTTP
libraries take care to prevent: bodies that end early, wrong lengths, connections that are reset,
stalled or closed between two requests. `Delivery` describes all of that; without it a response is
sent correctly.
"""

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn
from urllib.parse import unquote

from roboto_dagster.testing.server.content import (
    PIECE_BYTES,
    BytesContent,
    Content,
    FileContent,
    Window,
    pieces,
)

Service = Literal["api", "s3"]

_MAX_HEAD_BYTES = 1024 * 1024
_REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found"}


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
        overrides: Headers that are to be taken for something else (None: absent) once the signature
            is checked.
    """

    service: Service
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
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
        framing: How the end of the body is told: by its length, by chunks, or only by closing.
        declared_length: The Content-Length to claim instead of the true one.
        close_after: Close the connection after the response, without having said so.
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
    body: Content = field(default_factory=lambda: BytesContent(b""), repr=False)
    delivery: Delivery = Delivery()


Handler = Callable[[Request], Response]


class ClientGoneError(Exception):
    """The other side closed the connection, or this server is stopping."""


class HttpServer:
    """A server on a loopback port: one thread accepts, and one serves each connection."""

    def __init__(self, service: Service, handler: Handler, *, port: int = 0) -> None:
        self._service = service
        self._handler = handler
        self._port = port
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start to accept connections.

        Raises:
            OSError: The port is taken.
        """
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=1024)
        self._port = self._listener.getsockname()[1]
        name = f"local-roboto-{self._service}"
        acceptor = threading.Thread(
            target=self._accept, args=(self._listener, name), name=name, daemon=True
        )
        acceptor.start()
        self._acceptor = acceptor

    def stop(self) -> None:
        """Stop listening and end every connection, also those in the middle of a body."""
        with self._lock:
            self._stopping = True
            connections = list(self._connections)
        if self._listener is not None:
            # shutdown() wakes the accepting thread; close() alone would leave it waiting.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        if self._acceptor is not None:
            self._acceptor.join(timeout=5)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket, name: str) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._stopping:
                    return
                time.sleep(0.01)  # out of file descriptors: the test's own, most likely
                continue
            threading.Thread(target=self._serve, args=(connection,), name=name, daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            if self._stopping:
                connection.close()
                return
            self._connections.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve_requests(connection)
        except (OSError, ClientGoneError):
            pass  # the client left, or a fault ended the connection on purpose
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _serve_requests(self, connection: socket.socket) -> None:
        reader = _RequestReader(self._service, connection)
        while (request := reader.read()) is not None:
            response = self._handler(request)
            send(connection, request, response)
            if (
                response.delivery.close_after
                or request.headers.get("connection", "").lower() == "close"
            ):
                return


class _RequestReader:
    """Cuts the bytes of one connection into requests."""

    def __init__(self, service: Service, connection: socket.socket) -> None:
        self._service: Service = service
        self._connection = connection
        self._buffer = b""

    def read(self) -> Request | None:
        """Return the next request, or None when the client has closed the connection."""
        head = self._read_until(b"\r\n\r\n")
        if head is None:
            return None
        request_line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = request_line.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        path, _, query = target.partition("?")
        return Request(
            service=self._service,
            method=method,
            path=path,
            query=query,
            headers=headers,
            body=self._read_body(headers),
        )

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if "100-continue" in headers.get("expect", "").lower():
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = headers.get("content-length")
        return self._read_exactly(int(length)) if length else b""

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := int((self._read_until(b"\r\n") or b"0").split(b";")[0], 16):
            chunks.append(self._read_exactly(size))
            self._read_until(b"\r\n")
        while self._read_until(b"\r\n"):
            pass  # trailers
        return b"".join(chunks)

    def _read_until(self, end: bytes) -> bytes | None:
        while (at := self._buffer.find(end)) < 0:
            piece = self._connection.recv(65536)
            if not piece or len(self._buffer) > _MAX_HEAD_BYTES:
                return None
            self._buffer += piece
        found, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        return found

    def _read_exactly(self, size: int) -> bytes:
        if len(self._buffer) >= size:
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            return data
        body = bytearray(self._buffer)
        self._buffer = b""
        while len(body) < size:
            piece = self._connection.recv(min(size - len(body), 1024 * 1024))
            if not piece:
                raise ClientGoneError
            body += piece
        return bytes(body)


def send(connection: socket.socket, request: Request, response: Response) -> None:
    """Send *response* the way its delivery says.

    Args:
        connection: The client's socket.
        request: What it asked for.
        response: What to send, and how.

    Raises:
        ClientGoneError: The connection ended, by the client's will or by the delivery's.
    """
    delivery = response.delivery
    _wait(connection, delivery.delay_seconds)
    if delivery.cut_after is not None and delivery.cut_after < 0:
        _end(connection, delivery.cut)
    head = _head(request, response)
    if request.method == "HEAD" or not len(response.body):
        connection.sendall(head)
        return
    if delivery == Delivery():
        _send_plainly(connection, head, response.body)
        return
    connection.sendall(head)
    _send_shaped(connection, response.body, delivery)
    if delivery.framing == "close" or (delivery.declared_length or 0) > len(response.body):
        raise ClientGoneError


def _head(request: Request, response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    delivery = response.delivery
    if delivery.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif delivery.framing == "length" and response.status not in (204, 304):
        length = (
            len(response.body) if delivery.declared_length is None else delivery.declared_length
        )
        lines.append(f"Content-Length: {length}")
    if delivery.framing == "close" or request.headers.get("connection", "").lower() == "close":
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _send_plainly(connection: socket.socket, head: bytes, body: Content) -> None:
    if len(body) <= 65536:
        connection.sendall(head + body.read(0, len(body)))
        return
    connection.sendall(head)
    path, start = _on_disk(body)
    if path is None:
        for piece in pieces(body):
            connection.sendall(piece)
        return
    with path.open("rb") as file:
        connection.sendfile(file, start, len(body))


def _on_disk(body: Content) -> tuple[Path | None, int]:
    """Return the file that *body* is a stretch of, if it is one, and where the stretch begins."""
    start = 0
    while isinstance(body, Window):
        start, body = start + body.start, body.content
    return (body.path, start) if isinstance(body, FileContent) else (None, 0)


def _send_shaped(connection: socket.socket, body: Content, delivery: Delivery) -> None:
    size = len(body)
    limit = size if delivery.cut_after is None else min(size, delivery.cut_after)
    rate = delivery.bytes_per_second
    step = PIECE_BYTES if rate is None else max(1, int(rate / 20))
    stall_after = delivery.stall_after
    sent, started = 0, time.monotonic()
    while sent < limit:
        if stall_after is not None and sent >= stall_after:
            _wait(connection, delivery.stall_seconds)
            stall_after = None
        stop = min(sent + step, limit, limit if stall_after is None else max(stall_after, sent + 1))
        connection.sendall(_framed(body.read(sent, stop), delivery))
        sent = stop
        if rate is not None:
            _wait(connection, sent / rate - (time.monotonic() - started))
    if limit < size:
        _end(connection, delivery.cut)
    if delivery.framing == "chunked":
        connection.sendall(b"0\r\n\r\n")


def _framed(piece: bytes, delivery: Delivery) -> bytes:
    if delivery.framing != "chunked":
        return piece
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def _wait(connection: socket.socket, seconds: float) -> None:
    """Let *seconds* pass, or end at once when the client leaves or the server stops."""
    if seconds <= 0:
        return
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        if selector.select(seconds) and not connection.recv(1, socket.MSG_PEEK):
            raise ClientGoneError


def _end(connection: socket.socket, how: Literal["close", "reset"]) -> NoReturn:
    if how == "reset":
        # Lingering for zero seconds makes close() send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ClientGoneError
