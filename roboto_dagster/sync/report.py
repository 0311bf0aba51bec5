"""What one sync did, for whoever started it."""

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence

from roboto_dagster.errors import DownloadError, is_transient

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

MIB = 1024 * 1024


def count(number: int, noun: str) -> str:
    """Returns such as `1 file` or `3 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
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
        rounds: The passes, first to last.
        failures: Every file that is not whole, with its reason.
        skipped: Files that the plan refused and the options let pass, with their reasons.
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
    rounds: Sequence[Round]
    failures: Sequence[DownloadError]
    skipped: Sequence[DownloadError] = ()

    @property
    def files_failed(self) -> int:
        """How many files are not whole."""
        return len(self.failures)

    @property
    def throughput_mib_s(self) -> float:
        """Bytes fetched over the time of the rounds, in MiB a second; 0 if nothing was fetched."""
        seconds = sum(each.duration_seconds for each in self.rounds)
        return self.bytes_fetched / MIB / seconds if seconds else 0.0

    @property
    def error_codes(self) -> Mapping[str, int]:
        """How many files failed with each code, most frequent first."""
        return dict(collections.Counter(failure.code for failure in self.failures).most_common())

    @property
    def may_heal(self) -> bool:
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
