"""Hands out temporary S3 credentials, and checks every request that is signed with them.

Keys and tokens are made by moto's STS, policies are judged by moto's IAM, signatures are recomputed
with botocore's own signer. What moto lacks is added here: a token's end of life (on a clock of
ours) and presigned URLs.
"""

import hmac
import json
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.sts.models import sts_backends

from roboto_dagster.testing.server.messages import Request
from roboto_dagster.testing.server.signatures import (
    IssuedCredentials,
    MayRead,
    RefusedError,
    Signature,
    boto_credentials,
    check_time,
    read_nothing,
    read_signature,
)

Access = Literal["read", "write"]

REGION = "us-west-2"


_READ = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:ListBucket"]
_WRITE = [*_READ, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


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
        may_read: MayRead = read_nothing,
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
        S3SigV4QueryAuth(boto_credentials(issued), "s3", REGION, expires=expires_seconds).add_auth(
            request
        )
        return str(request.url)

    def identify(self, request: Request) -> IssuedCredentials:
        """Return the credentials that *request* is signed with.

        Raises:
            RefusedError: It is unsigned, wrongly signed, or signed with what is unknown or expired.
        """
        signature = read_signature(request)
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
        check_time(signature)
        if not hmac.compare_digest(signature.recompute(issued), signature.value):
            raise RefusedError(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
        return issued

    def _check_scope(self, signature: "Signature") -> None:
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
