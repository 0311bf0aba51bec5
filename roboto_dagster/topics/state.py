"""What is known of a partition while its logs are decoded: the rows of its manifest, and the counts of the report."""

import collections
import contextlib
import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from roboto_dagster.errors import ManifestError, MissingPartitionError
from roboto_dagster.sync.damaged import set_aside
from roboto_dagster.sync.report import MAX_EXAMPLES, duration_text
from roboto_dagster.text import count, one_line
from roboto_dagster.topics.errors import DecodeError
from roboto_dagster.topics.log import LogResult
from roboto_dagster.topics.manifest import (
    TopicRow,
    read_decoders,
    read_topics_manifest,
    write_topics_manifest,
)
from roboto_dagster.topics.options import TopicsSettings
from roboto_dagster.topics.plan import PlannedLog
from roboto_dagster.topics.planning import PartitionPlan
from roboto_dagster.topics.report import TopicsReport
from roboto_dagster.topics.rows import rows_of, skipped_row, unchanged_rows, unreadable_rows
from roboto_dagster.topics.summary import failures_of, notes_of, topics_data_version, topics_of

WRITE_EVERY_SECONDS = 30.0
"""How often the manifest is written meanwhile: what a run that is killed has decoded is not decoded again."""

_MAX_FAILURE_LINES = 20


