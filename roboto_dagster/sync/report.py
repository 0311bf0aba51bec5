"""What one sync did, for whoever started it."""

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence

from roboto_dagster.errors import DownloadError, is_transient
from roboto_dagster.fs.core.settings import MIB

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def count(number: int, noun: str) -> str:
    """Returns such as `1 file` or `3 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size_bytes: float) -> str:
    """Returns such as `512 B`, `20.0 MiB` or `1.4 TiB`."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size_bytes /= 1024
        if size_bytes < 1024:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / 1024:.1f} TiB"


def duration_text(seconds: float) -> str:
    """Returns such as `0.4 s`, `12 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TransferAttempt:
    """One pass over what was still to be fetched.

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
    """What arrived when: a bounded number of steps of one length, whatever the length of the run.

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
class DeliveredFile:
    """One whole file, as the report tells of it.

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What one sync did.

    Attributes:
        dataset_ids: The datasets in its scope.
        root: The folder that holds the files.
        manifest: Path of the manifest written at its end.
        files_total: Files in scope, the failed ones included.
        files_fetched: Files fetched, verified and published by this run.
        files_unchanged: Files that were whole already.
        files_removed: Files removed because the platform no longer lists them.
        bytes_fetched: Bytes of the fetched files.
        bytes_total: Bytes of all files in scope, by their records.
        duration_seconds: From listing to manifest.
        attempts: The attempts, first to last.
        failures: Every file that is not whole, with its reason.
        files_retried: Fetched files that took more than one attempt.
        files_skipped: Files that are not delivered, and do not fail the sync.
        skipped: Files that the plan refused and the options let pass, with their reasons.
        timeline: What arrived when.
        top_files: The slowest of the fetched files, then the largest of the others; only a few.
        dataset_names: Names of the datasets, by id; without those that have none.
        dataset_url: The dataset's page on the platform, if there is one dataset and a page.
    """

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
    files_retried: int = 0
    files_skipped: int = 0
    skipped: Sequence[DownloadError] = ()
    timeline: Timeline = Timeline()
    top_files: Sequence[DeliveredFile] = ()
    dataset_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dataset_url: str | None = None

    @property
    def files_failed(self) -> int:
        """How many files are not whole."""
        return len(self.failures)

    @property
    def throughput_mib_s(self) -> float:
        """Bytes fetched over the time of the attempts, in MiB a second; 0 if nothing was fetched."""
        seconds = sum(each.duration_seconds for each in self.attempts)
        return self.bytes_fetched / MIB / seconds if seconds else 0.0

    @property
    def error_codes(self) -> Mapping[str, int]:
        """How many files failed with each code, most frequent first."""
        return dict(collections.Counter(failure.code for failure in self.failures).most_common())

    @property
    def is_retryable(self) -> bool:
        """Whether something transient is left, so that running it again may help."""
        return any(is_transient(failure) for failure in self.failures)

    def error(self) -> "ExceptionGroup[DownloadError] | None":
        """Returns one group of every failure, or None if all is whole."""
        if not self.failures:
            return None
        files = count(len(self.failures), "file")
        return ExceptionGroup(
            f"{files} of {', '.join(self.dataset_ids)} could not be delivered", list(self.failures)
        )
