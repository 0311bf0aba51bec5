"""N1 to N22: what goes wrong between the store and us."""

import contextlib
import pathlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

from roboto_dagster.testing import faults
from roboto_dagster.testing.faults import Fault
from roboto_dagster.testing.server.messages import Request
from tests.faults.lab import ATTEMPTS, BIG, PART, SMALL, Lab, noise
from tests.faults.matrix import covers

UNCHECKED = {"checksum_algorithm": None, "part_bytes": PART}
"""An object of which the store keeps no checksum: neither its own, nor an MD5 as ETag."""

MIDDLE = PART + 100
"""In the second part of a big file."""


# Each fault once, or a few times: the file arrives, complete and right.
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
def test_a_fault_that_passes_costs_a_retry(lab: Lab, fault: Fault, times: int | None) -> None:
    """Whether it strikes a small file, the first request of a big one or a range in its middle.

    The store keeps no checksum that would help: neither a hole nor a splice is left, which only the size
    would not show.
    """
    stored, in_the_middle = UNCHECKED, fault
    if fault.name == "flip_bit":
        stored, in_the_middle = {}, faults.flip_bit(at=MIDDLE)
    lab.add("other.bin", noise(300))
    lab.add("small.bin", SMALL, **stored)
    lab.add("big.bin", BIG)
    lab.add("ranges.bin", BIG, **stored)
    lab.slow_front("ranges.bin")
    rules = [
        lab.fault(fault, "small.bin", times=times),
        lab.fault(fault, "big.bin", times=times, method="GET"),
        lab.fault(in_the_middle, "ranges.bin", times=times, when=is_a_middle_range),
    ]
    lab.survive()
    assert all(rule.hits for rule in rules), [rule.hits for rule in rules]


def is_a_middle_range(request: Request) -> bool:
    """Report whether a request is for a range that is not the object's first."""
    asked = request.headers.get("range", "")
    return request.method == "GET" and asked != "" and not asked.startswith("bytes=0-")


RANGE_FAULTS = [
    pytest.param(faults.shorter_range(by=10), marks=covers("N4"), id="N4-shorter"),
    pytest.param(faults.offset_range(by=10), marks=covers("N4"), id="N4-shifted"),
    pytest.param(faults.short_body(size_bytes=500), marks=covers("N2"), id="N2-short"),
    pytest.param(faults.drop_headers("content-range"), marks=covers("N6"), id="N6-no-range"),
    pytest.param(faults.ok_with_error_body(), marks=covers("N17"), id="N17-200-with-error"),
]


@pytest.mark.parametrize("fault", RANGE_FAULTS)
def test_a_wrong_range_is_asked_again(lab: Lab, fault: Fault) -> None:
    """An answer that is not the range that was asked for is never spliced in."""
    lab.add("big.bin", BIG, **UNCHECKED)
    lab.slow_front("big.bin")
    rule = lab.fault(fault, "big.bin", when=is_a_middle_range, times=1)
    lab.survive()
    assert rule.hits


@pytest.mark.parametrize("fault", RANGE_FAULTS[:4])
def test_a_range_that_is_always_wrong_is_not_needed(lab: Lab, fault: Fault) -> None:
    """From a store that never sends the range that was asked for, the file comes in one stream, or
    fails.
    """
    lab.add("big.bin", BIG, **UNCHECKED)
    lab.slow_front("big.bin")
    lab.fault(fault, "big.bin", when=is_a_middle_range)
    run = lab.run()
    assert run.codes.get("big.bin", "") in ("", "SERVER_ERROR", "CONNECTION", "SIZE_MISMATCH")
    assert lab.local_path("big.bin").exists() is not bool(run.codes)
    lab.converge(run)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.ignore_range(), marks=covers("N5"), id="N5-ignored"),
        pytest.param(faults.drop_headers("etag"), marks=covers("N6"), id="N6-no-etag"),
    ],
)
def test_a_store_without_ranges_gives_one_stream(lab: Lab, fault: Fault) -> None:
    """Big files come in one stream from a store that ignores ranges, or reports no version of them."""
    for number in range(3):
        lab.add(f"big-{number}.bin", noise(len(BIG), number), **UNCHECKED)
        lab.slow_front(f"big-{number}.bin")
    lab.fault(fault, "*")
    lab.survive()


