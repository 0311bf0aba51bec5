"""One HTTP request over libcurl: exact URL, SigV4, options, and what of its answer is kept.

The only file, with `errors.py` and `loop.py`, that speaks to pycurl. An easy handle lives
as long as its loop: what never changes is set once, since setting options costs more than anything
else Python does for a small file.
"""

import datetime as dt
import urllib.parse
from collections.abc import Callable

import pycurl

from roboto_dagster.fs.core.download import Piece
from roboto_dagster.fs.core.endpoint import Endpoint
from roboto_dagster.fs.core.response import ERROR_BODY_BYTES, Head, parse_head
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credentials import LiveCredentials
from roboto_dagster.fs.curl.errors import Failure
from roboto_dagster.fs.curl.write_buffer import WriteBuffer

_RECEIVE_BYTES = 512 * 1024
_KEEP_ALIVE_SECONDS = 30
_TRICKLE_BYTES_PER_SECOND = 2048
_STOP = 0  # fewer bytes than were offered: libcurl ends the transfer

# Options that pycurl has no names for; the numbers are part of libcurl's stable interface.
_DNS_SHUFFLE_ADDRESSES = 275
_SUPPRESS_CONNECT_HEADERS = 265

OnHead = Callable[[Piece, Head], Failure | None]
"""Judges the head of an answer of status 2xx: why it is refused, or None."""

_USER_AGENT = f"roboto-dagster ({pycurl.version_info()[1]})"


def quote_key(key: str) -> str:
    """Quotes a key for the path of a URL, exactly as S3 signs it."""
    return urllib.parse.quote(key, safe="/~")


def has_dot_segments(key: str) -> bool:
    """Tells whether libcurl would take segments of the path for `.` or `..` and drop them.

    Signing forbids `CURLOPT_PATH_AS_IS`, which would keep them.
    """
    return "." in key and not {".", ".."}.isdisjoint(key.split("/"))


