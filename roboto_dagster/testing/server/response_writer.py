"""Sends responses, also in the ways in which they go wrong."""

import selectors
import socket
import struct
import time
from pathlib import Path
from typing import Literal, NoReturn

from roboto_dagster.testing.server.content import (
    PIECE_BYTES,
    BodyContent,
    FileContent,
    Window,
    pieces,
)
from roboto_dagster.testing.server.messages import Delivery, Request, Response
from roboto_dagster.testing.server.request_reader import ClientGoneError

_REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found"}


def send(connection: socket.socket, request: Request, response: Response) -> None:
    """Send *response* as its delivery describes.

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


def _send_plainly(connection: socket.socket, head: bytes, body: BodyContent) -> None:
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


def _on_disk(body: BodyContent) -> tuple[Path | None, int]:
    """Return the file that *body* is a stretch of, if it is one, and where the stretch starts."""
    start = 0
    while isinstance(body, Window):
        start, body = start + body.start, body.content
    return (body.path, start) if isinstance(body, FileContent) else (None, 0)


def _send_shaped(connection: socket.socket, body: BodyContent, delivery: Delivery) -> None:
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
