"""Every fault, as a client sees it that hides nothing; and the rules by which they strike."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from roboto import Dataset, File, RobotoClient
from roboto.exceptions import RobotoInternalException, RobotoUnauthorizedException

from roboto_dagster.testing import Fault, LocalRoboto, faults
from roboto_dagster.testing.server.content import BytesContent

DATA = bytes(range(256)) * 400  # 100 KiB, more than a socket sends at once
Get = Callable[..., Any]


@pytest.fixture
def file(local: LocalRoboto, dataset_id: str) -> str:
    """A dataset with one file `a`, under the key `a`."""
    local.add_file(dataset_id, "a", DATA, key="a")
    return dataset_id


def test_status_of_s3(local: LocalRoboto, file: str, get: Get) -> None:
    """An S3 error has its status, code, message and headers."""
    local.faults.add(faults.status(503, "SlowDown", headers={"Retry-After": "20"}), service="s3")
    answer = get(file, "a")
    assert (answer.status, answer.headers["retry-after"]) == (503, "20")
    assert (
        b"<Code>SlowDown</Code><Message>Please reduce your request rate.</Message>" in answer.body
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "ExpiredToken"), (400, "InvalidToken"), (403, "RequestTimeTooSkewed"), (404, None)],
)
def test_status_as_boto3_sees_it(
    local: LocalRoboto, file: str, s3: Callable[..., Any], status: int, code: str | None
) -> None:
    """boto3 reads an injected S3 error like a real one."""
    local.faults.add(faults.status(status, code), service="s3")
    with pytest.raises(ClientError) as caught:
        s3(file).get_object(Bucket="roboto-managed", Key="a")
    assert caught.value.response["Error"]["Code"] == (code or "NoSuchKey")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_status_of_the_api(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """An API error is the SDK's own exception, by status or by name."""
    rule = local.faults.add(faults.status(500), route="/v1/datasets/*")
    with pytest.raises(RobotoInternalException):
        Dataset.from_id(dataset_id, client)
    local.faults.remove(rule)
    local.faults.add(faults.status(403, "RobotoUnauthorizedException", message="not yours"))
    with pytest.raises(RobotoUnauthorizedException, match="not yours"):
        Dataset.from_id(dataset_id, client)


def test_answer(local: LocalRoboto, file: str, get: Get) -> None:
    """Any body can be the answer, as a proxy's page is."""
    local.faults.add(faults.answer("<html>busy", status=502), service="s3")
    answer = get(file, "a")
    assert (answer.status, answer.headers["content-type"]) == (502, "text/html")
    assert answer.body == b"<html>busy"


def test_answer_json(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """The API can answer JSON of any shape."""
    local.faults.add(faults.answer_json({"data": []}), route="*/credentials")
    path = f"v1/datasets/id/{dataset_id}/credentials"
    assert client.get(path).to_dict() == {"data": []}


def test_ok_with_error_body(local: LocalRoboto, file: str, get: Get) -> None:
    """An error can come as the body of a 200."""
    local.faults.add(faults.ok_with_error_body(), service="s3")
    answer = get(file, "a")
    assert (answer.status, b"<Code>InternalError</Code>" in answer.body) == (200, True)


@pytest.mark.parametrize("status", [400, 301, 307])
def test_wrong_region(local: LocalRoboto, file: str, s3: Callable[..., Any], status: int) -> None:
    """What is signed for another region gets the right one, after which it is served."""
    local.faults.add(faults.wrong_region("eu-west-1", code=status), service="s3")
    answer = s3(file).get_object(Bucket="roboto-managed", Key="a")  # boto3 follows
    assert answer["Body"].read() == DATA
    assert local.requests.count(service="s3", status=status) == 1
    assert s3(file, region="eu-west-1").get_object(Bucket="roboto-managed", Key="a")


def test_refuse(local: LocalRoboto, file: str, get: Get) -> None:
    """The connection is reset before a byte of the answer."""
    local.faults.add(faults.refuse(), service="s3")
    with pytest.raises(ConnectionResetError):
        get(file, "a")


def test_truncate(local: LocalRoboto, file: str, get: Get) -> None:
    """The body ends early, in spite of its Content-Length."""
    local.faults.add(faults.truncate(after_bytes=10), service="s3")
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(file, "a")
    assert caught.value.partial == DATA[:10]


@pytest.mark.parametrize("after_bytes", [0, 70_000])
def test_reset(local: LocalRoboto, file: str, get: Get, after_bytes: int) -> None:
    """The connection is reset within the body."""
    local.faults.add(faults.reset(after_bytes=after_bytes), service="s3")
    with pytest.raises(ConnectionResetError):
        get(file, "a")


def test_stall_goes_on(local: LocalRoboto, file: str, get: Get) -> None:
    """After a stall the rest of the body comes."""
    local.faults.add(faults.stall(after_bytes=1000, seconds=0.2), service="s3")
    started = time.monotonic()
    assert get(file, "a").body == DATA
    assert time.monotonic() - started >= 0.2


def test_stall_ends_with_the_server(local: LocalRoboto, file: str, client: RobotoClient) -> None:
    """A stall does not hold up the end of the platform."""
    local.faults.add(faults.stall(after_bytes=1000, seconds=3600), service="s3")
    connection = _start(File.from_path_and_dataset_id("a", file, roboto_client=client))
    assert connection.sock is not None
    started = time.monotonic()
    local.stop()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        connection.getresponse().read()
    assert time.monotonic() - started < 5
    connection.close()


def _start(file: File) -> http.client.HTTPConnection:
    parts = urlsplit(file.get_signed_url())
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}")
    return connection


