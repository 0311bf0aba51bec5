"""One HTTP request over libcurl: exact URL, SigV4, options, and what of its answer is kept.

With `errors.py` and `multi.py`, all that speaks to pycurl. A handle lives as long as its loop, and
what never changes is set once: setting options costs most of what Python does for a small file.

```
 start ─► (header lines) ─► read_head at the first byte of the body ─┬─ accepted: bytes to the file
                                                                     ├─ 3xx-5xx: the body is an error
                                                                     └─ refused: cut
```
"""

import dataclasses
import datetime as dt
import errno
import os
import time

import pycurl

from roboto_dagster.fs.core.answers import shortfall
from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.core.download import RangeRequest
from roboto_dagster.fs.core.endpoint import Endpoint
from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.range_headers import range_headers
from roboto_dagster.fs.core.response import ERROR_BODY_BYTES, Head, parse_head
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.stall import StallWatch
from roboto_dagster.fs.credentials import LiveCredentials
from roboto_dagster.fs.curl.errors import from_curl
from roboto_dagster.fs.curl.keys import quote_key
from roboto_dagster.fs.curl.signing import is_signed_by_libcurl, signed_headers
from roboto_dagster.fs.curl.write_buffer import WriteBuffer
from roboto_dagster.fs.engine.tenant import Tenant

_RECEIVE_BYTES = 512 * 1024
_KEEP_ALIVE_SECONDS = 30
_STOP = 0  # fewer bytes than were offered: libcurl ends the transfer
_MAX_HEAD_LINES = 2000  # libcurl has no bound for interim answers; S3's heads have a dozen lines

# Options that pycurl has no names for; the numbers are part of libcurl's stable interface.
_DNS_SHUFFLE_ADDRESSES = 275
_SUPPRESS_CONNECT_HEADERS = 265

_USER_AGENT = f"roboto-dagster ({pycurl.version_info()[1]})"


