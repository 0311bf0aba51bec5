"""What both engines do with stores that answer oddly, or with malice; each answer is scripted."""

import contextlib
import errno
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from roboto_dagster.errors import DownloadError, PlatformError
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.fs.retry import RetryConfig
from tests.fs.scripted_server import (
    Answer,
    Asked,
    ScriptedServer,
    StoredObject,
    crc32,
    credentials,
    error,
    head,
    md5_etag,
)

pytestmark = pytest.mark.slow

KIB = 1024
PART = 64 * KIB
SMALL = os.urandom(3000)
BIG = os.urandom(6 * PART + 7)
AT_ONCE = RetryConfig(max_attempts=3, wait_initial_seconds=0.0, wait_max_seconds=0.0)

Fetch = Callable[..., Any]
Serve = Callable[[Answer], ScriptedServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda answer: stack.enter_context(ScriptedServer(answer))


@pytest.fixture
def fetch(engine: str, tmp_path: pathlib.Path) -> Fetch:
    """Fetches one object with the engine in turn; returns the transfer, which has ended."""

    def fetch_one(server: ScriptedServer, size: int | None, **options: Any) -> Any:
        defaults = {"part_size_bytes": PART, "retry": AT_ONCE, "stall_timeout_seconds": 20.0}
        store: Any = StoreRegistry.get_store_for_uri(
            "s3://bucket/key",
            options.pop("provider", credentials),
            **{"engine": engine, "endpoint_url": server.url, **defaults, **options},
        )
        with store:
            return store.get("s3://bucket/key", tmp_path / "file", size_bytes=size)

    return fetch_one


def arrived(tmp_path: pathlib.Path) -> bytes:
    """Return the bytes at the final path."""
    return (tmp_path / "file").read_bytes()


def failure_of(transfer: Any) -> DownloadError:
    """Return why a transfer failed."""
    failure = transfer.exception(timeout=60)
    assert isinstance(failure, DownloadError), failure
    return failure


# Stores that cannot serve pinned ranges


def without_if_match(status: int, code: str) -> Answer:
    """Refuse every request with If-Match; answer all others slowly, so that ranges are taken."""
    stored = StoredObject(data=BIG, pause_seconds=0.02)

    def answer(asked: Asked) -> Iterable[bytes]:
        return error(status, code) if "if-match" in asked.headers else stored.answer(asked)

    return answer


def odd_ranges(text: str, *, etag: str | None = None) -> Answer:
    """Answer ranges with another `Content-Range`, or another ETag."""
    stored = StoredObject(data=BIG, pause_seconds=0.02)

    def answer(asked: Asked) -> Iterable[bytes]:
        if asked.byte_range is None:
            yield from stored.answer(asked)
            return
        first, last = asked.byte_range[0], asked.byte_range[1] or len(BIG) - 1
        yield head(
            206,
            {
                "Content-Length": str(last - first + 1),
                "Content-Range": text.format(first=first, last=last, size=len(BIG)),
                "ETag": etag.format(first=first) if etag else md5_etag(BIG),
            },
        )
        yield BIG[first : last + 1]

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(without_if_match(412, "PreconditionFailed"), id="412"),
        pytest.param(without_if_match(501, "NotImplemented"), id="501"),
        pytest.param(without_if_match(400, "InvalidArgument"), id="400"),
        pytest.param(odd_ranges("bytes {first}-{last}/*"), id="no-size"),
        pytest.param(odd_ranges("Bytes {first}-{last}/{size}"), id="capitals"),
        pytest.param(odd_ranges("bytes */{size}"), id="no-range"),
        pytest.param(odd_ranges("lines 1-2"), id="other-unit"),
        pytest.param(odd_ranges("bytes {first}-{last}/{size}", etag='"{first}"'), id="etag-each"),
        pytest.param(odd_ranges("bytes {first}-{last}/{size}", etag="W/{first}"), id="weak-ranges"),
        pytest.param(StoredObject(data=BIG, etag='W/"a"', pause_seconds=0.01).answer, id="weak"),
        pytest.param(StoredObject(data=BIG, etag=None, pause_seconds=0.01).answer, id="no-etag"),
        pytest.param(
            StoredObject(data=BIG, has_ranges=False, pause_seconds=0.01).answer, id="ignored"
        ),
    ],
)
def test_an_object_that_never_changes_arrives(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path, answer: Answer
) -> None:
    """Whatever a store makes of ranges, the file comes in one stream at last, verified."""
    transfer = fetch(serve(answer), len(BIG))
    transfer.result(timeout=60)
    assert arrived(tmp_path) == BIG
    assert transfer.receipt.verified == "crc32"


