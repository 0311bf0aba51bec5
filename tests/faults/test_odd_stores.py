"""Stores that are no S3 in the last detail: what they refuse, leave out or answer oddly."""

import pytest

from roboto_dagster.testing import faults
from roboto_dagster.testing.server.messages import Request
from tests.faults.lab import BIG, SMALL, Lab, noise
from tests.faults.matrix import covers

_ETAGS = {"absent": None, "empty": '""', "weak": 'W/"one"'}


def is_conditional(request: Request) -> bool:
    """Reports whether a request has If-Match."""
    return "if-match" in request.headers


@covers("N23")
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidArgument"), (412, "PreconditionFailed"), (501, "NotImplemented")],
)
def test_a_store_that_refuses_conditions_serves_one_stream(
    lab: Lab, status: int, code: str
) -> None:
    """An object that never changes is delivered, whatever the store answers to If-Match."""
    lab.add("big.bin", BIG)
    lab.add("second.bin", BIG[::-1])
    lab.fault(faults.status(status, code), "*", when=is_conditional)
    run = lab.survive()
    assert run.success


@covers("N24")
@pytest.mark.parametrize("kind", _ETAGS)
@pytest.mark.parametrize("has_checksum", [True, False], ids=["checksum", "no-checksum"])
def test_an_etag_that_pins_nothing_leads_to_one_stream(
    lab: Lab, kind: str, *, has_checksum: bool
) -> None:
    """The object is replaced in the middle of it, and no mixture is published."""
    stored = {} if has_checksum else {"checksum_algorithm": None}
    lab.add("big.bin", BIG, **stored)
    other = noise(len(BIG), 99)
    lab.versions["big.bin"].append(other)
    etag = _ETAGS[kind]
    lab.fault(
        faults.drop_headers("etag") if etag is None else faults.set_headers({"ETag": etag}), "*"
    )
    lab.fault(faults.swap(other), "big.bin", after=1, times=1)
    assert lab.run().success


@covers("N25")
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (425, "TooEarly"),
        (498, "InvalidToken"),
        (499, "ClientClosedRequest"),
        (409, "OperationAborted"),
        (400, "KMS.ThrottlingException"),
    ],
)
def test_a_transient_answer_is_retried(lab: Lab, status: int, code: str) -> None:
    """It fails no file if it comes once."""
    lab.add("a.bin", SMALL)
    rule = lab.fault(faults.status(status, code), "a.bin", times=1)
    assert lab.survive().success
    assert rule.hits == 1


@covers("N26")
def test_a_body_longer_than_the_record_is_cut(lab: Lab) -> None:
    """It is a failure with both sizes, and nothing of it is published."""
    lab.add("a.bin", SMALL, size=10)
    run = lab.survive({"a.bin": "SIZE_MISMATCH"}, recovers=False)
    assert not lab.local_path("a.bin").exists()
    assert "10" in run.description


@covers("N26")
def test_a_long_error_page_is_not_read_to_its_end(lab: Lab) -> None:
    """It is retried like a short one."""
    lab.add("a.bin", SMALL)
    rule = lab.fault(faults.answer(b"x" * (4 * 1024 * 1024), status=502), "a.bin", times=1)
    assert lab.survive().success
    assert rule.hits == 1
