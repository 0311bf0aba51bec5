"""Which window of time holds a moment."""

import datetime as dt

import dagster as dg
import pytest

from roboto_dagster.run_requests.partition_windows import WindowFinder

UTC = dt.timezone.utc
NOON = dt.datetime(2026, 11, 10, 12, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2026-11-01")
NO_SATURDAYS = dg.TimeWindowPartitionsDefinition(
    start="2026-11-01", cron_schedule="0 0 * * *", fmt="%Y-%m-%d", exclusions=["0 0 * * 6"]
)


@pytest.mark.parametrize(
    ("windows", "time", "key"),
    [
        (DAYS, NOON, "2026-11-10"),
        (DAYS, dt.datetime(2026, 11, 1, tzinfo=UTC), "2026-11-01"),
        (DAYS, dt.datetime(2026, 11, 1, tzinfo=UTC) - dt.timedelta(microseconds=1), None),
        (DAYS, dt.datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC), "2026-11-30"),
        (DAYS, dt.datetime(1, 1, 1, tzinfo=UTC), None),
        (DAYS, dt.datetime(9999, 12, 31, tzinfo=UTC), None),
        (NO_SATURDAYS, dt.datetime(2026, 11, 7, 12, tzinfo=UTC), None),
        (NO_SATURDAYS, dt.datetime(2026, 11, 8, tzinfo=UTC), "2026-11-08"),
        (dg.DailyPartitionsDefinition("2026-11-01", timezone="Asia/Tokyo"), NOON, "2026-11-10"),
        (dg.MonthlyPartitionsDefinition("2026-01-01"), NOON, "2026-11-01"),
        (
            dg.HourlyPartitionsDefinition("2026-10-01-00:00", timezone="Europe/Berlin"),
            dt.datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            "2026-10-25-02:00",
        ),
    ],
)
def test_window_that_holds_a_moment(
    windows: dg.TimeWindowPartitionsDefinition, time: dt.datetime, key: str | None
) -> None:
    """From its start, without its end; None before the first, in an excluded one, and far off."""
    finder = WindowFinder(windows, NOON)
    assert finder.find(time) == key
    assert finder.find(time) == key  # from what is kept


def test_next_window_starts_after_a_moment() -> None:
    """Excluded windows are passed over; after the last one there is none."""
    finder = WindowFinder(NO_SATURDAYS, NOON)
    friday = dt.datetime(2026, 11, 6, 12, tzinfo=UTC)
    assert finder.next_after(friday) == dt.datetime(2026, 11, 8, tzinfo=UTC)
    assert finder.next_after(dt.datetime(2000, 1, 1, tzinfo=UTC)) == finder.first_start
    assert finder.next_after(dt.datetime(9999, 1, 1, tzinfo=UTC)) is None
    ended = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-05")
    assert WindowFinder(ended, NOON).next_after(friday) is None


def test_many_moments_are_found_quickly() -> None:
    """The windows found last are kept: changes come in bulk."""
    finder = WindowFinder(DAYS, NOON)
    moments = [NOON + dt.timedelta(seconds=number) for number in range(50_000)]
    assert {finder.find(moment) for moment in moments} == {"2026-11-10", "2026-11-11"}
