"""One table being written: batches gathered to row groups, each written as a unit.

```
add ─► gathered ─┬─► a row group is full ────────────────────────► row group ─► gathered …
                 └─► all tables have gathered too much ─► relieve ─┬─► row group, if it is large enough
                                                                   └─► disk, until the row group is full
finish ─► last row groups, metadata ─► closed          abandon ─► closed
```
An open writer of Parquet keeps the last page of its last column, twice: it is freed with the next row group only. So a
log with hundreds of topics, or with rows of many MiB, has few of them, and the rest of its tables wait on the disk until
the end, when they are written one by one.
"""

import base64
import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from roboto_dagster.disk.temp_folder import UNFINISHED_SUFFIX, PartialFolder
from roboto_dagster.topics.tables.encodings import dictionary_columns, value_bytes
from roboto_dagster.topics.tables.sink import arrow_sink
from roboto_dagster.topics.tables.spill import Spill
from roboto_dagster.topics.tables.times import TimeStatistics

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_GROUP = 100_000
BYTES_PER_GROUP = 32 * 1024 * 1024
LEAST_BYTES_PER_GROUP = 8 * 1024 * 1024
"""What is worth a row group of its own where memory is short, or where the next rows are large."""
_PAGE_BYTES = 1024 * 1024
_ROWS_PER_CHECK = 64  # more between two looks at the size of a page gain nothing
TIME_COLUMN = "log_time"
METADATA_PREFIX = "roboto."
"""Starts the keys of a table's metadata."""


class UnusableBatchError(Exception):
    """A batch that no table can be made of, or that is not of its table."""