@pytest.mark.parametrize("has_etag_on_ranges", [False, True])
def test_versions_are_never_mixed_without_an_etag(
    serve: Serve,
    fetch: Fetch,
    tmp_path: pathlib.Path,
    has_etag_on_ranges: bool,  # noqa: FBT001
) -> None:
    """An object that is replaced while it is read is one of its versions, complete, or a failure."""
    new = BIG[::-1]

    def answer(asked: Asked) -> Iterable[bytes]:
        data = BIG if asked.number < 2 else new
        has_etag = has_etag_on_ranges and asked.byte_range is not None
        return StoredObject(
            data=data,
            etag="" if has_etag else None,
            checksum=False,
            checks_if_match=False,
            pause_seconds=0.01,
        ).answer(asked)

    transfer = fetch(serve(answer), len(BIG))
    if transfer.exception(timeout=60) is None:
        assert arrived(tmp_path) in (BIG, new)


# Heads and bodies that are not as they should be


def chunked(data: bytes) -> Answer:
    """Send an object in chunks, without its length."""

    def answer(asked: Asked) -> Iterable[bytes]:
        yield head(200, {"Transfer-Encoding": "chunked", "ETag": md5_etag(data)})
        if asked.method != "HEAD":
            yield b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)

    return answer


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_a_body_in_chunks_arrives(
    serve: Serve,
    fetch: Fetch,
    tmp_path: pathlib.Path,
    data: bytes,
    is_known: bool,  # noqa: FBT001
) -> None:
    """No answer needs a length."""
    fetch(serve(chunked(data)), len(data) if is_known else None).result(timeout=60)
    assert arrived(tmp_path) == data


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDenied"),
        (404, "NotFound"),
        (405, "MethodNotAllowed"),
        (501, "NotImplemented"),
    ],
)
def test_no_head_is_needed(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path, status: int, code: str
) -> None:
    """A big file comes from a store that refuses HEAD."""
    stored = StoredObject(data=BIG)

    def answer(asked: Asked) -> Iterable[bytes]:
        return error(status, code) if asked.method == "HEAD" else stored.answer(asked)

    fetch(serve(answer), len(BIG)).result(timeout=60)
    assert arrived(tmp_path) == BIG


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Content-Length", str(len(SMALL)))], id="length-twice"),
        pytest.param([("x-amz-checksum-crc32c", "!!!not base64")], id="garbled-checksum"),
        pytest.param([("x-amz-checksum-crc64nvme", "AAAA")], id="short-checksum"),
        pytest.param([("Content-Range", f"bytes */{len(SMALL)}")], id="content-range"),
        pytest.param([("Retry-After", "soon")], id="retry-after"),
        pytest.param([("x-amz-missing-meta", "x"), ("Last-Modified", "never")], id="odd-date"),
    ],
)
def test_odd_headers_fail_nothing(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path, headers: list[tuple[str, str]]
) -> None:
    """What makes no sense, and is not needed, is left aside."""
    stored = StoredObject(data=SMALL, headers=tuple(headers))
    fetch(serve(stored.answer), len(SMALL)).result(timeout=60)
    assert arrived(tmp_path) == SMALL


