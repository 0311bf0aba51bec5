"""Which bytes of one object are requested, and which have arrived. Pure.

```
0 ├─────── initial stream ───────┤ stops where the next range was given to another connection
                                 ├── range ──┤├── range ──┤ …        next_start ▲
                                                  ├─ done ─┤ found on disk, left by a killed run
```

The initial stream is a GET without a range: it reports size, ETag and checksum, needs no HEAD
before it, and is the only request for a file up to one part. It continues while the part after it
is not taken, so that a single connection fetches a complete file in one request.
"""

_NO_PARTS: dict[int, int] = {}  # shared: most files have none


class RangePlan:
    """The ranges of one object.

    Attributes:
        size_bytes: The object's size; None until an answer reports it.
        initial_stop: Where the initial stream was to end at first; 0 before it was answered.
        fetched_bytes: How many bytes are counted as arrived.
        next_start: The first byte that nobody has requested.
        is_divided: Whether it is fetched in several parts, which a later run can resume.
    """

    __slots__ = (
        "_done",
        "_part_size",
        "fetched_bytes",
        "initial_stop",
        "is_divided",
        "next_start",
        "size_bytes",
    )

    def __init__(self, part_size: int) -> None:
        self._part_size = part_size
        self.size_bytes: int | None = None
        self.initial_stop = 0
        self.fetched_bytes = 0
        self.next_start = 0
        self.is_divided = False
        self._done = _NO_PARTS

    def divide(self, size_bytes: int, *, in_ranges: bool) -> int:
        """Take the object's size in.

        Args:
            size_bytes: The size.
            in_ranges: Whether ranges of it can be requested.

        Returns:
            Where the initial stream ends for now.
        """
        self.size_bytes = size_bytes
        stop = min(self._part_size, size_bytes) if in_ranges else size_bytes
        self.next_start = self.initial_stop = stop
        self.is_divided = 0 < stop < size_bytes
        return stop

    def take(self) -> tuple[int, int] | None:
        """Take the next range that nobody has requested; None if there is none."""
        while self.next_start in self._done:
            self.next_start = self._done.pop(self.next_start)
        if not self.has_more:
            return None
        start, size = self.next_start, self.size_bytes or 0
        stop = self.next_start = min(start + self._part_size, size, *self._done)
        return start, stop

    @property
    def has_more(self) -> bool:
        """Whether `take` may have something to give."""
        return self.size_bytes is not None and 0 < self.next_start < self.size_bytes

    @property
    def is_complete(self) -> bool:
        """Whether all bytes have arrived."""
        return self.fetched_bytes == self.size_bytes

    @property
    def has_parts_ahead(self) -> bool:
        """Whether parts that a killed run left lie after what is requested."""
        return bool(self._done)

    def extend(self, stop: int, end: int) -> int:
        """Let the initial stream continue over parts that nobody has taken.

        Args:
            stop: Where it ends.
            end: How far its next bytes reach.

        Returns:
            Where it ends now.
        """
        size = self.size_bytes or 0
        while end >= stop == self.next_start < size:
            stop = self.next_start = min(stop + self._part_size, size)
        return stop

    def continue_after(self, stop: int) -> None:
        """Take bytes from 0 to `stop` for arrived or under way, since a killed run left them."""
        self.next_start = stop

    def add_done(self, start: int, stop: int) -> None:
        """Count a part in that a killed run left.

        Args:
            start: Its first byte.
            stop: The byte after its last.
        """
        if self._done is _NO_PARTS:
            self._done = {}
        self._done[start] = stop
        self.fetched_bytes += stop - start
