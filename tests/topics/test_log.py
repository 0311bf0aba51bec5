"""One log: its tables are published as one, or not at all."""

import dataclasses
import errno
import os
import pathlib
import pickle
from collections.abc import Iterator

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.topics.tasks import log_task
from roboto_dagster.disk.temp_folder import PartialFolder
from roboto_dagster.topics.decoder import LogDecoder, TopicBatch
from roboto_dagster.topics.log import LogResult, LogTask, decode_log
from roboto_dagster.topics.tables import table_set, writer
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoders import LineDecoder, batch, write_log


def task_of(
    tmp_path: pathlib.Path, *lines: object, decoder: LogDecoder | None = None, **changes: object
) -> LogTask:
    """Return the task of a log with such lines."""
    path = write_log(tmp_path / "logs" / "run" / "a.log", *lines)
    task = log_task(path, tmp_path / "topics", decoder or LineDecoder(), "run/a.log")
    return dataclasses.replace(task, **changes)  # type: ignore[arg-type] # of the right types


def tables(tmp_path: pathlib.Path) -> dict[str, list[object]]:
    """Return the values of each table that is published; fail if anything else is there."""
    folder = tmp_path / "topics" / "ds_1" / "run"
    assert [path.name for path in folder.glob(".*")] == []
    found = sorted((folder / "a.log").glob("*"))
    return {path.name: list(pq.read_table(path)["value"].to_pylist()) for path in found}


def codes(result: LogResult) -> list[tuple[str | None, str]]:
    """Return what failed."""
    return [(fault.topic, fault.code) for fault in result.faults]


def test_a_log_becomes_a_folder_of_tables(tmp_path: pathlib.Path) -> None:
    """One file a topic, with the rows of all its batches in the order of the log."""
    task = task_of(tmp_path, ("/imu", [1, 2]), ("/gps", [5]), ("/imu", [3]))
    result = decode_log(task)
    assert tables(tmp_path) == {"%2Fgps.parquet": [0.0], "%2Fimu.parquet": [0.0, 1.0, 0.0]}
    assert result.faults == ()
    imu, gps = result.tables
    assert (imu.topic, imu.rows, imu.first_ns, imu.last_ns, imu.max_gap_ns) == ("/imu", 3, 1, 3, 1)
    assert imu.size_bytes == (tmp_path / "topics/ds_1/run/a.log" / imu.name).stat().st_size
    assert gps.columns == {"log_time": "timestamp[ns, tz=UTC]", "value": "double"}


def test_a_table_says_what_it_is(tmp_path: pathlib.Path) -> None:
    """Its metadata hold topic, type, log and what its decoder has given, and whether its rows are sorted."""
    decode_log(task_of(tmp_path, ("/imu", [1, 2]), ("/gps", [2, 1])))
    found = {}
    for path in (tmp_path / "topics/ds_1/run/a.log").iterdir():
        metadata = pq.read_schema(path).metadata or {}
        found[metadata[b"roboto.topic"]] = metadata
        assert metadata.items() <= (pq.read_metadata(path).metadata or {}).items()
    assert found[b"/imu"] == {
        b"roboto.topic": b"/imu",
        b"roboto.type": b"test/Type",
        b"roboto.schema_id": b"s",
        b"roboto.unit": b"m",
        b"roboto.sorted": b"true",
        b"roboto.decoder": b"lines 1",
        b"roboto.layout_version": b"1",
        b"roboto.asset": b"robot_topics",
        b"roboto.log": b"ds_1/run/a.log",
    }
    assert found[b"/gps"][b"roboto.sorted"] == b"false"


def test_tables_are_read_by_pyarrow_polars_and_duckdb(tmp_path: pathlib.Path) -> None:
    """All three have the same rows and a time with a zone."""
    decode_log(task_of(tmp_path, ("/imu", [1, None, 3])))
    path = tmp_path / "topics/ds_1/run/a.log/%2Fimu.parquet"
    table = pq.read_table(path)
    assert table.schema.field("log_time").type == pa.timestamp("ns", "UTC")
    assert table["log_time"].cast(pa.int64()).to_pylist() == [1, None, 3]
    assert pl.read_parquet(path)["log_time"].cast(pl.Int64).to_list() == [1, None, 3]
    rows = duckdb.read_parquet(str(path)).order("value").fetchall()
    assert [value for _, value in rows] == [0.0, 1.0, 2.0]