def test_a_checksum_on_ranges_is_the_complete_objects(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path
) -> None:
    """Servers that repeat the object's checksum on each range are not taken at their word."""
    headers = (("x-amz-checksum-crc32", crc32(BIG)), ("x-amz-checksum-type", "FULL_OBJECT"))
    stored = StoredObject(data=BIG, checksum=False, headers=headers, pause_seconds=0.01)
    transfer = fetch(serve(stored.answer), len(BIG))
    transfer.result(timeout=60)
    assert (arrived(tmp_path), transfer.receipt.verified) == (BIG, "crc32")


@pytest.mark.parametrize(
    ("etag", "headers"),
    [
        pytest.param('"d41d8cd98f00b204e9800998ecf8427e-3"', [], id="multipart"),
        pytest.param(
            '"d41d8cd98f00b204e9800998ecf8427e-3"',
            [("x-amz-checksum-crc32", crc32(b"parts"))],
            id="crc-of-parts",
        ),
        pytest.param('"0123456789abcdef0123456789abcdef"', [], id="32-digits"),
    ],
)
def test_right_bytes_are_not_refused(
    serve: Serve,
    fetch: Fetch,
    tmp_path: pathlib.Path,
    etag: str,
    headers: list[tuple[str, str]],
) -> None:
    """A checksum that is not known to be of the complete object is not compared: the verdict is `size`."""
    stored = StoredObject(data=SMALL, etag=etag, checksum=False, headers=tuple(headers))
    transfer = fetch(serve(stored.answer), len(SMALL))
    transfer.result(timeout=60)
    assert (arrived(tmp_path), transfer.receipt.verified) == (SMALL, "size")


@pytest.mark.parametrize(
    ("stored", "code"),
    [
        pytest.param(StoredObject(data=SMALL), "SIZE_MISMATCH", id="not-empty"),
        pytest.param(None, "NOT_FOUND", id="not-there"),
    ],
)
def test_a_record_of_no_bytes_is_checked(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path, stored: StoredObject | None, code: str
) -> None:
    """An object that is recorded as empty is requested all the same."""
    server = serve(stored.answer if stored else lambda _: error(404, "NoSuchKey"))
    assert failure_of(fetch(server, 0)).code == code
    assert not (tmp_path / "file").exists()


# Answers without an end


def endless(first: bytes, again: bytes) -> Answer:
    """Send something, and then the same for ever."""

    def answer(asked: Asked) -> Iterable[bytes]:
        yield first
        while not asked.closing.is_set():
            yield again

    return answer


CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
CHUNKED = {"Transfer-Encoding": "chunked", "ETag": '"a"'}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(endless(head(200, CHUNKED), CHUNK), "SIZE_MISMATCH", id="body"),
        pytest.param(endless(head(500, CHUNKED), CHUNK), "SERVER_ERROR", id="error-body"),
        pytest.param(endless(head(403, {}), b"x" * 65536), "ACCESS_DENIED", id="denial"),
    ],
)
def test_a_body_without_end_is_cut(serve: Serve, fetch: Fetch, answer: Answer, code: str) -> None:
    """Neither a body longer than its record nor that of an error is read on."""
    server = serve(answer)
    assert failure_of(fetch(server, 10)).code == code
    assert server.sent_bytes < 40 * KIB * KIB  # what fits into sockets, a few times


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"h" * 65536),
            id="header-line",
        ),
        pytest.param(endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 8000), id="header-lines"),
        pytest.param(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000), id="interim"),
    ],
)
def test_a_head_without_end_is_cut(serve: Serve, fetch: Fetch, answer: Answer) -> None:
    """A head is bounded in bytes, or in time."""
    failure = failure_of(fetch(serve(answer), 10, stall_timeout_seconds=0.5))
    assert failure.code in ("CONNECTION", "STALLED", "SERVER_ERROR", "UNEXPECTED")


