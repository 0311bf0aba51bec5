"""Reads HTTP/1.1 requests from a socket."""

import itertools
import socket
from collections.abc import Mapping

from roboto_dagster.testing.server.messages import Request, Service

_MAX_HEAD_BYTES = 1024 * 1024
_numbers = itertools.count(1)


class ClientGoneError(Exception):
    """The other side closed the connection, or this server is stopping."""


class RequestReader:
    """Cuts the bytes of one connection into requests."""

    def __init__(self, service: Service, connection: socket.socket) -> None:
        self._service: Service = service
        self._connection = connection
        self._buffer = b""
        self._number = next(_numbers)

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
            connection=self._number,
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