def test_delay(local: LocalRoboto, file: str, get: Get) -> None:
    """The answer comes late."""
    local.faults.add(faults.delay(0.2), service="s3")
    started = time.monotonic()
    assert get(file, "a").body == DATA
    assert time.monotonic() - started >= 0.2


def test_trickle(local: LocalRoboto, file: str, get: Get) -> None:
    """The body comes slowly."""
    local.faults.add(faults.trickle(bytes_per_second=500_000), service="s3")
    started = time.monotonic()
    assert get(file, "a").body == DATA
    assert time.monotonic() - started >= 0.15


def test_content_length_too_big(local: LocalRoboto, file: str, get: Get) -> None:
    """A Content-Length that promises too much is never met."""
    local.faults.add(faults.content_length(len(DATA) + 1), service="s3")
    with pytest.raises(http.client.IncompleteRead):
        get(file, "a")


def test_content_length_too_small(local: LocalRoboto, file: str, get: Get) -> None:
    """A Content-Length that promises too little cuts the body for the client."""
    local.faults.add(faults.content_length(10), service="s3")
    assert get(file, "a").body == DATA[:10]


def test_no_content_length(local: LocalRoboto, file: str, get: Get) -> None:
    """Without a Content-Length the body ends with the connection."""
    local.faults.add(faults.no_content_length(), service="s3")
    answer = get(file, "a")
    assert ("content-length" in answer.headers, answer.body) == (False, DATA)


def test_chunked(local: LocalRoboto, file: str, get: Get) -> None:
    """The body can come in chunks."""
    local.faults.add(faults.chunked(), service="s3")
    answer = get(file, "a")
    assert (answer.headers["transfer-encoding"], answer.body) == ("chunked", DATA)


def test_short_body(local: LocalRoboto, file: str, get: Get) -> None:
    """A body can be short and end cleanly, with a Content-Range that promises more."""
    local.faults.add(faults.short_body(size_bytes=7), service="s3")
    answer = get(file, "a", Range="bytes=0-99")
    assert (answer.headers["content-length"], answer.body) == ("7", DATA[:7])
    assert answer.headers["content-range"] == f"bytes 0-99/{len(DATA)}"


def test_close_idle(local: LocalRoboto, file: str, client: RobotoClient) -> None:
    """A kept connection is dead when it is used again."""
    local.faults.add(faults.close_idle(), service="s3", times=1)
    signed = File.from_path_and_dataset_id("a", file, roboto_client=client).get_signed_url()
    parts = urlsplit(signed)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    assert (response.read(), response.will_close) == (DATA, False)
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()


def test_flip_bit(local: LocalRoboto, file: str, get: Get) -> None:
    """One bit of the object's byte is changed, and nothing else."""
    local.faults.add(faults.flip_bit(at=70_000), service="s3")
    body = get(file, "a").body
    assert [at for at in range(len(DATA)) if body[at] != DATA[at]] == [70_000]


def test_flip_bit_strikes_only_the_range_that_holds_it(
    local: LocalRoboto, file: str, get: Get
) -> None:
    """The place of a flipped bit is counted in the object, whatever range is asked for."""
    rule = local.faults.add(faults.flip_bit(at=70_000), service="s3", times=1)
    assert get(file, "a", Range="bytes=0-99").body == DATA[:100]
    body = get(file, "a", Range="bytes=69990-70009").body
    assert (body[10] ^ DATA[70_000], rule.hits) == (1, 1)


def test_ignore_range(local: LocalRoboto, file: str, s3: Callable[..., Any]) -> None:
    """A range is answered with the complete object, though the signature covers it."""
    local.faults.add(faults.ignore_range())
    answer = s3(file).get_object(Bucket="roboto-managed", Key="a", Range="bytes=5-9")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Body"].read() == DATA


@pytest.mark.parametrize(
    ("fault", "start", "stop"),
    [(faults.shorter_range(by=3), 10, 16), (faults.offset_range(by=3), 13, 22)],
    ids=["shorter", "offset"],
)
def test_other_range_than_asked(
    local: LocalRoboto, file: str, get: Get, *, fault: Fault, start: int, stop: int
) -> None:
    """Another range than asked for comes, and reports it."""
    local.faults.add(fault)
    answer = get(file, "a", Range="bytes=10-19")
    assert answer.headers["content-range"] == f"bytes {start}-{stop}/{len(DATA)}"
    assert (answer.status, answer.body) == (206, DATA[start : stop + 1])


