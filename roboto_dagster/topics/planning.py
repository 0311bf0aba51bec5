"""The plan of a partition: which of its files are decoded, which are unchanged, and which are gone."""

import dataclasses
import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.topics.decoder import LogDecoder, TopicFault
from roboto_dagster.topics.decoders import decoder_for, default_decoders
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.manifest import TopicRow
from roboto_dagster.topics.options import TopicsOptions
from roboto_dagster.topics.plan import (
    OptionsId,
    PlannedLog,
    files_beside,
    is_same_content,
    reason_to_decode,
)
from roboto_dagster.version import __version__

Known = Mapping[str, Sequence[TopicRow]]
"""The rows of the last manifest, by the folder of a log below the destination."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableLog:
    """A log that cannot even be tried.

    Attributes:
        log: The log.
        fault: Why.
        known: Its rows in the manifest.
    """

    log: LogFile
    fault: TopicFault
    known: Sequence[TopicRow]


@dataclasses.dataclass(slots=True, kw_only=True)
class PartitionPlan:
    """What is to be done with the files of a partition.

    Attributes:
        decoders: Stands for the decoders, from `decoders_id`.
        due: Logs to be decoded, the largest ones first: side by side, they end at about the same time.
        unchanged: Logs whose tables stay as they are.
        unreadable: Logs that cannot be tried.
        skipped: Files that no decoder reads.
        gone: Rows of the manifest whose tables are to be removed, by the folder of their log.
    """

    decoders: str = ""
    due: list[PlannedLog] = dataclasses.field(default_factory=list)
    unchanged: list[PlannedLog] = dataclasses.field(default_factory=list)
    unreadable: list[UnreadableLog] = dataclasses.field(default_factory=list)
    skipped: list[LogFile] = dataclasses.field(default_factory=list)
    gone: dict[str, Sequence[TopicRow]] = dataclasses.field(default_factory=dict)


def decoders_id(decoders: Sequence[LogDecoder]) -> str:
    """Return a hash over decoders and their settings; empty where there is none.

    With the same ones as in the last run, a file that has not changed is not opened to see which of them reads it.

    Args:
        decoders: As they are asked.
    """
    try:
        # Another release of this package may read more files by the same decoders.
        return hashlib.sha256(pickle.dumps((__version__, *decoders), protocol=4)).hexdigest()
    except Exception:  # noqa: BLE001 - anybody's decoder: then each file is opened
        return ""


def plan_partition(
    logs: Iterable[LogFile],
    options: TopicsOptions,
    known: Known,
    tree: LocalTree,
    known_decoders: str = "",
) -> PartitionPlan:
    """Compare the files of a partition with the last manifest and the disk.

    Args:
        logs: The files.
        options: What is decoded, and how.
        known: The rows of the last manifest.
        tree: The destination.
        known_decoders: `decoders_id` of the last run. Default empty: unknown.
    """
    options_id = OptionsId.of(options.topics, keep_partial=options.keep_partial)
    gone = dict(known)
    decoders = default_decoders() if options.decoders is None else options.decoders
    plan = PartitionPlan(decoders=decoders_id(decoders))
    is_same = bool(plan.decoders) and plan.decoders == known_decoders
    by_path = {log.local_path: log for log in logs}
    for log in by_path.values():
        rows = gone.pop(log.local_path, ())
        decoder = _decoder_of(log, decoders, rows if is_same else ())
        if decoder is None:
            plan.skipped.append(log)
            if any(row.table is not None for row in rows):
                plan.gone[log.local_path] = rows
        elif isinstance(decoder, TopicFault):
            plan.unreadable.append(UnreadableLog(log=log, fault=decoder, known=rows))
        else:
            options_of_log = dataclasses.replace(options_id, beside=files_beside(log, by_path))
            planned = PlannedLog(
                log=log, decoder=decoder, options=options_of_log, reason=None, known=rows
            )
            _add(plan, planned, tree.size_of)
    plan.gone.update(gone)
    plan.due.sort(key=lambda planned: -planned.log.size_bytes)
    return plan


def _decoder_of(
    log: LogFile, decoders: Sequence[LogDecoder], known: Sequence[TopicRow]
) -> LogDecoder | TopicFault | None:
    """Return what reads a file, by its rows of the last run with the same decoders, or by its first bytes."""
    if known and all(is_same_content(log, row) for row in known):
        if all(row.status == "skipped" for row in known):
            return None
        name, version = known[0].decoder, known[0].decoder_version
        same = [each for each in decoders if (each.name, each.version) == (name, version)]
        if len(same) == 1:
            return same[0]
    try:
        return decoder_for(log.path, decoders)
    except Exception as error:  # noqa: BLE001 - anybody's decoder; other logs go on
        reason = f"a decoder's `claims` raised {type(error).__name__}: {error}"
        return TopicFault(topic=None, code="DECODER_FAILED", reason=reason)


def _add(plan: PartitionPlan, planned: PlannedLog, table_size: Callable[[str], int | None]) -> None:
    reason = reason_to_decode(planned, table_size)
    if reason is None:
        plan.unchanged.append(planned)
    else:
        plan.due.append(dataclasses.replace(planned, reason=reason))
