"""What the sensor remembers survives its text, and stays small."""

import datetime as dt

import pytest

from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.sensor_cursor import Change, ChangeFeed, CursorError, Revision, SensorCursor

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
MINUTE = dt.timedelta(minutes=1)
DATASET = RemoteDataset(dataset_id="ds_a", version=3, created=NOON - MINUTE, modified=NOON)


def test_cursor_survives_its_text() -> None:
    """What is written is what is read."""
    cursor = SensorCursor(
        datasets=ChangeFeed(upto=NOON, recent={"ds_a": Revision(version="3", modified=NOON)}),
        waiting={"ds_a": Change(dataset=DATASET, files_modified=NOON)},
        swept=NOON,
    )
    assert SensorCursor.from_json(cursor.to_json()) == cursor


def test_no_text_is_a_new_cursor() -> None:
    """A sensor that never ran begins with nothing."""
    assert SensorCursor.from_json(None) == SensorCursor()


def test_version_of_a_later_release_is_told() -> None:
    """The error names both versions."""
    with pytest.raises(CursorError, match="of version 7, and this release reads version 1"):
        SensorCursor.from_json('{"version":7}')


def test_old_marks_are_forgotten() -> None:
    """Only what the overlap can show again is remembered."""
    old = {"ds_a": Revision(version="1", modified=NOON - 10 * MINUTE)}
    new = {"ds_b": Revision(version="1", modified=NOON)}
    feed = ChangeFeed().noting(old, 5 * MINUTE).noting(new, 5 * MINUTE)
    assert (feed.upto, list(feed.recent)) == (NOON, ["ds_b"])


def test_later_state_is_not_known() -> None:
    """A state that was seen is known, and older ones, but no later one."""
    feed = ChangeFeed(upto=NOON, recent={"ds_a": Revision(version="2", modified=NOON)})
    assert feed.knows("ds_a", Revision(version="2", modified=NOON))
    assert feed.knows("ds_a", Revision(version="1", modified=NOON - MINUTE))
    assert not feed.knows("ds_a", Revision(version="3", modified=NOON + MINUTE))


def test_revision_tells_record_and_files_apart() -> None:
    """Run keys change with the record's version and with the newest file."""
    assert Change(dataset=DATASET).revision == "ds_a@3"
    assert Change(dataset=DATASET, files_modified=NOON).revision.startswith("ds_a@3+2026-11-01")
