"""From the result of one log to its rows in the manifest."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from roboto_dagster.topics.decoder import TopicFault, TopicNote
from roboto_dagster.topics.log import LogResult
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.manifest import WITH_TABLE, TopicRow
from roboto_dagster.topics.plan import PlannedLog
from roboto_dagster.topics.tables.table_set import TableFacts


def rows_of(planned: PlannedLog, result: LogResult, now_us: int) -> list[TopicRow]:
    """Return the rows of a log that was decoded, or should have been.

    Args:
        planned: The log.
        result: What decoding gave.
        now_us: The time, in microseconds since the epoch.
    """
    decoder = planned.decoder
    base = {
        **_identity(planned.log),
        "decoder": decoder.name,
        "decoder_version": decoder.version,
        "options": planned.options.text(has_failed=bool(result.faults)),
        "decoded_at_us": now_us,
        "duration_seconds": result.duration_seconds,
    }
    rows = _topic_rows(base, planned.log, result)
    if not result.is_replaced:
        rows += outdated(planned.known, result.log_fault)
    about_log = _log_row(base, result, has_rows=bool(rows))
    return [*about_log, *rows]


def _identity(log: LogFile) -> dict[str, Any]:
    names = ("dataset_id", "relative_path", "file_id", "version", "size_bytes", "checksum")
    return {name: getattr(log, name) for name in names}


def _topic_rows(base: Mapping[str, Any], log: LogFile, result: LogResult) -> list[TopicRow]:
    faults = {fault.topic: fault for fault in reversed(result.faults)}
    notes = _notes_by_topic(result.notes)
    rows = []
    for facts in result.tables:
        fault = faults.get(facts.topic) or faults.get(None)
        table = _table(log, facts)
        rows.append(_row(base, table, fault, "partial" if fault else "decoded", notes))
    published = {facts.topic for facts in result.tables}
    failed = [fault for topic, fault in faults.items() if topic not in (None, *published)]
    return rows + [_row(base, {"topic": fault.topic}, fault, "failed", notes) for fault in failed]


def _table(log: LogFile, facts: TableFacts) -> dict[str, Any]:
    return {
        "topic": facts.topic,
        "type_name": facts.type_name,
        "schema_id": facts.schema_id,
        "table": f"{log.local_path}/{facts.name}",
        "table_bytes": facts.size_bytes,
        "table_mtime_ns": facts.mtime_ns,
        "rows": facts.rows,
        "first_ns": facts.first_ns,
        "last_ns": facts.last_ns,
        "max_gap_ns": facts.max_gap_ns,
        "steps_back": facts.steps_back,
        "null_times": facts.null_times,
        "columns": json.dumps(dict(facts.columns)),
    }


def _row(
    base: Mapping[str, Any],
    table: Mapping[str, Any],
    fault: TopicFault | None,
    status: str,
    notes: dict[str | None, list[TopicNote]],
) -> TopicRow:
    noted = _notes_text(notes.pop(table["topic"], ()))  # at the first table of a topic
    return TopicRow(**base, **table, **_why(fault), status=status, notes=noted)


def _why(fault: TopicFault | None) -> dict[str, Any]:
    return {"code": fault.code, "reason": fault.reason} if fault else {}


def _log_row(base: Mapping[str, Any], result: LogResult, *, has_rows: bool) -> list[TopicRow]:
    """Return the row about the log, if there is something to report about it."""
    fault = result.log_fault
    topics = {facts.topic for facts in result.tables} | {each.topic for each in result.faults}
    notes = [note for note in result.notes if note.topic is None or note.topic not in topics]
    if fault is None and not notes and has_rows:
        return []
    status = "failed" if fault else "decoded"
    return [_row(base, {"topic": None}, fault, status, {None: notes})]


def _notes_by_topic(notes: Iterable[TopicNote]) -> dict[str | None, list[TopicNote]]:
    found: dict[str | None, list[TopicNote]] = {}
    for note in notes:
        found.setdefault(note.topic, []).append(note)
    return found


def _notes_text(notes: Iterable[TopicNote]) -> str | None:
    plain = [{"kind": note.kind, "count": note.count, "text": note.text} for note in notes]
    return json.dumps(plain) if plain else None


def skipped_row(log: LogFile) -> TopicRow:
    """Return the row of a file that no decoder reads."""
    return TopicRow(**_identity(log), status="skipped")


def unchanged_rows(planned: PlannedLog) -> list[TopicRow]:
    """Return the rows of a log whose tables stay as they are; its record may have a new version.

    Args:
        planned: The log.
    """
    return [
        dataclasses.replace(
            row,
            **_identity(planned.log),
            status="unchanged" if row.status == "decoded" else row.status,
        )
        for row in planned.known
    ]


def outdated(known: Sequence[TopicRow], fault: TopicFault | None) -> list[TopicRow]:
    """Return the rows of tables that stay, though the log should have been decoded again.

    Args:
        known: Rows of the log in the manifest.
        fault: Why it was not.
    """
    return [
        dataclasses.replace(row, status="outdated", **_why(fault))
        for row in known
        if row.table is not None and row.status in WITH_TABLE
    ]


def unreadable_rows(log: LogFile, fault: TopicFault, known: Sequence[TopicRow]) -> list[TopicRow]:
    """Return the rows of a log that could not even be tried; its tables stay.

    Args:
        log: The log.
        fault: Why not.
        known: Its rows in the manifest.
    """
    failed = TopicRow(**_identity(log), **_why(fault), status="failed")
    return [failed, *outdated(known, fault)]
