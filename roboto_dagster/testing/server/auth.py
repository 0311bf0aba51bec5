"""Hands out temporary S3 credentials, and checks every request that is signed with them.

Keys and tokens are made by moto's STS, policies are judged by moto's IAM, signatures are recomputed
with botocore's own signer. What moto lacks is added here: a token's end of life (on a clock of
ours) and presigned URLs.
"""

import hmac
import json
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.sts.models import sts_backends

from roboto_dagster.testing.server.http import Request

Access = Literal["read", "write"]

REGION = "us-west-2"
MAX_CLOCK_SKEW = timedelta(minutes=15)
MAX_LINK_SECONDS = 7 * 24 * 3600

_BAD_QUERY = "AuthorizationQueryParametersError"

_READ = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:ListBucket"]
_WRITE = [*_READ, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


MayRead = Callable[[str, str], bool]
"""Whether the object in a bucket, under a key, may be read."""


def _nothing(_bucket: str, _key: str) -> bool:
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
    may_read: MayRead = field(default=_nothing, repr=False)


class RefusedError(Exception):
    """A request that S3 refuses, with S3's status and error code."""

    def __init__(self, status: int, code: str, message: str, *, extra: str = "") -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


class Authority:
    """The identity service of one `LocalRoboto`."""

    def __init__(
        self,
        account_id: str,
        *,
        clock: Callable[[], datetime],
        other_regions: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Prepare an empty service.

        Args:
            account_id: The account in moto.
            clock: The time at which credentials and links end.
            other_regions: Regions for which requests may be signed besides `REGION`.
        """
        self._account_id = account_id
        self._clock = clock
        self._other_regions = other_regions
        self._issued: dict[str, IssuedCredentials] = {}
        self._policies: dict[str, IAMPolicy] = {}
        self._lock = threading.Lock()

    def issue(
        self,
        *,
        bucket: str,
        prefix: str,
        access: Access,
        ttl_seconds: float,
        may_read: MayRead = _nothing,
    ) -> IssuedCredentials:
        """Return new credentials for *prefix* in *bucket*.

        Args:
            bucket: The bucket.
            prefix: What the keys of the objects start with.
            access: Whether they may be written too.
            ttl_seconds: How long the credentials live.
            may_read: Other objects of the bucket that may be read.
        """
        with self._lock:
            role = sts_backends[self._account_id]["aws"].assume_role(
                region_name=REGION,
                role_session_name="local-roboto",
                role_arn=f"arn:aws:iam::{self._account_id}:role/{access}",
                policy="",
                duration=int(ttl_seconds),
                external_id="",
            )
            issued = IssuedCredentials(
                bucket=bucket,
                prefix=prefix,
                access_key_id=role.access_key_id,
                secret_access_key=role.secret_access_key,
                session_token=role.session_token,
                expires=self._clock() + timedelta(seconds=ttl_seconds),
                may_read=may_read,
            )
            self._policies[issued.access_key_id] = _policy(bucket, prefix, access)
            self._issued[issued.access_key_id] = issued
        return issued

    def expire_all(self) -> None:
        """End the life of everything handed out so far."""
        with self._lock:
            for access_key_id, issued in self._issued.items():
                expires = min(issued.expires, self._clock())
                self._issued[access_key_id] = replace(issued, expires=expires)

    def presign(self, issued: IssuedCredentials, url: str, *, expires_seconds: int) -> str:
        """Return *url* with a signature in its query, for a GET.

        Args:
            issued: The credentials to sign with.
            url: The object's URL.
            expires_seconds: How long the link is good for.
        """
        request = AWSRequest(method="GET", url=url)
        S3SigV4QueryAuth(_boto(issued), "s3", REGION, expires=expires_seconds).add_auth(request)
        return str(request.url)

    def identify(self, request: Request) -> IssuedCredentials:
        """Return the credentials that *request* is signed with.

        Raises:
            RefusedError: It is unsigned, wrongly signed, or signed with what is unknown or expired.
        """
        signature = _read_signature(request)
        issued = self._issued.get(signature.access_key_id)
        if issued is None:
            raise RefusedError(
                403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."
            )
        if not hmac.compare_digest(signature.token.encode(), issued.session_token.encode()):
            raise RefusedError(
                400, "InvalidToken", "The provided token is malformed or otherwise invalid."
            )
        if issued.expires <= self._clock():
            raise RefusedError(400, "ExpiredToken", "The provided token has expired.")
        if signature.expires is not None and signature.expires <= self._clock():
            raise RefusedError(403, "AccessDenied", "Request has expired")
        self._check_scope(signature)
        _check_time(signature)
        if not hmac.compare_digest(signature.recompute(issued), signature.value):
            raise RefusedError(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
        return issued

    def _check_scope(self, signature: "_Signature") -> None:
        """Refuse a signature for another region or service, as S3 does."""
        code = signature.malformed_code
        if signature.region not in {REGION, *self._other_regions()}:
            raise RefusedError(
                400,
                code,
                f"The authorization header is malformed; the region '{signature.region}' is wrong; "
                f"expecting '{REGION}'",
                extra=f"<Region>{REGION}</Region>",
            )
        if (signature.service, signature.terminator) != ("s3", "aws4_request"):
            raise RefusedError(400, code, "The credential should be scoped to service 's3'.")

    def authorize(self, issued: IssuedCredentials, action: str, resource: str) -> None:
        """Check that the policy of *issued* permits *action* on *resource*.

        Args:
            issued: The credentials of the request.
            action: Such as `s3:GetObject`.
            resource: ARN of the object or bucket.

        Raises:
            RefusedError: It does not.
        """
        bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
        if action == "s3:GetObject" and bucket == issued.bucket and issued.may_read(bucket, key):
            return
        # moto's patterns do not match line breaks, which a key may well contain.
        quoted = quote(resource, safe=":/*")
        if (
            self._policies[issued.access_key_id].is_action_permitted(action, quoted)
            != PermissionResult.PERMITTED
        ):
            raise RefusedError(403, "AccessDenied", "Access Denied")

    def close(self) -> None:
        """Forget everything, in moto too."""
        self._issued.clear()
        sts_backends.pop(self._account_id, None)


def _policy(bucket: str, prefix: str, access: Access) -> IAMPolicy:
    bucket_arn = f"arn:aws:s3:::{bucket}"
    statement = {
        "Effect": "Allow",
        "Action": _READ if access == "read" else _WRITE,
        "Resource": [bucket_arn, f"{bucket_arn}/{quote(prefix)}*"],
    }
    return IAMPolicy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _boto(issued: IssuedCredentials) -> BotoCredentials:
    return BotoCredentials(issued.access_key_id, issued.secret_access_key, issued.session_token)


def _check_time(signature: "_Signature") -> None:
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
class _Signature:
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
        signer = self.signer(_boto(issued), self.service, self.region)
        self.aws_request.context["timestamp"] = self.timestamp
        canonical = signer.canonical_request(self.aws_request)
        return str(
            signer.signature(signer.string_to_sign(self.aws_request, canonical), self.aws_request)
        )


def _read_signature(request: Request) -> _Signature:
    if "authorization" in request.headers:
        return _read_header_signature(request)
    if "X-Amz-Signature=" in request.query:
        return _read_query_signature(request)
    raise RefusedError(403, "AccessDenied", "Access Denied")


def _read_header_signature(request: Request) -> _Signature:
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
    return _Signature(
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


def _read_query_signature(request: Request) -> _Signature:
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
    return _Signature(
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
