"""Which request comes next."""

import pathlib
from typing import Any

from roboto_dagster.fs.core.answers import validate_response
from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.scheduler import Scheduler
from roboto_dagster.fs.object_store import Transfer

MIB = 1024 * 1024
PART = 8 * MIB


def a_download(size: int | None, name: str = "file") -> Download:
    """Make a file that waits."""
    options: dict[str, Any] = {"within": None, "on_progress": None, "before_publish": None}
    return Download(
        Transfer(lambda _: None),
        f"s3://bucket/{name}",
        "bucket",
        name,
        pathlib.Path(name),
        expected_size=size,
        part_size=PART,
        verify="auto",
        **options,
    )


def answered(scheduler: Scheduler, size: int) -> Download:
    """Start a file and have its initial stream answered."""
    download = a_download(size)
    scheduler.add(download)
    request = scheduler.next(0.0)
    assert request is not None
    head = Head(200, {"content-length": str(size), "etag": '"e1"'})
    assert validate_response(download, request, head) is None
    scheduler.add_ranges(download)
    return download


def all_next(scheduler: Scheduler) -> list[RangeRequest]:
    """List what may be asked now."""
    requests = []
    while (request := scheduler.next(0.0)) is not None:
        requests.append(request)
    return requests


def test_large_files_go_before_small_ones() -> None:
    """A large file that comes last would be all that is left at the end."""
    scheduler = Scheduler(BytesInFlight(100 * PART), PART)
    small, large = a_download(10), a_download(100 * MIB)
    scheduler.add(small)
    scheduler.add(large)
    assert [request.download for request in all_next(scheduler)] == [large, small]


def test_ranges_come_in_order_until_the_end() -> None:
    """The ranges after the initial stream cover the file, each once."""
    scheduler = Scheduler(BytesInFlight(100 * PART), PART)
    answered(scheduler, 3 * PART + 5)
    ranges = [(request.start, request.stop) for request in all_next(scheduler)]
    assert ranges == [(PART, 2 * PART), (2 * PART, 3 * PART), (3 * PART, 3 * PART + 5)]


def test_large_pieces_are_bound_by_bytes_in_flight() -> None:
    """Beyond the bound, no large request starts; a small file does."""
    scheduler = Scheduler(BytesInFlight(2 * PART), PART)
    answered(scheduler, 10 * PART)
    assert scheduler.next(0.0) is not None
    assert scheduler.next(0.0) is None
    scheduler.add(a_download(10))
    assert scheduler.next(0.0) is not None


def test_an_ended_piece_makes_room() -> None:
    """The budget is given back."""
    scheduler = Scheduler(BytesInFlight(PART), PART)
    scheduler.add(a_download(PART, "one"))
    scheduler.add(a_download(PART, "two"))
    first = scheduler.next(0.0)
    assert first is not None
    assert scheduler.next(0.0) is None
    scheduler.ended(first)
    assert scheduler.next(0.0) is not None


def test_a_piece_that_was_put_off_waits_for_its_time() -> None:
    """Not before, and then before all others."""
    scheduler = Scheduler(BytesInFlight(PART), PART)
    request = a_download(10, "again").first_request()
    scheduler.later(request, when=5.0)
    assert scheduler.next_due == 5.0
    assert scheduler.next(4.9) is None
    scheduler.add(a_download(10))
    assert scheduler.next(5.0) is request


def test_ranges_of_a_restarted_file_are_dropped() -> None:
    """What belongs to an older attempt is void."""
    scheduler = Scheduler(BytesInFlight(PART), PART)
    download = a_download(10)
    scheduler.again(download.first_request())
    fresh = download.restart()
    scheduler.again(fresh)
    assert scheduler.next(0.0) is fresh
    assert scheduler.next(0.0) is None


def test_files_that_ended_meanwhile_are_not_started() -> None:
    """A cancelled file costs no request."""
    scheduler = Scheduler(BytesInFlight(PART), PART)
    download = a_download(10)
    scheduler.add(download)
    download.discard()
    assert scheduler.next(0.0) is None


def test_waiting_files_can_be_taken_back() -> None:
    """For when the disk is full, or nobody answers."""
    scheduler = Scheduler(BytesInFlight(PART), PART)
    scheduler.add(a_download(10))
    scheduler.add(a_download(100 * MIB))
    assert len(scheduler.waiting()) == 2
    assert scheduler.next(0.0) is None
