"""HTTP/1.1 over loopback sockets: reads requests, calls a handler, sends what it returns.

Knows nothing of Roboto or S3. It is written on bare sockets because a test needs what HTTP
libraries take care to prevent: bodies that end early, wrong lengths, connections that are reset,
stalled or closed between two requests. `Delivery` describes all of that; without it a response is
sent correctly.
"""

import contextlib
import socket
import threading
import time

from roboto_dagster.testing.server.messages import Handler, Service
from roboto_dagster.testing.server.request_reader import ClientGoneError, RequestReader
from roboto_dagster.testing.server.response_writer import send


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
        reader = RequestReader(self._service, connection)
        while (request := reader.read()) is not None:
            response = self._handler(request)
            send(connection, request, response)
            if (
                response.delivery.close_after
                or request.headers.get("connection", "").lower() == "close"
            ):
                return
