"""Answers that no store should give, and what becomes of the file."""

import base64
import itertools
import pathlib
import random
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.fs.retry import RetryConfig
from tests.fs.scripted_server import Asked, ScriptedServer, StoredObject, credentials, error, head

pytestmark = pytest.mark.slow

KIB = 1024
PART = 64 * KIB
DATA = random.Random(2).randbytes(6 * PART + 50)  # noqa: S311 - any bytes do
TEN = b"0123456789"
CHUNKED = {"Transfer-Encoding": "chunked", "ETag": '"e1"'}
ENDLESS = 1000 * KIB * KIB

Answer = Callable[[Asked], Iterable[bytes]]


class Fetched:
    """One file, fetched from a server of scripted answers.

    Attributes:
        data: What was published, or None.
        error: Why it failed, or None.
        verified: The verdict, or None.
        asked: The requests that the server saw.
        sent_bytes: What the server could send.
    """

    def __init__(self, engine: str, answer: Answer, target: pathlib.Path, **options: Any) -> None:
        size = options.pop("size_bytes", None)
        retry = RetryConfig(max_attempts=3, wait_initial_seconds=0.0, wait_max_seconds=0.0)
        with ScriptedServer(answer) as server:
            settings = {"part_size_bytes": PART, "retry": retry, "engine": engine, **options}
            store: Any = StoreRegistry.get_store_for_uri(
                "s3://bucket/key", credentials, endpoint_url=server.url, **settings
            )
            with store:
                transfer = store.get("s3://bucket/key", target, size_bytes=size)
                self.error = transfer.exception(60)
            self.asked, self.sent_bytes = list(server.asked), server.sent_bytes
        self.data = target.read_bytes() if target.exists() else None
        self.verified = transfer.receipt.verified if transfer.receipt else None

    @property
    def code(self) -> str | None:
        """The failure's code."""
        return self.error.code if isinstance(self.error, DownloadError) else None


@pytest.fixture
def fetch(engine: str, tmp_path: pathlib.Path) -> Callable[..., Fetched]:
    """Fetches one file by the engine in turn."""

    def run(answer: Answer, **options: Any) -> Fetched:
        return Fetched(engine, answer, tmp_path / "file", **options)

    return run


Fetch = Callable[..., Fetched]


def chunks(data: bytes, times: int) -> Iterator[bytes]:
    """Send a chunk again and again."""
    for _ in range(times):
        yield b"%x\r\n%s\r\n" % (len(data), data)


# Bodies


