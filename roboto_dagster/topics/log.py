"""One log: decoded into tables beside their final place, then published by one rename.

```
 batches ─► TableSet ─► hidden folder ─┬─► no failure of the log ──────────────────────► published
 faults of topics ─► their tables go   ├─► one, keep_partial ──────────────────────────► published
                                       ├─► one of the log ─────────────────────────────► nothing; the old ones go, too
                                       └─► one of this machine, an interrupt ──────────► nothing; the old ones stay
```
"""

import dataclasses
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

from roboto_dagster.disk import run_record
from roboto_dagster.disk.folder import Durability
from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.disk.temp_folder import PartialFolder
from roboto_dagster.errors import is_no_space
from roboto_dagster.sync.cancellation import SyncCancelledError
from roboto_dagster.text import one_line
from roboto_dagster.topics.decoder import (
    Found,
    LogDecoder,
    TopicBatch,
    TopicFault,
    TopicNote,
    fault_of,
)
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.published import (
    published_tables,
    remove_empty_folders,
    remove_tables,
    table_metadata,
)
from roboto_dagster.topics.tables.table_set import TableFacts, TableSet
from roboto_dagster.topics.topic_filter import TopicFilter

logger = logging.getLogger(__name__)

LAYOUT_VERSION = 1
"""Changes whenever a release would write the same batches to other tables: then all logs are decoded again."""

