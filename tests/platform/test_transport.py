"""Requests of the Roboto API end in bounded time and memory, and take the API key to no other host."""

import concurrent.futures
import contextlib
import gc
import http.server
import os
import pathlib
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from roboto import RobotoClient
from roboto.exceptions import ClientError, ServerError
from roboto.http import BearerTokenDecorator, tls

from roboto_dagster import PlatformError
from roboto_dagster.platform import connections, transport
from roboto_dagster.platform.client import make_client
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.rate import RequestRate
from roboto_dagster.platform.transport import BoundedHttpClient
from roboto_dagster.platform.waits import Waits, end_waits
from roboto_dagster.testing import LocalRoboto, faults
from tests.waiting import wait_until

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
        release.wait(60)

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


def test_connections_are_kept_alive(local: LocalRoboto) -> None:
    """Requests one after the other share one connection."""
    dataset_id = local.add_dataset()
    client = local_client(local)
    for _ in range(5):
        ask(client, f"v1/datasets/{dataset_id}")
    assert (local.requests.count(), local.requests.count_connections()) == (5, 1)


def test_an_error_keeps_the_connection(local: LocalRoboto) -> None:
    """A 404 is an answer as any other."""
    client = local_client(local)
    for _ in range(3):
        with pytest.raises(PlatformError):
            ask(client, "v1/datasets/ds_gone")
    assert (local.requests.count(), local.requests.count_connections()) == (3, 1)


def test_threads_share_a_client_and_its_connections(local: LocalRoboto) -> None:
    """Thirty-two threads, each of which gets its own answers, over as many connections at most."""
    ids = [local.add_dataset() for _ in range(32)]
    client = local_client(local)

    def name_of(dataset_id: str) -> str:
        return str(client.get(f"v1/datasets/{dataset_id}").to_dict(["data"])["dataset_id"])

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert list(pool.map(name_of, ids * 10)) == ids * 10
    assert local.requests.count_connections() <= 32


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="an option of Linux")
def test_a_head_that_comes_by_itself_costs_no_delay() -> None:
    """A server with Nagle's algorithm sends the body only once the head is acknowledged: at once, and not 40 ms later."""
    handler = type("Handler", (http.server.BaseHTTPRequestHandler,), {"do_GET": answer_in_two})
    handler.protocol_version, handler.log_message = "HTTP/1.1", lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        client = client_of(f"http://127.0.0.1:{served.server_port}")
        started = time.monotonic()
        for _ in range(50):
            assert ask(client) == {}
        assert time.monotonic() - started < 50 * 0.03
        served.shutdown()