def test_redirects_in_circles_end(serve: Serve, fetch: Fetch) -> None:
    """A store that always names another region is asked a few times."""

    def answer(asked: Asked) -> Iterable[bytes]:
        region = f"region-{asked.number}"
        return error(301, "PermanentRedirect", x_amz_bucket_region=region)

    server = serve(answer)
    failure = failure_of(fetch(server, 10))
    assert not failure.transient
    assert len(server.asked) < 10


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(
    serve: Serve, fetch: Fetch, status: int
) -> None:
    """Credentials go nowhere else; the message names where they would have gone."""
    other = serve(StoredObject(data=SMALL).answer)
    server = serve(
        lambda _: [head(status, {"Location": f"{other.url}/bucket/key", "Content-Length": "0"})]
    )
    failure = failure_of(fetch(server, len(SMALL)))
    assert "redirects to http://127.0.0.1" in failure.reason
    assert (len(server.asked), other.asked) == (1, [])


def test_interim_answers_are_passed_over(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path
) -> None:
    """Early hints and the like come before an answer, and are none (RFC 9110, 15.2)."""
    stored = StoredObject(data=SMALL)

    def answer(asked: Asked) -> Iterable[bytes]:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        yield b"HTTP/1.1 102 Processing\r\n\r\n"
        yield from stored.answer(asked)

    fetch(serve(answer), len(SMALL)).result(timeout=60)
    assert arrived(tmp_path) == SMALL


def test_a_store_that_always_closes_is_given_up(serve: Serve, fetch: Fetch) -> None:
    """Progress without an end counts against `max_attempts`, however much each attempt downloads."""

    def answer(asked: Asked) -> Iterable[bytes]:
        stored = StoredObject(data=BIG, etag=None, checksum=False)
        first, body = stored.answer(asked)
        return [first, body[: 2 * PART]]

    server = serve(answer)
    assert failure_of(fetch(server, len(BIG))).code == "CONNECTION"
    assert len(server.asked) == 3


# Stalls and cancellation


def silent(asked: Asked) -> Iterator[bytes]:
    """Answer nothing."""
    asked.closing.wait(60)
    yield b""


def silent_body(asked: Asked) -> Iterator[bytes]:
    """Send a head and a few bytes, and then nothing."""
    yield head(200, {"Content-Length": "3000", "ETag": '"a"'})
    yield SMALL[:4]
    asked.closing.wait(60)


def trickle(asked: Asked) -> Iterator[bytes]:
    """Send a byte now and then."""
    yield head(200, {"Content-Length": "3000", "ETag": '"a"'})
    for number in range(len(SMALL)):
        if asked.closing.wait(0.05):
            return
        yield SMALL[number : number + 1]


STALLS = [silent, silent_body, trickle]


@pytest.mark.parametrize("answer", STALLS)
def test_a_stall_is_retried_in_time(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path, answer: Answer
) -> None:
    """A connection on which nothing, or next to nothing, arrives is given up for another one."""
    stored = StoredObject(data=SMALL, etag='"a"')
    server = serve(lambda asked: (stored.answer if asked.number else answer)(asked))
    started = time.monotonic()
    fetch(server, len(SMALL), stall_timeout_seconds=0.5).result(timeout=60)
    assert arrived(tmp_path) == SMALL
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("answer", STALLS)
def test_a_cancelled_transfer_ends_at_once(
    serve: Serve, engine: str, tmp_path: pathlib.Path, answer: Answer
) -> None:
    """Whatever it waits for, it and its store end within two seconds; nothing is left."""
    asked = threading.Event()

    def noted(each: Asked) -> Iterable[bytes]:
        asked.set()
        return answer(each)

    store: Any = StoreRegistry.get_store_for_uri(
        "s3://bucket/key", credentials, engine=engine, endpoint_url=serve(noted).url
    )
    with store:
        transfer = store.get("s3://bucket/key", tmp_path / "file", size_bytes=3000)
        assert asked.wait(60)
        started = time.monotonic()
        transfer.cancel()
        assert failure_of(transfer).code == "CANCELLED"
    assert time.monotonic() - started < 2
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_left_with_an_error_cancels(
    serve: Serve, engine: str, tmp_path: pathlib.Path
) -> None:
    """What runs ends, and publishes nothing half done."""
    asked = threading.Event()

    def noted(each: Asked) -> Iterable[bytes]:
        asked.set()
        return silent_body(each)

    store: Any = StoreRegistry.get_store_for_uri(
        "s3://bucket/key", credentials, engine=engine, endpoint_url=serve(noted).url
    )
    with pytest.raises(ZeroDivisionError), store:  # noqa: PT012 - the block is what is tested
        transfer = store.get("s3://bucket/key", tmp_path / "file", size_bytes=3000)
        assert asked.wait(60)
        raise ZeroDivisionError
    assert failure_of(transfer).code == "CANCELLED"
    assert list(tmp_path.iterdir()) == []


