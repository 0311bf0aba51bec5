"""What a report looks like in Dagster: keys, tables, sentences, and the failure of a run."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, DownloadError, PlatformError
from roboto_dagster.errors import ErrorCode
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.metadata import (
    MAX_TABLE_ROWS,
    SyncMetadata,
    describe,
    describe_in_markdown,
    error_of,
    failure_of,
    is_whole,
    outcome_metadata,
    summary,
)
from roboto_dagster.sync.report import DeliveredFile, SyncReport, Timeline, TransferAttempt

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

WHOLE_KEYS = {
    "dagster/uri",
    "dagster/row_count",
    "roboto/dataset_id",
    "roboto/files_fetched",
    "roboto/files_unchanged",
    "roboto/files_removed",
    "roboto/files_failed",
    "roboto/bytes_fetched",
    "roboto/bytes_total",
    "roboto/duration_seconds",
    "roboto/throughput_mib_s",
    "roboto/manifest",
    "roboto/attempts",
    "roboto/summary",
    "roboto/throughput",
}
FAILED_KEYS = {"roboto/failures", "roboto/what_to_do", "roboto/error_codes"}


def failure(number: int = 1, code: ErrorCode = "NOT_FOUND") -> DownloadError:
    """Return the failure of a file of a sync."""
    file: Any = {
        "bucket_name": "b",
        "source_uri": f"s3://b/{number}",
        "destination_path": pathlib.Path(f"/logs/ds_1/{number}.mcap"),
        "relative_path": f"{number}.mcap",
    }
    return DownloadError(file, code, "HTTP 404 NoSuchKey", None, 2)


def report(failures: Sequence[DownloadError] = (), **changes: Any) -> SyncReport:
    """Return the report of a sync of five files, of which some failed."""
    values: dict[str, Any] = {
        "dataset_ids": ["ds_1"],
        "root": pathlib.Path("/logs/ds_1"),
        "manifest": pathlib.Path("/logs/.roboto/logs/ds_1.parquet"),
        "files_total": 5,
        "files_fetched": 3 - len(failures),
        "files_unchanged": 2,
        "files_removed": 1,
        "bytes_fetched": 6 * MIB,
        "bytes_total": 10 * MIB,
        "duration_seconds": 4.25,
        "attempts": [
            TransferAttempt(
                number=1, files=3, failed=1, bytes_fetched=4 * MIB, duration_seconds=2.0
            ),
            TransferAttempt(
                number=2, files=1, failed=0, bytes_fetched=2 * MIB, duration_seconds=1.0
            ),
        ],
        "failures": list(failures),
    }
    return SyncReport(**{**values, **changes})


def plain(metadata: Any) -> dict[str, Any]:
    """Return metadata as plain values."""
    return {key: value.value for key, value in metadata.items()}


def table(metadata: Any, key: str) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    value = metadata[key]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_keys_of_a_whole_partition() -> None:
    """All documented keys; those of failures only where there are any."""
    found = set(outcome_metadata(report()))
    assert (found >= WHOLE_KEYS, found & FAILED_KEYS) == (True, set())


def test_keys_of_a_partial_one() -> None:
    """The same, with the failures and their count by code."""
    assert set(outcome_metadata(report([failure()]))) >= WHOLE_KEYS | FAILED_KEYS


def test_keys_are_in_two_namespaces() -> None:
    """Dagster's own keys, and ours: nothing that another library might mean otherwise."""
    found = set(outcome_metadata(report([failure()])))
    assert {key.partition("/")[0] for key in found} == {"dagster", "roboto"}


def test_values() -> None:
    """Numbers are numbers of the right kind, the folder a URI, the manifest a path."""
    metadata = plain(outcome_metadata(report()))
    expected = {
        "dagster/uri": "file:///logs/ds_1",
        "dagster/row_count": 5,
        "roboto/dataset_id": "ds_1",
        "roboto/files_fetched": 3,
        "roboto/files_unchanged": 2,
        "roboto/files_removed": 1,
        "roboto/files_failed": 0,
        "roboto/bytes_fetched": 6 * MIB,
        "roboto/bytes_total": 10 * MIB,
        "roboto/duration_seconds": 4.25,
        "roboto/throughput_mib_s": 2.0,
        "roboto/manifest": "/logs/.roboto/logs/ds_1.parquet",
    }
    assert {key: metadata[key] for key in expected} == expected


def test_rounds_are_a_table() -> None:
    """Each pass over what was left is a row."""
    rows = table(outcome_metadata(report()), "roboto/attempts")
    assert [(row["round"], row["files"], row["failed"]) for row in rows] == [(1, 3, 1), (2, 1, 0)]


