"""Judges the head of an answer before its body is accepted. Pure.

The first answer, to a GET of the complete object, reports size, ETag and checksum: the facts that all
later answers are held against. Every function returns None, or facts, for an answer whose body is
wanted, and a `Failure` for any other.
"""

from typing import NamedTuple

from roboto_dagster.fs.core.checksums import NO_CHECKSUM, StoredChecksum, stored_checksum
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import Head, pinning_etag
from roboto_dagster.fs.core.settings import Verify

EMPTY_ANSWER = "an empty answer without an ETag, which may not be the object"
"""Reason for not taking an empty answer for an empty object, where nothing confirms it."""

_NO_CHECKSUM_ADVICE = (
    'Upload the file again with a checksum, or set verify="auto" to accept files without one.'
)


class ObjectFacts(NamedTuple):
    """What the first answer reports of an object.

    Attributes:
        size_bytes: Its size; None for a stream without a length.
        etag: The ETag that its ranges can be pinned to; None if there is none that can.
        stored: The checksum of all of it that the bytes are held against, or None.
        is_identified: Whether anything shows that it is an object: an ETag of any kind, or a checksum.
        version: What else names its version, ETags aside; empty where the store sends nothing of it.
        reported: The checksum of all of it that the store reports, also where nothing is held against it, or None.
    """

    size_bytes: int | None
    etag: str | None
    stored: StoredChecksum | None
    is_identified: bool = True
    version: tuple[str, str] = ("", "")
    reported: StoredChecksum | None = None

    @property
    def checksum(self) -> str | None:
        """What receipts and manifests have as the object's checksum.

        It is the same whatever `verify` is; but an ETag that merely looks like an MD5 counts only if the bytes have
        been compared with it.
        """
        found = self.stored or self.reported
        if found is None or (self.stored is None and found.algorithm == "md5"):
            return None
        return found.text

    @property
    def can_be_compared(self) -> bool:
        """Whether anything was reported that another answer's facts can be held against."""
        return (self.size_bytes, self.etag, self.stored) != (None, None, None)


def read_facts(head: Head, *, expected_size: int | None, verify: Verify) -> ObjectFacts | Failure:
    """Judge the first answer to a GET of the complete object.

    Args:
        head: Its status and headers.
        expected_size: The size in the file's record, in bytes, or None.
        verify: How the content is to be checked.
    """
    if head.status != 200:
        return wrong_answer(head, f"HTTP {head.status} to a request for the complete object")
    size = head.content_length
    reported = stored_checksum(head.headers)
    stored = None if verify == "size" else reported
    if size is not None and expected_size not in (None, size):
        return wrong_size(f"the object has {size} bytes, its record has {expected_size}", head)
    if stored is None and verify == "checksum":
        return Failure(
            code="CHECKSUM_MISMATCH", reason=NO_CHECKSUM, remedy="fail", advice=_NO_CHECKSUM_ADVICE
        )
    if expected_size is None and stored is None:
        doubt = _doubt(head, size)
        if doubt:
            return wrong_answer(head, doubt)
    is_identified = stored is not None or bool(head.headers.get("etag"))
    return ObjectFacts(
        size, pinning_etag(head.headers), stored, is_identified, _version(head), reported
    )


def _doubt(head: Head, size: int | None) -> str | None:
    """Find why an answer may not be the object, where neither size nor checksum is known."""
    if size is None and not _is_chunked(head):
        return "an answer without a length"
    if head.headers.get("etag"):  # objects have one; stores may answer 200 and then fail,
        return None  # and portals answer anything
    content_type = head.headers.get("content-type", "").lower()
    if "xml" in content_type or "html" in content_type:
        return "a page or an error document instead of the object"
    return EMPTY_ANSWER if size == 0 else None


def _version(head: Head) -> tuple[str, str]:
    """Read what else names an object's version: some stores give all versions one ETag."""
    headers = head.headers
    return headers.get("x-amz-version-id", ""), headers.get("last-modified", "")


def _is_other_version(head: Head, facts: ObjectFacts) -> bool:
    return any(
        there and here and there != here
        for there, here in zip(_version(head), facts.version, strict=True)
    )


def validate_same_object(head: Head, facts: ObjectFacts) -> Failure | None:
    """Judge a later answer to a GET of the complete object.

    Args:
        head: Its status and headers.
        facts: What the first answer reported.
    """
    if head.status != 200:
        return wrong_answer(head, f"HTTP {head.status} to a request for the complete object")
    if (pinning_etag(head.headers), head.content_length) != (facts.etag, facts.size_bytes):
        return _replaced(head, "the object was replaced between two requests")
    return None


def validate_range(head: Head, facts: ObjectFacts, start: int, stop: int) -> Failure | None:
    """Judge an answer to a GET of a range.

    Args:
        head: Its status and headers.
        facts: What the first answer reported.
        start: The first byte that was requested.
        stop: The byte after the last one.
    """
    answered = head.content_range
    if head.status == 200 and answered is None:
        return _no_ranges(head, "the store ignores ranges")
    # Some servers send 200 with ranges that are right (rclone): the range itself counts.
    if head.status not in (200, 206) or answered is None:
        return _wrong_range(head, f"HTTP {head.status} without a range to a request for one")
    etag = pinning_etag(head.headers)
    if etag is None:
        return _no_ranges(head, "the store sends no ETag with a range")
    # A size of `*` is unknown to the server (RFC 9110, 14.4); the ETag pins the version.
    is_same_etag = etag == facts.etag and answered[2] in (None, facts.size_bytes)
    if not is_same_etag or _is_other_version(head, facts):
        return _replaced(head, "the object was replaced between two ranges")
    length = head.content_length
    if answered[:2] != (start, stop) or not (
        length == stop - start or (length is None and head.status == 206)
    ):
        reason = f"bytes {answered[0]}-{answered[1] - 1} came, not those requested"
        return _wrong_range(head, reason)
    return None


def wrong_answer(head: Head, reason: str) -> Failure:
    """Return the failure of an answer that is none to the request; another may be right.

    Args:
        head: The answer's.
        reason: What is wrong with it.
    """
    return Failure(code="SERVER_ERROR", reason=reason, request_id=head.request_id)


def wrong_size(reason: str, head: Head | None = None) -> Failure:
    """Return the failure of an object, or a body, of another size than recorded.

    Args:
        reason: Which sizes they are.
        head: The answer's, where it reports the size.
    """
    return Failure(
        code="SIZE_MISMATCH", reason=reason, transient=False, request_id=head and head.request_id
    )


def _is_chunked(head: Head) -> bool:
    return "chunked" in head.headers.get("transfer-encoding", "").lower()


def _wrong_range(head: Head, reason: str) -> Failure:
    return Failure(code="SERVER_ERROR", reason=reason, remedy="range", request_id=head.request_id)


def _no_ranges(head: Head, reason: str) -> Failure:
    return Failure(
        code="SERVER_ERROR", reason=reason, remedy="one_stream", request_id=head.request_id
    )


def _replaced(head: Head, reason: str) -> Failure:
    return Failure(code="CHANGED", reason=reason, remedy="restart", request_id=head.request_id)
