"""Why a log is decoded again, and why not."""

import dataclasses
import pathlib
import types

import pytest

from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.manifest import TopicRow
from roboto_dagster.topics.plan import (
    OptionsId,
    PlannedLog,
    files_beside,
    is_same_content,
    reason_to_decode,
    tables_of,
)
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoders import LineDecoder

LOG = LogFile(
    dataset_id="ds_1",
    relative_path="a.log",
    path=pathlib.Path("a.log"),
    file_id="fl_1",
    version=1,
    size_bytes=10,
    checksum="crc64nvme:A",
)
OPTIONS = OptionsId.of(TopicFilter(), keep_partial=False)
KEEPING = dataclasses.replace(OPTIONS, keep_partial=True)
ROW = TopicRow(
    dataset_id="ds_1",
    relative_path="a.log",
    file_id="fl_1",
    version=1,
    size_bytes=10,
    checksum="crc64nvme:A",
    topic="/imu",
    table="ds_1/a.log/%2Fimu.parquet",
    table_bytes=5,
    decoder="lines",
    decoder_version="1",
    options=OPTIONS.topics,
    status="decoded",
)
FAILED_TOPIC = dataclasses.replace(ROW, topic="/odd", table=None, status="failed", code="X")
FAILED_LOG = dataclasses.replace(FAILED_TOPIC, topic=None)
PARTIAL = dataclasses.replace(ROW, status="partial", code="X")


def kept(*rows: TopicRow) -> list[TopicRow]:
    """Return rows as a run with keep_partial writes them."""
    return [dataclasses.replace(row, options=f"{OPTIONS.topics}+partial") for row in rows]


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        pytest.param([], OPTIONS, "new", id="new"),
        pytest.param([ROW], OPTIONS, None, id="unchanged"),
        pytest.param([ROW], KEEPING, None, id="complete-whether-parts-are-kept-or-not"),
        pytest.param([ROW, FAILED_TOPIC], OPTIONS, None, id="failed-topic"),
        pytest.param(
            [ROW, dataclasses.replace(FAILED_TOPIC, code="EXTRA_MISSING")],
            OPTIONS,
            "failed",
            id="library-missing",
        ),
        pytest.param([ROW, FAILED_TOPIC], KEEPING, "options", id="failed-topic-to-be-kept"),
        pytest.param(kept(ROW, FAILED_TOPIC), KEEPING, None, id="failed-topic-kept"),
        pytest.param(kept(ROW, PARTIAL), OPTIONS, "options", id="partial-not-wanted"),
        pytest.param([FAILED_LOG], OPTIONS, "failed", id="failed-log"),
        pytest.param(kept(FAILED_LOG, PARTIAL), KEEPING, None, id="failed-log-kept"),
        pytest.param(kept(FAILED_LOG), KEEPING, "failed", id="failed-log-nothing-kept"),
        pytest.param(
            [dataclasses.replace(ROW, status="outdated")], OPTIONS, "failed", id="outdated"
        ),
        pytest.param([dataclasses.replace(ROW, table_bytes=6)], OPTIONS, "tables", id="size"),
        pytest.param([dataclasses.replace(ROW, decoder="x")], OPTIONS, "decoder", id="decoder"),
        pytest.param([dataclasses.replace(ROW, options="x")], OPTIONS, "options", id="options"),
        pytest.param([dataclasses.replace(ROW, checksum="x")], OPTIONS, "content", id="content"),
    ],
)
def test_the_first_reason_counts(
    rows: list[TopicRow], options: OptionsId, reason: str | None
) -> None:
    """Content, decoder, options, failures, tables, in this order."""
    planned = PlannedLog(log=LOG, decoder=LineDecoder(), options=options, reason=None, known=rows)
    assert reason_to_decode(planned, {"ds_1/a.log/%2Fimu.parquet": 5}.get) == reason


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="same"),
        pytest.param({"version": 2}, True, id="tags-edited"),
        pytest.param({"file_id": "fl_2"}, True, id="uploaded-again"),
        pytest.param({"checksum": "crc64nvme:B"}, False, id="checksum"),
        pytest.param({"size_bytes": 11}, False, id="size"),
        pytest.param({"checksum": None}, True, id="no-checksum-same-record"),
        pytest.param({"checksum": None, "version": 2}, False, id="no-checksum-new-revision"),
        pytest.param({"checksum": None, "file_id": "fl_2"}, False, id="no-checksum-new-record"),
    ],
)
def test_content_is_known_by_its_checksum(changes: dict[str, object], expected: bool) -> None:  # noqa: FBT001 - a table
    """Or by record and revision, where the store has sent none."""
    log = dataclasses.replace(LOG, **changes)  # type: ignore[arg-type] # of the right types
    assert is_same_content(log, ROW) is expected


def test_options_are_known_by_their_values() -> None:
    """Whatever kind of mapping or sequence they are given as."""
    plain = TopicFilter(topics=["/a"], fields={"/a": ["x"]}, ros_definitions={"t": "int8 x"})
    other = TopicFilter(
        topics=("/a",),
        fields=types.MappingProxyType({"/a": ("x",)}),
        ros_definitions=types.MappingProxyType({"t": "int8 x"}),
    )
    first, second = (OptionsId.of(each, keep_partial=False) for each in (plain, other))
    assert first == second


def test_the_order_of_patterns_matters() -> None:
    """The last one that matches decides."""
    one, other = TopicFilter(topics=["/a", "!/a"]), TopicFilter(topics=["!/a", "/a"])
    assert OptionsId.of(one, keep_partial=False) != OptionsId.of(other, keep_partial=False)


def test_only_files_beside_it_that_matter_are_part_of_a_log() -> None:
    """Its write-ahead log and the metadata of its folder; not those of other logs."""
    names = ["bag/a.db3", "bag/a.db3-wal", "bag/metadata.yaml", "metadata.yaml", "bag/b.db3-wal"]
    logs = {f"ds_1/{name}": dataclasses.replace(LOG, relative_path=name) for name in names}
    log = logs["ds_1/bag/a.db3"]
    full = files_beside(log, logs)
    alone = {
        path: each
        for path, each in logs.items()
        if path in ("ds_1/bag/a.db3", "ds_1/bag/b.db3-wal")
    }
    assert files_beside(log, alone) == ""
    del logs["ds_1/bag/a.db3-wal"]
    assert files_beside(log, logs) not in ("", full)


def test_tables_are_named_by_their_files() -> None:
    """Only what is on disk."""
    assert tables_of([ROW, FAILED_TOPIC, PARTIAL]) == ["%2Fimu.parquet"] * 2