def answer_in_two(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Answer with a head, then a body."""
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


def test_failures_cost_no_connection_for_good(
    local: LocalRoboto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However answers end, every thread gets its own, and there are connections left for the next request."""
    monkeypatch.setattr("roboto.http.retry.random.uniform", lambda *_: 0)
    ids = [local.add_dataset() for _ in range(16)]
    broken = (
        *(faults.refuse(), faults.truncate(after_bytes=0), faults.truncate(after_bytes=10)),
        *(faults.status(503), faults.status(404)),
    )
    for seed, fault in enumerate(broken):
        local.faults.add(fault, service="api", probability=0.1, seed=seed)
    client = local_client(local, max_attempts=2)

    def id_of(dataset_id: str) -> str | None:
        with contextlib.suppress(PlatformError), platform_errors("asking"):
            return str(client.get(f"v1/datasets/{dataset_id}").to_dict(["data"])["dataset_id"])
        return None

    with concurrent.futures.ThreadPoolExecutor(40) as pool:  # more than there may be connections
        found = list(pool.map(id_of, ids * 30))
    wrong = [pair for pair in zip(found, ids * 30, strict=True) if pair[0] not in (None, pair[1])]
    assert wrong == []
    assert found.count(None) < len(found) / 2


def local_client(local: LocalRoboto, **settings: Any) -> RobotoClient:
    """Return a client of the local platform as the resource makes it, which tries once."""
    return make_client(
        **{"api_key": local.api_key, "endpoint": local.api_url, "max_attempts": 1, **settings}
    )


@contextlib.contextmanager
def forgetful_server(answers: int) -> Iterator[tuple[str, list[int]]]:
    """Serve so many requests on each connection, then close it at the next one; yield the requests of each connection."""
    served: list[int] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                served.append(0)
                with connection:
                    while received := connection.recv(65536):
                        if b" HTTP/1.1\r\n" not in received:
                            continue  # a body that came by itself; it may also come with the next request
                        if served[-1] == answers:
                            break
                        served[-1] += 1
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", served


@pytest.mark.parametrize("verb", ["get", "query"])
def test_a_dropped_idle_connection_is_repeated_for_reads(verb: str) -> None:
    """The server closes as the second request comes: it is sent again, over another connection, and is no attempt."""
    with forgetful_server(1) as (url, served):
        client = client_of(url)
        for _ in range(2):
            answer = client.get("v1/x") if verb == "get" else client.post("v1/files/query", data={})
            assert answer.to_dict() == {}
    assert served == [1, 1]


def test_a_dropped_idle_connection_is_not_repeated_for_writes() -> None:
    """Nobody knows whether the platform has done it: the policy of attempts decides."""
    with forgetful_server(1) as (url, served):
        client = client_of(url)
        client.post("v1/datasets", data={})
        with pytest.raises(PlatformError, match="cannot be reached"), platform_errors("x", client):
            client.post("v1/datasets", data={})
    assert served == [1]


def test_a_connection_that_never_answered_is_no_idle_one() -> None:
    """A server that drops every connection is asked as often as the policy says."""
    with server(lambda _: None) as (url, requests):
        with pytest.raises(PlatformError):
            ask(client_of(url))
        assert len(requests) == 1


def test_a_connection_that_was_idle_for_long_is_opened_again(
    local: LocalRoboto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer may have dropped it without a word."""
    dataset_id = local.add_dataset()
    client = local_client(local)
    ask(client, f"v1/datasets/{dataset_id}")
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", 0.0)
    ask(client, f"v1/datasets/{dataset_id}")
    assert local.requests.count_connections() == 2


def test_a_forked_process_has_its_own_connections(local: LocalRoboto) -> None:
    """Two processes on one connection would read each other's answers."""
    dataset_id = local.add_dataset()
    client = local_client(local)
    ask(client, f"v1/datasets/{dataset_id}")
    process_id = os.fork()
    if process_id == 0:
        with contextlib.suppress(BaseException):
            ask(client, f"v1/datasets/{dataset_id}")
        os._exit(0)
    os.waitpid(process_id, 0)
    ask(client, f"v1/datasets/{dataset_id}")
    assert (local.requests.count(), local.requests.count_connections()) == (3, 2)


# --- politeness ---


class Sleeper(Waits):
    """Notes how long somebody would sleep, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.now = 0.0

    def clock(self) -> float:
        """Return the time, which goes on while somebody sleeps."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.mark.parametrize(("status", "is_slower"), [(429, True), (503, False)])
def test_only_throttling_slows_down(
    local: LocalRoboto, status: int, monkeypatch: pytest.MonkeyPatch, *, is_slower: bool
) -> None:
    """A server that fails now and then, at whatever rate it is asked, is no throttled one."""
    monkeypatch.setattr("roboto.http.retry.random.uniform", lambda *_: 0)
    sleeper = Sleeper()
    local.faults.add(faults.status(status), service="api", times=8)
    client = polite_client(local, sleeper, max_attempts=1)
    for number in range(8):
        with pytest.raises((ClientError, ServerError)):
            client.get(client.url(f"v1/{number}"))
    assert bool(sleeper.slept) == is_slower


def polite_client(local: LocalRoboto, sleeper: Sleeper, max_attempts: int = 3) -> BoundedHttpClient:
    """Return a transport that waits on a clock of the test."""
    rate = RequestRate(None, sleeper.clock, sleeper.sleep)
    auth = BearerTokenDecorator(local.api_key)
    return BoundedHttpClient(local.api_url, auth, 10.0, max_attempts, rate=rate, waits=sleeper)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(
    local: LocalRoboto, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt waits as long as the platform asks for."""
    monkeypatch.setattr("roboto.http.retry.random.uniform", lambda *_: 0)
    dataset_id, sleeper = local.add_dataset(), Sleeper()
    throttle = faults.answer(b"{}", status=status, headers={"Retry-After": "7"})
    local.faults.add(throttle, service="api", times=1)
    client = polite_client(local, sleeper)
    assert client.get(client.url(f"v1/datasets/{dataset_id}")).status == 200
    assert sleeper.slept == [7.0]


@pytest.mark.parametrize(("paths", "slept"), [(("v1/x", "v1/y"), [7.0]), (("v1/x", "v1/x"), [])])
def test_retry_after_of_two_paths_pauses_every_thread_of_the_client(
    local: LocalRoboto, paths: tuple[str, ...], slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A throttled platform is left alone by the other requests too; one busy dataset holds no other back."""
    monkeypatch.setattr("roboto.http.retry.random.uniform", lambda *_: 0)
    dataset_id, sleeper = local.add_dataset(), Sleeper()
    throttle = faults.answer(b"{}", status=429, headers={"Retry-After": "7"})
    local.faults.add(throttle, service="api", times=2)
    client = polite_client(local, sleeper, max_attempts=1)
    for path in paths:
        with pytest.raises(ClientError):
            client.get(client.url(path))
    assert sleeper.slept == []
    client.get(client.url(f"v1/datasets/{dataset_id}"))
    assert sleeper.slept == slept


def test_a_pause_that_nobody_waits_for_is_an_error(local: LocalRoboto) -> None:
    """Asked for an hour of patience, the request fails at once, and may succeed later."""
    sleeper = Sleeper()
    throttle = faults.answer(b"{}", status=429, headers={"Retry-After": "3600"})
    local.faults.add(throttle, service="api")
    client = polite_client(local, sleeper)
    with pytest.raises(PlatformError) as caught, platform_errors("asking"):
        client.get(client.url("v1/x"))
    assert (caught.value.transient, sleeper.slept, local.requests.count()) == (True, [], 1)


@pytest.mark.parametrize("per_second", [None, 0.01])
def test_another_thread_ends_the_waits_of_a_client(
    local: LocalRoboto, per_second: float | None
) -> None:
    """What waits for its next attempt or for its turn is given up at once; so is all that would wait later."""
    dataset_id = local.add_dataset()
    throttle = faults.answer(b"{}", status=429, headers={"Retry-After": "20"})
    local.faults.add(throttle, service="api", times=1)
    client = local_client(local, max_requests_per_second=per_second, max_attempts=3)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, client, f"v1/datasets/{dataset_id}")
        wait_until(lambda: local.requests.count() == 1)
        end_waits(client)
        error = asked.exception(10)
    assert time.monotonic() - started < 10
    assert "the run was cancelled" in str(error)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123"])
def test_another_thread_ends_the_wait_for_an_answer(head: bytes) -> None:
    """An API that does not answer, or not to the end, holds a cancelled run for no timeout."""
    release = threading.Event()

    def hang(connection: socket.socket) -> None:
        connection.sendall(head)
        release.wait(60)

    with server(hang) as (url, requests), concurrent.futures.ThreadPoolExecutor(1) as pool:
        client = client_of(url, timeout_seconds=30, max_attempts=3)
        asked = pool.submit(ask, client)
        wait_until(lambda: len(requests) == 1)
        started = time.monotonic()
        end_waits(client)
        error = asked.exception(20)
        took_seconds = time.monotonic() - started
        release.set()
    assert took_seconds < 10
    assert "the run was cancelled" in str(error)
    assert len(requests) == 1


def test_a_client_whose_waits_were_ended_asks_nothing(local: LocalRoboto) -> None:
    """A thread that comes to its next request after the run was cancelled does not send it."""
    client = local_client(local)
    end_waits(client)
    with pytest.raises(PlatformError, match="the run was cancelled"):
        ask(client)
    assert local.requests.count() == 0


def test_requests_keep_to_a_rate(local: LocalRoboto) -> None:
    """Over all threads of a client."""
    dataset_id = local.add_dataset()
    client = local_client(local, max_requests_per_second=100)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(client, f"v1/datasets/{dataset_id}"), range(30)))
    assert time.monotonic() - started >= 0.29


