"""What is read from the head and the error document of an answer, however broken."""

import pytest

from roboto_dagster.fs.core.response import Head, parse_error, parse_head, plain_text


def test_the_head_is_read_with_names_in_lower_case() -> None:
    """Status and headers, values as they are."""
    head = parse_head([b"HTTP/1.1 206 Partial Content\r\n", b'ETag:  "a:B" \r\n', b"\r\n"])
    assert (head.status, head.headers["etag"]) == (206, '"a:B"')


def test_of_several_heads_the_last_counts() -> None:
    """What a proxy or `100 Continue` sent before is not the answer."""
    first = [b"HTTP/1.1 100 Continue\r\n", b"ETag: old\r\n", b"\r\n"]
    head = parse_head([*first, b"HTTP/1.1 200 OK\r\n", b"X: HTTP/1.1 500\r\n", b"\r\n"])
    assert head.status == 200
    assert "etag" not in head.headers


@pytest.mark.parametrize("lines", [[], [b"\r\n"], [b"nonsense"], [b"HTTP/1.1 abc\r\n"]])
def test_nonsense_has_no_status(lines: list[bytes]) -> None:
    """A head that is none is not taken for an answer."""
    assert parse_head(lines).status == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 10-19/100", (10, 20, 100)),
        ("bytes 10-19/*", (10, 20, None)),
        ("Bytes 10-19/100", (10, 20, 100)),
        ("bytes */100", None),
        ("10-19/100", None),
        ("bytes 10-19/100x", None),
        ("", None),
    ],
)
def test_a_range_is_read_exactly(text: str, expected: tuple[int, int, int] | None) -> None:
    """First byte, end and total size, or nothing."""
    assert Head(206, {"content-range": text}).content_range == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("12", 12), ("-1", None), ("1e3", None), ("", None)]
)
def test_a_length_is_a_number_or_nothing(text: str, expected: int | None) -> None:
    """Only digits are a length."""
    assert Head(200, {"content-length": text}).content_length == expected


@pytest.mark.parametrize(("text", "expected"), [("20", 20.0), ("soon", 0.0), ("99999999", 3600.0)])
def test_the_pause_a_server_asks_for_is_bounded(text: str, expected: float) -> None:
    """Seconds are honoured, up to an hour."""
    assert Head(503, {"retry-after": text}).retry_after_seconds == expected


def test_a_servers_clock_is_read() -> None:
    """The Date header, or None."""
    assert Head(403, {"date": "Sun, 22 Nov 2026 18:44:14 GMT"}).date == 1795373054.0
    assert Head(403, {"date": "now"}).date is None


def test_an_error_document_is_read() -> None:
    """Code, message, region, request id and time."""
    document = parse_error(
        b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Less\n, please.</Message>"
        b"<Region>eu-north-1</Region><RequestId>R1</RequestId>"
        b"<ServerTime>2026-11-22T18:44:14Z</ServerTime></Error>"
    )
    assert document == ("SlowDown", "Less , please.", "eu-north-1", "R1", 1795373054.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Bad gateway</body></html>",
        b"\xff\xfe\x00",
        b"<Error><Code>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><Error>&a;</Error>',
    ],
)
def test_a_broken_document_is_ignored(body: bytes) -> None:
    """A page of a proxy, or half a document, has no code."""
    assert parse_error(body).code == ""


def test_a_truncated_document_still_has_its_code() -> None:
    """What is there is read."""
    assert parse_error(b"<Error><Code>AccessDenied</Code><Mess").code == "AccessDenied"


def test_foreign_text_fits_on_one_line() -> None:
    """No control characters, no endless lines."""
    assert plain_text(" a\r\nb\x1b[0m\u2028c ", 100) == "a b [0m c"
    assert len(plain_text("x" * 500, 100)) == 100


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20.0),
        ("0.5", 0.5),
        ("Sun, 22 Nov 2026 18:44:44 GMT", 30.0),
        ("Sun, 22 Nov 2026 18:44:00 GMT", 0.0),
        ("999999999", 3600.0),
        ("-1", 0.0),
        ("inf", 0.0),
        ("nan", 0.0),
        ("soon", 0.0),
    ],
)
def test_a_pause_may_be_written_in_seconds_or_as_a_date(text: str, seconds: float) -> None:
    """All forms of `Retry-After`, dates by the server's own clock, and never more than an hour."""
    headers = {"retry-after": text, "date": "Sun, 22 Nov 2026 18:44:14 GMT"}
    assert Head(503, headers).retry_after_seconds == seconds


@pytest.mark.parametrize(
    "lines",
    [
        [b"HTTP/1.1 200 OK\n", b"ETag: x\n", b"A: 1\n", b"\n"],
        [b"HTTP/1.1 200 OK\r\n", b"ETag: x\n", b"A: 1\r\n", b"\r\n"],
        [b"HTTP/1.1 100 Continue\n", b"\n", b"HTTP/1.1 200 OK\n", b"ETag : x\n", b"A:1\n", b"\n"],
        [b"HTTP/1.0 200\r\n", b"ETag: x\r\n", b"A: 1\r\n", b"\r\n"],
        [b"HTTP/2 200 \r\n", b"etag: x\r\n", b"a: 1\r\n", b"\r\n"],
    ],
)
def test_heads_are_read_as_libcurl_reads_them(lines: list[bytes]) -> None:
    """Whatever ends a line, and whichever HTTP it is."""
    assert parse_head(lines)[:1] == (200,)
    assert {"etag": "x", "a": "1"}.items() <= parse_head(lines).headers.items()


def test_a_field_that_stands_twice_is_read_as_one() -> None:
    """As RFC 9110 joins them; a length may be repeated, two lengths are none."""
    lines = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"Content-Length: 5\r\n", b"\r\n"]
    assert parse_head(lines).content_length == 5
    assert Head(200, {"content-length": "5, 6"}).content_length is None
    assert Head(200, {"content-length": "9" * 30}).content_length is None


@pytest.mark.parametrize("first_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""])
def test_of_several_heads_the_last_counts_whatever_ends_them(first_end: bytes, end: bytes) -> None:
    """Also where the two end their lines in different ways, or the last one was cut."""
    lines = [b"HTTP/1.1 100 Continue\r\n", first_end, b"HTTP/1.1 206 Partial\r\n", b"ETag: x\r\n"]
    head = parse_head([*lines, end] if end else lines)
    assert (head.status, head.headers["etag"]) == (206, "x")
