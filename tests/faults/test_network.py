"""N1 to N22: what goes wrong between the store and us."""

import time
from collections.abc import Mapping

import pytest

from roboto_dagster.testing import faults
from roboto_dagster.testing.faults import Fault
from tests.faults.lab import ATTEMPTS, BIG, PART, SMALL, STALL_SECONDS, Lab, noise
from tests.faults.matrix import covers

UNCHECKED = {"checksum_algorithm": None, "part_bytes": PART}
"""An object of which the store keeps no checksum: neither its own, nor an MD5 as ETag."""

MIDDLE = PART + 100
"""In the second part of a big file."""


# Each fault once, or a few times: the file arrives, whole and right.
PASSING = [
    pytest.param(faults.truncate(after_bytes=400), 1, marks=covers("N1"), id="N1-truncated"),
    pytest.param(faults.truncate(after_bytes=0), 1, marks=covers("N1"), id="N1-no-body"),
    pytest.param(faults.short_body(size_bytes=400), 1, marks=covers("N2"), id="N2-short"),
    pytest.param(faults.short_body(size_bytes=0), 1, marks=covers("N2"), id="N2-empty"),
    pytest.param(faults.content_length(10**6), 1, marks=covers("N3"), id="N3-long-length"),
    pytest.param(faults.no_content_length(), None, marks=covers("N3"), id="N3-no-length"),
    pytest.param(faults.chunked(), None, marks=covers("N3"), id="N3-chunked"),
    pytest.param(faults.reset(after_bytes=400), 1, marks=covers("N7"), id="N7-reset"),
    pytest.param(faults.refuse(), 1, marks=covers("N7", "N20"), id="N7-no-answer"),
    pytest.param(faults.stall(after_bytes=400, seconds=30), 1, marks=covers("N8"), id="N8-stall"),
    pytest.param(faults.delay(30), 1, marks=covers("N8"), id="N8-no-answer"),
    pytest.param(faults.flip_bit(at=7), 1, marks=covers("N10"), id="N10-flipped"),
    pytest.param(faults.status(503, "SlowDown"), 3, marks=covers("N13"), id="N13-slow-down"),
    pytest.param(faults.status(500), 1, marks=covers("N15"), id="N15-500"),
    pytest.param(faults.status(502), 1, marks=covers("N15"), id="N15-502"),
    pytest.param(faults.status(504), 1, marks=covers("N15"), id="N15-504"),
    pytest.param(
        faults.answer("<html>Bad gateway</html>", status=502), 1, marks=covers("N15"), id="N15-html"
    ),
    pytest.param(
        faults.answer("<Error><Code>Int", status=500, content_type="application/xml"),
        1,
        marks=covers("N15"),
        id="N15-broken-xml",
    ),
    pytest.param(faults.ok_with_error_body(), 1, marks=covers("N17"), id="N17-200-with-error"),
    pytest.param(
        faults.set_headers({"Content-Encoding": "gzip"}), None, marks=covers("N21"), id="N21-gzip"
    ),
    pytest.param(faults.close_idle(), None, marks=covers("N22"), id="N22-dead-connection"),
]


@pytest.mark.parametrize(("fault", "times"), PASSING)
@pytest.mark.parametrize("stored", [{}, UNCHECKED], ids=["checked", "unchecked"])
def test_a_small_file_survives(
    lab: Lab, fault: Fault, times: int | None, stored: Mapping[str, object]
) -> None:
    """A fault that passes costs a small file nothing but a retry, with or without a checksum."""
    if fault.name == "flip_bit" and stored:
        pytest.xfail("nobody can know: see N11")
    lab.add("small.bin", SMALL, **stored)
    lab.add("other.bin", noise(300))
    rule = lab.fault(fault, "small.bin", times=times)
    lab.survive()
    assert rule.hits


@pytest.mark.parametrize(("fault", "times"), PASSING)
@pytest.mark.parametrize("after", [0, 2], ids=["first-request", "later-range"])
def test_a_big_file_survives(lab: Lab, fault: Fault, times: int | None, after: int) -> None:
    """A fault that strikes the first request of a big file, or a later range, costs a retry."""
    if fault.name == "flip_bit":
        fault = faults.flip_bit(at=7 if after == 0 else MIDDLE)
        after = 0
    lab.add("big.bin", BIG)
    rule = lab.fault(fault, "big.bin", times=times, after=after, method="GET")
    lab.survive()
    assert rule.hits
