"""Parquet files of this package: written in one step under a temporary name, read without following links.

```
tables ─► temporary file beside the target ─► closed by the writer ─► one rename
```

Whoever has a format of its own (`sync.manifest`, `sync.shards.plan_file`) says what errors mean there; here they are
Python's and Arrow's.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.disk.folder import Durability
from roboto_dagster.disk.local_file import open_regular
from roboto_dagster.disk.temp_file import open_partial

if TYPE_CHECKING:  # pyarrow would cost every import of the package, and only a run needs it
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_GROUP = 50_000
ROWS_PER_BATCH = ROWS_PER_GROUP // 5
"""How many rows are read at a time, so that memory stays flat."""

# Without dictionaries: zstd makes smaller files of plain values, in half the time or less, and the dictionaries of a
# manifest of one row take 1.3 MiB of each thread that writes one.
_WRITING: Mapping[str, Any] = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_page_checksum": True,
}


def write_parquet(
    path: pathlib.Path,
    schema: "pa.Schema",
    tables: Iterable["pa.Table"],
    *,
    within: pathlib.Path | None = None,
    durability: Durability = "none",
) -> None:
    """Write a file in place of an earlier one, in one step.

    Args:
        path: Where to.
        schema: Of the tables, with the metadata of the file.
        tables: Its rows, many at a time, so that memory stays flat.
        within: A parent of `path` below which no link is followed; None trusts all of the path.
        durability: What is forced to the disk before it counts as written.

    Raises:
        OSError: It cannot be written; what was there before is then untouched.
    """
    import pyarrow.parquet as pq

    partial = open_partial(path, within, durability=durability)
    try:
        with (
            os.fdopen(os.dup(partial.fd), "wb") as file,
            pq.ParquetWriter(file, schema, **_WRITING) as writer,
        ):
            for table in tables:
                writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        partial.publish()
    finally:
        partial.discard()


def table_of(rows: Sequence[Sequence[Any]], schema: "pa.Schema") -> "pa.Table":
    """Return rows as a table.

    Args:
        rows: Values in the order of the schema.
        schema: Of the table.
    """
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


@contextlib.contextmanager
def open_parquet(
    path: str | os.PathLike[str], within: pathlib.Path | None = None
) -> Iterator["pq.ParquetFile"]:
    """Open a file, to be read with `use_threads=False`, and close it.

    The bytes are Python's, since the file is opened without following links, and one of Arrow's threads that lets go of
    them after the interpreter's end aborts the process (seen with pyarrow 17 on Python 3.10).

    Args:
        path: Of the file.
        within: A parent of `path` below which no link is followed; None trusts its folder.

    Raises:
        OSError: There is none, or it cannot be read.
        ArrowException: It is not Parquet, or damaged; also raised in the body, wherever it is damaged.
    """
    import pyarrow.parquet as pq

    with (
        open_regular(pathlib.Path(path), within) as source,
        pq.ParquetFile(source, page_checksum_verification=True) as file,
    ):
        yield file


def row_groups(
    file: "pq.ParquetFile", column: str, may_hold: Callable[[Any, Any], bool]
) -> list[int]:
    """Return the numbers of the row groups that may hold what is looked for, by their statistics.

    Args:
        file: The file.
        column: A column at the top of its schema.
        may_hold: Called with the least and the greatest value of a group.
    """
    index = file.schema_arrow.get_field_index(column)
    found = []
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(index).statistics
        known: Any = statistics if statistics is not None and statistics.has_min_max else None
        if known is None or may_hold(known.min, known.max):
            found.append(group)
    return found