class PartitionState:
    """The rows of a partition's manifest, changed log by log. For one thread.

    Args:
        settings: To where, and how.

    Attributes:
        known: The rows of the last manifest, by the folder of their log.
        known_decoders: Stands for the decoders of the last run; empty if that is unknown.
    """

    def __init__(self, settings: TopicsSettings) -> None:
        self._settings = settings
        self.known_decoders = ""
        self.known: Mapping[str, Sequence[TopicRow]] = self._read()
        self._rows: dict[str, Sequence[TopicRow]] = {
            path: list(rows) for path, rows in self.known.items()
        }
        self._plan: PartitionPlan | None = None
        self._attempted: set[str] = set()
        self._bytes_decoded = self._bytes_written = self._removed = self._failure_lines = 0
        self._written_at = time.monotonic()

    def _read(self) -> dict[str, list[TopicRow]]:
        settings = self._settings
        found: dict[str, list[TopicRow]] = collections.defaultdict(list)
        try:
            for row in read_topics_manifest(settings.manifest, settings.destination):
                found[row.local_path].append(row)
            self.known_decoders = read_decoders(settings.manifest, settings.destination)
        except MissingPartitionError:
            return {}
        except ManifestError as error:
            aside = set_aside(settings.manifest, settings.destination)
            settings.log(logging.WARNING, f"{error} It is now {aside}.")
            return {}
        return dict(found)

    def start(self, plan: PartitionPlan) -> None:
        """Take over what needs no decoding.

        Args:
            plan: Of the partition.
        """
        self._plan = plan
        for planned in plan.unchanged:
            self._rows[planned.log.local_path] = unchanged_rows(planned)
        for unreadable in plan.unreadable:
            rows = unreadable_rows(unreadable.log, unreadable.fault, unreadable.known)
            self._rows[unreadable.log.local_path] = rows
            self._log_failures(rows)
        for log in plan.skipped:
            self._rows[log.local_path] = [skipped_row(log)]

    def note_removed(self, path: str, results: Collection[str]) -> None:
        """Note that a log is gone.

        Args:
            path: The folder of its tables, below the destination.
            results: Of the removal of its tables, see `disk.tree.Removal`.
        """
        kept = set(results) - {"removed", "absent"}
        if kept:
            reasons = ", ".join(sorted(kept))
            line = f"{one_line(path)} is no longer delivered upstream, but some of its tables were kept ({reasons})"
            self._settings.log(logging.WARNING, line)
        if not any(row.status == "skipped" for row in self._rows.get(path, ())):
            self._rows.pop(path, None)
        self._removed += 1

    def add(self, planned: PlannedLog, result: LogResult) -> None:
        """Take over the result of a log.

        Args:
            planned: The log.
            result: What decoding gave.

        Raises:
            ManifestError: The manifest was due to be written, and cannot be.
        """
        path = planned.log.local_path
        rows = rows_of(planned, result, time.time_ns() // 1000)
        self._rows[path] = rows
        self._attempted.add(path)
        if not result.faults:
            self._bytes_decoded += planned.log.size_bytes
        self._bytes_written += sum(table.size_bytes for table in result.tables)
        tables = f"{count(len(result.tables), 'table')}, {duration_text(result.duration_seconds)}"
        line = f"decoded {one_line(path)} ({planned.reason}): {tables}"
        self._settings.log(logging.DEBUG, line)
        self._log_failures(rows)
        if time.monotonic() - self._written_at > WRITE_EVERY_SECONDS:
            self._write()

    def _log_failures(self, rows: Sequence[TopicRow]) -> None:
        """Log what failed; a flood is cut short."""
        for failure in failures_of(rows):
            self._failure_lines += 1
            if self._failure_lines < _MAX_FAILURE_LINES:
                self._settings.log(logging.WARNING, str(failure))
            elif self._failure_lines == _MAX_FAILURE_LINES:
                self._settings.log(
                    logging.WARNING,
                    f"More logs or topics failed; all are in the manifest {self._settings.manifest}.",
                )

    @contextlib.contextmanager
    def written_at_the_end(self) -> Iterator[None]:
        """Write the manifest at the end of the body, also after an error or an interrupt.

        Raises:
            ManifestError: It cannot be written.
        """
        try:
            yield
        finally:
            self._write()

    def _write(self) -> None:
        settings = self._settings
        rows = (row for path in sorted(self._rows) for row in self._rows[path])
        write_topics_manifest(
            settings.manifest,
            rows,
            within=settings.destination,
            durability=settings.durability,
            decoders=self._plan.decoders if self._plan else self.known_decoders,
        )
        self._written_at = time.monotonic()

    def report(self, duration_seconds: float) -> TopicsReport:
        """Return what was done.

        Args:
            duration_seconds: How long it took.
        """
        plan = self._plan
        assert plan is not None  # noqa: S101 - for the type checker: `start` was called
        failures = {path: list(failures_of(rows)) for path, rows in self._rows.items()}
        failed = {path for path, found in failures.items() if found}
        named: list[DecodeError] = [each for path in sorted(failed) for each in failures[path]]
        codes = collections.Counter(failure.code for failure in named)
        unchanged = {planned.log.local_path for planned in plan.unchanged}
        rows = [row for found in self._rows.values() for row in found]
        destination = self._settings.destination
        dataset_ids = sorted({row.dataset_id for row in rows})
        return TopicsReport(
            dataset_ids=dataset_ids,
            root=destination / dataset_ids[0] if len(dataset_ids) == 1 else destination,
            manifest=self._settings.manifest,
            logs_total=len(self._rows),
            logs_decoded=len(self._attempted - failed),
            logs_unchanged=len(unchanged - failed),
            logs_failed=len(failed),
            logs_removed=self._removed,
            logs_skipped=len(plan.skipped),
            skipped=sorted(log.local_path for log in plan.skipped)[:MAX_EXAMPLES],
            bytes_total=sum({row.local_path: row.size_bytes for row in rows}.values()),
            bytes_decoded=self._bytes_decoded,
            bytes_written=self._bytes_written,
            duration_seconds=duration_seconds,
            tables=sum(row.table is not None for row in rows),
            topics=topics_of(rows),
            failures=named[:MAX_EXAMPLES],
            error_codes=dict(codes.most_common()),
            notes=notes_of(rows),
            data_version=topics_data_version(self._rows),
            may_retry=any(failure.transient for failure in named),
        )
