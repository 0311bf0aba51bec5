"""What has to be decoded, and why: a log is left as it is if nothing that its tables are made of has changed.

```
            no row in the manifest ─────────────────────┐
 content:   checksum, or file id and version ──changed──┤
 decoder:   name, version ─────────────────────changed──┼──► decode
 options:   topics, fields, raw, definitions ──changed──┤
 tables:    there, of the same size ───────────────lost─┤
 failure:   of the log, with nothing kept ──────────────┘       else ──► unchanged
 no decoder claims it ──► skipped        in the manifest, not upstream ──► its tables are removed
```
A topic that failed alone fails again with the same content, decoder and options, and is not decoded again either,
unless it failed for a reason of this machine, such as a library that is missing.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Self

from roboto_dagster.topics.decoder import LogDecoder
from roboto_dagster.topics.log import LAYOUT_VERSION, MACHINE_CODES
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.manifest import WITH_TABLE, TopicRow
from roboto_dagster.topics.topic_filter import TopicFilter

Reason = Literal["new", "content", "decoder", "options", "tables", "failed"]
"""Why a log is decoded."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLog:
    """A log, and what is to be done with it.

    Attributes:
        log: The log.
        decoder: What reads it.
        options: What it is decoded with.
        reason: Why it is decoded; None if its tables stay as they are.
        known: Its rows in the manifest.
    """

    log: LogFile
    decoder: LogDecoder
    options: "OptionsId"
    reason: Reason | None
    known: Sequence[TopicRow] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class OptionsId:
    """Stands in the manifest for the options that a log was decoded with.

    Whether what was read before a failure is kept makes no difference to logs that are complete.

    Attributes:
        topics: SHA-256 of what decides which columns and rows tables have.
        keep_partial: Whether what was read before a failure is published.
        beside: SHA-256 of files beside the log that decide how it is read; empty without any.
    """

    topics: str
    keep_partial: bool
    beside: str = ""

    @classmethod
    def of(cls, topics: TopicFilter, *, keep_partial: bool) -> Self:
        """Return that of some options.

        Args:
            topics: Which topics, and how.
            keep_partial: Whether what was read before a failure is published.
        """
        options = {each.name: getattr(topics, each.name) for each in dataclasses.fields(topics)}
        text = json.dumps({**options, "layout": LAYOUT_VERSION}, sort_keys=True, default=_plain)
        return cls(hashlib.sha256(text.encode()).hexdigest(), keep_partial)

    def text(self, *, has_failed: bool) -> str:
        """Return what stands in the manifest.

        Args:
            has_failed: Whether something of the log failed.
        """
        partial = "+partial" if has_failed and self.keep_partial else ""
        return f"{self.topics}{partial}" + (f"+{self.beside}" if self.beside else "")


def _plain(value: Any) -> Any:
    """Turn a mapping or sequence of any kind into one that JSON has."""
    return dict(value) if isinstance(value, Mapping) else list(value)


def files_beside(log: LogFile, logs: Mapping[str, LogFile]) -> str:
    """Return a hash over the files beside a log that decide how it is read; empty without any.

    The storage of rosbag2 has its compression in `metadata.yaml`, and rows that are not in the database yet in its
    write-ahead log.

    Args:
        log: The log.
        logs: All files of the partition, by `local_path`.
    """
    folder, _, name = log.local_path.rpartition("/")
    names = ("metadata.yaml", f"{name}-wal")
    found = [logs[path] for each in names if each != name and (path := f"{folder}/{each}") in logs]
    if not found:
        return ""
    facts = [(each.relative_path, each.size_bytes, content_id(each)) for each in found]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def content_id(file: LogFile | TopicRow) -> str:
    """Return what stands for the content of a file: its checksum, or where there is none, its record and revision."""
    return file.checksum or f"{file.file_id}@{file.version}"


def is_same_content(log: LogFile, known: TopicRow) -> bool:
    """Return whether a log has the content that its rows in the manifest are about.

    Args:
        log: As it is upstream.
        known: A row.
    """
    if log.size_bytes != known.size_bytes:
        return False
    if log.checksum is not None and known.checksum is not None:
        return (
            log.checksum == known.checksum
        )  # an edit of its tags makes a new version of its record
    return (log.file_id, log.version) == (known.file_id, known.version)


def reason_to_decode(planned: PlannedLog, table_size: Callable[[str], int | None]) -> Reason | None:
    """Return why a log has to be decoded, or None if its tables stay as they are.

    Args:
        planned: The log, and its rows in the manifest.
        table_size: Returns the size of a file below the destination, in bytes; None if it is not there.
    """
    log, decoder, known = planned.log, planned.decoder, planned.known
    if not known:
        return "new"
    if not all(is_same_content(log, row) for row in known):
        return "content"
    if any((row.decoder, row.decoder_version) != (decoder.name, decoder.version) for row in known):
        return "decoder"
    expected = planned.options.text(has_failed=has_failed(known))
    if any(row.options != expected for row in known):
        return "options"
    if _may_be_retried(known):
        return "failed"
    tables = [row for row in known if row.table is not None]
    is_there = all(row.table and table_size(row.table) == row.table_bytes for row in tables)
    return None if is_there else "tables"


def has_failed(known: Iterable[TopicRow]) -> bool:
    """Return whether a log, or a topic of it, could not be decoded, by its rows."""
    return any(row.status in ("failed", "partial") for row in known)


def _may_be_retried(known: Iterable[TopicRow]) -> bool:
    """Return whether another attempt is due: nothing was kept of the log, or it failed for a reason of the machine."""
    rows = list(known)
    if any(row.status in ("outdated", "skipped") or row.code in MACHINE_CODES for row in rows):
        return True
    is_failed = any(row.status == "failed" and row.topic is None for row in rows)
    return is_failed and not any(row.status == "partial" for row in rows)


def tables_of(rows: Iterable[TopicRow]) -> list[str]:
    """Return the names of the tables that rows of one log have on disk.

    Args:
        rows: Of the log.
    """
    found = [row.table for row in rows if row.table is not None and row.status in WITH_TABLE]
    return [table.rpartition("/")[2] for table in found]
