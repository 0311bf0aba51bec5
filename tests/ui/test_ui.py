"""What people see in Dagster's UI after a backfill in which one of three datasets is broken."""

from tests.ui.conftest import BROKEN, Ui


def test_x(ui: Ui, runs: dict[str, tuple[str, str]]) -> None:
    """Look."""
    print(runs)
    ui.open("assets/robot_logs", "roboto/summary"); ui.take_picture("asset", 1800)
    ui.open("assets/robot_logs?view=partitions&partition=" + BROKEN, "Failed"); ui.page.wait_for_timeout(2000); ui.take_picture("partition-failed", 1400)
    ui.open("assets/robot_logs?view=partitions&partition=ds_rover_runs", "roboto/summary"); ui.take_picture("partition", 1600)
    ui.open("assets/robot_logs?view=events", "Observed"); ui.page.wait_for_timeout(2000); ui.take_picture("events", 1400)
    ui.open("runs/" + runs[BROKEN][0], "could not be delivered"); ui.take_picture("run", 1000)
