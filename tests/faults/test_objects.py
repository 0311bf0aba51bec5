"""O1 to O7: objects that are not what the platform's record describes, or that change."""

import pytest

from roboto_dagster.testing import faults
from roboto_dagster.testing.server.messages import Request
from tests.faults.lab import BIG, PART, SMALL, Lab, noise
from tests.faults.matrix import covers

OTHER_BIG = noise(len(BIG), 99)


def is_ranged(request: Request) -> bool:
    """Report whether a request is for a range that is not the object's first."""
    asked = request.headers.get("range", "")
    return asked != "" and not asked.startswith("bytes=0-")


@covers("O1")
@pytest.mark.parametrize("stored", [{}, {"checksum_algorithm": None, "part_bytes": PART}])
def test_an_object_replaced_between_ranges_is_never_mixed(
    lab: Lab, stored: dict[str, object]
) -> None:
    """A file whose object is replaced under way is one version or the other, and never both."""
    lab.add("big.bin", BIG, **stored)
    lab.versions["big.bin"].append(OTHER_BIG)
    lab.slow_front("big.bin")
    rule = lab.fault(faults.swap(OTHER_BIG), "big.bin", when=is_ranged, times=1)
    run = lab.run()
    assert rule.hits
    assert run.codes.get("big.bin", "CHANGED") == "CHANGED"
    lab.converge(run)


@covers("O7")
def test_a_store_that_ignores_if_match_does_not_mix(lab: Lab) -> None:
    """The ETag of every answer is compared, so that a store may ignore the condition."""
    lab.add("big.bin", BIG, checksum_algorithm=None, part_bytes=PART)
    lab.versions["big.bin"].append(OTHER_BIG)
    lab.slow_front("big.bin")
    lab.fault(faults.ignore_if_match(), "big.bin")
    rule = lab.fault(faults.swap(OTHER_BIG), "big.bin", when=is_ranged, times=1)
    run = lab.run()
    assert rule.hits
    assert run.codes.get("big.bin", "CHANGED") == "CHANGED"
    lab.converge(run)


@covers("O2")
def test_an_object_replaced_after_listing_by_another_size_is_named(lab: Lab) -> None:
    """The record is the truth about the size: another object is not delivered in its name."""
    lab.add("file.bin", SMALL)
    lab.fault(faults.swap(SMALL + b"!"), "file.bin", times=1)
    lab.survive({"file.bin": "SIZE_MISMATCH"}, recovers=False)


@covers("O2")
def test_an_object_replaced_after_listing_by_the_same_size_is_complete(lab: Lab) -> None:
    """Another object of the same size is delivered complete, with its own ETag."""
    lab.add("file.bin", SMALL)
    other = noise(len(SMALL), 5)
    lab.versions["file.bin"].append(other)
    lab.fault(faults.swap(other), "file.bin", times=1)
    lab.survive()


@covers("O3")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.status(404, "NoSuchKey"), id="404"),
        pytest.param(faults.status(405, "MethodNotAllowed"), id="405"),
    ],
)
def test_a_missing_object_is_asked_for_once(lab: Lab, fault: faults.Fault) -> None:
    """What is gone is named and not repeated; the others arrive."""
    lab.add("gone.bin", SMALL)
    lab.add_small(3)
    lab.fault(fault, "gone.bin")
    run = lab.survive({"gone.bin": "NOT_FOUND"})
    assert len(run.asked("gone.bin")) == 1


@covers("O3")
def test_an_object_that_is_really_gone(lab: Lab) -> None:
    """A record without an object fails its file, run after run."""
    lab.add("gone.bin", SMALL)
    lab.add_small(3)
    lab.local.remove_object(lab.dataset_id, "gone.bin")
    lab.survive({"gone.bin": "NOT_FOUND"}, recovers=False)


@covers("O4")
def test_an_object_that_shrinks_is_no_success(lab: Lab) -> None:
    """A range that is past the end of what is there now fails the file."""
    lab.add("big.bin", BIG)
    lab.slow_front("big.bin")
    lab.fault(faults.swap(BIG[:PART]), "big.bin", when=is_ranged, times=1)
    run = lab.run()
    assert run.codes["big.bin"] in ("CHANGED", "SIZE_MISMATCH")
    assert not lab.local_path("big.bin").exists()


@covers("O4")
def test_an_unsatisfiable_range_leaves_no_hole(lab: Lab) -> None:
    """416 to a range is not an empty range: the file comes in one stream, or fails."""
    lab.add("big.bin", BIG, checksum_algorithm=None, part_bytes=PART)
    lab.slow_front("big.bin")
    lab.fault(faults.status(416), "big.bin", when=is_second_part)
    run = lab.run()
    assert run.codes in ({}, {"big.bin": "CHANGED"})
    assert run.codes or lab.local_path("big.bin").read_bytes() == BIG


def is_second_part(request: Request) -> bool:
    """Report whether a request is for the range after the first."""
    return request.headers.get("range", "").startswith(f"bytes={PART}-")


@covers("O5")
@pytest.mark.parametrize(
    ("recorded", "data"),
    [(0, SMALL), (1, SMALL), (10**6, SMALL), (PART * 2, BIG), (10, b"")],
    ids=["record-empty", "record-less", "record-more", "record-less-big", "object-empty"],
)
def test_a_wrong_size_in_the_record_is_a_failure(lab: Lab, recorded: int, data: bytes) -> None:
    """Record and object disagree, be it about an empty file: a failure with both numbers."""
    lab.add("file.bin", data, size=recorded)
    lab.add_small(2)
    run = lab.run()
    assert run.codes == {"file.bin": "SIZE_MISMATCH"}
    assert str(recorded) in run.row("file.bin")["error"]
    assert str(len(data)) in run.row("file.bin")["error"]
    assert not lab.local_path("file.bin").exists()
    lab.converge(run, recovers=False)


@covers("O6")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("InvalidObjectState", "The operation is not valid for the object's storage class"),
        ("AccessDenied", "User is not authorized to perform: kms:Decrypt"),
        ("KMS.DisabledException", "The key is disabled"),
    ],
)
def test_what_may_not_be_read_is_reported_in_s3s_words(lab: Lab, error: str, message: str) -> None:
    """Archives and keys of KMS: asked for once, and named in S3's own words."""
    lab.add("cold.bin", SMALL)
    lab.add_small(2)
    lab.fault(faults.status(403, error, message=message), "cold.bin")
    run = lab.survive({"cold.bin": "ACCESS_DENIED"})
    assert len(run.asked("cold.bin")) == 1
    assert message in run.row("cold.bin")["error"]