def test_ignore_if_match(local: LocalRoboto, file: str, get: Get) -> None:
    """A condition that does not hold is served."""
    local.faults.add(faults.ignore_if_match())
    assert get(file, "a", If_Match='"other"').status == 200


def test_drop_headers(local: LocalRoboto, file: str, get: Get) -> None:
    """Headers can be left out, by name or by pattern."""
    local.faults.add(faults.drop_headers("ETag", "Content-Range", "x-amz-checksum-*"))
    headers = get(file, "a", Range="bytes=0-", x_amz_checksum_mode="ENABLED").headers
    dropped = [
        name for name in headers if name.startswith(("etag", "content-range", "x-amz-checksum"))
    ]
    assert dropped == []


def test_set_headers(local: LocalRoboto, file: str, get: Get) -> None:
    """Headers can be added and replaced."""
    changed = {"etag": '"other"', "Content-Encoding": "gzip"}
    local.faults.add(faults.set_headers(changed), service="s3")
    headers = get(file, "a").headers
    assert (headers["etag"], headers["content-encoding"]) == ('"other"', "gzip")


def test_swap(local: LocalRoboto, file: str, get: Get) -> None:
    """The object is replaced just before the second request is served, for good."""
    local.faults.add(faults.swap(b"new"), key="a", after=1, times=1)
    assert [get(file, "a").body for _ in range(3)] == [DATA, b"new", b"new"]


def test_swap_in_the_middle_of_a_body(local: LocalRoboto, file: str, client: RobotoClient) -> None:
    """A body that has started is not changed by a replacement."""
    local.faults.add(faults.stall(after_bytes=1000, seconds=0.1), service="s3")
    connection = _start(File.from_path_and_dataset_id("a", file, roboto_client=client))
    response = connection.getresponse()
    local.replace_file(file, "a", b"new")
    assert response.read() == DATA
    connection.close()


def test_call(local: LocalRoboto, file: str, get: Get) -> None:
    """Anything can be done just before a request is served."""
    local.faults.add(faults.call(lambda: local.remove_object(file, "a")), service="s3", after=1)
    assert [get(file, "a").status for _ in range(2)] == [200, 404]


# --- rules ---


def test_after_and_times(local: LocalRoboto, file: str, get: Get) -> None:
    """A rule lets some requests pass, strikes some, and then rests."""
    rule = local.faults.add(faults.status(500), service="s3", after=1, times=2)
    assert [get(file, "a").status for _ in range(5)] == [200, 500, 500, 200, 200]
    assert (rule.seen, rule.hits) == (5, 2)


@pytest.mark.parametrize(
    ("conditions", "struck"),
    [
        ({"key": "a"}, True),
        ({"key": "logs/*"}, False),
        ({"key": "*"}, True),
        ({"method": "GET", "service": "s3"}, True),
        ({"method": "HEAD"}, False),
        ({"route": "/roboto-managed/*"}, True),
        ({"service": "s3", "when": lambda request: "range" in request.headers}, False),
    ],
)
def test_conditions(
    local: LocalRoboto, file: str, get: Get, conditions: dict[str, Any], struck: Any
) -> None:
    """A rule strikes only what fits all its conditions."""
    local.faults.add(faults.status(500), **conditions)
    assert get(file, "a").status == (500 if struck else 200)


def test_faults_compose(local: LocalRoboto, file: str, get: Get) -> None:
    """Several faults strike the same request, and the log names them."""
    local.faults.add(faults.set_headers({"x-one": "1"}), key="a")
    local.faults.add(faults.short_body(size_bytes=3), key="a")
    answer = get(file, "a")
    assert (answer.headers["x-one"], answer.body) == ("1", DATA[:3])
    assert local.requests.matching(key="a")[0].faults == ("set_headers", "short_body")


def test_probability_repeats(local: LocalRoboto, file: str, get: Get) -> None:
    """Faults drawn with the same seed strike the same requests."""

    def run() -> list[int]:
        rule = local.faults.add(faults.status(500), service="s3", probability=0.5, seed=7)
        statuses = [get(file, "a").status for _ in range(12)]
        local.faults.remove(rule)
        return statuses

    first = run()
    assert first == run()
    assert set(first) == {200, 500}


def test_clear(local: LocalRoboto, file: str, get: Get) -> None:
    """Without rules everything works again."""
    local.faults.add(faults.status(500))
    local.faults.clear()
    assert get(file, "a").status == 200


def test_own_fault(local: LocalRoboto, client: RobotoClient, dataset_id: str) -> None:
    """A fault can be made by hand, for what has no name yet."""

    def looping(_: Any, response: Any) -> Any:
        page = json.loads(response.body.read(0, len(response.body)))
        page["data"]["next_token"] = "again"
        return replace(response, body=BytesContent(json.dumps(page).encode()))

    local.faults.add(Fault(name="looping token", after=looping), route="*/files/query", times=1)
    page = client.post(f"v1/datasets/{dataset_id}/files/query", data={}).to_dict()
    assert page["data"]["next_token"] == "again"
