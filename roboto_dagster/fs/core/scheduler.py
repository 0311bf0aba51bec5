"""Decides which request comes next, over the files and ranges of one loop. Pure.

Small files are bound by connections alone, since each costs a round trip. Large ranges are bound
by bytes in flight too: a few connections fill any network, and more only take memory. Large files
go first, so that none of them is left over at the end, and one after the other, so that few are
open at once.
"""

import heapq
import itertools
from collections import deque

from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.download import UNKNOWN, Download, RangeRequest

BULK_BYTES = 1024 * 1024
"""Ranges of this size and more count as bytes in flight."""


class Scheduler:
    """The files and ranges that wait.

    Args:
        bytes_in_flight: The budget of bytes requested at once in large ranges.
        part_size: What one request asks at most of a file whose size is known.
    """

    def __init__(self, bytes_in_flight: BytesInFlight, part_size: int) -> None:
        self._in_flight = bytes_in_flight
        self._part_size = part_size
        self._bytes = 0
        self._small: deque[Download] = deque()
        self._bulk: deque[Download] = deque()
        self._ranged: deque[Download] = deque()
        self._again: deque[RangeRequest] = deque()
        self._later: list[tuple[float, int, RangeRequest]] = []
        self._order = itertools.count()

    def add(self, download: Download) -> None:
        """Take in a file."""
        size = download.expected_size
        (self._small if size is None or size < BULK_BYTES else self._bulk).append(download)

    def add_ranges(self, download: Download) -> None:
        """Take in the ranges of a file whose first answer has come."""
        self._ranged.append(download)

    def again(self, request: RangeRequest) -> None:
        """Put a request before all others."""
        self._again.append(request)

    def later(self, request: RangeRequest, when: float) -> None:
        """Put a request off.

        Args:
            request: The request.
            when: Until when, by the driver's clock, in seconds.
        """
        heapq.heappush(self._later, (when, next(self._order), request))

    @property
    def next_due(self) -> float:
        """When the first request that was put off is due; infinite if there is none."""
        return self._later[0][0] if self._later else float("inf")

    @property
    def has_waiting(self) -> bool:
        """Whether `next` would return something, ranges that were put off aside."""
        if self._again or self._small:
            return True
        return bool(self._ranged or self._bulk) and self._in_flight.has_room(self._bytes)

    @property
    def has_again(self) -> bool:
        """Whether requests wait that were sent before, those that were put off aside."""
        return bool(self._again)

    def next(self, now: float, *, only_started: bool = False) -> RangeRequest | None:
        """Return what to ask next, or None if nothing may be asked now.

        Args:
            now: The driver's clock, in seconds.
            only_started: Whether to return only what was sent before. Default False.
        """
        while self._later and self._later[0][0] <= now:
            self._again.append(heapq.heappop(self._later)[2])
        request = self._next_again()
        if request is None and not only_started:
            request = self._next_bulk() or self._next_small()
        if request is not None:
            self._charge(request)
        return request

    def ended(self, request: RangeRequest) -> None:
        """Give the bytes of a request back to the budget."""
        cost = request.cost_bytes
        if cost:
            self._bytes -= cost
            self._in_flight.used -= cost
            request.cost_bytes = 0

    def waiting(self) -> list[Download]:
        """Empty the queues of files that have not been started, and return them."""
        waiting = [*self._small, *self._bulk]
        self._small.clear()
        self._bulk.clear()
        return waiting

    def _next_again(self) -> RangeRequest | None:
        while self._again:
            request = self._again.popleft()
            if not request.is_stale:
                return request
        return None

    def _next_bulk(self) -> RangeRequest | None:
        if not (self._ranged or self._bulk) or not self._in_flight.has_room(self._bytes):
            return None
        while self._ranged:
            request = self._ranged[0].next_request()
            if request is not None:
                return request
            self._ranged.popleft()
        return _first_of(self._bulk)

    def _next_small(self) -> RangeRequest | None:
        return _first_of(self._small)

    def _charge(self, request: RangeRequest) -> None:
        size = (
            request.download.expected_size
            if request.stop == UNKNOWN
            else request.stop - request.position
        )
        cost = min(size or 0, self._part_size)
        if cost >= BULK_BYTES:
            request.cost_bytes = cost
            self._bytes += cost
            self._in_flight.used += cost


def _first_of(queue: "deque[Download]") -> RangeRequest | None:
    while queue:
        download = queue.popleft()
        if not download.is_over:
            return download.first_request()
    return None