# --- proxies and certificates ---


@contextlib.contextmanager
def proxy_server() -> Iterator[tuple[str, list[bytes]]]:
    """Serve a proxy that answers by itself; yield its address, and the heads of the requests that it got."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with server(answer) as (url, requests):
        yield url, requests


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its user and password, which go to nobody else and stand in no message."""
    with proxy_server() as (url, heads):
        monkeypatch.setenv("http_proxy", url.replace("//", "//me:pass%21@"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask(client_of("http://api.robot-o.invalid")) == {}
    (head,) = heads
    assert head.startswith(b"GET http://api.robot-o.invalid/v1/x HTTP/1.1\r\n")
    assert (
        b"roxy-Authorization: Basic bWU6cGFzcyE=" in head
        or b"proxy-authorization: Basic bWU6cGFzcyE=" in head
    )


def test_no_proxy_is_honoured(local: LocalRoboto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are named there are asked directly."""
    dataset_id = local.add_dataset()
    with proxy_server() as (url, heads):
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        ask(local_client(local), f"v1/datasets/{dataset_id}")
    assert heads == []


def test_https_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of `https_proxy` is asked to connect, and never sees the API key."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with server(refuse) as (url, heads):
        monkeypatch.setenv("https_proxy", url)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(PlatformError, match="403"):
            ask(client_of("https://api.robot-o.invalid"))
    assert heads[0].startswith(b"CONNECT api.robot-o.invalid:443 HTTP/1.")
    assert KEY.encode() not in heads[0]


def test_certificates_of_ones_own_are_trusted(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of `SSL_CERT_FILE`, and no others."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with tls_server(context) as url:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        tls.https_ssl_context.cache_clear()
        with pytest.raises(PlatformError, match="certificate") as caught:
            ask(client_of(url))
        assert not caught.value.transient
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        tls.https_ssl_context.cache_clear()
        assert ask(client_of(url)) == {}
    tls.https_ssl_context.cache_clear()


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[str]:
    """Serve one answer to whoever connects with TLS; yield the URL."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with (
                connection,
                contextlib.suppress(OSError),
                context.wrap_socket(connection, server_side=True) as secure,
            ):
                secure.recv(65536)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"


def test_a_client_that_is_let_go_is_freed_at_once(local: LocalRoboto) -> None:
    """Left to the garbage collector, its connections are closed by a finalizer, in which Python loses an interrupt."""
    gc.collect()
    gc.disable()
    try:
        client = local.client()
        ask(client, f"v1/datasets/{local.add_dataset()}")
        freed = weakref.ref(client.http_client)
        del client
        assert freed() is None
    finally:
        gc.enable()
