"""S3 over moto's object model: its buckets, objects, uploads and errors, on our own HTTP server.

Reading an object is done here rather than by moto's web layer, which loads the whole object for
each range and drops signatures of presigned URLs. Everything else a client may ask goes through
moto's own responses. Each store is an account of its own in moto, so that several live side by side
in one process.
"""

import itertools
import re
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import formatdate, parsedate_to_datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.request import Request as MotoRequest
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3.responses import S3Response

from roboto_dagster.testing.server.auth import REGION, Authority, IssuedCredentials, RefusedError
from roboto_dagster.testing.server.checksums import (
    ChecksumAlgorithm,
    ChecksumType,
    Fingerprint,
    fingerprint,
)
from roboto_dagster.testing.server.content import BytesContent, Content, Window
from roboto_dagster.testing.server.http import Request, Response

_READING_QUERIES = re.compile(r"(?i)^(versionid|partnumber|response-.*|x-id|x-amz-.*|)$")
_HEADER_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-cache-control": "Cache-Control",
}
_SPOOLED_BYTES = 1024 * 1024
_request_ids = itertools.count(1)


class S3Store:
    """The buckets of one `LocalRoboto`, and the web service in front of them."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        other_regions: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Prepare an empty store; the arguments are those of `Authority`."""
        self._account_id = f"{secrets.randbelow(10**12):012d}"
        self._clock = clock
        self._lock = threading.RLock()
        self._backend: S3Backend = s3_backends[self._account_id]["aws"]
        self.authority = Authority(self._account_id, clock=clock, other_regions=other_regions)

    def ensure_bucket(self, name: str) -> None:
        """Make the bucket *name* unless it is there."""
        with self._lock:
            if name not in self._backend.buckets:
                # Not through create_bucket: there, a name is taken once for all accounts of the
                # process.
                self._backend.buckets[name] = _Bucket(name, self._account_id, REGION)

    def put(
        self,
        bucket: str,
        key: str,
        content: Content,
        *,
        checksum_algorithm: ChecksumAlgorithm | None = None,
        part_bytes: int | None = None,
        checksum_type: ChecksumType = "FULL_OBJECT",
        modified: datetime | None = None,
    ) -> str:
        """Store *content*, as if put in one piece or, with *part_bytes*, in parts of that size.

        Args:
            bucket: The object's bucket, made if it is missing.
            key: Its key.
            content: Its bytes.
            checksum_algorithm: The checksum to keep; None for none.
            part_bytes: Size of its parts; None for one piece.
            checksum_type: Whether the checksum is of all bytes or of the parts' checksums.
            modified: When it was stored; None for now.

        Returns:
            The object's ETag.
        """
        self.ensure_bucket(bucket)
        facts = fingerprint(
            content, algorithm=checksum_algorithm, part_bytes=part_bytes, type=checksum_type
        )
        stored = _StoredKey(key, content, facts, bucket=bucket, account_id=self._account_id)
        stored.last_modified = (
            (modified or self._clock()).astimezone(timezone.utc).replace(tzinfo=None)
        )
        with self._lock:
            self._backend.buckets[bucket].keys.setlist(key, [stored])
        return facts.etag

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; it is no error if it is not there.

        Args:
            bucket: The object's bucket.
            key: Its key.
        """
        with self._lock:
            if key in self._backend.buckets[bucket].keys:
                self._backend.buckets[bucket].keys.pop(key)

    def size_of(self, bucket: str, key: str) -> int | None:
        """Return an object's size in bytes, or None if there is no such object.

        Args:
            bucket: The object's bucket.
            key: Its key.
        """
        found = self._find(bucket, key)
        return None if found is None else found.size

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of all objects in *bucket*."""
        return (
            list(dict(self._backend.buckets[bucket].keys))
            if bucket in self._backend.buckets
            else []
        )

    def handle(self, request: Request) -> Response:
        """Answer one request as S3 would."""
        try:
            issued = self.authority.identify(request)
            if _reads_object(request):
                return self._read_object(request, issued)
            return self._ask_moto(request, issued)
        except RefusedError as error:
            return _error(error.status, error.code, error.message, error.extra)

    def close(self) -> None:
        """Forget every object."""
        self.authority.close()
        self._backend.reset()
        s3_backends.pop(self._account_id, None)

    def _find(self, bucket: str, key: str, version_id: str | None = None) -> Any:
        try:
            return self._backend.get_object(
                bucket, key, version_id=version_id, return_delete_marker=True
            )
        except S3ClientError:
            return None

    def _read_object(self, request: Request, issued: IssuedCredentials) -> Response:
        bucket, key = request.bucket, request.key
        self.authority.authorize(issued, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        if bucket not in self._backend.buckets:
            raise RefusedError(404, "NoSuchBucket", "The specified bucket does not exist")
        query = parse_qs(request.query, keep_blank_values=True)
        if "partNumber" in query:
            raise RefusedError(501, "NotImplemented", "LocalRoboto does not serve single parts")
        found = self._find(bucket, key, query.get("versionId", [None])[0])
        if found is None or isinstance(found, FakeDeleteMarker):
            raise RefusedError(404, "NoSuchKey", "The specified key does not exist.")
        if not_modified := _check_conditions(request, found):
            return not_modified
        headers = _object_headers(found, request)
        for name, values in query.items():
            if name in _HEADER_OVERRIDES:
                headers[_HEADER_OVERRIDES[name]] = values[0]
        return _ranged(request, headers, _content_of(found))

    def _ask_moto(self, request: Request, issued: IssuedCredentials) -> Response:
        def authorize(action: str, resource: str) -> None:
            self.authority.authorize(issued, f"s3:{action}", resource)

        moto_request = MotoRequest(_environ(request))
        responder = _MotoResponder(self._account_id, authorize)
        ask = responder.key_response if request.key else responder.bucket_response
        with self._lock:
            status, headers, body = ask(
                moto_request, moto_request.raw_url, dict(moto_request.headers)
            )
        data = body.encode() if isinstance(body, str) else bytes(body)
        kept = {
            name: str(value) for name, value in headers.items() if name.lower() != "content-length"
        }
        return Response(
            status=status, headers={**_common_headers(), **kept}, body=BytesContent(data)
        )


class _Bucket(FakeBucket):
    """A bucket of moto, whose base class asks for a method that only CloudFormation calls."""

    def is_created(self) -> bool:
        return True


class _StoredKey(FakeKey):
    """An object of moto whose bytes are a `Content`: not copied, and readable in pieces."""

    def __init__(
        self, name: str, content: Content, facts: Fingerprint, *, bucket: str, account_id: str
    ) -> None:
        self.content = content
        super().__init__(
            name=name,
            value=b"",
            account_id=account_id,
            region_name=REGION,
            etag=facts.etag,
            version_id="null",
            bucket_name=bucket,
            checksum_value=facts.value,
            checksum_type=facts.type,
            checksum_parts=facts.parts,
        )
        self.checksum_algorithm = facts.algorithm

    @property
    def value(self) -> bytes:
        return self.content.read(0, len(self.content))

    @value.setter
    def value(self, new_value: bytes) -> None:  # noqa: ARG002 - the bytes are the content's
        self.contentsize = len(self.content)

    def dispose(self, garbage: bool = False) -> None:  # noqa: FBT001, FBT002 - moto's signature
        """Keep the bytes readable for whoever is in the middle of them."""


class _SpooledContent:
    """The bytes of an object that a client uploaded through moto."""

    def __init__(self, key: FakeKey) -> None:
        self._key = key

    def __len__(self) -> int:
        return self._key.size

    def read(self, start: int, stop: int) -> bytes:
        buffer = self._key._value_buffer  # noqa: SLF001 - `value` would read all of it
        with self._key.lock:
            buffer.seek(start)
            return buffer.read(stop - start)


class _MotoResponder(S3Response):
    """moto's S3 for one request of one account, whose sender has already been identified."""

    def __init__(self, account_id: str, authorize: Callable[[str, str], None]) -> None:
        super().__init__()
        self._account_id = account_id
        self._authorize = authorize

    def get_current_account(self) -> str:
        return self._account_id

    def _authenticate_and_authorize_action(
        self,
        iam_request_cls: type,  # noqa: ARG002 - moto's way to check signatures; ours came first
        resource: str = "*",
    ) -> None:
        self._authorize(self._get_action(), resource)


def _error(status: int, code: str, message: str, extra: str = "") -> Response:
    headers = {**_common_headers(), "Content-Type": "application/xml"}
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{extra}"
        f"<RequestId>{headers['x-amz-request-id']}</RequestId><HostId>local</HostId></Error>"
    )
    return Response(status=status, headers=headers, body=BytesContent(body.encode()))