MACHINE_CODES = frozenset(
    {
        *("NO_SPACE", "LOCAL_IO", "LOG_IO", "CHANGED"),
        *("PROCESS_DIED", "EXTRA_MISSING", "CANCELLED", "UNEXPECTED"),
    }
)
"""Failures for a reason of this machine, which say nothing about the log."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogTask:
    """What is needed to decode one log, in any process.

    Attributes:
        log: The log.
        decoder: What reads it.
        topics: Which topics, and how.
        keep_partial: Whether what was read before a failure is published.
        destination: The folder that the user chose.
        durability: What is forced to the disk when its tables are published.
        asset: Its key, as the name of the folder of its manifests: another asset's tables are never replaced.
        earlier: Names of the tables that the manifest has of the log.
    """

    log: LogFile
    decoder: LogDecoder
    topics: TopicFilter
    keep_partial: bool
    destination: pathlib.Path
    durability: Durability
    asset: str
    earlier: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogResult:
    """What decoding one log gave.

    Attributes:
        tables: What is published now.
        faults: What failed: topics, and the log (topic None) at most once.
        notes: What is no failure.
        is_replaced: Whether earlier tables are gone; otherwise they are still there.
        duration_seconds: How long it took.
    """

    tables: Sequence[TableFacts] = ()
    faults: Sequence[TopicFault] = ()
    notes: Sequence[TopicNote] = ()
    is_replaced: bool = False
    duration_seconds: float = 0.0

    @property
    def log_fault(self) -> TopicFault | None:
        """Why not all of the log could be read; None if it could."""
        return next((fault for fault in self.faults if fault.topic is None), None)


def decode_log(task: LogTask, on_rows: Callable[[int], None] = lambda _: None) -> LogResult:
    """Decode one log and publish its tables.

    Args:
        task: What is decoded, how, and to where.
        on_rows: Called with the number of rows of each batch; may raise to end it. Default: nothing.

    Returns:
        What was published, and what failed. No error of the log or the disk is raised.
    """
    started = time.monotonic()
    try:
        record = run_record.acquire(task.destination)
        try:
            result = _LogRun(task, record, on_rows).run()
        finally:
            record.release()
    except SyncCancelledError:
        raise
    except OSError as error:
        result = LogResult(faults=[local_fault(error)])
    except MemoryError:
        reason = "there is not enough memory to write its tables"
        result = LogResult(faults=[TopicFault(topic=None, code="PROCESS_DIED", reason=reason)])
    except Exception as error:  # other logs go on
        logger.exception("%s could not be decoded", one_line(task.log.local_path))
        reason = f"{type(error).__name__}: {error}"
        result = LogResult(faults=[TopicFault(topic=None, code="UNEXPECTED", reason=reason[:1000])])
    return dataclasses.replace(result, duration_seconds=time.monotonic() - started)


def local_fault(error: OSError) -> TopicFault:
    """Translate an error of the destination's disk.

    Args:
        error: From writing.

    Returns:
        A fault of the log.
    """
    reason = f"{error.strerror or error}"
    if error.filename is not None:
        reason = f"{os.fspath(error.filename)}: {reason}"
    return TopicFault(
        topic=None, code="NO_SPACE" if is_no_space(error) else "LOCAL_IO", reason=reason
    )


class _LogRun:
    """The decoding of one log."""

    def __init__(self, task: LogTask, record: RunRecord, on_rows: Callable[[int], None]) -> None:
        self._task = task
        self._record = record
        self._on_rows = on_rows
        self._target = task.log.local_path
        self._faults: list[TopicFault] = []
        self._notes: list[TopicNote] = []

    def run(self) -> LogResult:
        task = self._task
        unsafe = unsafe_reason(self._target)
        if unsafe is not None:
            return LogResult(faults=[TopicFault(topic=None, code="UNSAFE_PATH", reason=unsafe)])
        metadata = {
            "layout_version": f"{LAYOUT_VERSION}",
            "decoder": f"{task.decoder.name} {task.decoder.version}",
            **table_metadata(task.asset, self._target),
        }
        place = task.destination / self._target
        flush = task.durability != "none"
        try:
            with PartialFolder(place, task.destination, self._record, task.durability) as folder:
                tables = TableSet(folder, metadata, flush=flush)
                try:
                    return self._decode(tables, folder)
                finally:
                    tables.close()
        finally:
            remove_empty_folders(task.destination, self._target)  # where nothing was published

    def _decode(self, tables: TableSet, folder: PartialFolder) -> LogResult:
        for item in self._checked_items():
            match item:
                case TopicBatch():
                    self._on_rows(item.rows.num_rows)
                    tables.add(item)
                case TopicNote():
                    self._notes.append(item)
                case TopicFault(topic=topic):
                    self._faults.append(item)
                    if topic is not None and not self._task.keep_partial:
                        tables.drop(topic)
                case _:  # somebody's own decoder
                    reason = f"the decoder yielded {type(item).__name__}, not TopicBatch, TopicFault or TopicNote"
                    fault = TopicFault(topic=None, code="DECODER_FAILED", reason=reason)
                    self._faults.append(fault)
                    break
            del item  # not in memory beside the next batch
        return self._publish(tables, folder)

    def _publish(self, tables: TableSet, folder: PartialFolder) -> LogResult:
        fault = next((fault for fault in self._faults if fault.topic is None), None)
        if fault is not None and fault.code in MACHINE_CODES:
            return self._result((), tables, is_replaced=False)
        is_kept = fault is None or self._task.keep_partial
        facts = tables.finish() if is_kept else []
        task = self._task
        earlier = published_tables(task.destination, self._target, task.asset, task.earlier)
        if facts:
            folder.publish(earlier)
        else:
            folder.discard()
            remove_tables(task.destination, self._target, earlier)
        return self._result(facts, tables, is_replaced=True)

    def _result(
        self, facts: Sequence[TableFacts], tables: TableSet, *, is_replaced: bool
    ) -> LogResult:
        faults = (*self._faults, *tables.faults)
        return LogResult(
            tables=tuple(facts), faults=faults, notes=tuple(self._notes), is_replaced=is_replaced
        )

    def _checked_items(self) -> Iterator[object]:
        """Yield what the decoder yields, up to a fault of the log, which may also be that it has changed meanwhile."""
        try:
            before = self._identity()
            if before[1] != self._task.log.size_bytes:
                reason = f"the log on disk has {before[1]} bytes, not the {self._task.log.size_bytes} that were delivered"
                yield TopicFault(topic=None, code="CHANGED", reason=reason)
                return
            for item in decoded(self._task):
                is_last = isinstance(item, TopicFault) and item.topic is None
                yield item
                if is_last:
                    return
                del item  # as in `_decode`
            changed = self._identity() != before
        except OSError as error:
            yield fault_of(None, error)
            return
        if changed:
            reason = "the log was replaced while it was read"
            yield TopicFault(topic=None, code="CHANGED", reason=reason)

    def _identity(self) -> tuple[int, int, int]:
        status = self._task.log.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns


def decoded(task: LogTask) -> Iterator[Found]:
    """Yield what a decoder yields; what it raises becomes a fault of the log.

    Args:
        task: Whose decoder, and what it reads.
    """
    try:
        yield from task.decoder.batches(task.log.path, task.topics)
    except OSError as error:
        yield fault_of(None, error)
    except MemoryError:
        reason = "there is not enough memory for one of its messages"
        yield TopicFault(topic=None, code="PROCESS_DIED", reason=reason)
    except Exception as error:  # noqa: BLE001 - anybody's decoder; other logs go on
        yield _failed(error)
    except BaseException as error:
        # A panic of a decoder written in Rust; what else is none of `Exception` ends the run.
        if type(error).__name__ != "PanicException":
            raise
        yield _failed(error)


def _failed(error: BaseException) -> TopicFault:
    reason = f"the decoder raised {type(error).__name__}: {error}"
    return TopicFault(topic=None, code="DECODER_FAILED", reason=reason[:1000])
