"""Turns an error answer of a store into a `Failure`. Pure."""

import dataclasses
import urllib.parse

from roboto_dagster.fs.core.error_codes import error_code, remedy_for
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import Head, parse_error, plain_text
from roboto_dagster.redaction import mask_secrets

_OTHER_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocation"}
)


def failure_of_answer(head: Head, body: bytes, *, credentials_expired: bool = False) -> Failure:
    """Read what an error answer means, by S3's code where there is one, else by the status.

    Args:
        head: Of the answer.
        body: An error document, a proxy's page, or anything.
        credentials_expired: Whether the credentials of the request have expired by our clock.
    """
    document = parse_error(body)
    code = error_code(head.status, document.code, document.message)
    text = ": ".join(part for part in (document.code, document.message.rstrip(".")) if part)
    if not text and 300 <= head.status < 400 and head.status != 304:
        text = f"the store redirects to {_target(head)}, where the credentials are not sent"
    failure = Failure(
        code=code,
        reason=mask_secrets(f"HTTP {head.status} {text}".strip()),
        remedy=remedy_for(code, document.code),
        status=head.status,
        request_id=head.request_id or document.request_id or None,
        retry_after_seconds=head.retry_after_seconds,
    )
    region = head.headers.get("x-amz-bucket-region") or document.region
    if region and _is_elsewhere(document.code, head.status):
        return dataclasses.replace(failure, remedy="region", hint=plain_text(region, 40))
    server_time = document.server_time or head.date
    if document.code == "RequestTimeTooSkewed" and server_time is not None:
        return dataclasses.replace(failure, remedy="clock", hint=str(server_time))
    if failure.remedy == "denied" and credentials_expired:
        return dataclasses.replace(failure, remedy="credentials", code="CREDENTIALS_EXPIRED")
    return failure


def _target(head: Head) -> str:
    """Return the origin that a redirect names; its path and query may hold anything."""
    try:
        parts = urllib.parse.urlsplit(plain_text(head.headers.get("location", ""), 2000))
        origin = f"{parts.scheme}://{parts.hostname}" if parts.hostname else ""
    except ValueError:
        origin = ""
    return origin or "another address"


def _is_elsewhere(s3_code: str, status: int) -> bool:
    """Report whether the answer asks for another region."""
    if status not in (301, 307, 400, 403):
        return False
    return s3_code in _OTHER_REGION or (not s3_code and status != 403)