@covers("N1", "N7")
def test_what_arrived_is_not_asked_again(lab: Lab) -> None:
    """A broken body is continued where it ended, pinned to the version it started with."""
    lab.add("big.bin", BIG)
    cut = PART // 2
    lab.fault(faults.truncate(after_bytes=cut), "big.bin", times=1)
    run = lab.survive(store={"stall_timeout_seconds": 10.0})
    continued = [
        one for one in run.asked("big.bin") if (one.range or "").startswith(f"bytes={cut}-")
    ]
    assert [bool(one.if_match) for one in continued] == [True]


@covers("N7")
def test_bytes_are_counted_once(lab: Lab) -> None:
    """Bytes that were fetched twice are reported once."""
    lab.add("big.bin", BIG)
    lab.fault(faults.reset(after_bytes=PART // 2), "big.bin", times=2, method="GET")
    run = lab.survive()
    assert run.metadata["roboto/bytes_fetched"].value == len(BIG)


@covers("N9")
def test_a_trickle_is_dropped(lab: Lab) -> None:
    """A connection on which next to nothing arrives is given up for another one."""
    lab.add("small.bin", SMALL)
    lab.fault(faults.trickle(bytes_per_second=500), "small.bin", times=1)
    run = lab.survive()
    assert run.row("small.bin")["attempts"] > 1


@covers("N10")
@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32C", "CRC32", "SHA256", None])
def test_a_wrong_bit_is_never_published(lab: Lab, algorithm: str | None) -> None:
    """A bit that is always wrong is found by every checksum, and by an ETag that is an MD5."""
    for path, data in {"small.bin": SMALL, "big.bin": BIG}.items():
        lab.add(path, data, checksum_algorithm=algorithm)
        lab.fault(faults.flip_bit(at=len(data) // 2), path)
    run = lab.run()
    assert run.codes == dict.fromkeys(lab.versions, "CHECKSUM_MISMATCH")
    for path in lab.versions:
        assert run.row(path)["attempts"] == 2
        assert not lab.local_path(path).exists()
    lab.converge(run)


@covers("N11")
def test_a_wrong_bit_nobody_can_detect_is_reported(lab: Lab) -> None:
    """Without a checksum the verdict is `size`: the manifest does not claim more than is known."""
    lab.add("file.bin", SMALL, **UNCHECKED)
    lab.may_be_wrong.add("file.bin")
    lab.fault(faults.flip_bit(at=5), "file.bin")
    run = lab.run()
    assert run.success
    assert run.row("file.bin")["verified"] == "size"


@covers("N11")
def test_verify_checksum_refuses_what_nobody_can_know(lab: Lab) -> None:
    """`verify="checksum"` makes an object without a checksum a failure."""
    lab.add("file.bin", SMALL, **UNCHECKED)
    lab.survive({"file.bin": "CHECKSUM_MISMATCH"}, recovers=False, store={"verify": "checksum"})


@covers("N12")
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({"part_bytes": PART, "checksum_type": "COMPOSITE"}, id="composite"),
        pytest.param({"part_bytes": PART, "checksum_algorithm": "SHA1"}, id="sha1"),
    ],
)
def test_a_checksum_that_does_not_fit_is_no_failure(lab: Lab, stored: dict[str, object]) -> None:
    """A checksum that is not of the complete object leaves the verdict `size`."""
    lab.add("big.bin", BIG, **stored)
    run = lab.survive()
    assert run.row("big.bin")["verified"] in ("size", "sha1")


@covers("N12")
def test_an_unknown_checksum_is_no_failure(lab: Lab) -> None:
    """An algorithm that is not invented yet leaves the verdict to what is known."""
    lab.add("file.bin", SMALL, **UNCHECKED)
    lab.fault(faults.set_headers({"x-amz-checksum-crc128": "AAAA"}), "file.bin")
    assert lab.survive().row("file.bin")["verified"] == "size"


@covers("N12")
def test_a_false_checksum_is_a_mismatch(lab: Lab) -> None:
    """A checksum that the bytes do not have fails the file."""
    lab.add("file.bin", SMALL)
    false = {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA=", "x-amz-checksum-type": "FULL_OBJECT"}
    lab.fault(faults.set_headers(false), "file.bin")
    lab.survive({"file.bin": "CHECKSUM_MISMATCH"})


FOREVER = [
    pytest.param(faults.status(503, "SlowDown"), "THROTTLED", marks=covers("N14"), id="N14"),
    pytest.param(faults.status(500), "SERVER_ERROR", marks=covers("N15"), id="N15-500"),
    pytest.param(
        faults.answer("<html>", status=502), "SERVER_ERROR", marks=covers("N15"), id="N15-html"
    ),
    pytest.param(faults.truncate(after_bytes=0), "CONNECTION", marks=covers("N1"), id="N1"),
    pytest.param(faults.refuse(), "CONNECTION", marks=covers("N7"), id="N7"),
    pytest.param(faults.delay(30), "STALLED", marks=covers("N8"), id="N8"),
    pytest.param(faults.short_body(size_bytes=400), "SIZE_MISMATCH", marks=covers("N2"), id="N2"),
]


@pytest.mark.parametrize(("fault", "code"), FOREVER)
def test_a_fault_that_stays_is_named(lab: Lab, fault: Fault, code: str) -> None:
    """What does not pass ends after the policy's attempts; the other files arrive."""
    lab.add("bad.bin", SMALL, **UNCHECKED)
    lab.add_small(3)
    lab.fault(fault, "bad.bin")
    run = lab.survive({"bad.bin": code})
    dead_connections = 3  # are asked again uncounted
    assert 1 < len(run.asked("bad.bin")) <= ATTEMPTS + dead_connections


@covers("N14")
def test_endless_throttling_is_bounded(lab: Lab) -> None:
    """A store that refuses everybody gets no more than files times attempts requests."""
    paths = lab.add_small(20)
    lab.fault(faults.status(503, "SlowDown"), "*")
    run = lab.survive(dict.fromkeys(paths, "THROTTLED"))
    assert len(run.asked("")) <= len(paths) * ATTEMPTS


@covers("N16")
def test_retry_after_is_waited_for(lab: Lab) -> None:
    """A store's Retry-After is honoured, by everybody."""
    lab.add("file.bin", SMALL)
    lab.fault(faults.status(429, headers={"Retry-After": "1"}), "file.bin", times=1)
    started = time.monotonic()
    lab.run()
    assert time.monotonic() - started >= 1.0


@covers("N18")
@pytest.mark.parametrize("code", [400, 301, 307])
def test_the_region_is_learnt(lab: Lab, code: int) -> None:
    """A bucket in another region costs a request or two, not one for every file."""
    paths = lab.add_small(10)
    lab.fault(faults.wrong_region("us-east-2", code=code), "*")
    run = lab.run()
    if run.codes:  # LocalRoboto's signatures are for one region: what follows may be refused
        assert set(run.codes.values()) <= {"CREDENTIALS_INVALID"}
    regions = lab.local.requests.matching(service="s3", status=code)
    assert len(regions) < len(paths) * 2


@covers("N19")
def test_a_name_that_does_not_resolve_is_named(lab: Lab) -> None:
    """Every file is named, after the attempts of a few: not once more for each."""
    paths = lab.add_small(6)
    run = lab.run(store={"endpoint_url": "http://store.invalid", "max_connections": 2})
    assert run.codes == dict.fromkeys(paths, "CONNECTION")
    lab.converge(run)


@covers("N20")
def test_a_closed_port_is_named(lab: Lab) -> None:
    """Nobody listens: repeated, and then named."""
    lab.add("file.bin", SMALL)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    run = lab.run(store={"endpoint_url": f"http://127.0.0.1:{port}"})
    assert run.codes == {"file.bin": "CONNECTION"}
    assert run.row("file.bin")["attempts"] == ATTEMPTS
    lab.converge(run)


@covers("N20")
def test_a_certificate_nobody_signed_fails_at_once(lab: Lab, tmp_path: pathlib.Path) -> None:
    """A certificate that is not trusted is no matter of trying again."""
    lab.add("file.bin", SMALL)
    with tls_server(tmp_path) as url:
        run = lab.run(store={"endpoint_url": url})
    assert run.codes == {"file.bin": "TLS"}
    assert run.row("file.bin")["attempts"] == 1
    lab.converge(run)


@contextlib.contextmanager
def tls_server(folder: pathlib.Path) -> Iterator[str]:
    """Serves TLS handshakes with a certificate signed by itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(unknown_certificate(folder))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def unknown_certificate(folder: pathlib.Path) -> pathlib.Path:
    """Writes a key and a certificate for 127.0.0.1 of an authority that nobody trusts."""
    path = folder / "unknown.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


@covers("N22")
def test_a_dead_connection_is_no_attempt(lab: Lab) -> None:
    """A connection that died while it was idle costs the file no attempt."""
    paths = lab.add_small(20)
    lab.fault(faults.close_idle(), "*")
    run = lab.survive(store={"max_connections": 1})
    attempts = {run.row(path)["attempts"] for path in paths}
    assert attempts == {1}