class Request:
    """An easy handle, used for one request after another.

    Attributes:
        curl: The handle.
        piece: What it fetches.
        keys: What it is signed with.
        failure: Why the answer was refused, or None.
        local_error: What went wrong on our side of the callbacks, or None.
        body: The body of an error answer.
    """

    __slots__ = (
        "_buffer",
        "_endpoint",
        "_headers",
        "_is_accepted",
        "_lines",
        "_moved_at",
        "_on_head",
        "_plain_headers",
        "_seen",
        "_window_at",
        "_window_seen",
        "body",
        "curl",
        "failure",
        "head",
        "keys",
        "local_error",
        "piece",
        "received",
    )

    def __init__(self, settings: S3Settings, on_head: OnHead, buffer: WriteBuffer) -> None:
        self._on_head = on_head
        self._buffer = buffer
        self._lines: list[bytes] = []
        self._endpoint: Endpoint | None = None
        self._plain_headers: list[str] = []
        self._headers: list[str] | None = None
        self.keys: LiveCredentials | None = None
        self.piece: Piece | None = None
        self.head: Head | None = None
        self.failure: Failure | None = None
        self.local_error: BaseException | None = None
        self.body = bytearray()
        self.received = 0
        self._is_accepted = False
        self.watch_from(0.0)
        self.curl = pycurl.Curl()
        self._set_what_never_changes(settings)

    def _set_what_never_changes(self, settings: S3Settings) -> None:
        options = {
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.NOSIGNAL: 1,
            pycurl.NOPROGRESS: 1,
            pycurl.TCP_NODELAY: 1,
            pycurl.TCP_KEEPALIVE: 1,
            pycurl.TCP_KEEPIDLE: _KEEP_ALIVE_SECONDS,
            pycurl.TCP_KEEPINTVL: _KEEP_ALIVE_SECONDS,
            pycurl.BUFFERSIZE: _RECEIVE_BYTES,
            pycurl.CONNECTTIMEOUT_MS: max(int(settings.connect_timeout_seconds * 1000), 1),
            pycurl.USERAGENT: _USER_AGENT,
            # Sent by libcurl itself, and so not signed: proxies are known to change it.
            pycurl.ENCODING: "identity",
            pycurl.HTTP_CONTENT_DECODING: 0,
            _DNS_SHUFFLE_ADDRESSES: 1,
            _SUPPRESS_CONNECT_HEADERS: 1,
            pycurl.HEADERFUNCTION: self._lines.append,
            pycurl.WRITEFUNCTION: self._write,
        }
        for option, value in options.items():
            self.curl.setopt(option, value)

    def begin(
        self, piece: Piece, keys: LiveCredentials, endpoint: Endpoint, url: str, skew: float
    ) -> None:
        """Sets the handle up for a piece; adding it to the multi handle sends it.

        Args:
            piece: What to fetch.
            keys: What to sign with.
            endpoint: Where the bucket is.
            url: The object's URL.
            skew: What to add to this machine's clock to have the store's.
        """
        self._lines.clear()
        self.body.clear()
        self.piece, self.head, self.failure, self.local_error = piece, None, None, None
        self.received = 0
        self._is_accepted = False
        if keys is not self.keys or endpoint is not self._endpoint:
            self._sign_with(keys, endpoint)
        curl = self.curl
        curl.setopt(pycurl.URL, url)
        headers = self._plain_headers
        if not piece.is_plain or skew:
            headers = [*headers, *_range_headers(piece), *_date_headers(skew)]
        if headers is not self._headers:
            self._headers = headers
            curl.setopt(pycurl.HTTPHEADER, headers)

    def _sign_with(self, keys: LiveCredentials, endpoint: Endpoint) -> None:
        self.keys, self._endpoint = keys, endpoint
        curl = self.curl
        curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{endpoint.region}:s3")
        curl.setopt(pycurl.USERNAME, keys.access_key)
        curl.setopt(pycurl.PASSWORD, keys.secret_key)
        curl.setopt(pycurl.PROXY, endpoint.proxy)  # empty: not even those libcurl would find
        if endpoint.ca_bundle is not None:
            curl.setopt(pycurl.CAINFO, endpoint.ca_bundle)
            curl.setopt(pycurl.PROXY_CAINFO, endpoint.ca_bundle)
        token = [f"x-amz-security-token: {keys.token}"] if keys.token else []
        self._plain_headers = [
            "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            "x-amz-checksum-mode: ENABLED",
            *token,
        ]

    def _write(self, data: bytes) -> int | None:
        if self._buffer.add(self, data):  # the way of nearly all
            return None
        if self.head is None:
            self.read_head()
        if self._is_accepted:
            return self._gather(data)
        self.received += len(data)
        if self.failure is not None or self.local_error is not None:
            return _STOP
        self.body += data[: ERROR_BODY_BYTES - len(self.body)]
        return None

    def _gather(self, data: bytes) -> int | None:
        """Makes room for bytes in the buffer, or writes them if they end the piece."""
        buffer, piece = self._buffer, self.piece
        buffer.flush()
        if piece is None or self.local_error is not None:
            return _STOP
        missing = piece.stop - piece.position
        if len(data) >= missing:
            return None if self.write_body(data) else _STOP
        buffer.lend(self, missing)
        buffer.add(self, data)
        return None

    def write_body(self, data: bytes | memoryview) -> bool:
        """Writes bytes where they belong; False if no more are wanted, or can be written."""
        self.received += len(data)
        try:
            return self.piece is not None and self.piece.write(data)
        except BaseException as error:  # noqa: BLE001 - pycurl would print it and go on
            self.local_error = error
            return False

    def read_head(self) -> None:
        """Reads the head of the answer and has it judged, before the first byte of the body."""
        head = self.head = parse_head(self._lines)
        if self.piece is None or not 200 <= head.status < 300:
            return
        try:
            self.failure = self._on_head(self.piece, head)
            self._is_accepted = self.failure is None
        except BaseException as error:  # noqa: BLE001 - pycurl would print it and go on
            self.local_error = error

    @property
    def is_accepted(self) -> bool:
        """Whether the answer is one whose body is wanted."""
        return self._is_accepted

    @property
    def has_head(self) -> bool:
        """Whether an answer has begun."""
        return bool(self._lines)

    def watch_from(self, now: float) -> None:
        """Begins to watch for a stall."""
        self._moved_at = self._window_at = now
        self._seen = self._window_seen = self.received + len(self._lines)

    def is_stalled(self, now: float, limit_seconds: float) -> bool:
        """Tells whether nothing, or next to nothing, has come for too long since the connection."""
        seen = self.received + len(self._lines)
        if seen != self._seen:
            self._seen, self._moved_at = seen, now
        if now - self._moved_at >= limit_seconds:
            return not self._is_connecting
        if now - self._window_at < limit_seconds:
            return False
        brought = seen - self._window_seen
        self._window_at, self._window_seen = now, seen
        is_trickle = brought < limit_seconds * _TRICKLE_BYTES_PER_SECOND
        return is_trickle and not self._is_connecting

    @property
    def _is_connecting(self) -> bool:
        return not self._lines and not self.curl.getinfo(pycurl.PRETRANSFER_TIME)

    @property
    def was_on_old_connection(self) -> bool:
        """Whether the request went over a connection that had served others before."""
        return not self.curl.getinfo(pycurl.NUM_CONNECTS)

    @property
    def proxy(self) -> str:
        """The proxy's URL, whose password must not be told."""
        return self._endpoint.proxy if self._endpoint else ""

    def forget(self) -> None:
        """Lets go of the piece."""
        self.piece = None

    def close(self) -> None:
        """Frees the handle."""
        self.piece = None
        self.curl.close()


def _range_headers(piece: Piece) -> list[str]:
    if piece.is_plain:
        return []
    return [
        f"Range: bytes={piece.position}-{piece.stop - 1}",
        f'If-Match: "{piece.download.etag}"',
    ]


def _date_headers(skew: float) -> list[str]:
    if not skew:
        return []
    now = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=skew)
    return [f"X-Amz-Date: {now:%Y%m%dT%H%M%SZ}"]