class CurlRequest:
    """An easy handle, used for one request after another.

    Args:
        settings: The store's settings.
        buffer: Gathers what arrives, for all requests of the loop.
        bandwidth: The bound on what all loops receive, or None.

    Attributes:
        curl: The handle.
        range: What it fetches; None while it is idle.
        tenant: Whose request it is; None before the first.
    """

    __slots__ = (
        "_bandwidth",
        "_body",
        "_buffer",
        "_buffer_bytes",
        "_credentials",
        "_endpoint",
        "_failure",
        "_head",
        "_headers",
        "_is_accepted",
        "_is_signed_by_libcurl",
        "_lines",
        "_local_error",
        "_plain_headers",
        "_received",
        "_settings",
        "_stall",
        "curl",
        "range",
        "tenant",
    )

    def __init__(
        self, settings: S3Settings, buffer: WriteBuffer, bandwidth: Bandwidth | None
    ) -> None:
        self._bandwidth = bandwidth
        bound = _RECEIVE_BYTES if bandwidth is None else bandwidth.buffer_bytes
        self._buffer_bytes = min(_RECEIVE_BYTES, bound)
        self.tenant: Tenant | None = None
        self._buffer = buffer
        self._lines: list[bytes] = []
        self._endpoint: Endpoint | None = None
        self._credentials: LiveCredentials | None = None
        self._plain_headers: list[str] = []
        self._headers: list[str] | None = None
        self.range: RangeRequest | None = None
        self._head: Head | None = None
        self._failure: Failure | None = None
        self._local_error: BaseException | None = None
        self._body = bytearray()
        self._received = 0
        self._is_accepted = False
        self._is_signed_by_libcurl = True
        self._settings = settings
        self._stall = StallWatch()
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
            pycurl.BUFFERSIZE: self._buffer_bytes,
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

    # Out

    def start(self, ranged: RangeRequest, endpoint: Endpoint, skew: float, now: float) -> None:
        """Set the handle up for a range; adding it to the multi handle sends it.

        Args:
            ranged: What to fetch, and the credentials to sign with.
            endpoint: Where the bucket is.
            skew: What to add to this machine's clock to have the store's, in seconds.
            now: The loop's clock, in seconds.

        Raises:
            UnicodeError: The key is not valid Unicode.
        """
        url = f"{endpoint.base_url}/{quote_key(ranged.download.key)}"
        self._lines.clear()
        self._body.clear()
        self.range, self._head, self._failure, self._local_error = ranged, None, None, None
        self._received = 0
        self._is_accepted = False
        credentials = ranged.credentials
        if credentials is not self._credentials or endpoint is not self._endpoint:
            self._sign_with(credentials, endpoint)
        curl = self.curl
        curl.setopt(pycurl.URL, url)
        headers = self._plain_headers
        if credentials is not None and not self._is_signed_by_libcurl:
            headers = [*headers, *_range_headers(ranged)]
            headers = signed_headers(url, headers, credentials, endpoint.region)
        elif not ranged.is_initial or skew:
            headers = [*headers, *_range_headers(ranged), *_date_headers(skew)]
        if headers is not self._headers:
            self._headers = headers
            curl.setopt(pycurl.HTTPHEADER, headers)
        self._stall.start(now, 0)

    def _sign_with(self, credentials: LiveCredentials | None, endpoint: Endpoint) -> None:
        if credentials is None:
            raise ValueError("start without credentials")
        self._credentials, self._endpoint = credentials, endpoint
        curl = self.curl
        by_libcurl = is_signed_by_libcurl(credentials.access_key)
        if by_libcurl:
            curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{endpoint.region}:s3")
            curl.setopt(pycurl.USERNAME, credentials.access_key)
            curl.setopt(pycurl.PASSWORD, credentials.secret_key)
        elif self._is_signed_by_libcurl:  # and the credentials before were of another kind
            curl.reset()
            self._set_what_never_changes(self._settings)
        self._is_signed_by_libcurl = by_libcurl
        curl.setopt(pycurl.PROXY, endpoint.proxy)  # empty: not even those libcurl would find
        if endpoint.ca_bundle is not None:
            curl.setopt(pycurl.CAINFO, endpoint.ca_bundle)
            curl.setopt(pycurl.PROXY_CAINFO, endpoint.ca_bundle)
        has_token = credentials.token and by_libcurl  # botocore adds it itself
        token = [f"x-amz-security-token: {credentials.token}"] if has_token else []
        self._plain_headers = [
            "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            "x-amz-checksum-mode: ENABLED",
            *token,
        ]

    # In

    def _write(self, data: bytes) -> int | None:
        if self._buffer.add(self, data):  # nearly always
            return None
        if self._head is None:
            self._read_head()
        if self._is_accepted:
            return self._gather(data)
        self._received += len(data)
        if self._failure is not None or self._local_error is not None:
            return _STOP
        self._body += data[: ERROR_BODY_BYTES - len(self._body)]
        return _STOP if len(self._body) >= ERROR_BODY_BYTES else None

    def _gather(self, data: bytes) -> int | None:
        """Make room for bytes in the buffer, or write them if they end the range."""
        buffer, ranged = self._buffer, self.range
        buffer.flush()
        if ranged is None or self._local_error is not None:
            return _STOP
        missing = ranged.stop - ranged.position
        if len(data) >= missing:
            return None if self.write_body(data) else _STOP
        buffer.lend(self, missing)
        buffer.add(self, data)
        return None

    def write_body(self, data: bytes | memoryview) -> bool:
        """Write bytes where they belong; False if no more are wanted, or can be written."""
        self._received += len(data)
        if self._bandwidth is not None:
            self._bandwidth.take(len(data))
        try:
            return self.range is not None and self.range.write(data)
        except BaseException as error:  # noqa: BLE001 - pycurl would print it and go on
            self._local_error = error
            return False

    def _read_head(self) -> None:
        """Read the head of the answer and have it judged, before the first byte of the body."""
        try:
            head = self._head = parse_head(self._lines)
            if self.range is not None and self.tenant is not None and 200 <= head.status < 300:
                self._failure = self.tenant.on_head(self.range, head)
                self._is_accepted = self._failure is None
        except BaseException as error:  # noqa: BLE001 - pycurl would print it and go on
            self._local_error = error

    # How it ended

    def outcome(self, number: int, message: str) -> Failure | None:
        """Judge the request once libcurl is done with it.

        Args:
            number: libcurl's `CURLcode`; 0 for success.
            message: libcurl's text.

        Returns:
            Why it failed; None if all bytes of its range are there.
        """
        ranged = self.range
        if ranged is None:
            raise ValueError("outcome of an idle request")
        if self._head is None and self._lines and not number:
            self._read_head()  # an answer without a body
        if self._local_error is not None:
            return local_failure(ranged.download.file, self._local_error)
        if self._failure is not None:
            return self._failure
        if self._is_accepted and ranged.is_complete:
            return None  # even if the connection broke then, or was cut by us
        if self._head is not None and self._head.status >= 300:
            return failure_of_answer(
                self._head, bytes(self._body), credentials_expired=self._has_expired_credentials
            )
        if self._is_accepted and (not number or ranged.position == ranged.stop):  # cut: too long
            return shortfall(ranged)
        return self._curl_failure(ranged, number, message)

    def _curl_failure(self, ranged: RangeRequest, number: int, message: str) -> Failure:
        local = self.curl.getinfo(pycurl.OS_ERRNO)
        if local in (errno.EMFILE, errno.ENFILE):  # no socket could be made
            return local_failure(ranged.download.file, OSError(local, os.strerror(local)))
        proxy = self._endpoint.proxy if self._endpoint else ""
        failure = from_curl(number, message, proxy)
        if failure.code == "CONNECTION" and not self._lines and self._was_on_old_connection:
            return dataclasses.replace(failure, remedy="replay")  # it was closed while idle
        return failure

    @property
    def _has_expired_credentials(self) -> bool:
        return self._credentials is not None and self._credentials.expires_at <= time.time()

    @property
    def _was_on_old_connection(self) -> bool:
        """Whether the request went over a connection that had served others before."""
        return not self.curl.getinfo(pycurl.NUM_CONNECTS)

    # Watching

    @property
    def _seen(self) -> int:
        return self._received + len(self._lines)

    def watch_from(self, now: float) -> None:
        """Start to watch for a stall."""
        self._stall.start(now, self._seen)

    def why_to_end(self, now: float, limit_seconds: float) -> Failure | None:
        """Return why the request has to be ended now; None if it does well.

        Args:
            now: The loop's clock, in seconds.
            limit_seconds: For how long it may receive next to nothing.
        """
        if len(self._lines) > _MAX_HEAD_LINES:
            return Failure(code="SERVER_ERROR", reason="the answer's headers do not end")
        if self._stall.is_stalled(now, self._seen, limit_seconds) and not self._is_connecting:
            reason = f"next to no bytes came for {limit_seconds:g} seconds"
            return Failure(code="STALLED", reason=reason)
        return None if self.range is None else self.range.download.check_name()

    @property
    def _is_connecting(self) -> bool:
        return not self._lines and not self.curl.getinfo(pycurl.PRETRANSFER_TIME)

    def close(self) -> None:
        """Free the handle."""
        self.range = None
        self.curl.close()


def _range_headers(ranged: RangeRequest) -> list[str]:
    headers = range_headers(ranged)
    return [] if headers is None else [f"Range: {headers.range}", f"If-Match: {headers.if_match}"]


def _date_headers(skew: float) -> list[str]:
    if not skew:
        return []
    now = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=skew)
    return [f"X-Amz-Date: {now:%Y%m%dT%H%M%SZ}"]
