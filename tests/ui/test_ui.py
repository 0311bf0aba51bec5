"""What people see in Dagster's UI after a backfill in which one of three datasets is broken."""

from tests.ui.conftest import BROKEN, COMPLETE, LOST, Ui

LABEL = f"{BROKEN} ({BROKEN.removeprefix('ds_')})"
VERDICT = f"3 of 10 files of {LABEL} could not be delivered (2 COLLISION, 1 NOT_FOUND)."


def test_the_asset_page_has_a_table_of_files(ui: Ui) -> None:
    """The slowest files with their sizes, below one line that sums the run up."""
    text = ui.open("assets/robot_logs", "roboto/slowest_files")
    assert "files fetched (" in text
    table = ui.row("roboto/slowest_files")
    assert {"seconds", "size", "attempts", "relative_path", ".mcap", "MiB"} <= ui.words(table)


def test_the_asset_page_has_a_chart(ui: Ui) -> None:
    """Throughput over the run is a picture that is shown in place, with its numbers below."""
    ui.open("assets/robot_logs", "roboto/throughput")
    assert ui.picture_width("Throughput") == 320
    assert "MiB/s, peak " in ui.row("roboto/throughput")
    ui.take_picture("asset", 1600, 1280)


def test_each_run_ended_as_its_dataset_is(runs: dict[str, tuple[str, str]]) -> None:
    """The broken dataset fails alone."""
    endings = {dataset_id: status for dataset_id, (_, status) in runs.items()}
    assert endings == {**dict.fromkeys(COMPLETE, "SUCCESS"), BROKEN: "FAILURE"}


def test_the_partitions_view_distinguishes_complete_from_failed(ui: Ui) -> None:
    """Two datasets are materialized, each with metadata of its own; one failed."""
    text = ui.open(f"assets/robot_logs?view=partitions&partition={COMPLETE[0]}", "roboto/summary")
    assert ("Failed (1)" in text, "Materialized (2)" in text) == (True, True)
    assert "14 files fetched" in ui.row("roboto/summary")
    ui.take_picture("partitions", 1440, 1000)


def test_the_asset_page_names_the_files_that_failed(ui: Ui) -> None:
    """The failed partition's event has a sentence, the files, and what to do about each kind."""
    ui.open("assets/robot_logs?view=events", BROKEN)
    ui.page.get_by_text(BROKEN).first.click()
    ui.page.get_by_text("roboto/what_to_do").wait_for()
    text = ui.text()
    assert VERDICT in text
    assert "7 other files are complete on disk. A re-run will fail again" in text
    assert {LOST, "NOT_FOUND", "notes.txt", "Notes.txt", "COLLISION"} <= ui.words(
        ui.row("roboto/failures")
    )
    assert "upload the file again" in ui.row("roboto/what_to_do")
    ui.take_picture("failed-partition", 1440, 1120)


def test_the_run_page_has_what_failed(ui: Ui, runs: dict[str, tuple[str, str]]) -> None:
    """The failed run's log has a warning, a table, and a failure that reads as a sentence."""
    text = ui.open(f"runs/{runs[BROKEN][0]}", "could not be delivered")
    assert "8 files to fetch (25.1 MiB), 0 unchanged, 2 refused by the plan" in text
    assert f"{LABEL}: 7 files fetched" in text
    assert VERDICT in " ".join(text.split())
    assert f"{LOST}: NOT_FOUND: HTTP 404 NoSuchKey" in " ".join(text.split())
    ui.take_picture("failed-run", 1440, 1280)


def test_the_run_page_has_what_was_retried(ui: Ui, runs: dict[str, tuple[str, str]]) -> None:
    """A request that had to be asked again is a line in the log of a run that succeeded."""
    text = ui.open(f"runs/{runs[COMPLETE[0]][0]}", "THROTTLED")
    assert "run_5.mcap: THROTTLED (HTTP 503 SlowDown" in text