class TableWriter:
    """Writes one table; ends with `finish` or `abandon`. For one thread.

    Args:
        schema: Of its batches.
        folder: Where it is written.
        part: Name of its file there.
        may_hold: Returns whether there is room for so many bytes more that an open writer keeps.

    Attributes:
        schema: The same.
        times: What is known about its times.
        pending_bytes: How much it has gathered in memory.
        held_bytes: How much its open writer keeps besides, about.

    Raises:
        UnusableBatchError: There is no time column in front.
    """

    def __init__(
        self, schema: "pa.Schema", folder: PartialFolder, part: str, may_hold: Callable[[int], bool]
    ) -> None:
        import pyarrow as pa

        first = schema.field(0) if len(schema) else None
        if first is None or (first.name, first.type) != (TIME_COLUMN, pa.timestamp("ns", "UTC")):
            raise UnusableBatchError(
                f"the first column of its batches is not {TIME_COLUMN}: timestamp[ns, UTC]"
            )
        self.schema = schema.remove_metadata()
        self.times = TimeStatistics()
        self.pending_bytes = 0
        self.held_bytes = 0
        self._folder = folder
        self._part = part
        self._may_hold = may_hold
        self._gathered: list[pa.RecordBatch] = []
        self._rows = 0
        self._row_bytes = 0  # of the largest rows so far
        self._value_bytes = 0  # of the largest values so far
        self._spill = Spill(
            folder, f"{part.removesuffix(UNFINISHED_SUFFIX)}.rows{UNFINISHED_SUFFIX}"
        )
        self._stack = contextlib.ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._fd = -1

    @property
    def is_open(self) -> bool:
        """Whether it has an open writer."""
        return self._writer is not None

    def add(self, rows: "pa.RecordBatch") -> None:
        """Take the next rows; those of a full row group are written.

        Args:
            rows: With the schema of the table.

        Raises:
            OSError: They cannot be written.
            UnusableBatchError: They are not of this table, or of a type that Parquet does not have.
        """
        if not rows.schema.equals(self.schema):
            raise UnusableBatchError("the columns of its batches are not the same")
        self.times.add(rows.column(0))
        size_bytes = rows.nbytes
        if _is_next_group(self.pending_bytes, size_bytes):
            self._write_or_wait()
        self._gathered.append(rows)
        self._rows += rows.num_rows
        self.pending_bytes += size_bytes
        self._row_bytes = max(self._row_bytes, size_bytes // max(rows.num_rows, 1))
        self._value_bytes = max(self._value_bytes, value_bytes(rows))
        if _is_full(self._rows + self._spill.rows, self.pending_bytes + self._spill.size_bytes):
            self._write_or_wait()

    def relieve(self) -> None:
        """Make room in memory.

        Raises:
            OSError: The rows cannot be written.
            UnusableBatchError: Parquet does not have their type.
        """
        if self.pending_bytes + self._spill.size_bytes >= LEAST_BYTES_PER_GROUP:
            self._write_or_wait()
        else:
            self._wait()

    def _write_or_wait(self) -> None:
        held_bytes = 2 * (_PAGE_BYTES + self._row_bytes)
        if held_bytes > self.held_bytes and not self._may_hold(held_bytes - self.held_bytes):
            self._wait()
            return
        self.held_bytes = max(held_bytes, self.held_bytes)
        self._write_all()

    def _wait(self) -> None:
        """Write to the disk what is gathered, until there is more or it is the end."""
        import pyarrow as pa

        try:
            self._spill.append(self._taken())
        except pa.ArrowException as error:
            raise UnusableBatchError(str(error).partition("\n")[0]) from error

    def _taken(self) -> "list[pa.RecordBatch]":
        gathered, self._gathered, self._rows, self.pending_bytes = self._gathered, [], 0, 0
        return gathered

    def _write_all(self) -> None:
        """Write what waits on the disk, then what is gathered."""
        for group in _row_groups(itertools.chain(self._spill.take(), self._taken())):
            self._write(group)

    def _write(self, batches: "list[pa.RecordBatch]") -> None:
        """Write batches as one row group, and let go of them."""
        import pyarrow as pa

        table = pa.Table.from_batches(batches, self.schema)
        batches.clear()
        try:
            self._open().write_table(table, row_group_size=max(table.num_rows, 1))
        except pa.ArrowException as error:
            raise UnusableBatchError(str(error).partition("\n")[0]) from error
        del table
        pa.default_memory_pool().release_unused()  # what it took stays with it otherwise

    def _open(self) -> "pq.ParquetWriter":
        import pyarrow.parquet as pq

        if self._writer is None:
            self._fd = self._folder.create(self._part)
            self._stack.callback(os.close, self._fd)
            self._sink = arrow_sink(self._fd)
            self._stack.callback(self._sink.close)
            self._writer = pq.ParquetWriter(
                self._sink,
                self.schema,
                compression="zstd",
                compression_level=1,
                write_page_checksum=True,
                write_statistics=[TIME_COLUMN],
                use_dictionary=dictionary_columns(self.schema),  # type: ignore[arg-type] # a list is fine
                data_page_size=_PAGE_BYTES,
                write_batch_size=min(
                    max(_PAGE_BYTES // max(self._value_bytes, 1), 1), _ROWS_PER_CHECK
                ),
                store_schema=False,  # with the metadata, at the end
            )
        return self._writer

    def finish(self, metadata: Mapping[str, str], *, flush: bool) -> None:
        """Write the rest and close the file.

        Args:
            metadata: Of the table, by keys that get the prefix `roboto.`.
            flush: Whether it is forced to the disk.

        Raises:
            OSError: It cannot be written.
            UnusableBatchError: Parquet does not have its type.
        """
        self._write_all()
        if not self.is_open:
            self._write([])
        writer = self._open()
        given = {
            f"{METADATA_PREFIX}{key.removeprefix(METADATA_PREFIX)}": f"{text}"
            for key, text in metadata.items()
        }
        # Arrow's own form of a schema (https://arrow.apache.org/docs/cpp/parquet.html): written at the end, since only
        # then it is known whether the rows are sorted, and readers by pyarrow see just what it holds.
        arrow = base64.b64encode(self.schema.with_metadata(given).serialize().to_pybytes())
        writer.add_key_value_metadata({**given, "ARROW:schema": arrow.decode()})
        writer.close()
        self._writer = None
        self.held_bytes = 0
        with self._stack:
            self._sink.close()
            if flush:
                os.fsync(self._fd)

    def abandon(self) -> None:
        """Close the file, whatever is in it, and remove it."""
        self._taken()
        self.held_bytes = 0
        writer, self._writer = self._writer, None
        with contextlib.suppress(Exception):  # a full disk takes no footer either
            if writer is not None:
                writer.close()
        with contextlib.suppress(OSError):
            self._stack.close()
        self._folder.remove(self._part)
        self._spill.discard()


def _is_full(rows: int, size_bytes: int) -> bool:
    """Return whether rows are a row group."""
    return rows >= ROWS_PER_GROUP or size_bytes >= BYTES_PER_GROUP


def _is_next_group(size_bytes: int, more_bytes: int) -> bool:
    """Return whether rows are better written before more are added, as both together take too much memory."""
    is_worth_it = size_bytes >= LEAST_BYTES_PER_GROUP
    return is_worth_it and size_bytes + more_bytes > BYTES_PER_GROUP + LEAST_BYTES_PER_GROUP


def _row_groups(batches: "Iterable[pa.RecordBatch]") -> "Iterator[list[pa.RecordBatch]]":
    """Yield batches in row groups that are full, but for the last one; each list may be emptied."""
    group: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in batches:
        if _is_next_group(size_bytes, batch.nbytes):
            yield group
            group, rows, size_bytes = [], 0, 0
        group.append(batch)
        rows, size_bytes = rows + batch.num_rows, size_bytes + batch.nbytes
        del batch  # a large one is not kept while the next one is read
        if _is_full(rows, size_bytes):
            yield group
            group, rows, size_bytes = [], 0, 0
    if group:
        yield group
