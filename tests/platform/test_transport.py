"""Requests of the Roboto API end in bounded time and memory, and take the API key to no other host."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from roboto import RobotoClient

from roboto_dagster import PlatformError
from roboto_dagster.platform import transport
from roboto_dagster.platform.client import make_client
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.testing import LocalRoboto, faults

KEY = "an-api-key-for-one-host"


@contextlib.contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one answer to whoever connects; yield the URL and the requests that were received."""
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            requests.append(connection.recv(65536))
            threading.Thread(target=respond, args=(connection,), daemon=True).start()

    def respond(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests


def client_of(url: str, *, timeout_seconds: float = 20.0, max_attempts: int = 1) -> RobotoClient:
    """Return a client as the resource makes it."""
    return make_client(
        api_key=KEY, endpoint=url, timeout_seconds=timeout_seconds, max_attempts=max_attempts
    )


def ask(client: RobotoClient, path: str = "v1/x") -> object:
    """Send one request; whatever goes wrong is one kind of error."""
    with platform_errors("asking", client):
        return client.get(path).to_dict()


def trickle(head: bytes, byte: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that goes on for ever, a byte each 10 ms: never slow enough for a socket's timeout."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(byte)
            time.sleep(0.01)

    return answer


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x", id="header"),
        pytest.param(b"HTTP/1.1 ", b"2", id="status-line"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"
        ),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="interim-answers"),
        pytest.param(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\n", b" ", id="error-body"
        ),
    ],
)
def test_an_api_that_trickles_is_bounded_by_a_total_time(head: bytes, byte: bytes) -> None:
    """Bytes that keep coming do not keep a run for ever, wherever in the answer they come."""
    with server(trickle(head, byte)) as (url, _):
        client = client_of(url, timeout_seconds=0.2)
        started = time.monotonic()
        with pytest.raises(PlatformError):
            ask(client)
        assert time.monotonic() - started < 10


def test_an_api_that_does_not_answer_is_given_up() -> None:
    """A connection that is accepted and never answered costs one timeout an attempt."""
    release = threading.Event()

    def hang(_: socket.socket) -> None:
        release.wait(10)

    with server(hang) as (url, requests):
        with pytest.raises(PlatformError, match="cannot be reached: timed out") as caught:
            ask(client_of(url, timeout_seconds=0.2))
        release.set()
    assert (caught.value.transient, len(requests)) == (True, 1)


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of any length does not fill the memory."""
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1000)

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(10_000))

    with server(flood) as (url, _), pytest.raises(PlatformError, match="unusable answer"):
        ask(client_of(url))


def test_an_error_body_without_end_is_read_up_to_a_bound() -> None:
    """The status counts; of the body a few kilobytes are read."""

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 500 Oops\r\n\r\n")
        while True:
            connection.sendall(b"x" * 10_000)

    with (
        server(flood) as (url, _),
        pytest.raises(PlatformError, match="answered 500: xxx") as caught,
    ):
        ask(client_of(url))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_redirect_takes_the_key_nowhere(local: LocalRoboto, status: int, method: str) -> None:
    """Another host gets no request, and the message names where the redirect leads."""
    with server(lambda _: None) as (other, heard):
        location = f"{other}/stolen?token=hidden-4711"
        local.faults.add(
            faults.answer(b"", status=status, headers={"Location": location}), service="api"
        )
        client = make_client(api_key=local.api_key, endpoint=local.api_url, max_attempts=1)
        with pytest.raises(PlatformError) as caught, platform_errors("asking", client):
            getattr(client, method)("v1/x")
    assert heard == []
    assert f"redirects to {other}, where the API key is not sent" in str(caught.value)
    assert "hidden-4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        pytest.param(faults.status(503), 3, id="503"),
        pytest.param(faults.status(404), 1, id="404"),
        pytest.param(faults.truncate(after_bytes=5), 3, id="cut"),
        pytest.param(faults.refuse(), 3, id="reset"),
    ],
)
def test_passing_failures_are_tried_again(
    local: LocalRoboto, fault: faults.Fault, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as was asked for, and an answer that was cut off is one of them."""
    monkeypatch.setattr("roboto.http.retry.random.uniform", lambda *_: 0)
    dataset_id = local.add_dataset()
    local.faults.add(fault, service="api")
    client = make_client(api_key=local.api_key, endpoint=local.api_url, max_attempts=3)
    with pytest.raises(PlatformError):
        ask(client, f"v1/datasets/{dataset_id}")
    assert local.requests.count() == attempts


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(
            404,
            b'{"error": {"error_code": "RobotoNotFoundException", "message": "no ds_1", "request_id": "r"}}',
            "answered 404: no ds_1",
            id="unknown-field",
        ),
        pytest.param(400, b"\xff\xfe", "answered 400", id="binary"),
        pytest.param(
            404, b"<html>not here</html>", "what answers is not the Roboto API", id="html"
        ),
        pytest.param(
            403,
            b"<?xml?><Error><Code>AccessDenied</Code></Error>",
            "is not the Roboto API",
            id="s3",
        ),
        pytest.param(
            404, b"404 page not found", "not the Roboto API: HTTP 404 with 404 page", id="text"
        ),
        pytest.param(404, b'{"message": "Not Found"}', "is not the Roboto API", id="gateway"),
        pytest.param(
            404,
            b'{"message": "RobotoDatasetNotFoundException: no ds_1"}',
            "the Roboto API answered 404: RobotoDatasetNotFoundException",
            id="api-behind-a-gateway",
        ),
        pytest.param(
            503, b"<html>busy</html>", "answered 503: a page of HTML or XML", id="balancer"
        ),
        pytest.param(
            200,
            b"<html>sign in</html>",
            "is not the Roboto API: the answer is not JSON",
            id="portal",
        ),
    ],
)
def test_an_error_is_named_with_the_endpoint(status: int, body: bytes, expected: str) -> None:
    """Whatever its body is; another server behind the endpoint is recognized."""

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with server(answer) as (url, _), pytest.raises(PlatformError) as caught:
        ask(client_of(url))
    assert expected in str(caught.value)
    assert f"the endpoint {url} (set by RobotoResource.endpoint)" in str(caught.value)
    # Nothing may be taken for deleted on the word of another server.
    is_known = status != 200 and not (
        status == 404 and "is not the Roboto API" in str(caught.value)
    )
    assert caught.value.http_status == (status if is_known else None)


def test_a_host_that_is_not_there_is_named() -> None:
    """A slip in the endpoint is seen in the message."""
    client = client_of("http://api.robot-o.invalid")
    with pytest.raises(PlatformError, match=r"http://api.robot-o.invalid \(set by RobotoResource"):
        ask(client)


def test_a_good_answer_is_the_sdks(local: LocalRoboto) -> None:
    """Listing through the SDK's own classes works on this transport."""
    from roboto import Dataset

    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "a.bin", b"a")
    client = make_client(api_key=local.api_key, endpoint=local.api_url)
    dataset = Dataset.from_id(dataset_id, roboto_client=client)
    assert [file.relative_path for file in dataset.list_files()] == ["a.bin"]
