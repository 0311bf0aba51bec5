"""The manifest of a topics asset: what one partition has of its logs, a row a log and topic.

```
<destination>/.roboto/<asset key>/<partition key>.parquet      beside those of dataset assets
```

A row without a topic is about the log: it failed, no decoder reads it, it has no messages, or there are notes on it.

```
decoded ─► unchanged …        complete; the table is there
partial                       what was read before a failure, with keep_partial; its code says which
failed                        no table; its code says why
outdated                      the table of an earlier version: the log could not be decoded for a reason of this machine
skipped                       no decoder reads the file
```
"""

import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.disk.folder import Durability
from roboto_dagster.disk.parquet_file import ROWS_PER_BATCH
from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.disk.temp_folder import PUBLISHED_SUFFIX
from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.manifest_format import ManifestFormat, plain_values
from roboto_dagster.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

STATUSES = frozenset({"decoded", "unchanged", "partial", "failed", "outdated", "skipped"})
COMPLETE = frozenset({"decoded", "unchanged"})
"""Statuses of rows whose table holds all of its topic."""

CURRENT = COMPLETE | {"partial"}
"""Statuses of rows whose table is of the log as it is now."""

WITH_TABLE = CURRENT | {"outdated"}
"""Statuses of rows whose table is on disk."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicRow:
    """A row of the manifest.

    Attributes:
        dataset_id: The dataset of the log.
        relative_path: The log's path there.
        file_id: The platform's id of it.
        version: Revision of its record.
        size_bytes: Its size.
        checksum: Its checksum as `algorithm:value`, where there is one.
        topic: The topic, verbatim; None for the log.
        type_name: The message type.
        schema_id: Distinguishes tables of one topic.
        table: Path of the table below the destination; None without one.
        table_bytes: Its size.
        table_mtime_ns: Its modification time, in ns since the epoch.
        rows: How many rows it has.
        first_ns: The earliest `log_time`, in ns since the epoch (column `first_time`).
        last_ns: The latest one (column `last_time`).
        max_gap_ns: The longest time without a row.
        steps_back: How many rows are earlier than the row before them.
        null_times: How many rows have no time.
        columns: The columns of the table and their Arrow types, as JSON.
        decoder: Name of the decoder; None where none reads the file.
        decoder_version: Its version.
        options: SHA-256 of the options that it was decoded with.
        status: One of `STATUSES`.
        code: Why it failed, or is partial or outdated.
        reason: The same in words.
        notes: What is no failure, as JSON: kind, count and text of each.
        decoded_at_us: When its log was decoded, in microseconds since the epoch (column `decoded_at`).
        duration_seconds: How long that took for all of the log.
    """

    dataset_id: str
    relative_path: str
    file_id: str
    version: int
    size_bytes: int
    checksum: str | None = None
    topic: str | None = None
    type_name: str | None = None
    schema_id: str | None = None
    table: str | None = None
    table_bytes: int | None = None
    table_mtime_ns: int | None = None
    rows: int | None = None
    first_ns: int | None = None
    last_ns: int | None = None
    max_gap_ns: int | None = None
    steps_back: int | None = None
    null_times: int | None = None
    columns: str | None = None
    decoder: str | None = None
    decoder_version: str | None = None
    options: str | None = None
    status: str
    code: str | None = None
    reason: str | None = None
    notes: str | None = None
    decoded_at_us: int | None = None
    duration_seconds: float | None = None

    @property
    def local_path(self) -> str:
        """The folder of the log's tables, below the destination."""
        return f"{self.dataset_id}/{self.relative_path}"


@functools.cache
def topics_schema() -> "pa.Schema":
    """Return the columns of a manifest, in the order of `TopicRow`."""
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {
        "first_time": pa.timestamp("ns", "UTC"),
        "last_time": pa.timestamp("ns", "UTC"),
        "decoded_at": pa.timestamp("us", "UTC"),
        "duration_seconds": pa.float64(),
        **dict.fromkeys(_INTEGERS, pa.int64()),
    }
    return pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in _COLUMNS])


_RENAMED = {"first_ns": "first_time", "last_ns": "last_time", "decoded_at_us": "decoded_at"}
_FIELDS = [field.name for field in dataclasses.fields(TopicRow)]
_COLUMNS = [_RENAMED.get(name, name) for name in _FIELDS]
_INTEGERS = (
    *("version", "size_bytes", "table_bytes", "table_mtime_ns"),
    *("rows", "max_gap_ns", "steps_back", "null_times"),
)
_REQUIRED = ("dataset_id", "relative_path", "file_id", "version", "size_bytes", "status")

