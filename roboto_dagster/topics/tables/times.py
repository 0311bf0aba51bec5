"""What is known about the times of a table, kept while its rows pass by."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class TimeStatistics:
    """Facts about a column of times in ns, of which only the last one is kept.

    Attributes:
        rows: How many rows there were.
        nulls: How many of them have no time.
        first: The earliest time; None without any.
        last: The latest time; None without any.
        max_gap: The longest time by which a row is later than all before it; None with fewer than two times.
        steps_back: How many rows are earlier than the row before them.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.nulls = 0
        self.first: int | None = None
        self.last: int | None = None
        self.max_gap: int | None = None
        self.steps_back = 0
        self._previous: int | None = None

    @property
    def is_sorted(self) -> bool:
        """Whether each row has a time, and none is earlier than the row before it."""
        return not self.steps_back and not self.nulls

    def add(self, times: "pa.Array[Any]") -> None:
        """Count the next rows of the table.

        Args:
            times: Their times.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        self.rows += len(times)
        self.nulls += times.null_count
        values: pa.Array[Any] = times.cast(pa.int64()).drop_null()
        if not len(values):
            return
        if self._previous is None or self.last is None:
            self._add_steps(values[:-1], values[:-1], values[1:])
        else:
            before = values[:-1]
            self._add_steps(
                pa.concat_arrays([pa.array([self._previous], pa.int64()), before]),
                pa.concat_arrays([pa.array([self.last], pa.int64()), before]),
                values,
            )
        first, last = pc.min(values).as_py(), pc.max(values).as_py()
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        self._previous = values[-1].as_py()

    def _add_steps(
        self,
        before: "pa.Array[Any]",
        latest: "pa.Array[Any]",
        times: "pa.Array[Any]",
    ) -> None:
        """Count steps from one row to the next one.

        Args:
            before: The time of the row before, for each row.
            latest: The same, but for the first one: the latest time of all before it.
            times: The times.
        """
        import pyarrow.compute as pc

        if not len(times):
            return
        self.steps_back += pc.less(times, before).true_count
        # Where the difference of two times is more than 292 years, it wraps around and does not count.
        gap = max(pc.max(pc.subtract(times, pc.cumulative_max(latest))).as_py(), 0)
        self.max_gap = gap if self.max_gap is None else max(self.max_gap, gap)
