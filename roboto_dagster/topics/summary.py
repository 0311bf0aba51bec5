"""From the rows of a manifest to the report: topics, failures, the data version."""

import collections
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from roboto_dagster.topics.errors import DecodeError
from roboto_dagster.topics.log import MACHINE_CODES
from roboto_dagster.topics.manifest import COMPLETE, CURRENT, TopicRow
from roboto_dagster.topics.plan import content_id
from roboto_dagster.topics.report import TopicSummary

# Part of every version: a release that would hash the same rows in another way changes it.
_GENERATION = b"roboto_dagster topics data version 1\0"


def failures_of(rows: Sequence[TopicRow]) -> Iterator[DecodeError]:
    """Yield what failed of one log, once each.

    Args:
        rows: Of the log.
    """
    log = next((row for row in rows if row.topic is None and row.status == "failed"), None)
    if log is not None:
        yield _failure(log)
    seen: set[tuple[str | None, str | None]] = set()
    for row in rows:
        # What was kept of a log that failed has the log's code: one failure, however many topics it had.
        is_the_logs = log is not None and (row.code, row.reason) == (log.code, log.reason)
        key = (row.topic, row.code)
        if row.topic is None or row.status not in ("failed", "partial") or key in seen:
            continue
        if not (row.status == "partial" and is_the_logs):
            seen.add(key)
            yield _failure(row)


def _failure(row: TopicRow) -> DecodeError:
    code, reason = row.code or "DECODER_FAILED", row.reason or "for no known reason"
    return DecodeError(row.dataset_id, row.relative_path, row.topic, code, reason)


def topics_of(rows: Iterable[TopicRow]) -> list[TopicSummary]:
    """Return the topics of a partition, in order.

    Args:
        rows: Of its manifest.
    """
    by_topic: dict[str, list[TopicRow]] = {}
    for row in rows:
        if row.topic is not None and row.table is not None and row.status in CURRENT:
            by_topic.setdefault(row.topic, []).append(row)
    return [_summary(topic, by_topic[topic]) for topic in sorted(by_topic)]


def _summary(topic: str, rows: Sequence[TopicRow]) -> TopicSummary:
    return TopicSummary(
        topic=topic,
        type_names=sorted({row.type_name for row in rows if row.type_name is not None}),
        tables=len(rows),
        rows=sum(row.rows or 0 for row in rows),
        first_ns=min((row.first_ns for row in rows if row.first_ns is not None), default=None),
        last_ns=max((row.last_ns for row in rows if row.last_ns is not None), default=None),
        max_gap_ns=max(
            (row.max_gap_ns for row in rows if row.max_gap_ns is not None), default=None
        ),
        steps_back=sum(row.steps_back or 0 for row in rows),
        null_times=sum(row.null_times or 0 for row in rows),
        columns=_merged_columns({row.columns for row in rows}),
    )


def _merged_columns(texts: Iterable[str | None]) -> dict[str, str]:
    """Join the columns of several tables; where their types differ, all are named."""
    kinds: dict[str, dict[str, None]] = {}
    for text in sorted(filter(None, texts)):
        for name, kind in columns_of(text).items():
            kinds.setdefault(name, {})[kind] = None
    return {name: " or ".join(found) for name, found in kinds.items()}


def columns_of(text: str | None) -> dict[str, str]:
    """Return the columns that a row of the manifest has as JSON; none if it is damaged."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    plain = found.items() if isinstance(found, dict) else ()
    return {name: kind for name, kind in plain if isinstance(kind, str)}


def notes_of(rows: Iterable[TopicRow]) -> dict[str, int]:
    """Return how often there is each kind of note.

    Args:
        rows: Of a manifest.
    """
    counts: collections.Counter[str] = collections.Counter()
    for row in rows:
        for kind, number in _notes(row.notes):
            counts[kind] += number
    return dict(counts.most_common())


def _notes(text: str | None) -> Iterator[tuple[str, int]]:
    """Yield kinds and counts; the manifest may have been damaged."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return
    for note in found if isinstance(found, list) else ():
        match note:
            case {"kind": str(kind), "count": int(number)}:
                yield kind, number


def topics_data_version(rows_by_log: Mapping[str, Sequence[TopicRow]]) -> str | None:
    """Hash what the tables of a partition were made of, and what failed.

    The same logs, decoders and options give the same version on any machine: paths on this disk, times of runs and
    revisions of records are no part of it.

    Args:
        rows_by_log: The rows of each log.

    Returns:
        64 hexadecimal digits; None if something failed for a reason of this machine.
    """
    digest = hashlib.sha256(_GENERATION)
    for path in sorted(rows_by_log):
        for row in sorted(rows_by_log[path], key=lambda each: (each.topic or "", each.table or "")):
            if row.status == "outdated" or row.code in MACHINE_CODES:
                return None
            if row.status == "skipped":
                continue
            status = "complete" if row.status in COMPLETE else row.status
            facts = [
                *(
                    path,
                    row.size_bytes,
                    content_id(row),
                    row.decoder,
                    row.decoder_version,
                    row.options,
                ),
                *(row.topic, row.table, status, row.code),
            ]
            digest.update(json.dumps(facts).encode() + b"\0")
    return digest.hexdigest()
