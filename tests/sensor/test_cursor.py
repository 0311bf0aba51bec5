"""What a cursor and a run key contain: nothing is lost, nothing is asked twice, and it stays small."""

import contextlib
import datetime as dt
import json

import pytest

from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.sensor.cursor import Change, CursorError, PendingPartition, SensorCursor
from roboto_dagster.sensor.feed import ChangeFeed, Revision, Walk

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
MINUTE = dt.timedelta(minutes=1)
OVERLAP = 5 * MINUTE
DATASET = RemoteDataset(dataset_id="ds_a", version=3, created=NOON - MINUTE, modified=NOON)


def revision(record_id: str = "ds_a", version: int = 1, minutes: float = 0) -> Revision:
    """Return a state that was reached some minutes after noon."""
    return Revision(
        record_id=record_id, version=str(version), modified=NOON + dt.timedelta(minutes=minutes)
    )


def change(*revisions: Revision) -> Change:
    """Return a change of the dataset that stands for revisions."""
    found = Change.of(DATASET)
    for each in revisions:
        found = found.with_revision(each)
    return found


def full_cursor() -> SensorCursor:
    """Return a cursor in which every field is set."""
    feed = ChangeFeed(watermark=NOON).paused_at(
        Walk(started=NOON, position=NOON, page_token="p2"),
        [revision(), revision("fl_b")],
        OVERLAP,
    )
    return SensorCursor(
        datasets=feed,
        files=ChangeFeed().advanced_to(NOON, [revision("fl_a")], OVERLAP),
        waiting={"ds_a": change(revision()).with_revision(revision("fl_a"), "2026-11-01")},
        pending={"2026-11-01": PendingPartition.of(change(revision()))},
        last_deletion_scan=NOON,
        requested_in_walk={"ds_a": NOON},
        searched=("ds_b", "ds_a"),
        deletion_scan_after="ds_a",
    )


# --- the text ---


def test_cursor_survives_its_text() -> None:
    """What is written is what is read."""
    cursor = full_cursor()
    assert SensorCursor.from_json(cursor.to_json()) == cursor


def test_no_text_is_a_new_cursor() -> None:
    """A sensor that never ran starts with nothing."""
    assert SensorCursor.from_json(None).datasets == ChangeFeed()
    assert SensorCursor.from_json("").waiting == {}


def test_versions_are_named() -> None:
    """The error names the version of the text and the one that can be read."""
    with pytest.raises(CursorError, match="of version 7, and this release reads version 2"):
        SensorCursor.from_json('{"version":7}')


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "{}",
        "[1]",
        "null",
        "[" * 100_000,
        '{"version":"2"}',
        '{"version":true}',
        '{"version":2,"cursor_id":7}',
        '{"version":2,"cursor_id":"x y"}',
        '{"version":2,"unknown":1}',
        '{"version":2,"datasets":[]}',
        '{"version":2,"datasets":{"watermark":1}}',
        '{"version":2,"datasets":{"watermark":"2026-11-01T12:00:00"}}',
        '{"version":2,"datasets":{"watermark":"99999-11-01T12:00:00Z"}}',
        '{"version":2,"datasets":{"marks":{"1":"short"}}}',
        '{"version":2,"datasets":{"marks":{"x":""}}}',
        '{"version":2,"waiting":{"ds_a":{}}}',
        '{"version":2,"waiting":{"../x":{"dataset_id":"../x"}}}',
        '{"version":2,"pending":{"2026-11-01":{"digest":"no hex"}}}',
        '{"version":2,"pending":{"2026-11-01":null}}',
    ],
)
def test_text_of_another_kind_is_refused(text: str) -> None:
    """Whatever stands in the cursor is a `CursorError`, and no other exception."""
    with pytest.raises(CursorError):
        SensorCursor.from_json(text)


@pytest.mark.parametrize("field", sorted(SensorCursor.model_fields))
@pytest.mark.parametrize("value", [None, 0, "x", [], {"x": 1}, {"x": {"y": "z"}}, -1.5, True])
def test_every_field_is_checked(field: str, value: object) -> None:
    """A field of another type is refused, or read as the cursor that it is."""
    plain = {**json.loads(full_cursor().to_json()), field: value}
    with contextlib.suppress(CursorError):
        assert isinstance(SensorCursor.from_json(json.dumps(plain)), SensorCursor)


# --- run keys ---


def run_key(cursor: SensorCursor, *revisions: Revision) -> str:
    """Return the run key of a partition that stands for revisions."""
    return cursor.run_key("ds_a", PendingPartition.of(change(*revisions)))


def test_run_key_is_the_same_for_the_same_state() -> None:
    """A tick that is evaluated twice requests the same run, which Dagster then drops."""
    cursor = full_cursor()
    again = SensorCursor.from_json(cursor.to_json())
    assert run_key(cursor, revision(), revision("fl_a")) == run_key(
        again, revision(), revision("fl_a")
    )


@pytest.mark.parametrize(
    "other",
    [
        [revision(version=2)],
        [revision(minutes=1)],
        [revision(), revision("fl_a")],
        [revision("fl_a")],
        [revision(), revision()],
    ],
)
def test_run_key_changes_with_every_part_of_the_state(other: list[Revision]) -> None:
    """Another version, time, file or number of changes is another key."""
    cursor = SensorCursor()
    assert run_key(cursor, revision()) != run_key(cursor, *other)


def test_new_cursor_never_uses_an_old_key() -> None:
    """After a lost cursor the same state has another key, or Dagster would drop the request."""
    assert run_key(SensorCursor(), revision()) != run_key(SensorCursor(), revision())


def test_run_key_of_a_window_stands_for_all_its_datasets() -> None:
    """A further dataset in the window is another key; the tag of a single dataset goes."""
    one = PendingPartition.of(change(revision()))
    other = Change.of(RemoteDataset(dataset_id="ds_b", version=1, created=NOON, modified=NOON))
    both = one.merged_with(PendingPartition.of(other))
    cursor = SensorCursor()
    assert cursor.run_key("2026-11", one) != cursor.run_key("2026-11", both)
    assert (one.dataset_id, both.dataset_id) == ("ds_a", None)


def test_names_from_the_platform_cannot_break_the_cursor() -> None:
    """A name with control characters or half a letter is escaped and cut."""
    dataset = RemoteDataset(
        dataset_id="ds_a", version=1, created=NOON, modified=NOON, name="\ud800\n" + "x" * 999
    )
    cursor = SensorCursor(waiting={"ds_a": Change.of(dataset)})
    name = SensorCursor.from_json(cursor.to_json()).waiting["ds_a"].name
    assert name is not None
    assert name.startswith("\\ud800\\nx")
    assert len(name) == 200
