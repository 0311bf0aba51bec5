"""One table being written: batches gathered to row groups, each written as a unit.

```
add ─► gathered ─┬─► a row group is full ────────────────────────► row group ─► gathered …
                 └─► all tables have gathered too much ─► relieve ─┬─► row group, if it is large enough
                                                                   └─► disk, until the row group is full
finish ─► last row groups, metadata ─► closed          abandon ─► closed
```
An open writer of Parquet keeps a page and more of memory, and a descriptor: a log with hundreds of topics has a few
of them, and the rest of its tables wait on the disk until the end, when they are written one by one.
"""

import base64
import contextlib
import itertools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from roboto_dagster.disk.temp_folder import UNFINISHED_SUFFIX, PartialFolder
from roboto_dagster.topics.tables.encodings import dictionary_columns
from roboto_dagster.topics.tables.spill import Spill
from roboto_dagster.topics.tables.times import TimeStatistics

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_GROUP = 100_000
BYTES_PER_GROUP = 32 * 1024 * 1024
LEAST_BYTES_PER_GROUP = 8 * 1024 * 1024
"""What is worth a row group of its own where memory is short."""
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
        may_open: Returns whether there is room for one more open writer.

    Attributes:
        schema: The same.
        times: What is known about its times.
        pending_bytes: How much it has gathered in memory.

    Raises:
        UnusableBatchError: There is no time column in front.
    """

    def __init__(
        self, schema: "pa.Schema", folder: PartialFolder, part: str, may_open: Callable[[], bool]
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
        self._folder = folder
        self._part = part
        self._may_open = may_open
        self._gathered: list[pa.RecordBatch] = []
        self._rows = 0
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
        self._gathered.append(rows)
        self._rows += rows.num_rows
        self.pending_bytes += rows.nbytes
        if (
            self._rows + self._spill.rows >= ROWS_PER_GROUP
            or self.pending_bytes + self._spill.size_bytes >= BYTES_PER_GROUP
        ):
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
        if self.is_open or self._may_open():
            self._write([*self._spill.take(), *self._taken()])
        else:
            self._wait()

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

    def _write(self, batches: "list[pa.RecordBatch]") -> None:
        """Write batches as one row group, and let go of them."""
        import pyarrow as pa

        table = pa.Table.from_batches(batches, self.schema)
        batches.clear()
        try:
            self._open().write_table(table, row_group_size=max(table.num_rows, 1))
        except pa.ArrowException as error:
            raise UnusableBatchError(str(error).partition("\n")[0]) from error

    def _open(self) -> "pq.ParquetWriter":
        import pyarrow.parquet as pq

        if self._writer is None:
            self._fd = self._folder.create(self._part)
            file = self._stack.enter_context(os.fdopen(self._fd, "wb"))
            self._writer = pq.ParquetWriter(
                file,
                self.schema,
                compression="zstd",
                compression_level=1,
                write_page_checksum=True,
                write_statistics=[TIME_COLUMN],
                use_dictionary=dictionary_columns(self.schema),  # type: ignore[arg-type] # a list is fine
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
        self._write_rest()
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
        with self._stack:
            if flush:
                os.fsync(self._fd)

    def _write_rest(self) -> None:
        """Write what waits on the disk and in memory, in row groups that are full, but for the last one."""
        batches: list[pa.RecordBatch] = []
        rows = size_bytes = 0
        for batch in itertools.chain(self._spill.take(), self._taken()):
            batches.append(batch)
            rows, size_bytes = rows + batch.num_rows, size_bytes + batch.nbytes
            if rows >= ROWS_PER_GROUP or size_bytes >= BYTES_PER_GROUP:
                self._write(batches)
                rows = size_bytes = 0
        if batches or not self.is_open:
            self._write(batches)

    def abandon(self) -> None:
        """Close the file, whatever is in it, and remove it."""
        self._taken()
        writer, self._writer = self._writer, None
        with contextlib.suppress(Exception):  # a full disk takes no footer either
            if writer is not None:
                writer.close()
        with contextlib.suppress(OSError):
            self._stack.close()
        self._folder.remove(self._part)
        self._spill.discard()