_FORMAT = ManifestFormat(
    schema=topics_schema,
    version_key=b"roboto_dagster.topics_manifest_version",
    version=1,
    readable=(1,),
)
_DECODERS_KEY = b"roboto_dagster.decoders"
_ROWS_AT_ONCE = 10_000


def write_topics_manifest(
    path: pathlib.Path,
    rows: Iterable[TopicRow],
    *,
    within: pathlib.Path | None = None,
    durability: Durability = "none",
    decoders: str = "",
) -> None:
    """Write a manifest in place of the last one, in one step.

    Args:
        path: From `sync.manifest.manifest_path`.
        rows: Its rows.
        within: A parent of `path` below which no link is followed; None trusts all of the path.
        durability: What is forced to the disk before it counts as written.
        decoders: Stands for the decoders that were asked, see `planning.decoders_id`. Default empty: unknown.

    Raises:
        ManifestError: It cannot be written; the last manifest is then untouched.
    """
    metadata = {_DECODERS_KEY: decoders.encode()} if decoders else {}
    _FORMAT.write(path, _batched(rows), within=within, durability=durability, metadata=metadata)


def _batched(rows: Iterable[TopicRow]) -> Iterator[list[Sequence[Any]]]:
    batch: list[Sequence[Any]] = []
    for row in rows:
        batch.append([getattr(row, name) for name in _FIELDS])
        if len(batch) >= _ROWS_AT_ONCE:
            yield batch
            batch = []
    yield batch


def read_decoders(path: str | os.PathLike[str], within: pathlib.Path | None = None) -> str:
    """Return what stands for the decoders of a manifest; empty if that is unknown.

    Args:
        path: From `sync.manifest.manifest_path`.
        within: A parent of `path` below which no link is followed; None trusts its folder.

    Raises:
        ManifestError: There is none, or it is not one of ours.
    """
    with _FORMAT.open(path, within) as file:
        metadata = file.schema_arrow.metadata or {}
        return metadata.get(_DECODERS_KEY, b"").decode("ascii", "replace")


def read_topics_manifest(
    path: str | os.PathLike[str], within: pathlib.Path | None = None
) -> Iterator[TopicRow]:
    """Yield the rows of a manifest, which others may have written: each is checked.

    Args:
        path: From `sync.manifest.manifest_path`.
        within: A parent of `path` below which no link is followed; None trusts its folder.

    Raises:
        ManifestError: There is none, or it is not one of ours, or it leads out of its destination.
    """
    with _FORMAT.open(path, within) as file:
        for batch in file.iter_batches(ROWS_PER_BATCH, columns=_COLUMNS, use_threads=False):
            values = [plain_values(batch.column(name)) for name in _COLUMNS]
            for row in zip(*values, strict=True):
                yield _checked(path, dict(zip(_FIELDS, row, strict=True)))


def _checked(path: str | os.PathLike[str], values: dict[str, Any]) -> TopicRow:
    reason = _problem(values)
    if reason is not None:
        raise ManifestError(
            f"The manifest {os.fspath(path)} has the row {one_line(values['relative_path'])}, "
            f"{one_line(values['topic'])}, which no run writes: {reason}. Materialize the partition again to replace the "
            "manifest."
        )
    for name in (
        "columns",
        "type_name",
        "schema_id",
        "options",
        "decoder",
    ):  # most rows have the same ones
        if values[name] is not None:
            values[name] = sys.intern(values[name])
    return TopicRow(**values)


def _problem(values: dict[str, Any]) -> str | None:
    missing = next((name for name in _REQUIRED if values[name] is None), None)
    if missing is not None:
        return f"it has no {missing}"
    if values["status"] not in STATUSES:
        return f"its status is {values['status']!r}"
    folder = f"{values['dataset_id']}/{values['relative_path']}"
    unsafe = unsafe_reason(folder)
    if unsafe is None and "/" in values["dataset_id"]:
        unsafe = f"{values['dataset_id']!r} is no dataset id"
    return unsafe or _table_problem(folder, values)


def _table_problem(folder: str, values: dict[str, Any]) -> str | None:
    table = values["table"]
    if table is None:
        return (
            "its table has no path" if values["status"] in WITH_TABLE and values["topic"] else None
        )
    name = table.removeprefix(f"{folder}/")
    if name == table or "/" in name or not name.endswith(PUBLISHED_SUFFIX) or unsafe_reason(table):
        return f"its table {table!r} is not in the folder of its log"
    counts = ("table_bytes", "table_mtime_ns", "rows", "steps_back", "null_times")
    if any(values[each] is None or values[each] < 0 for each in counts) or values["topic"] is None:
        return "its table has no topic, size or number of rows"
    return None