def test_only_the_time_has_statistics(tmp_path: pathlib.Path) -> None:
    """They let readers skip row groups, and cost time for every column."""
    decode_log(task_of(tmp_path, ("/imu", [1, 2])))
    metadata = pq.read_metadata(tmp_path / "topics/ds_1/run/a.log/%2Fimu.parquet")
    group = metadata.row_group(0)
    statistics = group.column(0).statistics
    assert statistics is not None
    assert statistics.has_min_max
    assert group.column(1).statistics is None
    assert not group.column(1).has_dictionary_page
    assert group.column(0).compression == "ZSTD"


def test_two_schemas_of_a_topic_are_two_tables(tmp_path: pathlib.Path) -> None:
    """Rows of different definitions never share a table."""
    result = decode_log(
        task_of(tmp_path, ("x", [1], "one"), ("x", [2, 3], "two"), ("x", [4], "one"))
    )
    assert tables(tmp_path) == {"x.parquet": [0.0, 0.0], "x~2.parquet": [0.0, 1.0]}
    assert [table.schema_id for table in result.tables] == ["one", "two"]


def test_only_topics_asked_for_are_published(tmp_path: pathlib.Path) -> None:
    """The decoder is given the patterns."""
    task = task_of(tmp_path, ("/a", [1]), ("/b", [1]), topics=TopicFilter(topics=["!/b"]))
    decode_log(task)
    assert list(tables(tmp_path)) == ["%2Fa.parquet"]


def test_a_failed_topic_fails_alone(tmp_path: pathlib.Path) -> None:
    """Others are published; of the failed one there is no row, neither from before nor from after."""
    task = task_of(tmp_path, ("/a", [1]), ("/b", [1]), ("fault", "/b", "CORRUPT"), ("/b", [2]))
    result = decode_log(task)
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0]}
    assert codes(result) == [("/b", "CORRUPT")]


@pytest.mark.parametrize("last", [("fault", None, "TRUNCATED"), ("raise",)])
def test_of_a_failed_log_nothing_is_published(tmp_path: pathlib.Path, last: object) -> None:
    """Not what was read before the failure, and not what an earlier run had read of the log either."""
    decode_log(task_of(tmp_path, ("/a", [1]), ("/old", [1])))
    result = decode_log(task_of(tmp_path, ("/a", [1]), last, earlier=["%2Fa.parquet"]))
    ((topic, code),) = codes(result)
    assert (topic, code) in {(None, "TRUNCATED"), (None, "DECODER_FAILED")}
    assert result.tables == ()
    assert result.is_replaced
    assert not (tmp_path / "topics" / "ds_1" / "run").exists()


def test_what_was_read_is_kept_if_asked_for(tmp_path: pathlib.Path) -> None:
    """Of a log that is cut, and of a topic that failed."""
    lines = [("/a", [1]), ("/b", [1]), ("fault", "/b", "CORRUPT"), ("fault", None, "TRUNCATED")]
    result = decode_log(task_of(tmp_path, *lines, keep_partial=True))
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0], "%2Fb.parquet": [0.0]}
    assert codes(result) == [("/b", "CORRUPT"), (None, "TRUNCATED")]


def test_a_log_without_messages_has_no_tables(tmp_path: pathlib.Path) -> None:
    """That is no failure, and what an earlier version of the log had is gone."""
    decode_log(task_of(tmp_path, ("/a", [1])))
    result = decode_log(task_of(tmp_path))
    assert (result.tables, result.faults) == ((), ())
    assert not (tmp_path / "topics" / "ds_1" / "run").exists()


def test_a_new_version_replaces_all_tables(tmp_path: pathlib.Path) -> None:
    """Also those of topics that it has no more, and also where the manifest is lost."""
    decode_log(task_of(tmp_path, ("/a", [1]), ("/old", [1])))
    decode_log(task_of(tmp_path, ("/a", [1, 2])))
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0, 1.0]}


def test_files_of_others_are_never_touched(tmp_path: pathlib.Path) -> None:
    """What the user or another asset has put beside the tables stays, whatever happens to the log."""
    decode_log(task_of(tmp_path, ("/a", [1]), ("/b", [1])))
    decode_log(task_of(tmp_path, ("/other", [1]), asset="other_topics"))
    folder = tmp_path / "topics" / "ds_1" / "run" / "a.log"
    (folder / "notes.txt").write_text("mine")
    pq.write_table(pa.table({"mine": [1]}), folder / "mine.parquet")
    foreign = {"%2Fother.parquet", "mine.parquet", "notes.txt"}
    decode_log(task_of(tmp_path, ("/a", [1, 2])))
    assert {path.name for path in folder.iterdir()} == foreign | {"%2Fa.parquet"}
    decode_log(task_of(tmp_path, ("fault", None, "TRUNCATED")))
    assert {path.name for path in folder.iterdir()} == foreign