# Names and answers that are not text


@pytest.mark.parametrize("key", ["\ud800", "nul\x00key"], ids=["surrogate", "nul"])
def test_a_bad_name_fails_its_file_alone(
    serve: Serve, engine: str, tmp_path: pathlib.Path, key: str
) -> None:
    """What no request can be made of is that file's failure; the next one arrives."""
    server = serve(StoredObject(data=SMALL).answer)
    store: Any = StoreRegistry.get_store_for_uri(
        "s3://bucket/key", credentials, engine=engine, endpoint_url=server.url
    )
    with store:
        bad = store.get(f"s3://bucket/{key}", tmp_path / "bad", size_bytes=len(SMALL))
        path = store.get("s3://bucket/key", tmp_path / f"{key}file", size_bytes=len(SMALL))
        good = store.get("s3://bucket/key", tmp_path / "good", size_bytes=len(SMALL))
        good.result(timeout=60)
    assert (tmp_path / "good").read_bytes() == SMALL
    for transfer in (bad, path):
        assert transfer.done()


@pytest.mark.parametrize(
    "bucket", ["a@example.com", "UPPER_case!", "a..b", "arn:aws:s3:::x", "x" * 300]
)
def test_an_impossible_bucket_fails_its_file_alone(
    serve: Serve, engine: str, tmp_path: pathlib.Path, bucket: str
) -> None:
    """A bucket that cannot be is that file's failure; the next one arrives."""
    server = serve(StoredObject(data=SMALL).answer)
    store: Any = StoreRegistry.get_store_for_uri(
        "s3://bucket/key", credentials, engine=engine, endpoint_url=server.url
    )
    with store:
        try:
            bad = store.get(f"s3://{bucket}/key", tmp_path / "bad", size_bytes=len(SMALL))
        except ValueError:
            bad = None
        store.get("s3://bucket/key", tmp_path / "good", size_bytes=len(SMALL)).result(timeout=60)
    assert (tmp_path / "good").read_bytes() == SMALL
    assert bad is None or bad.done()


@pytest.mark.parametrize(
    ("status", "s3_code", "code", "asked"),
    [
        (425, "", "SERVER_ERROR", 3),
        (498, "", "CREDENTIALS_EXPIRED", None),
        (499, "", "CONNECTION", 3),
        (409, "OperationAborted", "SERVER_ERROR", 3),
        (400, "KMS.ThrottlingException", "THROTTLED", 3),
        (400, "KMS.DisabledException", "ACCESS_DENIED", None),
        (503, "SlowDown", "THROTTLED", 3),
    ],
)
def test_answers_mean_the_same_to_both(  # noqa: PLR0917 - a row of the table
    serve: Serve, fetch: Fetch, status: int, s3_code: str, code: str, asked: int | None
) -> None:
    """One table lists which answers are retried."""
    server = serve(lambda _: error(status, s3_code))
    assert failure_of(fetch(server, 10)).code == code
    if asked is not None:
        assert len(server.asked) == asked


