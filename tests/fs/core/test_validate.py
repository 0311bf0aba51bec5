"""Which heads are accepted, as tables."""

from typing import Any

import pytest

from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.validate import (
    ObjectFacts,
    read_facts,
    validate_range,
    validate_same_object,
)

FACTS = ObjectFacts(350, "e1", None)
UNIDENTIFIED = ObjectFacts(350, None, None, is_identified=False)
CHUNKED = {"transfer-encoding": "chunked"}


def outcome(verdict: Any) -> Any:
    """Reduce a failure to its code and remedy."""
    return (verdict.code, verdict.remedy) if isinstance(verdict, Failure) else verdict


@pytest.mark.parametrize(
    ("status", "headers", "expected_size", "verdict"),
    [
        (200, {"content-length": "350", "etag": '"e1"'}, None, FACTS),
        (200, {"content-length": "350, 350", "etag": '"e1"'}, None, FACTS),
        (200, {"content-length": "350", "etag": "e1"}, 350, FACTS),
        (200, {"content-length": "350", "etag": 'W/"e1"'}, 350, ObjectFacts(350, None, None)),
        (200, {"content-length": "350", "etag": '""'}, 350, ObjectFacts(350, None, None)),
        (200, {"content-length": "350", "etag": ""}, 350, UNIDENTIFIED),
        (200, {"content-length": "350", "etag": '"a", "b"'}, 350, ObjectFacts(350, None, None)),
        (200, {**CHUNKED, "etag": '"e1"'}, None, ObjectFacts(None, "e1", None)),
        (200, {"content-length": "0"}, 0, UNIDENTIFIED._replace(size_bytes=0)),
        (200, {"content-length": "0"}, None, ("SERVER_ERROR", "retry")),
        (200, {"content-length": "0", "etag": '"e1"'}, None, ObjectFacts(0, "e1", None)),
        (200, {"content-length": "3000"}, 0, ("SIZE_MISMATCH", "retry")),
        (200, {}, None, ("SERVER_ERROR", "retry")),
        (204, {"etag": '"e1"'}, 0, ("SERVER_ERROR", "retry")),
        (206, {"content-length": "350", "etag": '"e1"'}, 350, ("SERVER_ERROR", "retry")),
    ],
    ids=str,
)
def test_the_first_answer_reports_the_object(
    status: int, headers: dict[str, str], expected_size: int | None, verdict: object
) -> None:
    """Size and ETag where they can be relied on, or why the body is not the object."""
    facts = read_facts(Head(status, headers), expected_size=expected_size, verify="auto")
    assert outcome(facts) == verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, None),
        ({"content-range": "Bytes 100-199/350"}, None),
        ({"content-range": "bytes 100-199/*"}, None),
        ({"content-range": "bytes 100-199/351"}, ("CHANGED", "restart")),
        ({"etag": '"e2"'}, ("CHANGED", "restart")),
        ({"etag": ""}, ("SERVER_ERROR", "one_stream")),
        ({"etag": '""'}, ("SERVER_ERROR", "one_stream")),
        ({"content-range": "bytes 0-99/350"}, ("SERVER_ERROR", "range")),
        ({"content-range": "bytes */350"}, ("SERVER_ERROR", "range")),
        ({"content-length": "99"}, ("SERVER_ERROR", "range")),
    ],
    ids=str,
)
def test_a_range_has_to_be_the_one_requested(change: dict[str, str], verdict: object) -> None:
    """The very bytes of the very version, however the header is spelt."""
    good = {"content-range": "bytes 100-199/350", "content-length": "100", "etag": '"e1"'}
    assert outcome(validate_range(Head(206, {**good, **change}), FACTS, 100, 200)) == verdict


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({"content-length": "350", "etag": '"e1"'}, None),
        ({"content-length": "351", "etag": '"e1"'}, ("CHANGED", "restart")),
        ({"content-length": "350", "etag": '"e2"'}, ("CHANGED", "restart")),
        ({"content-length": "350"}, ("CHANGED", "restart")),
    ],
    ids=str,
)
def test_a_repeated_answer_is_of_the_same_object(headers: dict[str, str], verdict: object) -> None:
    """What was written before may only be continued with the same version."""
    assert outcome(validate_same_object(Head(200, headers), FACTS)) == verdict
