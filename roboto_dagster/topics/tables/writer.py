"""One table being written: batches gathered to row groups, each written as a unit.

```
add ─► gathered ─┬─► 100,000 rows or 32 MiB ──────────────┬─► row group ─► gathered …
                 └─► the largest, where all have too many ┘
finish ─► last row group, metadata ─► closed          abandon ─► closed
```
Nothing is opened before the first row group: a log may have hundreds of small topics.
"""

import base64
import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from roboto_dagster.topics.tables.encodings import dictionary_columns
from roboto_dagster.topics.tables.times import TimeStatistics

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_GROUP = 100_000
BYTES_PER_GROUP = 32 * 1024 * 1024
TIME_COLUMN = "log_time"
_PREFIX = "roboto."


class UnusableBatchError(Exception):
    """A batch that no table can be made of, or that is not of its table."""


class TableWriter:
    """Writes one table; ends with `finish` or `abandon`. For one thread.

    Args:
        schema: Of its batches.
        create: Makes its file, and returns a descriptor.

    Attributes:
        schema: The same.
        times: What is known about its times.
        pending_bytes: How much is gathered.

    Raises:
        UnusableBatchError: There is no time column in front.
    """

    def __init__(self, schema: "pa.Schema", create: Callable[[], int]) -> None:
        import pyarrow as pa

        first = schema.field(0) if len(schema) else None
        if first is None or (first.name, first.type) != (TIME_COLUMN, pa.timestamp("ns", "UTC")):
            raise UnusableBatchError(f"its first column is not {TIME_COLUMN}: timestamp[ns, UTC]")
        self.schema = schema.remove_metadata()
        self.times = TimeStatistics()
        self.pending_bytes = 0
        self._create = create
        self._gathered: list[pa.RecordBatch] = []
        self._rows = 0
        self._stack = contextlib.ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._fd = -1

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
        if self._rows >= ROWS_PER_GROUP or self.pending_bytes >= BYTES_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what is gathered as one row group.

        Raises:
            OSError: It cannot be written.
            UnusableBatchError: Parquet does not have its type.
        """
        import pyarrow as pa

        gathered, self._gathered = self._gathered, []
        rows, self._rows, self.pending_bytes = self._rows, 0, 0
        if not gathered and self._writer is not None:
            return
        table = pa.Table.from_batches(gathered, self.schema)
        gathered.clear()
        try:
            self._open().write_table(table, row_group_size=max(rows, 1))
        except pa.ArrowException as error:
            raise UnusableBatchError(str(error).partition("\n")[0]) from error

    def _open(self) -> "pq.ParquetWriter":
        import pyarrow.parquet as pq

        if self._writer is None:
            self._fd = self._create()
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
        self.flush()
        writer = self._open()
        given = {f"{_PREFIX}{key.removeprefix(_PREFIX)}": text for key, text in metadata.items()}
        # Arrow's own form of a schema (https://arrow.apache.org/docs/cpp/parquet.html): written at the end, since only
        # then it is known whether the rows are sorted, and readers by pyarrow see just what it holds.
        arrow = base64.b64encode(self.schema.with_metadata(given).serialize().to_pybytes())
        writer.add_key_value_metadata({**given, "ARROW:schema": arrow.decode()})
        writer.close()
        with self._stack:
            if flush:
                os.fsync(self._fd)

    def abandon(self) -> None:
        """Close the file, whatever is in it."""
        self._gathered.clear()
        self.pending_bytes = 0
        writer, self._writer = self._writer, None
        with contextlib.suppress(Exception):  # a full disk takes no footer either
            if writer is not None:
                writer.close()
        with contextlib.suppress(OSError):
            self._stack.close()
