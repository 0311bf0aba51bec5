"""What answers mean for a file: its first one, those to ranges, and bodies that end.

```
 head of the first answer ─► facts, and where the initial stream ends
 head of a later one ──────► the same version, and the range requested?
 end of a body ────────────► all of it?
```
"""

import dataclasses

from roboto_dagster.fs.core.download import UNKNOWN, Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.validate import (
    EMPTY_ANSWER,
    ObjectFacts,
    read_facts,
    validate_range,
    validate_same_object,
    wrong_size,
)


def validate_response(download: Download, request: RangeRequest, head: Head) -> Failure | None:
    """Judge the head of an answer of status 2xx.

    Args:
        download: The file.
        request: What was requested.
        head: Status and headers.

    Returns:
        Why its body is not wanted; None if it is.
    """
    download.request_id = head.request_id
    if not request.is_initial:
        return validate_range(head, download.facts, request.position, request.stop)
    if download.facts.can_be_compared:  # else each answer is judged like the first
        return validate_same_object(head, download.facts)
    facts = read_facts(head, expected_size=download.expected_size, verify=download.verify)
    if isinstance(facts, Failure):
        return _doubt_size(download, facts) if facts.code == "SIZE_MISMATCH" else facts
    _learn(download, request, facts)
    return None


def _learn(download: Download, initial: RangeRequest, facts: ObjectFacts) -> None:
    download.facts = facts
    if download.refused_ranges_of == facts:  # not replaced: it is ranges that the store refuses
        download.one_stream = True
    size = facts.size_bytes
    if size is None:
        # One byte more than the record allows is seen, and ends the body.
        initial.stop = UNKNOWN if download.expected_size is None else download.expected_size + 1
        download.content.expect(facts.stored)
    else:
        in_ranges = facts.etag is not None and not download.one_stream
        initial.stop = download.content.divide(size, facts.stored, in_ranges=in_ranges)
        download.initial = initial
    initial.digest = download.content.new_digest()


def _doubt_size(download: Download, failure: Failure) -> Failure:
    """Have the object requested once more, since a proxy may have cut the answer."""
    if download.size_doubted:  # twice the same is the truth
        return dataclasses.replace(failure, remedy="fail")
    download.size_doubted = True
    return failure


def can_continue(request: RangeRequest) -> bool:
    """Report whether a broken request may continue where it stopped, on the same version."""
    download = request.download
    is_sized = download.size is not None and request.stop != UNKNOWN
    return download.facts.etag is not None and is_sized and not download.one_stream


def shortfall(request: RangeRequest) -> Failure | None:
    """Judge a body that ended without an error; None if it is all there."""
    download, position = request.download, request.position
    if download.size is None:
        if not position and download.expected_size is None and not download.facts.is_identified:
            return Failure(code="SERVER_ERROR", reason=EMPTY_ANSWER)
        if download.expected_size in (None, position):
            request.stop = download.content.divide(position, download.facts.stored, in_ranges=False)
            return None
        longer = "more than " if position > (download.expected_size or 0) else ""
        counted = download.expected_size if longer else position
        reason = f"{longer}{counted} bytes came, the record has {download.expected_size}"
        return _doubt_size(download, wrong_size(reason))
    if request.is_complete:
        return None
    reason = f"the body ended {request.stop - position} bytes early"
    return Failure(code="CONNECTION", reason=reason)
