"""Reads the signatures of S3 requests, from headers and from presigned links, and computes them again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from roboto_dagster.testing.server.messages import Request

MAX_LINK_SECONDS = 7 * 24 * 3600

_BAD_QUERY = "AuthorizationQueryParametersError"

MAX_CLOCK_SKEW = timedelta(minutes=15)


MayRead = Callable[[str, str], bool]
"""Whether the object in a bucket, under a key, may be read."""


def read_nothing(_bucket: str, _key: str) -> bool:
    """Permit no further object.

    Args:
        _bucket: Its bucket.
        _key: Its key.
    """
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCredentials:
    """Temporary credentials for the objects under a prefix of one bucket, and those of `may_read`."""

    bucket: str
    prefix: str
    access_key_id: str
    expires: datetime
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    may_read: MayRead = field(default=read_nothing, repr=False)


class RefusedError(Exception):
    """A request that S3 refuses, with S3's status and error code."""

    def __init__(self, status: int, code: str, message: str, *, extra: str = "") -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


def boto_credentials(issued: IssuedCredentials) -> BotoCredentials:
    """Return credentials as botocore has them."""
    return BotoCredentials(issued.access_key_id, issued.secret_access_key, issued.session_token)


def check_time(signature: "Signature") -> None:
    """Refuse a signature made at another time than now, by this machine's clock, as S3 does.

    Not by the clock of `LocalRoboto`: clients sign with the machine's.
    """
    now = datetime.now(timezone.utc)
    if signature.signed_at > now + MAX_CLOCK_SKEW:
        code = "RequestTimeTooSkewed" if signature.expires is None else "AccessDenied"
        raise RefusedError(403, code, "The request is dated in the future.")
    if signature.expires is None and signature.signed_at < now - MAX_CLOCK_SKEW:
        raise RefusedError(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
    if signature.date != signature.timestamp[:8]:
        raise RefusedError(403, "SignatureDoesNotMatch", "The dates of the request differ.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The signature of one request, from its headers or its query."""

    access_key_id: str
    token: str
    value: str
    date: str
    region: str
    service: str
    terminator: str
    timestamp: str
    signed_at: datetime
    expires: datetime | None
    malformed_code: str
    signer: type[SigV4Auth]
    aws_request: Any

    def recompute(self, issued: IssuedCredentials) -> str:
        """Return the signature that the request should have with these credentials."""
        signer = self.signer(boto_credentials(issued), self.service, self.region)
        self.aws_request.context["timestamp"] = self.timestamp
        canonical = signer.canonical_request(self.aws_request)
        return str(
            signer.signature(signer.string_to_sign(self.aws_request, canonical), self.aws_request)
        )


def read_signature(request: Request) -> Signature:
    """Read the signature of a request, from its header or its query."""
    if "authorization" in request.headers:
        return _read_header_signature(request)
    if "X-Amz-Signature=" in request.query:
        return _read_query_signature(request)
    raise RefusedError(403, "AccessDenied", "Access Denied")


def _read_header_signature(request: Request) -> Signature:
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").split("/")
    if algorithm != "AWS4-HMAC-SHA256" or len(scope) != 5 or "Signature" not in fields:
        raise RefusedError(
            400, "AuthorizationHeaderMalformed", "The authorization header is malformed."
        )
    timestamp = request.headers.get("x-amz-date", "")
    signed_at = _time(timestamp)
    if signed_at is None:
        raise RefusedError(
            403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    return Signature(
        access_key_id=scope[0],
        token=request.headers.get("x-amz-security-token", ""),
        value=fields["Signature"],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        terminator=scope[4],
        timestamp=timestamp,
        signed_at=signed_at,
        expires=None,
        malformed_code="AuthorizationHeaderMalformed",
        signer=S3SigV4Auth,
        aws_request=_signed_part(request, request.target, fields.get("SignedHeaders", "")),
    )


def _read_query_signature(request: Request) -> Signature:
    fields = dict(parse_qsl(request.query, keep_blank_values=True))
    scope = fields.get("X-Amz-Credential", "").split("/")
    signed_at = _time(fields.get("X-Amz-Date", ""))
    lifetime = fields.get("X-Amz-Expires", "")
    if len(scope) != 5 or signed_at is None or not lifetime.isascii() or not lifetime.isdigit():
        raise RefusedError(400, _BAD_QUERY, "The query parameters are malformed.")
    if int(lifetime) > MAX_LINK_SECONDS:
        raise RefusedError(
            400, _BAD_QUERY, "X-Amz-Expires must be less than a week (in seconds) 604800"
        )
    query = "&".join(
        part for part in request.query.split("&") if not part.startswith("X-Amz-Signature=")
    )
    return Signature(
        access_key_id=scope[0],
        token=fields.get("X-Amz-Security-Token", ""),
        value=fields["X-Amz-Signature"],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        terminator=scope[4],
        timestamp=fields["X-Amz-Date"],
        signed_at=signed_at,
        expires=signed_at + timedelta(seconds=int(lifetime)),
        malformed_code=_BAD_QUERY,
        signer=S3SigV4QueryAuth,
        aws_request=_signed_part(
            request, f"{request.path}?{query}", fields.get("X-Amz-SignedHeaders", "")
        ),
    )


def _time(text: str) -> datetime | None:
    """Return the time of a signature, or None if the text is none."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _signed_part(request: Request, target: str, signed_headers: str) -> Any:
    names = signed_headers.split(";")
    headers: Mapping[str, str] = {
        name: request.headers[name] for name in names if name in request.headers
    }
    # The signer reads the host from the URL only if the header is missing; either is what the
    # client connected to.
    url = f"http://{request.headers.get('host', '')}{target}"
    return AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
