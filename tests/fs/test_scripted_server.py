"""The server for hostile answers sends what it is given, and ends."""

import socket
from collections.abc import Iterator

import urllib3

from tests.fs.scripted_server import Asked, ScriptedServer, StoredObject, head


def test_an_object_is_served_at_once_and_in_ranges() -> None:
    """By the rules, where nothing was changed."""
    with ScriptedServer(StoredObject(data=b"0123456789").answer) as server:
        answer = urllib3.request("GET", server.url)
        assert answer.data == b"0123456789"
        answer = urllib3.request("GET", server.url, headers={"Range": "bytes=2-4"})
        assert (answer.status, answer.data) == (206, b"234")
        assert [each.byte_range for each in server.asked] == [None, (2, 4)]


def test_an_answer_that_waits_ends_with_the_server() -> None:
    """A stall keeps no thread."""

    def stall(asked: Asked) -> Iterator[bytes]:
        yield head(200)
        asked.closing.wait(60)

    with ScriptedServer(stall) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
