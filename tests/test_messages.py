"""What people read about a sync: a line in the log, sentences about a failure."""

from roboto_dagster import DownloadError
from roboto_dagster.messages import dataset_label, describe, describe_in_markdown
from roboto_dagster.sync.report import TransferAttempt
from tests.reports import failure, report


def test_summary_is_one_line() -> None:
    """What a log should contain of a sync."""
    assert report([failure()]).summary() == (
        "2 files fetched (6.0 MiB at 2.0 MiB/s), 2 unchanged, 1 failed, 1 removed, in 4.2 s"
    )


def test_description_names_the_first_files_and_what_to_do() -> None:
    """A sentence, three files with code and advice, how many more, and what is kept."""
    text = describe(report([failure(number) for number in range(5)], files_fetched=0), "ds_1")
    lines = text.splitlines()
    assert lines[0] == "5 of 5 files of ds_1 could not be delivered (5 NOT_FOUND)."
    assert lines[1].startswith("  0.mcap: NOT_FOUND: HTTP 404 NoSuchKey. The platform lists it")
    assert lines[4] == "  … and 2 more: see roboto/failures, or the manifest."
    assert "A re-run will fail again until this is fixed." in lines[5]
    assert lines[5].endswith("listed in the manifest /logs/.roboto/logs/ds_1.parquet.")


def test_description_has_whether_a_retry_may_help() -> None:
    """What is transient is worth another run."""
    assert "A re-run may succeed." in describe(report([failure(1, "STALLED")]), None)


def test_the_asset_page_gets_the_description_as_a_list() -> None:
    """It shows Markdown, where lines without marks would run into one another."""
    text = describe_in_markdown(report([failure(1), failure(2)]), "ds_1")
    assert "\n\n- `1.mcap`: NOT_FOUND: HTTP 404 NoSuchKey. The platform lists it" in text
    assert "\n- `2.mcap`: NOT_FOUND: HTTP 404 NoSuchKey.\n\n" in text


def test_summary_counts_retries_removals_and_skipped_files() -> None:
    """Only what there is: a quiet sync has a short line."""
    text = report(files_retried=2, files_skipped=1).summary()
    assert text == (
        "3 files fetched (6.0 MiB at 2.0 MiB/s, 2 files after a retry), 2 unchanged, 0 failed, 1 removed, 1 skipped, "
        "in 4.2 s"
    )


def test_the_dataset_is_named() -> None:
    """People know a dataset by its name, programs by its id."""
    text = describe(report([failure()], dataset_names={"ds_1": "flight\n7"}), None)
    assert text.startswith(
        "1 of 5 files of ds_1 (flight\\n7) could not be delivered (1 NOT_FOUND)."
    )


def test_many_datasets_are_counted() -> None:
    """A window of time may hold hundreds."""
    ids = [f"ds_{number}" for number in range(100)]
    label = dataset_label(report(dataset_ids=ids, dataset_names={"ds_0": "flight"}))
    assert label == "ds_0 (flight), ds_1, ds_2 and 97 more"


def test_a_window_is_named_with_its_datasets() -> None:
    """The key of a window does not name the datasets in it."""
    text = describe(report([failure()]), "2026-01-05")
    assert text.startswith("1 of 5 files of partition 2026-01-05, ds_1, could not be delivered")


def test_nothing_is_claimed_of_other_files_where_there_are_none() -> None:
    """If all files failed, an older version may still be on disk: the message does not mention it."""
    text = describe(report([failure()], files_fetched=0, files_unchanged=0), None)
    assert text.splitlines()[-1].startswith("A re-run will fail again until this is fixed.")


def test_names_do_not_forge_lines_or_fetch_images() -> None:
    """Whoever uploads a file chooses its name."""
    error = failure()
    error.file = {**error.file, "relative_path": "![x](http://evil)\nRUN_SUCCESS"}  # type: ignore[typeddict-unknown-key]  # as sync's files
    text = describe(report([error]), None)
    assert "\nRUN_SUCCESS" not in text
    markdown = describe_in_markdown(report([error]), None)
    assert "`![x](http://evil)\\nRUN_SUCCESS`" in markdown


def test_a_reason_is_no_markdown() -> None:
    """Answers of servers are quoted in reasons."""
    error = DownloadError(failure().file, "SERVER_ERROR", "HTTP 500 <img src=http://evil>")
    assert "\\<img src=http://evil\\>" in describe_in_markdown(report([error]), None)


def test_the_speed_of_small_files_is_not_nothing() -> None:
    """`0.0 MiB/s` would look like a stall."""
    attempt = TransferAttempt(number=1, files=1, failed=0, bytes_fetched=4, duration_seconds=0.5)
    text = report(bytes_fetched=4, attempts=[attempt]).summary()
    assert text.startswith("3 files fetched (4 B at 8 B/s)")
