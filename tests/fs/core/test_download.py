"""What a file asks, what an answer means for it, and what has arrived; without a network."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.fs.core.answers import can_continue, shortfall, validate_response
from roboto_dagster.fs.core.checksums import new_digest
from roboto_dagster.fs.core.download import UNKNOWN, Download, RangeRequest
from roboto_dagster.fs.core.publishing import publish
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.object_store import Transfer

PART = 100
DATA = os.urandom(3 * PART + 50)

MakeDownload = Callable[..., Download]


@pytest.fixture
def make(tmp_path: pathlib.Path) -> MakeDownload:
    """Makes files with parts of a hundred bytes."""

    def make_download(**options: Any) -> Download:
        defaults: dict[str, Any] = {
            "within": None,
            "before_publish": None,
            "expected_size": None,
            "on_progress": None,
            "part_size": PART,
            "verify": "auto",
        }
        destination = tmp_path / "file"
        download = Download(
            Transfer(lambda _: None),
            "s3://bucket/key",
            "bucket",
            "key",
            destination,
            **{**defaults, **options},
        )
        download.open(open_partial(destination))
        return download

    return make_download


def complete_answer(data: bytes = DATA, **headers: str) -> Head:
    """Answer a GET of the complete object."""
    return Head(200, {"content-length": str(len(data)), "etag": '"e1"', **headers})


def part(request: RangeRequest, **headers: str) -> Head:
    """Answer a GET of a range."""
    content_range = f"bytes {request.position}-{request.stop - 1}/{len(DATA)}"
    length = str(request.stop - request.position)
    good = {"content-range": content_range, "content-length": length, "etag": '"e1"'}
    return Head(206, {**good, **headers})


def started(download: Download, data: bytes, **headers: str) -> RangeRequest:
    """Have the initial stream answered."""
    request = download.first_request()
    assert validate_response(download, request, complete_answer(data, **headers)) is None
    return request


def ended(request: RangeRequest) -> bool:
    """Count a request in, as the coordinator does."""
    return request.download.content.add(request.start, request.stop, request.digest)


def crc_of(data: bytes) -> str:
    """Compute a checksum as S3 reports it."""
    digest = new_digest("crc64nvme")
    digest.update(data)
    return digest.text()


def test_a_small_file_is_one_plain_request(make: MakeDownload) -> None:
    """Up to one part, nothing but the initial stream is requested."""
    download = make()
    request = started(download, DATA[:PART])
    assert (request.stop, download.content.ranges.has_more, download.next_request()) == (
        PART,
        False,
        None,
    )


def test_nothing_is_asked_besides_the_front_before_it_is_answered(make: MakeDownload) -> None:
    """Ranges need the version that the initial stream reports."""
    download = make()
    download.first_request()
    assert download.next_request() is None


def test_the_front_runs_on_while_nobody_takes_the_next_part(make: MakeDownload) -> None:
    """A single connection fetches a file in one request."""
    download = make()
    request = started(download, DATA)
    for start in range(0, len(DATA), 30):
        assert request.write(DATA[start : start + 30])
    assert request.is_complete
    assert ended(request)


def test_the_front_is_cut_where_the_next_part_was_taken(make: MakeDownload) -> None:
    """No byte is fetched twice."""
    download = make()
    initial = started(download, DATA)
    following = download.next_request()
    assert following is not None
    assert not initial.write(DATA[: PART + 20])
    assert (initial.position, following.start) == (PART, PART)


def test_ranges_in_any_order_make_the_file_and_its_checksum(
    make: MakeDownload, tmp_path: pathlib.Path
) -> None:
    """Parts that arrive backwards are put in place and combined."""
    download = make()
    initial = started(download, DATA, **{"x-amz-checksum-crc64nvme": crc_of(DATA)})
    requests = [initial, *iter(download.next_request, None)]
    for request in reversed(requests):
        assert request is not None
        if request is not initial:
            assert validate_response(download, request, part(request)) is None
        request.write(DATA[request.start : request.stop])
        ended(request)
    assert download.content.digests.complete is not None
    assert download.content.digests.complete.text() == crc_of(DATA)
    publish(download, "crc64nvme", 0.0)
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_hash_of_several_ranges_is_read_back(make: MakeDownload) -> None:
    """MD5 goes by order only; for one part it is computed as the bytes arrive."""
    md5 = {"etag": f'"{"a" * 32}"'}
    large, small = make(), make()
    started(large, DATA, **md5)
    started(small, DATA[:PART], **md5)
    assert (large.content.must_be_read_back, small.content.must_be_read_back) == (True, False)


def test_without_an_etag_there_is_one_stream(make: MakeDownload) -> None:
    """What cannot be pinned is not divided."""
    download = make()
    request = download.first_request()
    assert validate_response(download, request, Head(200, {"content-length": "350"})) is None
    assert (request.stop, download.content.ranges.has_more) == (350, False)
    assert not can_continue(request)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"content-range": "bytes 100-199/351"}, "restart"),
        ({"etag": '"e2"'}, "restart"),
        ({"etag": ""}, "one_stream"),
        ({"etag": 'W/"e1"'}, "one_stream"),
        ({"content-range": "bytes 100-198/350"}, "range"),
        ({"content-range": "bytes 101-200/350"}, "range"),
        ({"content-range": "bytes 0-99/350"}, "range"),
        ({"content-range": ""}, "range"),
        ({"content-length": "99"}, "range"),
    ],
    ids=str,
)
def test_a_range_that_is_not_the_one_asked_is_refused(
    make: MakeDownload, change: dict[str, str], remedy: str
) -> None:
    """Nothing but the very bytes of the very version is spliced in."""
    download = make()
    started(download, DATA)
    request = download.next_request()
    assert request is not None
    failure = validate_response(download, request, part(request, **change))
    assert failure is not None
    assert failure.remedy == remedy


def test_the_complete_object_instead_of_a_range_is_refused(make: MakeDownload) -> None:
    """A 200 is never spliced in."""
    download = make()
    started(download, DATA)
    request = download.next_request()
    assert request is not None
    failure = validate_response(download, request, complete_answer())
    assert failure is not None
    assert failure.remedy == "one_stream"


def test_a_right_range_with_the_wrong_status_is_taken(make: MakeDownload) -> None:
    """The range that a header reports counts: `rclone serve s3` sends 200 with it."""
    download = make()
    started(download, DATA)
    request = download.next_request()
    assert request is not None
    assert validate_response(download, request, part(request)._replace(status=200)) is None


def test_a_wrong_size_is_asked_once_more(make: MakeDownload) -> None:
    """A proxy may have cut the answer; twice the same is the truth, with both numbers."""
    download = make(expected_size=351)
    failures = [
        validate_response(download, download.first_request(), complete_answer()) for _ in range(2)
    ]
    assert [failure and failure.remedy for failure in failures] == ["retry", "fail"]
    assert [failure and failure.reason for failure in failures] == [
        "the object has 350 bytes, its record has 351"
    ] * 2


def test_a_checksum_can_be_demanded(make: MakeDownload) -> None:
    """With `verify="checksum"`, an object without one fails before its bytes are fetched."""
    download = make(verify="checksum")
    failure = validate_response(download, download.first_request(), complete_answer())
    assert failure is not None
    assert (failure.code, failure.remedy) == ("CHECKSUM_MISMATCH", "fail")


def test_a_stream_of_unknown_length_is_measured_at_its_end(make: MakeDownload) -> None:
    """Chunked answers have no length before."""
    download = make()
    request = download.first_request()
    assert validate_response(download, request, Head(200, {"transfer-encoding": "chunked"})) is None
    request.write(DATA)
    assert request.stop == UNKNOWN
    assert shortfall(request) is None
    assert ended(request)
    assert download.size == len(DATA)


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/html", "content-length": "9"}], ids=["endless", "page"]
)
def test_an_answer_that_cannot_be_trusted_is_retried(
    make: MakeDownload, headers: dict[str, str]
) -> None:
    """Without size, length, ETag and checksum, nothing distinguishes a page or half a body from a file."""
    download = make()
    failure = validate_response(download, download.first_request(), Head(200, headers))
    assert failure is not None
    assert failure.remedy == "retry"


def test_a_page_is_no_second_answer_to_what_reported_nothing(make: MakeDownload) -> None:
    """After an answer without size, ETag and checksum, the next one is judged like a first."""
    download = make()
    first, again = download.first_request(), download.first_request()
    assert validate_response(download, first, Head(200, {"transfer-encoding": "chunked"})) is None
    assert validate_response(download, again, Head(200, {"content-type": "text/html"})) is not None


def test_a_body_that_ends_early_is_no_success(make: MakeDownload) -> None:
    """The missing bytes are counted."""
    download = make()
    request = started(download, DATA[:PART])
    request.write(DATA[:40])
    failure = shortfall(request)
    assert failure is not None
    assert "60 bytes early" in failure.reason


def test_the_last_range_is_not_read_on(make: MakeDownload) -> None:
    """A chunked answer without an end, for one, is cut once it is longer than what was asked for."""
    download = make()
    assert started(download, DATA).stop == PART
    last = list(iter(download.next_request, None))[-1]
    assert validate_response(download, last, part(last)) is None
    assert last.write(DATA[last.start :])
    assert not last.write(b"more")
    assert last.is_complete


def test_progress_is_taken_back_when_a_file_is_restarted(make: MakeDownload) -> None:
    """Every byte is reported once in the end."""
    reported: list[int] = []
    download = make(on_progress=reported.append)
    request = started(download, DATA)
    request.write(DATA[:60])
    download.restart()
    assert reported == [60, -60]
    assert request.is_stale


def test_a_progress_callback_that_fails_is_logged_once(
    make: MakeDownload, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller's bug is reported, not repeated, and stops nothing."""
    download = make(on_progress=lambda _: 1 // 0)
    request = started(download, DATA)
    request.write(DATA[:10])
    request.write(DATA[10:20])
    assert request.position == 20
    assert len(caplog.records) == 1