def _reads_object(request: Request) -> bool:
    if request.method not in ("GET", "HEAD") or not request.key:
        return False
    return all(_READING_QUERIES.match(part.partition("=")[0]) for part in request.query.split("&"))


def _common_headers() -> dict[str, str]:
    return {
        "x-amz-request-id": f"LOCAL{next(_request_ids):011d}",
        "Date": formatdate(usegmt=True),
        "Server": "AmazonS3",
    }


def _object_headers(found: FakeKey, request: Request) -> dict[str, str]:
    headers = _common_headers()
    headers.update({name: str(value) for name, value in found.metadata.items()})
    headers.update(
        {
            name: str(value)
            for name, value in found.response_dict.items()
            if name.lower() != "content-length"
        }
    )
    headers.pop("x-amz-sdk-checksum-algorithm", None)
    headers["Accept-Ranges"] = "bytes"
    if (
        request.header("x-amz-checksum-mode") == "ENABLED"
        and found.checksum_algorithm
        and found.checksum_value
    ):
        composite = found.checksum_type == "COMPOSITE"
        suffix = f"-{found.checksum_parts}" if composite else ""
        name = f"x-amz-checksum-{found.checksum_algorithm.lower()}"
        headers[name] = f"{found.checksum_value}{suffix}"
        headers["x-amz-checksum-type"] = found.checksum_type or "FULL_OBJECT"
    return headers


