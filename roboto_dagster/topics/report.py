"""What decoding one partition did, for whoever started it."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from typing_extensions import Self

from roboto_dagster.sync.report import codes_text, duration_text, size_text
from roboto_dagster.text import count
from roboto_dagster.topics.errors import DecodeError

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicSummary:
    """One topic in all logs of a partition, as their tables have it.

    Attributes:
        topic: Its name, verbatim.
        type_names: Its message types, in order; more than one where logs differ.
        tables: How many files it is in.
        rows: How many rows it has in them.
        first_ns: Its first `log_time`, in ns since the epoch; None without any.
        last_ns: Its last `log_time`, in ns since the epoch; None without any.
        max_gap_ns: The longest time without a row within one table, in ns; None with fewer than two rows.
        steps_back: How many rows are earlier than the row before them.
        null_times: How many rows have no time.
        columns: Names of the columns and their Arrow types; of all its types together.
    """

    topic: str
    type_names: Sequence[str]
    tables: int
    rows: int
    first_ns: int | None
    last_ns: int | None
    max_gap_ns: int | None
    steps_back: int
    null_times: int
    columns: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsReport:
    """What decoding one partition did.

    Attributes:
        dataset_ids: The datasets of its logs.
        root: The folder that holds the tables.
        manifest: Path of the manifest written at its end.
        logs_total: Files of the upstream partition: decoded, unchanged, failed and skipped.
        logs_decoded: Logs that this run decoded.
        logs_unchanged: Logs whose tables were there already.
        logs_failed: Logs of which nothing, or not all, could be decoded.
        logs_removed: Logs whose tables were removed since the upstream partition has them no more.
        logs_skipped: Files that no decoder reads.
        skipped: Their paths, the first `MAX_EXAMPLES`.
        bytes_total: Bytes of all logs.
        bytes_decoded: Bytes of the logs that this run decoded.
        bytes_written: Bytes of the tables that this run published.
        duration_seconds: From the plan to the manifest.
        tables: How many tables the partition has.
        topics: Its topics, in order.
        failures: Logs and topics that could not be decoded; the first `MAX_EXAMPLES`.
        error_codes: How many logs and topics failed with each code, most frequent first.
        notes: What is no failure, by kind: how often.
        data_version: A hash over what the tables were made of: the logs' content, the options, the decoders. None
            if something failed for a reason of this machine, and not of the log.
        on_failure: Whether logs and topics that could not be decoded make the partition fail. Default `"fail"`.
        may_retry: Whether something transient is among failures that are not named. Default False.
    """

    noun: ClassVar[str] = "failure"
    dataset_names: ClassVar[Mapping[str, str]] = {}

    dataset_ids: Sequence[str]
    root: pathlib.Path
    manifest: pathlib.Path
    logs_total: int
    logs_decoded: int
    logs_unchanged: int
    logs_failed: int
    logs_removed: int
    logs_skipped: int
    skipped: Sequence[str]
    bytes_total: int
    bytes_decoded: int
    bytes_written: int
    duration_seconds: float
    tables: int
    topics: Sequence[TopicSummary]
    failures: Sequence[DecodeError]
    error_codes: Mapping[str, int]
    notes: Mapping[str, int]
    data_version: str | None
    on_failure: Literal["fail", "skip"] = "fail"
    may_retry: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether everything was decoded, or what was not may be left out; what failed here on this machine may not."""
        may_skip = self.on_failure == "skip" and self.data_version is not None
        return may_skip or not self.error_codes

    @property
    def is_unchanged(self) -> bool:
        """Whether no table was made and none removed."""
        return not self.logs_decoded and not self.logs_removed and not self.logs_failed

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(topic.rows for topic in self.topics)

    @property
    def rows_by_topic(self) -> Mapping[str, int]:
        """How many rows each topic has."""
        return {topic.topic: topic.rows for topic in self.topics}

    @property
    def is_retryable(self) -> bool:
        """Whether a re-run may help without any change."""
        return self.may_retry or any(failure.transient for failure in self.failures)

    def error(self) -> "ExceptionGroup[DecodeError] | None":
        """Return one group of the failures, or None if there are none."""
        if not self.failures:
            return None
        failed = count(sum(self.error_codes.values()), "failure")
        datasets = ", ".join(self.dataset_ids)
        return ExceptionGroup(
            f"{failed} while the logs of {datasets} were decoded", list(self.failures)
        )

    def summary(self) -> str:
        """Return one line, such as `3 logs decoded (6.0 MiB), 2 unchanged, 0 failed: 1200 rows in 14 tables, in 4.2 s`."""
        tables = f"{count(self.rows, 'row')} in {count(self.tables, 'table')}"
        parts = [
            f"{count(self.logs_decoded, 'log')} decoded"
            + (f" ({size_text(self.bytes_decoded)})" if self.logs_decoded else ""),
            f"{self.logs_unchanged} unchanged",
            f"{self.logs_failed} failed",
        ]
        if self.logs_removed:
            parts.append(f"{self.logs_removed} removed")
        if self.logs_skipped:
            parts.append(f"{self.logs_skipped} skipped")
        return f"{', '.join(parts)}: {tables}, in {duration_text(self.duration_seconds)}"

    def verdict(self, subject: str) -> str:
        """Return the sentence with which a failure starts.

        Args:
            subject: The partition and its datasets, by name.
        """
        codes = codes_text(self.error_codes)
        logs = count(self.logs_total - self.logs_skipped, "log")
        return (
            f"{self.logs_failed} of {logs} of {subject} could not be decoded completely ({codes})."
        )

    def kept(self) -> str:
        """Return a sentence about the complete logs, ending in a space; empty if there is none."""
        complete = self.logs_decoded + self.logs_unchanged
        verb = "is" if complete == 1 else "are"
        return f"{count(complete, 'other log')} {verb} complete as tables. " if complete else ""

    def without_details(self) -> Self:
        """Return a copy that takes little memory: counts, and no lists."""
        return dataclasses.replace(
            self, failures=(), topics=(), skipped=(), may_retry=self.is_retryable
        )
