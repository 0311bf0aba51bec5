"""What a report contains."""

import pathlib
from collections.abc import Sequence
from typing import Any

import pytest

from roboto_dagster import DownloadableFile, DownloadError
from roboto_dagster.errors import ErrorCode
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.sync.report import (
    SyncReport,
    Timeline,
    TransferAttempt,
    duration_text,
    size_text,
)


def failure(code: ErrorCode) -> DownloadError:
    """Return a failure with a code."""
    file = DownloadableFile(
        bucket_name="b", source_uri="s3://b/k", destination_path=pathlib.Path("k")
    )
    return DownloadError(file, code, "reason")


def report(failures: Sequence[DownloadError] = (), **changes: Any) -> SyncReport:
    """Return a report of nothing, but for some changes."""
    nothing: dict[str, Any] = {
        "dataset_ids": ["ds_1", "ds_2"],
        "root": pathlib.Path("/logs"),
        "manifest": pathlib.Path("/logs/.roboto/logs/key.parquet"),
        "files_total": 0,
        "files_fetched": 0,
        "files_unchanged": 0,
        "files_removed": 0,
        "bytes_fetched": 0,
        "bytes_total": 0,
        "duration_seconds": 0.0,
        "attempts": [],
        "failures": list(failures),
    }
    return SyncReport(**{**nothing, **changes})


def an_attempt(number: int, duration_seconds: float) -> TransferAttempt:
    """Return an attempt of a length."""
    return TransferAttempt(
        number=number, files=1, failed=0, bytes_fetched=0, duration_seconds=duration_seconds
    )


def test_throughput_is_over_the_rounds() -> None:
    """Listing and planning do not count: bytes over the time in which bytes flowed."""
    attempts = [an_attempt(1, 3.0), an_attempt(2, 1.0)]
    assert report(bytes_fetched=8 * MIB, attempts=attempts).throughput_mib_s == 2.0


def test_nothing_fetched_is_no_throughput() -> None:
    """A run that had nothing to do divides by nothing."""
    assert report().throughput_mib_s == 0.0


def test_codes_are_counted_most_frequent_first() -> None:
    """The first code is the one to look at."""
    failures = [failure("NOT_FOUND"), failure("STALLED"), failure("STALLED")]
    assert list(report(failures).error_codes.items()) == [("STALLED", 2), ("NOT_FOUND", 1)]


def test_it_is_retryable_if_anything_transient_is_left() -> None:
    """One transient failure among permanent ones is worth another run."""
    permanent, transient = failure("NOT_FOUND"), failure("STALLED")
    assert (report([permanent]).is_retryable, report([permanent, transient]).is_retryable) == (
        False,
        True,
    )


def test_the_error_is_one_group_of_every_failure() -> None:
    """Every failure is in it; its text has the number and the kinds."""
    failures = [failure("NOT_FOUND"), failure("STALLED")]
    error = report(failures).error()
    assert error is not None
    assert error.exceptions == tuple(failures)
    assert "2 files of ds_1, ds_2 could not be delivered" in str(error)


def test_a_complete_sync_has_no_error() -> None:
    """Where nothing failed there is nothing to raise."""
    assert report().error() is None


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 * MIB, "20.0 MiB"), (2**41, "2.0 TiB")],
)
def test_sizes_have_a_unit_that_fits(size_bytes: int, text: str) -> None:
    """Nobody counts digits."""
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.42, "0.4 s"), (12.3, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_have_units_that_fit(seconds: float, text: str) -> None:
    """A long time is not reported in seconds alone."""
    assert duration_text(seconds) == text


def test_the_peak_is_of_the_fastest_step() -> None:
    """Bytes of the fullest step over its length."""
    timeline = Timeline(step_seconds=0.5, bytes_by_step=(MIB, 3 * MIB, -MIB))
    assert (timeline.peak_mib_s, timeline.duration_seconds) == (6.0, 1.5)


def test_a_run_without_bytes_has_no_peak() -> None:
    """Nothing arrived: nothing to divide."""
    assert Timeline().peak_mib_s == 0.0
