"""From the rows of a manifest to topics, failures and the data version."""

import dataclasses

import pytest

from roboto_dagster.topics.manifest import TopicRow
from roboto_dagster.topics.summary import (
    columns_of,
    failures_of,
    notes_of,
    topics_data_version,
    topics_of,
)

ROW = TopicRow(
    dataset_id="ds_1",
    relative_path="a.log",
    file_id="fl_1",
    version=1,
    size_bytes=10,
    topic="/imu",
    type_name="T",
    table="ds_1/a.log/%2Fimu.parquet",
    table_bytes=5,
    table_mtime_ns=1,
    rows=2,
    first_ns=1,
    last_ns=3,
    max_gap_ns=2,
    steps_back=0,
    null_times=0,
    columns='{"x": "int8"}',
    decoder="lines",
    decoder_version="1",
    options="o",
    status="decoded",
)


def row(**changes: object) -> TopicRow:
    """Return a row with changes."""
    return dataclasses.replace(ROW, **changes)  # type: ignore[arg-type] # of the right types


def test_a_topic_is_summed_over_its_tables() -> None:
    """Columns whose types differ name all of them; tables that are outdated do not count."""
    other = row(
        relative_path="b.log",
        first_ns=0,
        last_ns=9,
        max_gap_ns=9,
        columns='{"x": "double", "y": "string"}',
    )
    (topic,) = topics_of([ROW, other, row(status="outdated"), row(status="failed", table=None)])
    assert (topic.tables, topic.rows, topic.first_ns, topic.last_ns, topic.max_gap_ns) == (
        2,
        4,
        0,
        9,
        9,
    )
    assert topic.columns == {"x": "double or int8", "y": "string"}


def test_a_log_that_failed_is_one_failure() -> None:
    """However many topics were kept of it; a topic that failed besides is one more."""
    log = row(topic=None, table=None, status="failed", code="TRUNCATED", reason="cut")
    kept = [row(topic=name, status="partial", code="TRUNCATED", reason="cut") for name in "ab"]
    odd = row(topic="c", table=None, status="failed", code="CORRUPT", reason="odd")
    found = [(each.topic, each.code) for each in failures_of([log, *kept, odd])]
    assert found == [(None, "TRUNCATED"), ("c", "CORRUPT")]


def test_a_topic_of_two_tables_fails_once() -> None:
    """Each of its schemas has a table."""
    rows = [row(status="partial", code="CORRUPT", reason="odd", schema_id=name) for name in "ab"]
    assert len(list(failures_of(rows))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"checksum": "x"},
        {"size_bytes": 11},
        {"decoder_version": "2"},
        {"options": "p"},
        {"topic": "/x"},
        {"status": "partial"},
    ],
)
def test_the_data_version_is_that_of_what_tables_are_made_of(change: dict[str, object]) -> None:
    """Content, decoder, options, topics, failures."""
    before = topics_data_version({"ds_1/a.log": [ROW]})
    assert before is not None
    assert topics_data_version({"ds_1/a.log": [row(**change)]}) not in (None, before)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "unchanged"},
        {"table_mtime_ns": 7},
        {"table_bytes": 7},
        {"decoded_at_us": 5, "duration_seconds": 1.0},
    ],
)
def test_the_data_version_is_the_same_on_any_machine(change: dict[str, object]) -> None:
    """Times and sizes of files are no part of it."""
    before = topics_data_version({"ds_1/a.log": [ROW]})
    assert topics_data_version({"ds_1/a.log": [row(**change)]}) == before


def test_with_a_checksum_the_revision_does_not_count() -> None:
    """An edit of tags makes a new one."""
    first, second = (topics_data_version({"p": [row(checksum="c", version=n)]}) for n in (1, 2))
    assert first == second


@pytest.mark.parametrize(
    "change", [{"status": "outdated"}, {"code": "NO_SPACE", "status": "failed"}]
)
def test_what_this_machine_could_not_do_has_no_version(change: dict[str, object]) -> None:
    """The same logs give other tables elsewhere."""
    assert topics_data_version({"ds_1/a.log": [ROW, row(**change)]}) is None


@pytest.mark.parametrize("text", [None, "", "[", "[1, 2]", '{"x": 1}', "null"])
def test_what_a_manifest_has_as_json_is_not_trusted(text: str | None) -> None:
    """Damage is nothing, and no error."""
    assert columns_of(text) == {}
    assert notes_of([row(notes=text)]) == {}


def test_notes_are_counted_by_kind() -> None:
    """Over all logs and topics."""
    note = '[{"kind": "cut_bytes", "count": 3, "text": "…"}]'
    assert notes_of([row(notes=note), row(notes=note)]) == {"cut_bytes": 6}