def _content_of(found: FakeKey) -> Content:
    if isinstance(found, _StoredKey):
        return found.content
    # A small object is read at once, so that replacing it does not pull it from under a reader.
    return BytesContent(found.value) if found.size <= _SPOOLED_BYTES else _SpooledContent(found)


def _check_conditions(request: Request, found: FakeKey) -> Response | None:
    """Return the answer 304, or None to go on."""
    if_match = request.header("if-match")
    if if_match and if_match != "*" and found.etag.strip('"') != if_match.strip('"'):
        raise RefusedError(
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        )
    modified = found.last_modified.replace(microsecond=0, tzinfo=timezone.utc)
    unmodified_since = request.header("if-unmodified-since")
    if unmodified_since and not if_match and modified > parsedate_to_datetime(unmodified_since):
        raise RefusedError(
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        )
    if_none_match = request.header("if-none-match")
    if if_none_match and if_none_match.strip('"') in ("*", found.etag.strip('"')):
        return Response(status=304, headers={**_common_headers(), "ETag": found.etag})
    modified_since = request.header("if-modified-since")
    if modified_since and not if_none_match and modified <= parsedate_to_datetime(modified_since):
        return Response(status=304, headers={**_common_headers(), "ETag": found.etag})
    return None


def _ranged(request: Request, headers: dict[str, str], content: Content) -> Response:
    size = len(content)
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.header("range") or "")
    if asked is None or asked.group(0) == "bytes=-":
        return Response(status=200, headers=headers, body=content)
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size or (not first and int(last) == 0):
        return _unsatisfiable(size)
    if stop <= start:
        return Response(status=200, headers=headers, body=content)
    if stop - start < size:
        headers = {
            name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")
        }
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(status=206, headers=headers, body=Window(content, start, stop))


def _unsatisfiable(size: int) -> Response:
    response = _error(416, "InvalidRange", "The requested range is not satisfiable")
    return replace(response, headers={**response.headers, "Content-Range": f"bytes */{size}"})


def _environ(request: Request) -> dict[str, Any]:
    """Return *request* in the form that moto's web layer reads."""
    host, _, port = request.headers.get("host", "127.0.0.1").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.route.encode().decode("latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": request.target,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
    }
    skipped = ("content-length", "content-type", "transfer-encoding")
    for name, value in request.headers.items():
        if name not in skipped:
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