def test_failures_are_a_table() -> None:
    """Path, code, attempts, whether it may heal, and what happened."""
    (row,) = table(outcome_metadata(report([failure()])), "roboto/failures")
    assert row == {
        "message": "HTTP 404 NoSuchKey",
        "relative_path": "1.mcap",
        "error_code": "NOT_FOUND",
        "attempts": 2,
        "transient": False,
    }


def test_what_to_do_is_said_once_for_each_code() -> None:
    """A hundred files that are gone need one sentence of advice, not a hundred."""
    failures = [failure(1), failure(2), failure(3, "STALLED")]
    lines = plain(outcome_metadata(report(failures)))["roboto/what_to_do"].splitlines()
    assert lines[0].startswith("- **NOT_FOUND** (2 files): The platform lists it but its object")
    assert lines[1].startswith("- **STALLED** (1 file): No bytes arrived for too long")


def test_a_table_is_capped_and_says_so() -> None:
    """A hundred rows are shown, and one says how many more the manifest has."""
    failures = [failure(number) for number in range(250)]
    rows = table(outcome_metadata(report(failures)), "roboto/failures")
    assert len(rows) == MAX_TABLE_ROWS + 1
    assert rows[-1]["message"] == "150 more failed files are in the manifest"


def test_a_table_that_just_fits_is_whole() -> None:
    """A hundred failures need no word about more."""
    rows = table(outcome_metadata(report([failure()] * MAX_TABLE_ROWS)), "roboto/failures")
    assert (len(rows), rows[-1]["relative_path"]) == (MAX_TABLE_ROWS, "1.mcap")


def test_codes_are_counted() -> None:
    """How many failed with which code."""
    failures = [failure(1), failure(2), failure(3, "STALLED")]
    metadata = plain(outcome_metadata(report(failures)))
    assert metadata["roboto/error_codes"] == {"NOT_FOUND": 2, "STALLED": 1}


def test_what_was_not_even_planned_has_its_error() -> None:
    """A partition whose dataset could not be listed says why."""
    assert plain(outcome_metadata(PlatformError("unknown"))) == {"roboto/error": "unknown"}


def test_summary_is_one_line() -> None:
    """What a log should say of a sync."""
    assert summary(report([failure()])) == (
        "2 files fetched (6.0 MiB at 2.0 MiB/s), 2 unchanged, 1 failed, in 4.2 s"
    )


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(report(), True, id="whole"),
        pytest.param(report([failure()]), False, id="partial"),
        pytest.param(PlatformError("unknown"), False, id="not-planned"),
    ],
)
def test_is_whole(outcome: Any, *, expected: bool) -> None:
    """A partition is whole if every file of it is on disk."""
    assert is_whole(outcome) is expected


def test_description_names_the_first_files_and_what_to_do() -> None:
    """A sentence, three files with code and advice, how many more, and what is kept."""
    text = describe(report([failure(number) for number in range(5)], files_fetched=0), "ds_1")
    lines = text.splitlines()
    assert lines[0] == "5 of 5 files of ds_1 could not be delivered (5 NOT_FOUND)."
    assert lines[1].startswith("  0.mcap: NOT_FOUND: HTTP 404 NoSuchKey. The platform lists it")
    assert lines[4] == "  … and 2 more: see roboto/failures, or the manifest."
    assert "running it again will not help before that is mended" in lines[5]
    assert lines[5].endswith("The manifest /logs/.roboto/logs/ds_1.parquet names every file.")


def test_description_says_if_a_retry_may_help() -> None:
    """What is transient is worth another run."""
    assert "running it again may help" in describe(report([failure(1, "STALLED")]), None)


# --- the failure of a run ---


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param({None: report([failure()])}, False, id="permanent"),
        pytest.param({None: report([failure(1, "STALLED")])}, True, id="transient"),
        pytest.param({None: report([failure(), failure(2, "STALLED")])}, True, id="both"),
        pytest.param({None: PlatformError("down", transient=True)}, True, id="platform-down"),
        pytest.param({None: ConfigurationError("wrong")}, False, id="configuration"),
        pytest.param(
            {"a": report([failure()]), "b": PlatformError("down", transient=True)},
            True,
            id="any-partition",
        ),
    ],
)
def test_retries_are_allowed_if_something_transient_is_left(
    outcomes: Any, *, expected: bool
) -> None:
    """A `RetryPolicy` shall not repeat what cannot heal."""
    assert failure_of(outcomes).allow_retries is expected


def test_a_single_failure_has_the_partitions_own_metadata() -> None:
    """Where one partition failed, the failure tells what its materialization would have."""
    outcome = report([failure()])
    assert failure_of({"ds_1": report(), "ds_2": outcome}).metadata == outcome_metadata(outcome)