def test_a_body_longer_than_the_record_is_cut(fetch: Fetch) -> None:
    """An endless body for a record of ten bytes ends at once, with both facts in the reason."""

    def answer(_: Asked) -> Iterator[bytes]:
        yield head(200, CHUNKED)
        yield from chunks(bytes(64 * KIB), ENDLESS // (64 * KIB))

    fetched = fetch(answer, size_bytes=10)
    assert (fetched.code, fetched.data) == ("SIZE_MISMATCH", None)
    assert "more than 10 bytes came" in str(fetched.error)
    assert fetched.sent_bytes < 64 * KIB * KIB


def test_a_stream_of_the_recorded_size_is_taken(fetch: Fetch) -> None:
    """No length is needed where the record has one."""

    def answer(_: Asked) -> Iterator[bytes]:
        yield head(200, CHUNKED)
        yield from chunks(TEN, 1)
        yield b"0\r\n\r\n"

    assert fetch(answer, size_bytes=10).data == TEN


@pytest.mark.parametrize("has_etag", [True, False], ids=["etag", "no-etag"])
def test_connections_that_always_break_count_as_attempts(fetch: Fetch, *, has_etag: bool) -> None:
    """Bytes that came are no reason to ask for ever."""
    etag = {"ETag": '"e1"'} if has_etag else {}

    def answer(asked: Asked) -> Iterator[bytes]:
        if asked.byte_range:
            yield from error(500, "InternalError")
            return
        yield head(200, {"Content-Length": str(len(DATA)), **etag})
        yield DATA[: PART + 10]

    fetched = fetch(answer, size_bytes=len(DATA), max_connections=1)
    assert (fetched.code, fetched.data) in {("CONNECTION", None), ("SERVER_ERROR", None)}
    assert len(fetched.asked) <= 3


def test_an_error_document_without_end_is_cut(fetch: Fetch) -> None:
    """No more of an error is read than is of use."""

    def answer(_: Asked) -> Iterator[bytes]:
        yield head(404, {"Transfer-Encoding": "chunked"})
        yield from chunks(bytes(64 * KIB), ENDLESS // (64 * KIB))

    fetched = fetch(answer)
    assert fetched.code == "NOT_FOUND"
    assert fetched.sent_bytes < 64 * KIB * KIB


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b"X-A: b\r\n" * 500], ids=["1xx", "fields"]
)
def test_heads_without_end_are_cut(fetch: Fetch, line: bytes) -> None:
    """Interim answers, and header fields, are bounded."""

    def answer(_: Asked) -> Iterator[bytes]:
        if line.startswith(b"X"):
            yield b"HTTP/1.1 200 OK\r\n"
        yield from itertools.repeat(line, ENDLESS // len(line))

    fetched = fetch(answer, size_bytes=10, stall_timeout_seconds=0.5)
    assert fetched.code in ("SERVER_ERROR", "CONNECTION", "STALLED")
    assert fetched.data is None


def test_an_empty_answer_is_no_file_without_more(fetch: Fetch) -> None:
    """Where neither record, ETag nor checksum reports it, an object is not taken for empty."""
    assert fetch(lambda _: [head(200, {"Content-Length": "0"})]).code == "SERVER_ERROR"
    assert fetch(lambda _: [head(200, {"Content-Length": "0", "ETag": '"e"'})]).data == b""


def test_an_empty_record_does_not_publish_what_is_there(fetch: Fetch) -> None:
    """A record of no bytes is checked against the store."""
    fetched = fetch(StoredObject(data=DATA[:3000]).answer, size_bytes=0)
    assert (fetched.code, fetched.data) == ("SIZE_MISMATCH", None)


# Heads


def test_lines_that_end_in_a_bare_line_feed_are_read(fetch: Fetch) -> None:
    """All headers count, the checksum too: a flipped bit is noticed."""
    crc = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
    flipped = bytes([DATA[0] ^ 1]) + DATA[1:]
    text = (
        f'HTTP/1.1 200 OK\nConnection: close\nETag: "x-1"\nContent-Length: {len(DATA)}\n'
        f"x-amz-checksum-crc32: {crc}\nx-amz-checksum-type: FULL_OBJECT\n\n"
    )
    options: dict[str, Any] = {"size_bytes": len(DATA), "part_size_bytes": 2 * len(DATA)}
    assert fetch(lambda _: [text.encode(), flipped], **options).code == "CHECKSUM_MISMATCH"
    assert fetch(lambda _: [text.encode(), DATA], **options).verified == "crc32"


# Stores whose ranges cannot be combined safely


def slow(**changes: Any) -> StoredObject:
    """Make an object that comes so slowly that ranges of it are requested."""
    return StoredObject(data=DATA, pause_seconds=0.02, **changes)


def refusing_if_match(status: int, code: str) -> Answer:
    """Answer well but for `If-Match`."""

    def answer(asked: Asked) -> Iterable[bytes]:
        return error(status, code) if "if-match" in asked.headers else slow().answer(asked)

    return answer


def with_an_etag_for_each_range(asked: Asked) -> Iterable[bytes]:
    """Answer as a CDN that caches ranges apart."""
    etag = '"' + str(zlib.crc32(asked.headers.get("range", "").encode())) + '"'
    return slow(etag=etag, checks_if_match=False).answer(asked)


UNPINNABLE = {
    "weak": slow(etag='W/"abc"', checksum=False).answer,
    "none": slow(etag=None, checks_if_match=False).answer,
    "empty": slow(etag='""', checks_if_match=False).answer,
    "unquoted": slow(etag="abc", checksum=False).answer,
    "if-match-501": refusing_if_match(501, "NotImplemented"),
    "if-match-400": refusing_if_match(400, "InvalidArgument"),
    "if-match-412": refusing_if_match(412, "PreconditionFailed"),
    "no-ranges": slow(has_ranges=False).answer,
    "etag-for-each-range": with_an_etag_for_each_range,
}


@pytest.mark.parametrize("name", UNPINNABLE)
def test_what_cannot_be_pinned_comes_in_one_stream(fetch: Fetch, name: str) -> None:
    """An object that never changes arrives, whatever the store makes of ranges."""
    fetched = fetch(UNPINNABLE[name], size_bytes=len(DATA))
    assert fetched.error is None
    assert fetched.data == DATA


def test_a_store_without_ranges_is_asked_for_them_once(engine: str, tmp_path: pathlib.Path) -> None:
    """What the first file shows of the store holds for the others."""
    with ScriptedServer(refusing_if_match(501, "NotImplemented")) as server:
        store: Any = StoreRegistry.get_store_for_uri(
            "s3://bucket/key",
            credentials,
            endpoint_url=server.url,
            engine=engine,
            part_size_bytes=PART,
        )
        with store:
            store.get("s3://bucket/a", tmp_path / "a", size_bytes=len(DATA)).result(60)
            server.asked.clear()
            for name in ("b", "c"):
                store.get(f"s3://bucket/{name}", tmp_path / name, size_bytes=len(DATA)).result(60)
        assert [each.headers.get("range") for each in server.asked] == [None, None]


@pytest.mark.parametrize("content_range", ["Bytes {0}-{1}/{2}", "bytes {0}-{1}/*"])
def test_a_range_may_be_spelt_otherwise(fetch: Fetch, content_range: str) -> None:
    """RFC 9110 lets a server write the unit in capitals, and not know the size."""

    def answer(asked: Asked) -> Iterator[bytes]:
        for part in slow().answer(asked):
            first, last = asked.byte_range or (0, 0)
            header = content_range.format(first, last, len(DATA)).encode()
            plain = f"bytes {first}-{last}/{len(DATA)}".encode()
            yield part.replace(plain, header) if asked.byte_range else part

    fetched = fetch(answer, size_bytes=len(DATA))
    assert fetched.data == DATA
    assert any(asked.byte_range for asked in fetched.asked)


def test_ranges_without_their_place_end_in_one_stream(fetch: Fetch) -> None:
    """A 206 without the range of its bytes is never spliced in."""

    def answer(asked: Asked) -> Iterator[bytes]:
        for part in slow().answer(asked):
            yield re.sub(rb"Content-Range: [^\r]*\r\n", b"", part)

    assert fetch(answer, size_bytes=len(DATA)).data == DATA


def test_an_etag_that_changes_with_each_answer_ends_in_one_stream(fetch: Fetch) -> None:
    """One answer is one version, whatever its headers report."""

    def answer(asked: Asked) -> Iterable[bytes]:
        return slow(etag=f'"{asked.number}"', checks_if_match=False).answer(asked)

    fetched = fetch(answer, size_bytes=len(DATA))
    assert (fetched.data, len(fetched.asked) < 20) == (DATA, True)


@pytest.mark.parametrize(
    "field", [("Last-Modified", "Thu, 26 Nov 2026 08:00:0{} GMT"), ("x-amz-version-id", "v{}")]
)
def test_another_version_under_the_same_etag_is_noticed(
    fetch: Fetch, field: tuple[str, str]
) -> None:
    """Some stores give all versions one ETag: their ranges are held against what else names a version."""
    replaced = DATA[::-1]

    def answer(asked: Asked) -> Iterable[bytes]:
        version = int(asked.number >= 2)
        return StoredObject(
            data=replaced if version else DATA,
            etag='"constant"',
            checksum=False,
            headers=((field[0], field[1].format(version)),),
            pause_seconds=0.02,
        ).answer(asked)

    fetched = fetch(answer, size_bytes=len(DATA))
    assert fetched.data == replaced
    assert any(asked.byte_range for asked in fetched.asked)


def test_a_time_of_change_that_differs_with_each_answer_ends_in_one_stream(fetch: Fetch) -> None:
    """A store that sends its clock as the time of change costs ranges, and no file."""

    def answer(asked: Asked) -> Iterable[bytes]:
        changed = f"Thu, 26 Nov 2026 08:00:{asked.number:02} GMT"
        return slow(headers=(("Last-Modified", changed),)).answer(asked)

    fetched = fetch(answer, size_bytes=len(DATA))
    assert (fetched.data, len(fetched.asked) < 20) == (DATA, True)


# Checksums


def test_ranges_that_are_wrong_each_time_are_not_taken_for_the_object(fetch: Fetch) -> None:
    """The same wrong MD5 twice from ranges proves nothing about the ETag: one stream shows what it is."""

    def answer(asked: Asked) -> Iterator[bytes]:
        for number, part in enumerate(slow(checksum=False).answer(asked)):
            yield bytes(len(part)) if asked.byte_range and number else part

    fetched = fetch(answer, size_bytes=len(DATA))
    assert (fetched.data, fetched.verified) == (DATA, "md5")


def test_an_etag_that_is_no_md5_is_no_mismatch(fetch: Fetch) -> None:
    """The same bytes twice under an ETag of 32 digits that is another hash: verdict `size`."""
    stored = StoredObject(data=TEN, etag=f'"{"ab" * 16}"', checksum=False)
    fetched = fetch(stored.answer, size_bytes=10)
    assert (fetched.data, fetched.verified, len(fetched.asked)) == (TEN, "size", 2)


def test_bytes_that_differ_each_time_are_a_mismatch(fetch: Fetch) -> None:
    """What a bad line makes of a file is noticed by its MD5."""

    def answer(asked: Asked) -> Iterator[bytes]:
        yield head(200, {"ETag": f'"{"ab" * 16}"', "Content-Length": "10"})
        yield b"%010d" % asked.number

    fetched = fetch(answer, size_bytes=10)
    assert (fetched.code, fetched.data) == ("CHECKSUM_MISMATCH", None)


def test_where_etags_are_md5s_a_wrong_one_is_a_mismatch(
    engine: str, tmp_path: pathlib.Path
) -> None:
    """A store that has shown what its ETags are is held to it, for bytes that rotted too."""

    def answer(asked: Asked) -> Iterable[bytes]:
        wrong = f'"{"ab" * 16}"' if asked.path.endswith("rotten") else ""
        return StoredObject(data=TEN, etag=wrong, checksum=False).answer(asked)

    with ScriptedServer(answer) as server:
        store: Any = StoreRegistry.get_store_for_uri(
            "s3://bucket/key", credentials, endpoint_url=server.url, engine=engine
        )
        with store:
            store.get("s3://bucket/good", tmp_path / "good", size_bytes=10).result(60)
            rotten = store.get("s3://bucket/rotten", tmp_path / "rotten", size_bytes=10)
            error = rotten.exception(60)
    assert isinstance(error, DownloadError)
    assert error.code == "CHECKSUM_MISMATCH"


def test_a_checksum_that_is_demanded_is_demanded_of_an_etag_too(fetch: Fetch) -> None:
    """With `verify="checksum"`, an ETag that is no MD5 is a failure."""
    stored = StoredObject(data=TEN, etag=f'"{"ab" * 16}"', checksum=False)
    assert fetch(stored.answer, size_bytes=10, verify="checksum").code == "CHECKSUM_MISMATCH"


def test_a_checksum_that_is_not_there_is_called_that(fetch: Fetch) -> None:
    """No byte was compared, so the advice does not speak of bytes that differ."""
    stored = StoredObject(data=TEN, etag='"e1"', checksum=False)
    failure = fetch(stored.answer, size_bytes=10, verify="checksum").error
    assert isinstance(failure, DownloadError)
    assert 'verify="auto"' in failure.advice
    assert "do not match" not in str(failure)


# Names


@pytest.mark.parametrize(
    ("key", "name", "code"),
    [("k\udc80", "f", "BAD_RECORD"), ("k", "f\0g", "UNSAFE_PATH"), ("k", "f\udfff", None)],
    ids=["key", "nul", "surrogate"],
)
def test_a_name_that_cannot_be_stays_with_its_file(
    engine: str, tmp_path: pathlib.Path, key: str, name: str, code: str | None
) -> None:
    """The other files of the store arrive."""
    with ScriptedServer(StoredObject(data=TEN).answer) as server:
        store: Any = StoreRegistry.get_store_for_uri(
            "s3://bucket/key", credentials, endpoint_url=server.url, engine=engine
        )
        with store:
            broken = store.get(f"s3://bucket/{key}", tmp_path / name, size_bytes=10)
            good = store.get("s3://bucket/good", tmp_path / "good", size_bytes=10)
            failure = broken.exception(60)
            assert good.exception(60) is None
    assert isinstance(failure, DownloadError)
    assert code in (failure.code, None)