def test_a_table_of_another_asset_is_not_replaced(tmp_path: pathlib.Path) -> None:
    """Two assets with one destination and one topic: the second one fails, and says why."""
    decode_log(task_of(tmp_path, ("/a", [1])))
    result = decode_log(task_of(tmp_path, ("/a", [1, 2]), asset="other_topics"))
    assert codes(result) == [(None, "LOCAL_IO")]
    assert "did not write" in result.faults[0].reason
    assert "a.log/%2Fa.parquet" in result.faults[0].reason
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0]}


def test_logs_are_not_replaced_by_their_tables(tmp_path: pathlib.Path) -> None:
    """Where the destination is that of the logs, the place of the folder is taken."""
    task = task_of(tmp_path, ("/a", [1]))
    place = tmp_path / "topics" / "ds_1" / "run" / "a.log"
    place.parent.mkdir(parents=True)
    place.write_text("a log")
    result = decode_log(task)
    assert codes(result) == [(None, "LOCAL_IO")]
    assert place.read_text() == "a log"


def test_a_full_disk_leaves_the_old_tables(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails for a reason of this machine says nothing about the log."""
    decode_log(task_of(tmp_path, ("/a", [1])))

    def create(_: PartialFolder, name: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    monkeypatch.setattr(PartialFolder, "create", create)
    result = decode_log(task_of(tmp_path, ("/a", [1, 2])))
    assert codes(result) == [(None, "NO_SPACE")]
    assert not result.is_replaced
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0]}


def test_a_log_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    """It may have been removed since the upstream partition was checked."""
    task = task_of(tmp_path)
    task.log.path.unlink()
    assert codes(decode_log(task)) == [(None, "LOG_IO")]


def test_a_log_of_another_size_is_named(tmp_path: pathlib.Path) -> None:
    """Its tables would be those of another version than the manifest says."""
    task = task_of(tmp_path, ("/a", [1]))
    write_log(task.log.path, ("/a", [1, 2, 3]))
    assert codes(decode_log(task)) == [(None, "CHANGED")]


def test_a_log_that_is_replaced_meanwhile_is_named(tmp_path: pathlib.Path) -> None:
    """Rows of two versions are never published as one."""
    task = task_of(tmp_path, ("/a", [1]), ("/a", [2]))

    def replace(_: int) -> None:
        content = task.log.path.read_bytes()
        task.log.path.unlink()
        task.log.path.write_bytes(content)

    assert codes(decode_log(task, replace)) == [(None, "CHANGED")]
    assert not (tmp_path / "topics" / "ds_1" / "run").exists()


def test_an_interrupt_leaves_nothing_behind(tmp_path: pathlib.Path) -> None:
    """It is raised, and the temporary folder is gone."""
    decode_log(task_of(tmp_path, ("/a", [1])))

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_log(task_of(tmp_path, ("/a", [1, 2])), interrupt)
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0]}


class PanicException(BaseException):
    """What a library written in Rust raises."""


@dataclasses.dataclass(frozen=True)
class BatchDecoder(LineDecoder):
    """Yields what it is made with, whatever the log."""

    items: tuple[object, ...] = ()

    def batches(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[TopicBatch]:
        """Yield the items; raise those that are errors."""
        del path, topics
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc] # of the wrong type on purpose


NO_TIME = TopicBatch(
    topic="/t",
    type_name="t",
    schema_id="s",
    rows=pa.RecordBatch.from_pydict({"value": [1]}),
    metadata={},
)
TEXT = batch("/t", [1], value=["text"])


@pytest.mark.parametrize(
    ("items", "topic", "reason"),
    [
        pytest.param([PanicException("Any empty")], None, "PanicException: Any empty", id="panic"),
        pytest.param([MemoryError()], None, "not enough memory", id="memory"),
        pytest.param([OSError(errno.EIO, "bad disk")], None, "bad disk", id="disk"),
        pytest.param(["text"], None, "yielded str", id="another-type"),
        pytest.param([NO_TIME], "/t", "is not log_time", id="no-time"),
        pytest.param([batch("/t", [1]), TEXT], "/t", "not the same", id="two-schemas"),
        pytest.param([batch("/t", [1], value=[{}])], "/t", "struct", id="no-parquet"),
    ],
)
def test_a_decoder_may_do_anything(
    tmp_path: pathlib.Path, items: list[object], topic: str | None, reason: str
) -> None:
    """Users write decoders: what goes wrong in one is a named failure, and other topics go on."""
    decoder = BatchDecoder(items=(batch("/a", [1]), *items, batch("/a", [2])))
    result = decode_log(task_of(tmp_path, decoder=decoder))
    (fault,) = result.faults
    assert fault.topic == topic
    assert reason in fault.reason
    assert [table.rows for table in result.tables] == ([] if topic is None else [2])


def test_a_group_is_written_when_it_is_full(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are gathered, since small row groups are slow to read."""
    monkeypatch.setattr(writer, "ROWS_PER_GROUP", 4)
    decode_log(task_of(tmp_path, *[("/a", [1, 2, 3])] * 5))
    metadata = pq.read_metadata(tmp_path / "topics/ds_1/run/a.log/%2Fa.parquet")
    groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert groups == [6, 6, 3]


def test_all_tables_together_are_bounded(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many topics there are: the largest one is written first."""
    monkeypatch.setattr(table_set, "MAX_PENDING_BYTES", 100)
    decode_log(task_of(tmp_path, ("/a", [1, 2, 3, 4, 5]), ("/b", [1]), ("/c", [1]), ("/b", [2])))
    folder = tmp_path / "topics/ds_1/run/a.log"
    groups = {path.name: pq.read_metadata(path).num_row_groups for path in folder.iterdir()}
    assert groups == {"%2Fa.parquet": 1, "%2Fb.parquet": 1, "%2Fc.parquet": 1}
    assert tables(tmp_path)["%2Fb.parquet"] == [0.0, 0.0]


def test_tasks_and_results_go_to_other_processes(tmp_path: pathlib.Path) -> None:
    """Both pickle."""
    task = task_of(tmp_path, ("/a", [1]), ("note", 3))
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301 - own
    result = decode_log(task)
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - own
    assert [note.count for note in result.notes] == [3]


def test_tables_that_wait_on_the_disk_are_written_in_full_groups(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many tables share little memory, their rows still come in order, in groups that are worth reading."""
    monkeypatch.setattr(table_set, "MAX_PENDING_BYTES", 50)
    monkeypatch.setattr(table_set, "MAX_HELD_BYTES", 3 * 1024 * 1024)  # one
    monkeypatch.setattr(writer, "ROWS_PER_GROUP", 8)
    lines = [(f"/{number % 3}", [number, number + 1, number + 2]) for number in range(30)]
    decode_log(task_of(tmp_path, *lines))
    for number in range(3):
        path = tmp_path / f"topics/ds_1/run/a.log/%2F{number}.parquet"
        times = pq.read_table(path)["log_time"].cast(pa.int64()).to_pylist()
        assert times == [time for topic, given in lines if topic == f"/{number}" for time in given]
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        assert groups == [9, 9, 9, 3]


def test_a_topic_that_waits_on_the_disk_can_fail(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is removed with it."""
    monkeypatch.setattr(table_set, "MAX_PENDING_BYTES", 50)
    lines = [("/a", [1, 2, 3]), ("/b", [1, 2]), ("/a", [4, 5, 6]), ("fault", "/a", "CORRUPT")]
    decode_log(task_of(tmp_path, *lines))
    assert tables(tmp_path) == {"%2Fb.parquet": [0.0, 1.0]}


def test_a_disk_that_fills_up_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of a table; nothing is left of it."""

    def full(*_: object) -> int:
        return os.open("/dev/full", os.O_RDWR)

    monkeypatch.setattr(PartialFolder, "create", full)
    assert codes(decode_log(task_of(tmp_path, ("/a", [1])))) == [(None, "NO_SPACE")]
    assert not (tmp_path / "topics" / "ds_1" / "run").exists()


def test_a_bug_of_ours_fails_one_log(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Other logs go on, the tables that are there stay, and the traceback is logged."""
    decode_log(task_of(tmp_path, ("/a", [1])))
    monkeypatch.setattr(table_set.TableSet, "finish", lambda _: 1 / 0)
    result = decode_log(task_of(tmp_path, ("/a", [1, 2])))
    assert codes(result) == [(None, "UNEXPECTED")]
    assert not result.is_replaced
    assert tables(tmp_path) == {"%2Fa.parquet": [0.0]}
    assert "ZeroDivisionError" in caplog.text


def test_too_little_memory_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a limit of the process is reached while its tables are written."""

    def finish(_: table_set.TableSet) -> None:
        raise MemoryError

    monkeypatch.setattr(table_set.TableSet, "finish", finish)
    assert codes(decode_log(task_of(tmp_path, ("/a", [1])))) == [(None, "PROCESS_DIED")]


def test_a_topic_without_rows_is_a_table_without_rows(tmp_path: pathlib.Path) -> None:
    """All readers take it."""
    decode_log(task_of(tmp_path, ("/a", [])))
    path = tmp_path / "topics/ds_1/run/a.log/%2Fa.parquet"
    assert pq.read_table(path).num_rows == 0
    assert pl.read_parquet(path).shape == (0, 2)
    assert duckdb.read_parquet(str(path)).fetchall() == []
