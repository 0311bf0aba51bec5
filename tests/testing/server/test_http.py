"""The HTTP server underneath: kept connections, odd requests, and a prompt end."""

import http.client
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from roboto_dagster.testing.server.content import BytesContent
from roboto_dagster.testing.server.http import HttpServer
from roboto_dagster.testing.server.messages import Request, Response


def _echo(request: Request) -> Response:
    body = f"{request.method} {request.target} ".encode() + request.body
    return Response(status=200, headers={"x-route": request.route}, body=BytesContent(body))


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A server that answers with what it was asked."""
    running = HttpServer("api", _echo)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    """A connection to it."""
    opened = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    yield opened
    opened.close()


def test_connections_are_kept(connection: http.client.HTTPConnection) -> None:
    """One connection serves many requests, with and without bodies."""
    connection.connect()
    socket_before = connection.sock
    for method, body in (("GET", None), ("HEAD", None), ("POST", b"data"), ("GET", None)):
        connection.request(method, "/a?b=c", body=body)
        expected = b"" if method == "HEAD" else f"{method} /a?b=c ".encode() + (body or b"")
        assert connection.getresponse().read() == expected
    assert connection.sock is socket_before


def test_chunked_request(connection: http.client.HTTPConnection) -> None:
    """A request's body may come in chunks."""
    connection.request("PUT", "/", body=iter([b"one", b"two"]), encode_chunked=True)
    assert connection.getresponse().read() == b"PUT / onetwo"


def test_expect_continue(server: HttpServer) -> None:
    """A client that waits for `100 Continue` before it sends its body gets it."""
    address = urlsplit(server.url)
    with socket.create_connection(("127.0.0.1", address.port or 0), timeout=60) as raw:
        raw.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 100 Continue")
        raw.sendall(b"ok")
        assert raw.recv(1000).endswith(b"PUT / ok")


def test_connection_close_is_obeyed(connection: http.client.HTTPConnection) -> None:
    """A client that asks for the connection to be closed has it closed."""
    connection.request("GET", "/", headers={"Connection": "close"})
    response = connection.getresponse()
    assert (response.read(), response.will_close) == (b"GET / ", True)


def test_leading_slashes_are_one(connection: http.client.HTTPConnection) -> None:
    """An endpoint with a trailing slash makes a path with two leading ones, which are one."""
    connection.request("GET", "//v1/datasets")
    assert connection.getresponse().headers["x-route"] == "/v1/datasets"


def test_stop_ends_idle_connections(
    server: HttpServer, connection: http.client.HTTPConnection
) -> None:
    """Connections that wait for a request are closed when the server stops."""
    connection.request("GET", "/")
    connection.getresponse().read()
    server.stop()
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""


def test_many_clients(server: HttpServer) -> None:
    """Many clients at once are all answered."""
    answers = []

    def ask() -> None:
        client = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        client.request("GET", "/")
        answers.append(client.getresponse().read())
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"GET / "] * 64
