"""What one sync did, for whoever started it."""

import collections
import dataclasses
import datetime as dt
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import Self

from roboto_dagster.errors import DownloadError, is_transient
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.text import count

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def codes_text(error_codes: Mapping[str, int]) -> str:
    """Return such as `3 NOT_FOUND, 1 NETWORK`: how many failures have each code."""
    return ", ".join(f"{number} {code}" for code, number in error_codes.items())


def size_text(size_bytes: float) -> str:
    """Return such as `512 B`, `20.0 MiB` or `1.4 TiB`."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size_bytes /= 1024
        if size_bytes < 1024:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / 1024:.1f} TiB"


def duration_text(seconds: float) -> str:
    """Return such as `0.4 s`, `12 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TransferAttempt:
    """One attempt of the transfer: a pass over what was still to be fetched.

    Attributes:
        number: 1 for the first.
        files: How many were tried.
        failed: How many of them failed.
        bytes_fetched: Bytes of those that were published.
        duration_seconds: Its length.
    """

    number: int
    files: int
    failed: int
    bytes_fetched: int
    duration_seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The bytes that arrived, by time: a bounded number of steps of one length, whatever the length of the run.

    Attributes:
        step_seconds: Length of a step.
        bytes_by_step: Bytes of every step up to the last one with any; fewer than none where more was
            thrown away, to be fetched again, than arrived.
    """

    step_seconds: float = 0.0
    bytes_by_step: Sequence[int] = ()

    @property
    def duration_seconds(self) -> float:
        """From the start to the end of the last step."""
        return self.step_seconds * len(self.bytes_by_step)

    @property
    def peak_mib_s(self) -> float:
        """The fastest step, in MiB a second; 0 if nothing arrived."""
        peak_bytes = max(self.bytes_by_step, default=0)
        return peak_bytes / MIB / self.step_seconds if peak_bytes > 0 else 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportedFile:
    """One complete file of a report.

    Attributes:
        relative_path: Its path in the dataset.
        status: `fetched` or `unchanged`.
        size_bytes: Its size.
        duration_seconds: How long this run took for it; 0 if unchanged.
        attempts: How often this run asked for it; 0 if unchanged.
    """

    relative_path: str
    status: str
    size_bytes: int
    duration_seconds: float
    attempts: int


MAX_EXAMPLES = 100
"""How many failures a report names; the manifest has all."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FailureTotals:
    """Counts of all failures of a sync, of which the report names only some.

    Attributes:
        error_codes: How many files failed with each code, most frequent first.
        is_retryable: Whether something transient is among them.
    """

    error_codes: Mapping[str, int]
    is_retryable: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What one sync did.

    Attributes:
        dataset_ids: The datasets in its scope.
        root: The folder that holds the files.
        manifest: Path of the manifest written at its end.
        files_total: Files in scope: fetched, unchanged, failed and skipped.
        files_fetched: Files fetched, verified and published by this run.
        files_unchanged: Files that were complete already.
        files_removed: Files removed because the platform no longer has them.
        bytes_fetched: Bytes of the fetched files.
        bytes_total: Bytes of all files in scope, by their records.
        duration_seconds: From listing to manifest.
        attempts: The attempts of the transfer, first to last.
        failures: The files that are not complete, with their reasons; the first `MAX_EXAMPLES` of them.
        failure_totals: Counts of all failures; None if `failures` has all of them.
        files_retried: Fetched files that took more than one attempt.
        files_skipped: Files that are not delivered, and do not fail the sync: refused ones with `on_refused="skip"`,
            and directory markers.
        directory_markers: How many of those are empty directory markers, which are no files.
        skipped: Files that the plan refused and the options let pass, with their reasons; the first `MAX_EXAMPLES`.
        timeline: The bytes that arrived, by time.
        top_files: The slowest of the fetched files, then the largest of the others; only a few.
        listed_at: When the platform began to list the files, by its own clock where that is known: what changed later may
            not be in the list.
        dataset_names: Names of the datasets, by id; without those that have none or whose name is not known.
        dataset_url: The dataset's page on the platform, if there is one dataset and a page.
        data_version: A hash over what was delivered (see `sync.data_version`); None if a file is not complete.
    """

    noun: ClassVar[str] = "file"

    dataset_ids: Sequence[str]
    root: pathlib.Path
    manifest: pathlib.Path
    files_total: int
    files_fetched: int
    files_unchanged: int
    files_removed: int
    bytes_fetched: int
    bytes_total: int
    duration_seconds: float
    attempts: Sequence[TransferAttempt]
    failures: Sequence[DownloadError]
    failure_totals: FailureTotals | None = None
    files_retried: int = 0
    files_skipped: int = 0
    directory_markers: int = 0
    skipped: Sequence[DownloadError] = ()
    timeline: Timeline = Timeline()
    top_files: Sequence[ReportedFile] = ()
    listed_at: dt.datetime | None = None
    dataset_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dataset_url: str | None = None
    data_version: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every file is on disk."""
        return not self.files_failed

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was fetched and nothing removed."""
        return not self.files_fetched and not self.files_removed

    @property
    def files_failed(self) -> int:
        """How many files are not complete."""
        return sum(self.error_codes.values())

    @property
    def error_codes(self) -> Mapping[str, int]:
        """How many files failed with each code, most frequent first."""
        if self.failure_totals is not None:
            return self.failure_totals.error_codes
        return dict(collections.Counter(failure.code for failure in self.failures).most_common())

    @property
    def is_retryable(self) -> bool:
        """Whether something transient is left, so that a re-run may help."""
        if self.failure_totals is not None:
            return self.failure_totals.is_retryable
        return any(is_transient(failure) for failure in self.failures)

    @property
    def throughput_mib_s(self) -> float:
        """Bytes fetched over the time of the attempts, in MiB a second; 0 if nothing was fetched."""
        seconds = sum(each.duration_seconds for each in self.attempts)
        return self.bytes_fetched / MIB / seconds if seconds else 0.0

    def error(self) -> "ExceptionGroup[DownloadError] | None":
        """Return one group of the failures, or None if all files are complete."""
        if not self.failures:
            return None
        files = count(self.files_failed, "file")
        return ExceptionGroup(
            f"{files} of {', '.join(self.dataset_ids)} could not be delivered", list(self.failures)
        )

    def summary(self) -> str:
        """Return one line, such as `3 files fetched (6.0 MiB at 2.0 MiB/s), 2 unchanged, 0 failed, in 4.2 s`."""
        notes = []
        if self.bytes_fetched:
            speed = size_text(self.throughput_mib_s * MIB)
            notes.append(f"{size_text(self.bytes_fetched)} at {speed}/s")
        if self.files_retried:
            notes.append(f"{count(self.files_retried, 'file')} after a retry")
        parts = [
            f"{count(self.files_fetched, 'file')} fetched"
            + (f" ({', '.join(notes)})" if notes else ""),
            f"{self.files_unchanged} unchanged",
            f"{self.files_failed} failed",
        ]
        if self.files_removed:
            parts.append(f"{self.files_removed} removed")
        if self.files_skipped:
            parts.append(f"{self.files_skipped} skipped")
        return f"{', '.join(parts)}, in {duration_text(self.duration_seconds)}"

    def verdict(self, subject: str) -> str:
        """Return the sentence with which a failure starts.

        Args:
            subject: The partition and its datasets, by name.
        """
        codes = codes_text(self.error_codes)
        files = count(self.files_total, "file")
        return f"{self.files_failed} of {files} of {subject} could not be delivered ({codes})."

    def kept(self) -> str:
        """Return a sentence about the complete files, ending in a space; empty if there is none."""
        complete = self.files_fetched + self.files_unchanged
        verb = "is" if complete == 1 else "are"
        return f"{count(complete, 'other file')} {verb} complete on disk. " if complete else ""

    def without_details(self) -> Self:
        """Return a copy that takes little memory: counts, and no lists."""
        totals = FailureTotals(error_codes=self.error_codes, is_retryable=self.is_retryable)
        return dataclasses.replace(
            self,
            failure_totals=totals,
            failures=(),
            skipped=(),
            top_files=(),
            attempts=(),
            timeline=Timeline(),
        )