def test_a_clock_that_is_wrong_is_corrected(
    serve: Serve, fetch: Fetch, tmp_path: pathlib.Path
) -> None:
    """The store's time is taken from its answer, and signed with."""
    stored = StoredObject(data=SMALL)

    def answer(asked: Asked) -> Iterable[bytes]:
        if asked.headers["x-amz-date"].startswith("2031"):
            return stored.answer(asked)
        message = "skewed</Message><ServerTime>2031-02-03T04:05:06Z</ServerTime><Message>"
        return error(403, "RequestTimeTooSkewed", message)

    fetch(serve(answer), len(SMALL)).result(timeout=60)
    assert arrived(tmp_path) == SMALL


def test_no_secret_is_in_any_message(serve: Serve, fetch: Fetch) -> None:
    """A store that quotes what it was sent does not get it into a message."""

    def answer(asked: Asked) -> Iterable[bytes]:
        token = asked.headers["x-amz-security-token"]
        quoted = f"X-Amz-Security-Token={token} {asked.headers['authorization']}"
        return error(400, "Malformed", quoted)

    failure = failure_of(fetch(serve(answer), 10))
    assert "scripted-token" not in str(failure)
    assert "Malformed" in str(failure)


# Standstill


def test_a_store_in_order_is_at_no_standstill(serve: Serve, engine: str) -> None:
    """Neither before the first file nor after one that failed by itself."""
    server = serve(lambda _: error(404, "NoSuchKey"))
    store = opened(server, engine)
    with store:
        assert store.standstill is None
        failure_of(store.get("s3://bucket/key", pathlib.Path("never"), size_bytes=1))
        assert store.standstill is None


def test_a_store_that_nobody_answers_is_at_a_standstill(
    engine: str, tmp_path: pathlib.Path
) -> None:
    """Whoever has more files can leave them for later."""
    with ScriptedServer(lambda _: []) as server:
        store = opened(server, engine)
    with store:
        for number in range(3):
            failure_of(store.get("s3://bucket/key", tmp_path / str(number), size_bytes=1))
        assert store.standstill is not None
        assert store.standstill.code == "CONNECTION"


def test_a_store_without_credentials_is_at_a_standstill(
    serve: Serve, engine: str, tmp_path: pathlib.Path
) -> None:
    """Its failure has the words of who was asked for them."""

    def refuse() -> Any:
        raise PlatformError("the association is gone", transient=False)

    store = opened(serve(silent), engine, refuse)
    with store:
        failure = failure_of(store.get("s3://bucket/key", tmp_path / "a", size_bytes=1))
        assert store.standstill is not None
        assert (store.standstill.code, store.standstill.reason) == (failure.code, failure.reason)


def opened(server: ScriptedServer, engine: str, provider: Any = credentials) -> Any:
    """Return a store that tries three times at once."""
    return StoreRegistry.get_store_for_uri(
        "s3://bucket/key", provider, engine=engine, endpoint_url=server.url, retry=AT_ONCE
    )


# What a caller does before files are renamed


@pytest.mark.parametrize("durability", ["none", "file"])
@pytest.mark.parametrize("is_possible", [True, False])
def test_nothing_is_renamed_without_what_precedes_renames(
    serve: Serve, engine: str, tmp_path: pathlib.Path, durability: str, *, is_possible: bool
) -> None:
    """After each file was asked about: if it raises, the file fails, and nothing is left behind."""
    events: list[str] = []

    def before_renames() -> None:
        events.append(f"renames, file there: {(tmp_path / 'file').exists()}")
        if not is_possible:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    server = serve(StoredObject(data=SMALL).answer)
    store: Any = StoreRegistry.get_store_for_uri(
        "s3://bucket/key",
        credentials,
        engine=engine,
        endpoint_url=server.url,
        durability=durability,
    )
    with store:
        transfer = store.get(
            "s3://bucket/key",
            tmp_path / "file",
            before_publish=lambda *_: events.append("publish"),
            before_renames=before_renames,
        )
    assert events == ["publish", "renames, file there: False"]
    if is_possible:
        assert arrived(tmp_path) == SMALL
    else:
        assert failure_of(transfer).code == "NO_SPACE"
        assert list(tmp_path.iterdir()) == []
