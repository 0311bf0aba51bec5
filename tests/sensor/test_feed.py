"""How far changes have been followed, and which have been seen."""

import datetime as dt

from roboto_dagster.sensor.cursor import SensorCursor
from roboto_dagster.sensor.feed import MAX_MARKS, ChangeFeed, Revision, Walk

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
MINUTE = dt.timedelta(minutes=1)
OVERLAP = 5 * MINUTE


def revision(record_id: str = "ds_a", version: int = 1, minutes: float = 0) -> Revision:
    """Return a state that was reached some minutes after noon."""
    return Revision(
        record_id=record_id, version=str(version), modified=NOON + dt.timedelta(minutes=minutes)
    )


def test_only_the_same_revision_is_seen() -> None:
    """Another version, another record, or the same record at another time is new."""
    feed = ChangeFeed().advanced_to(NOON, [revision(version=2)], OVERLAP)
    assert feed.has_seen(revision(version=2))
    assert not feed.has_seen(revision(version=1))
    assert not feed.has_seen(revision(version=2, minutes=-1))
    assert not feed.has_seen(revision("ds_b", version=2))


def test_change_shown_late_is_not_seen() -> None:
    """An older change than the newest one seen is new as long as nobody has seen it."""
    feed = ChangeFeed().advanced_to(NOON, [revision("fl_new")], OVERLAP)
    assert not feed.has_seen(revision("fl_late", minutes=-1))


def test_next_walk_starts_an_overlap_before_the_last_one() -> None:
    """What the last walk could not be shown yet is looked for again."""
    feed = ChangeFeed().advanced_to(NOON, [], OVERLAP)
    assert feed.next_walk(NOON + MINUTE, OVERLAP).position == NOON - OVERLAP


def test_first_walk_starts_at_the_given_time() -> None:
    """Without a watermark everything since then, or ever, is looked at."""
    assert ChangeFeed().next_walk(NOON, OVERLAP).position is None
    assert ChangeFeed().next_walk(NOON, OVERLAP, since=NOON).position == NOON


def test_watermark_ahead_of_the_clock_is_not_trusted() -> None:
    """A cursor written by a machine whose clock was wrong does not blind the sensor."""
    feed = ChangeFeed(watermark=NOON + 600 * MINUTE)
    assert feed.next_walk(NOON, OVERLAP).position == NOON - OVERLAP


def test_walk_goes_on_where_it_paused() -> None:
    """A walk of several ticks keeps its start, and the marks of what may come again."""
    walk = Walk(started=NOON, position=NOON - 60 * MINUTE)
    feed = ChangeFeed(watermark=NOON - 90 * MINUTE).paused_at(
        walk, [revision(minutes=-60), revision(minutes=-80)], OVERLAP
    )
    assert feed.next_walk(NOON + MINUTE, OVERLAP) == walk
    assert feed.has_seen(revision(minutes=-60))
    assert not feed.has_seen(revision(minutes=-80))


def test_old_marks_are_forgotten() -> None:
    """Only what a walk may meet again is remembered."""
    feed = ChangeFeed().advanced_to(NOON, [revision(minutes=-6), revision()], OVERLAP)
    feed = feed.advanced_to(NOON + 2 * MINUTE, [], OVERLAP)
    assert feed.has_seen(revision())
    assert len(feed.marks) == 1
    assert feed.advanced_to(NOON + 60 * MINUTE, [], OVERLAP).marks == {}


def test_revisions_from_the_future_stay_remembered() -> None:
    """A record dated ahead is met in every walk until its time has passed."""
    feed = ChangeFeed().advanced_to(NOON, [revision(minutes=60)], OVERLAP)
    later = feed.advanced_to(NOON + 30 * MINUTE, [], OVERLAP)
    assert later.watermark == NOON + 30 * MINUTE - OVERLAP
    assert later.has_seen(revision(minutes=60))


def test_cursor_stays_small_after_a_bulk_upload() -> None:
    """10,000 changed files of the last minutes cost 8 letters each, and none once they are old."""
    files = [revision(f"fl_{i}", minutes=i / 10_000) for i in range(10_000)]
    cursor = SensorCursor(files=ChangeFeed().advanced_to(NOON, files, OVERLAP))
    assert len(cursor.to_json()) < 81_000
    later = cursor.files.advanced_to(NOON + 60 * MINUTE, [], OVERLAP)
    assert len(SensorCursor(files=later).to_json()) < 200


def test_marks_are_bounded() -> None:
    """Beyond the bound the oldest minutes are forgotten."""
    many = [revision(f"fl_{i}", minutes=i % 2) for i in range(MAX_MARKS + 2)]
    feed = ChangeFeed().advanced_to(NOON, many, OVERLAP)
    assert sum(map(len, feed.marks.values())) <= MAX_MARKS * 8
    assert feed.has_seen(many[1])
    assert not feed.has_seen(many[0])
