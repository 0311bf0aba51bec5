"""What a report looks like as metadata: keys, numbers, tables."""

import dagster as dg

from roboto_dagster import DownloadError, PlatformError, SyncMetadata
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.metadata import MAX_TABLE_ROWS, outcome_metadata
from roboto_dagster.sync.report import ReportedFile, Timeline
from tests.reports import failure, plain, report, table

COMPLETE_KEYS = {
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


def test_keys_of_a_complete_partition() -> None:
    """All documented keys; those of failures only where there are any."""
    found = set(outcome_metadata(report()))
    assert (found >= COMPLETE_KEYS, found & FAILED_KEYS) == (True, set())


def test_keys_of_a_partial_one() -> None:
    """The same, with the failures and their count by code."""
    assert set(outcome_metadata(report([failure()]))) >= COMPLETE_KEYS | FAILED_KEYS


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
        "roboto/files_total": 5,
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


def test_rows_of_a_partition_have_a_key_of_their_own() -> None:
    """Dagster would take `dagster/row_count` for the rows of all partitions; programs read one attribute."""
    metadata = outcome_metadata(report([failure()]), "ds_1")
    found = plain(metadata)
    assert (found["dagster/partition_row_count"], found["roboto/files_total"]) == (4, 5)
    assert "dagster/row_count" not in found
    read = SyncMetadata.from_metadata(metadata)
    assert read is not None
    assert (read.row_count, read.files_total) == (4, 5)


def test_rounds_are_a_table() -> None:
    """Each attempt at what was left is a row."""
    rows = table(outcome_metadata(report()), "roboto/attempts")
    assert [(row["attempt"], row["files"], row["failed"]) for row in rows] == [(1, 3, 1), (2, 1, 0)]


def test_failures_are_a_table() -> None:
    """Code and message come first: a long path would push them out of sight."""
    (row,) = table(outcome_metadata(report([failure()])), "roboto/failures")
    assert list(row)[:3] == ["error_code", "message", "relative_path"]
    assert row == {
        "message": "HTTP 404 NoSuchKey",
        "relative_path": "1.mcap",
        "error_code": "NOT_FOUND",
        "attempts": 2,
        "transient": False,
    }


def test_what_to_do_stands_once_for_each_code() -> None:
    """A hundred files that are gone need one sentence of advice, not a hundred."""
    failures = [failure(1), failure(2), failure(3, "STALLED")]
    lines = plain(outcome_metadata(report(failures)))["roboto/what_to_do"].splitlines()
    assert lines[0].startswith("- **NOT_FOUND** (2 files): The platform lists it but its object")
    assert lines[1].startswith("- **STALLED** (1 file): No bytes arrived for too long")


def test_a_capped_table_has_the_number_of_the_others() -> None:
    """A hundred rows are shown, and a last one has how many more are in the manifest."""
    failures = [failure(number) for number in range(250)]
    rows = table(outcome_metadata(report(failures)), "roboto/failures")
    assert len(rows) == MAX_TABLE_ROWS + 1
    assert rows[-1]["message"] == "150 more files in the manifest"


def test_a_table_that_just_fits_is_complete() -> None:
    """A hundred failures need no word about more."""
    rows = table(outcome_metadata(report([failure()] * MAX_TABLE_ROWS)), "roboto/failures")
    assert (len(rows), rows[-1]["relative_path"]) == (MAX_TABLE_ROWS, "1.mcap")


def test_codes_are_counted() -> None:
    """How many failed with which code."""
    failures = [failure(1), failure(2), failure(3, "STALLED")]
    metadata = plain(outcome_metadata(report(failures)))
    assert metadata["roboto/error_codes"] == {"NOT_FOUND": 2, "STALLED": 1}


def test_what_was_not_even_planned_has_its_error() -> None:
    """A partition whose dataset could not be listed has the reason."""
    assert plain(outcome_metadata(PlatformError("unknown"))) == {"roboto/error": "unknown"}


def test_numbers_and_names_can_be_read_back() -> None:
    """What a report becomes as metadata, a program gets back, typed."""
    known = report([failure()], dataset_url="https://app.roboto.ai/datasets/ds_1")
    assert SyncMetadata.from_metadata(outcome_metadata(known)) == SyncMetadata.of(known)
    assert SyncMetadata.from_metadata(outcome_metadata(report())) == SyncMetadata.of(report())


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
    file = ReportedFile(
        relative_path="a.mcap",
        status="fetched",
        size_bytes=3 * MIB,
        duration_seconds=1.23456,
        attempts=2,
    )
    assert table(outcome_metadata(report(top_files=[file])), "roboto/slowest_files") == [
        {
            "relative_path": "a.mcap",
            "size": "3.0 MiB",
            "seconds": 1.235,
            "attempts": 2,
        }
    ]


def test_one_of_thousands_has_no_table_of_one_row() -> None:
    """In a step of many partitions, one file in one attempt stands in the numbers; other partitions keep their tables."""
    file = ReportedFile(
        relative_path="a", status="fetched", size_bytes=1, duration_seconds=0.1, attempts=1
    )
    quick = Timeline(step_seconds=0.1, bytes_by_step=(MIB,))
    attempts = report().attempts
    small = report(attempts=attempts[:1], top_files=[file], timeline=quick)
    tables = {"roboto/throughput", "roboto/slowest_files", "roboto/attempts"}
    assert outcome_metadata(small).keys() >= tables
    assert not outcome_metadata(small, is_brief=True).keys() & tables
    assert outcome_metadata(small).keys() - tables == outcome_metadata(small, is_brief=True).keys()
    slow = Timeline(step_seconds=1.0, bytes_by_step=(MIB,))
    big = report(attempts=attempts, top_files=[file, file], timeline=slow)
    assert outcome_metadata(big, is_brief=True) == outcome_metadata(big)


def test_what_happened_and_what_failed_come_first() -> None:
    """The UI shows metadata in this order: the numbers for programs are last."""
    assert list(outcome_metadata(report([failure()])))[:4] == [
        "roboto/summary",
        "roboto/failures",
        "roboto/what_to_do",
        "roboto/error_codes",
    ]


def test_files_that_were_not_fetched_are_not_called_slow() -> None:
    """An unchanged file took no time."""
    file = ReportedFile(
        relative_path="a", status="unchanged", size_bytes=1, duration_seconds=0.0, attempts=0
    )
    assert "roboto/slowest_files" not in outcome_metadata(report(top_files=[file]))


def test_a_sync_without_transfer_has_no_empty_table() -> None:
    """The normal case of a nightly run: nothing has changed."""
    quiet = outcome_metadata(report(attempts=[], bytes_fetched=0, files_fetched=0))
    tables = [key for key, value in quiet.items() if isinstance(value, dg.TableMetadataValue)]
    assert tables == []


def test_names_of_datasets() -> None:
    """Ids and names are two keys; the name has no control characters."""
    metadata = plain(outcome_metadata(report(dataset_names={"ds_1": "flight\x1b[31m"})))
    assert metadata["roboto/dataset_id"] == "ds_1"
    assert metadata["roboto/dataset_name"] == "flight\\x1b[31m"
    assert "roboto/dataset_name" not in outcome_metadata(report())


def test_retried_and_skipped_files_are_counted() -> None:
    """Keys that are there only if there is something to count."""
    metadata = plain(outcome_metadata(report(files_retried=2, files_skipped=3)))
    assert (metadata["roboto/files_retried"], metadata["roboto/files_skipped"]) == (2, 3)
    assert "roboto/files_retried" not in outcome_metadata(report())


def test_texts_of_tables_are_escaped() -> None:
    """A file's name forges no lines."""
    error = failure()
    error.file = {**error.file, "relative_path": "a\nb"}  # type: ignore[typeddict-unknown-key]  # as sync's files
    (row,) = table(outcome_metadata(report([error])), "roboto/failures")
    assert row["relative_path"] == "a\\nb"


def test_advice_of_a_failure_is_preferred() -> None:
    """It may know more than its code, such as where the credentials came from."""
    error = DownloadError(
        failure().file, "ACCESS_DENIED", "no", None, 1, None, "Check the role arn:x."
    )
    assert "Check the role arn:x." in plain(outcome_metadata(report([error])))["roboto/what_to_do"]