def test_several_failures_are_summed_up() -> None:
    """Which partitions, and the failures of all of them in one table."""
    failed = failure_of(
        {
            "a": report([failure(1)]),
            "b": report(),
            "c": report([failure(2), failure(3)]),
            "d": PlatformError("unknown"),
        }
    )
    metadata = plain(failed.metadata)
    assert metadata["roboto/partitions_failed"] == ["a", "c", "d"]
    assert metadata["roboto/error_codes"] == {"NOT_FOUND": 3}
    assert len(table(failed.metadata, "roboto/failures")) == 3
    assert (failed.description or "").startswith(
        "3 of 4 partitions are not whole; the others are materialized.\n"
    )
    assert "d: unknown" in (failed.description or "")


def test_many_failed_partitions_do_not_flood_the_description() -> None:
    """Of a thousand partitions the first hundred are described."""
    failed = failure_of({str(number): PlatformError("unknown") for number in range(1000)})
    assert len((failed.description or "").splitlines()) <= MAX_TABLE_ROWS + 1
    assert len(plain(failed.metadata)["roboto/partitions_failed"]) == MAX_TABLE_ROWS


def test_the_cause_is_the_group() -> None:
    """The failure is raised from what a program can take apart."""
    failures = [failure(1), failure(2)]
    error = error_of({None: report(failures)})
    assert isinstance(error, ExceptionGroup)
    assert list(error.exceptions) == failures


def test_the_cause_of_several_is_a_group_of_groups() -> None:
    """One member for each partition that failed."""
    unknown = PlatformError("unknown")
    error = error_of({"a": report([failure()]), "b": unknown, "c": report()})
    assert isinstance(error, ExceptionGroup)
    assert (len(error.exceptions), error.exceptions[1]) == (2, unknown)


def test_numbers_and_names_can_be_read_back() -> None:
    """What a report becomes as metadata, a program gets back, typed."""
    sync = SyncMetadata.of(report([failure()], dataset_url="https://app.roboto.ai/datasets/ds_1"))
    assert SyncMetadata.from_metadata(outcome_metadata(report([failure()]))) == (
        dataclasses.replace(sync, dataset_url=None)
    )
    assert SyncMetadata.from_metadata(sync.to_metadata()) == sync


def test_metadata_of_others_is_not_read() -> None:
    """Where there is none of ours there is nothing to read."""
    assert SyncMetadata.from_metadata({"dagster/row_count": dg.MetadataValue.int(3)}) is None


def test_a_dataset_with_a_page_has_a_link_to_it() -> None:
    """One click from the asset to the platform."""
    link = "https://app.roboto.ai/datasets/ds_1"
    assert outcome_metadata(report(dataset_url=link))["roboto/dataset_url"] == dg.MetadataValue.url(
        link
    )


def test_throughput_is_a_chart() -> None:
    """What arrived when is a picture, unless nothing arrived."""
    timeline = Timeline(step_seconds=1.0, bytes_by_step=(MIB, 5 * MIB))
    drawn = plain(outcome_metadata(report(timeline=timeline)))["roboto/throughput"]
    assert drawn.startswith("![Throughput](data:image/svg+xml;base64,")
    assert "roboto/throughput" not in outcome_metadata(report(bytes_fetched=0))


def test_the_slowest_files_are_a_table() -> None:
    """Path, size for people, and what it took."""
    file = DeliveredFile(
        relative_path="a.mcap",
        status="fetched",
        size_bytes=3 * MIB,
        duration_seconds=1.23456,
        attempts=2,
    )
    assert table(outcome_metadata(report(top_files=[file])), "roboto/top_files") == [
        {
            "relative_path": "a.mcap",
            "size": "3.0 MiB",
            "seconds": 1.235,
            "attempts": 2,
            "status": "fetched",
        }
    ]


def test_what_happened_and_what_failed_come_first() -> None:
    """The UI shows metadata in this order: the numbers for programs are last."""
    assert list(outcome_metadata(report([failure()])))[:4] == [
        "roboto/summary",
        "roboto/failures",
        "roboto/what_to_do",
        "roboto/error_codes",
    ]


def test_the_asset_page_gets_the_description_as_a_list() -> None:
    """It shows Markdown, where lines without marks would run into one another."""
    text = describe_in_markdown(report([failure(1), failure(2)]), "ds_1")
    assert "\n\n- 1.mcap: NOT_FOUND: HTTP 404 NoSuchKey. The platform lists it" in text
    assert "\n- 2.mcap: NOT_FOUND: HTTP 404 NoSuchKey.\n\n" in text
