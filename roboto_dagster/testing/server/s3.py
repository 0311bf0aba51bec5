"""S3 over moto's object model: its buckets, objects, uploads and errors, on our own HTTP server.

Reading an object is done here rather than by moto's web layer, which loads the complete object for
each range and drops signatures of presigned URLs. Everything else a client may ask goes through
moto's own responses. Each store is an account of its own in moto, so that several live side by side
in one process.
"""

import re
import secrets
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request as MotoRequest
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeDeleteMarker, S3Backend, s3_backends

from roboto_dagster.testing.server.auth import REGION, Authority
from roboto_dagster.testing.server.checksums import (
    ChecksumAlgorithm,
    ChecksumType,
    fingerprint,
)
from roboto_dagster.testing.server.content import BodyContent, BytesContent
from roboto_dagster.testing.server.messages import Request, Response
from roboto_dagster.testing.server.moto_objects import (
    MotoBucket,
    MotoResponder,
    StoredKey,
)
from roboto_dagster.testing.server.object_reads import (
    HEADER_OVERRIDES,
    check_conditions,
    common_headers,
    content_of,
    error_response,
    object_headers,
    ranged,
)
from roboto_dagster.testing.server.signatures import IssuedCredentials, RefusedError

_READING_QUERIES = re.compile(r"(?i)^(versionid|partnumber|response-.*|x-id|x-amz-.*|)$")


class LocalS3:
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
                self._backend.buckets[name] = MotoBucket(name, self._account_id, REGION)

    def put(
        self,
        bucket: str,
        key: str,
        content: BodyContent,
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
        stored = StoredKey(key, content, facts, bucket=bucket, account_id=self._account_id)
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

    def handle(self, request: Request) -> Response:
        """Answer one request as S3 would."""
        try:
            issued = self.authority.identify(request)
            if _reads_object(request):
                return self._read_object(request, issued)
            return self._ask_moto(request, issued)
        except RefusedError as error:
            return error_response(error.status, error.code, error.message, error.extra)

    def clear(self) -> None:
        """Forget every object and every upload that is under way; the buckets and credentials stay."""
        with self._lock:
            for bucket in self._backend.buckets.values():
                bucket.keys.clear()
                bucket.multiparts.clear()

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
        if not_modified := check_conditions(request, found):
            return not_modified
        headers = object_headers(found, request)
        for name, values in query.items():
            if name in HEADER_OVERRIDES:
                headers[HEADER_OVERRIDES[name]] = values[0]
        return ranged(request, headers, content_of(found))

    def _ask_moto(self, request: Request, issued: IssuedCredentials) -> Response:
        def authorize(action: str, resource: str) -> None:
            self.authority.authorize(issued, f"s3:{action}", resource)

        moto_request = MotoRequest(_environ(request))
        responder = MotoResponder(self._account_id, authorize)
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
            status=status, headers={**common_headers(), **kept}, body=BytesContent(data)
        )


def _reads_object(request: Request) -> bool:
    if request.method not in ("GET", "HEAD") or not request.key:
        return False
    return all(_READING_QUERIES.match(part.partition("=")[0]) for part in request.query.split("&"))


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
