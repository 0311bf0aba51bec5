"""One partition: what is decoded again is counted; the manifest has every log and topic, failures too."""

import contextlib
import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboto_dagster.errors import ConfigurationError, ManifestError
from roboto_dagster.sync.cancellation import Cancellation, SyncCancelledError
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.topics import state
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.manifest import TopicRow, read_topics_manifest
from roboto_dagster.topics.options import TopicsOptions, TopicsSettings
from roboto_dagster.topics.partition import decode_partition
from roboto_dagster.topics.pool import DecodePool
from roboto_dagster.topics.report import TopicsReport
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.disk.children import killed_in
from tests.topics.decoders import LineDecoder, ProcessDecoder, write_log


class Upstream:
    """A partition's logs on disk, and where their tables go."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.destination = root / "topics"
        self.manifest = manifest_path(self.destination, "robot_topics", "ds_1")
        self.lines: list[tuple[int, str]] = []
        self._logs: dict[str, LogFile] = {}

    def put(self, name: str, *lines: object, **changes: object) -> LogFile:
        """Upload a log, or a new version of it."""
        path = write_log(self.root / "logs" / "ds_1" / name, *lines)
        version = self._logs[name].version + 1 if name in self._logs else 1
        log = LogFile(
            dataset_id="ds_1",
            relative_path=name,
            path=path,
            file_id=f"fl_{name}",
            version=version,
            size_bytes=path.stat().st_size,
        )
        self._logs[name] = dataclasses.replace(log, **changes)  # type: ignore[arg-type] # of the right types
        return self._logs[name]

    def remove(self, name: str) -> None:
        """Remove a log, and its folder if it is empty then."""
        path = self._logs.pop(name).path
        path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def settings(self, **options: object) -> TopicsSettings:
        """Return settings; options that are not given are those of the tests."""
        given = {"decoders": [LineDecoder()], **options}
        return TopicsSettings(
            destination=self.destination,
            manifest=self.manifest,
            options=TopicsOptions(**given),  # type: ignore[arg-type] # of the right types
            log=lambda level, line: self.lines.append((level, line)),
        )

    @property
    def logs(self) -> list[LogFile]:
        """What is uploaded now."""
        return list(self._logs.values())

    def decode(self, **options: object) -> TopicsReport:
        """Decode the partition."""
        return decode_partition(self.logs, self.settings(**options))

    def rows(self) -> dict[tuple[str, str | None], TopicRow]:
        """Return the manifest by log and topic."""
        rows = read_topics_manifest(self.manifest)
        return {(row.relative_path, row.topic): row for row in rows}

    def statuses(self) -> dict[tuple[str, str | None], str]:
        """Return the status of each row."""
        return {key: row.status for key, row in self.rows().items()}

    def tables(self) -> list[str]:
        """Return all tables on disk, below the dataset's folder."""
        folder = self.destination / "ds_1"
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


@pytest.fixture
def upstream(tmp_path: pathlib.Path) -> Upstream:
    """A partition with two logs of two topics each, and a file that is no log."""
    upstream = Upstream(tmp_path)
    upstream.put("run/a.log", ("/imu", [1, 2, 4]), ("/gps", [2, 1]))
    upstream.put("b.log", ("/imu", [10, 20]), ("/cam", []))
    upstream.put("readme.txt", "no log")
    return upstream


def counts(report: TopicsReport) -> tuple[int, int, int]:
    """Return how many logs were decoded, unchanged and failed."""
    return report.logs_decoded, report.logs_unchanged, report.logs_failed


def test_every_log_and_topic_is_in_the_manifest(upstream: Upstream) -> None:
    """With its table and what is known about its times; files that are no logs are listed as skipped."""
    upstream.decode()
    assert upstream.statuses() == {
        ("run/a.log", "/imu"): "decoded",
        ("run/a.log", "/gps"): "decoded",
        ("b.log", "/imu"): "decoded",
        ("b.log", "/cam"): "decoded",
        ("readme.txt", None): "skipped",
    }
    row = upstream.rows()["run/a.log", "/imu"]
    assert row.table == "ds_1/run/a.log/%2Fimu.parquet"
    assert (upstream.destination / row.table).stat().st_size == row.table_bytes
    assert (row.rows, row.first_ns, row.last_ns, row.max_gap_ns) == (3, 1, 4, 2)
    assert (row.decoder, row.decoder_version, row.file_id) == ("lines", "1", "fl_run/a.log")


def test_the_report_sums_up(upstream: Upstream) -> None:
    """Rows, times, gaps and steps back by topic, over all logs."""
    report = upstream.decode()
    assert (report.logs_total, report.logs_skipped, report.skipped) == (3, 1, ["ds_1/readme.txt"])
    assert report.rows_by_topic == {"/cam": 0, "/gps": 2, "/imu": 5}
    imu = next(topic for topic in report.topics if topic.topic == "/imu")
    assert (imu.tables, imu.first_ns, imu.last_ns, imu.max_gap_ns) == (2, 1, 20, 10)
    assert sum(topic.steps_back for topic in report.topics) == 1
    assert imu.columns == {"log_time": "timestamp[ns, tz=UTC]", "value": "double"}
    assert report.tables == len(upstream.tables()) == 4
    assert report.bytes_written == sum(
        (upstream.destination / "ds_1" / table).stat().st_size for table in upstream.tables()
    )
    assert report.error() is None


def test_unchanged_logs_are_not_decoded_again(upstream: Upstream) -> None:
    """The second run has nothing to do, and the same data version."""
    first = upstream.decode()
    assert counts(first) == (2, 0, 0)
    before = {path: (upstream.destination / "ds_1" / path).stat() for path in upstream.tables()}
    second = upstream.decode()
    assert counts(second) == (0, 2, 0)
    assert second.is_unchanged
    assert (second.data_version, second.rows_by_topic) == (first.data_version, first.rows_by_topic)
    assert {status for _, status in upstream.statuses().items()} == {"unchanged", "skipped"}
    after = {path: (upstream.destination / "ds_1" / path).stat() for path in upstream.tables()}
    assert {path: each.st_ino for path, each in before.items()} == {
        path: each.st_ino for path, each in after.items()
    }


def replace_log(upstream: Upstream) -> None:
    """Upload another content of the same size."""
    upstream.put("b.log", ("/imu", [10, 30]), ("/cam", []))


def lose_table(upstream: Upstream) -> None:
    """Remove a table."""
    (upstream.destination / "ds_1" / "b.log" / "%2Fimu.parquet").unlink()


def cut_table(upstream: Upstream) -> None:
    """Cut a table."""
    os.truncate(upstream.destination / "ds_1" / "b.log" / "%2Fimu.parquet", 10)


def link_table(upstream: Upstream) -> None:
    """Put a link in place of a table."""
    path = upstream.destination / "ds_1" / "b.log" / "%2Fimu.parquet"
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("change", [replace_log, lose_table, cut_table, link_table])
def test_one_log_is_decoded_again(upstream: Upstream, change: Callable[[Upstream], None]) -> None:
    """A replaced log, and one whose table is gone or of another size; the others are not."""
    upstream.decode()
    change(upstream)
    report = upstream.decode()
    assert counts(report) == (1, 1, 0)
    assert (
        report.bytes_decoded == upstream.put("b.log", ("/imu", [10, 20]), ("/cam", [])).size_bytes
    )
    assert upstream.statuses()["b.log", "/imu"] == "decoded"
    table = pq.read_table(upstream.destination / "ds_1" / "b.log" / "%2Fimu.parquet")
    assert table.num_rows == 2


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"topics": TopicFilter(topics=["/imu"])}, id="topics"),
        pytest.param({"topics": TopicFilter(fields={"/imu": ["value"]})}, id="fields"),
        pytest.param({"topics": TopicFilter(raw=True)}, id="raw"),
        pytest.param({"topics": TopicFilter(ros_definitions={"a/B": "int8 x"})}, id="definitions"),
        pytest.param({"decoders": [LineDecoder(version="2")]}, id="version"),
        pytest.param({"decoders": [LineDecoder(name="other")]}, id="decoder"),
    ],
)
def test_another_option_decodes_all_again(upstream: Upstream, options: dict[str, object]) -> None:
    """Whatever decides what is in the tables; and once only."""
    first = upstream.decode()
    second = upstream.decode(**options)
    assert counts(second) == (2, 0, 0)
    assert second.data_version != first.data_version
    assert counts(upstream.decode(**options)) == (0, 2, 0)


def test_topics_that_are_not_asked_for_any_more_are_removed(upstream: Upstream) -> None:
    """Their tables would not be in any manifest."""
    upstream.decode()
    upstream.decode(topics=TopicFilter(topics=["/imu"]))
    assert upstream.tables() == ["b.log/%2Fimu.parquet", "run/a.log/%2Fimu.parquet"]


def test_another_order_of_options_is_the_same(upstream: Upstream) -> None:
    """Only the order of patterns of topics has a meaning."""
    one = TopicFilter(fields={"/a": ["x"], "/b": ["y"]})
    other = TopicFilter(fields={"/b": ["y"], "/a": ["x"]})
    upstream.decode(topics=one)
    assert counts(upstream.decode(topics=other)) == (0, 2, 0)


def test_a_new_version_of_a_record_with_the_same_content_is_not_decoded(
    tmp_path: pathlib.Path,
) -> None:
    """An edit of its tags on the platform makes a new version; the checksum is the same."""
    upstream = Upstream(tmp_path)
    upstream.put("a.log", ("/imu", [1]), checksum="crc64nvme:AAA=")
    first = upstream.decode()
    upstream.put("a.log", ("/imu", [1]), checksum="crc64nvme:AAA=")
    second = upstream.decode()
    assert counts(second) == (0, 1, 0)
    assert second.data_version == first.data_version
    assert upstream.rows()["a.log", "/imu"].version == 2
    upstream.put("a.log", ("/imu", [2]), checksum="crc64nvme:BBB=")
    assert counts(upstream.decode()) == (1, 0, 0)


def test_tables_of_a_removed_log_are_removed(upstream: Upstream) -> None:
    """And only they: what the user has put beside them stays."""
    upstream.decode()
    notes = upstream.destination / "ds_1" / "run" / "notes.txt"
    notes.write_text("mine")
    upstream.remove("run/a.log")
    report = upstream.decode()
    assert (report.logs_removed, counts(report)) == (1, (0, 1, 0))
    assert upstream.tables() == ["b.log/%2Fcam.parquet", "b.log/%2Fimu.parquet"]
    assert notes.read_text() == "mine"
    assert not (upstream.destination / "ds_1" / "run" / "a.log").exists()
    assert {path for path, _ in upstream.statuses()} == {"b.log", "readme.txt"}


def test_a_table_that_somebody_changed_is_not_removed(upstream: Upstream) -> None:
    """It is the user's now."""
    upstream.decode()
    table = upstream.destination / "ds_1" / "b.log" / "%2Fimu.parquet"
    table.write_text("mine")
    upstream.remove("b.log")
    upstream.decode()
    assert table.read_text() == "mine"
    assert any("were kept (changed)" in line for _, line in upstream.lines)


def test_a_log_that_no_decoder_reads_any_more_has_no_tables(upstream: Upstream) -> None:
    """Its tables were made by a decoder that is not used now."""
    upstream.decode()
    report = upstream.decode(decoders=[LineDecoder(suffix="a.log")])
    assert (report.logs_skipped, report.logs_removed) == (2, 1)
    assert upstream.statuses()["b.log", None] == "skipped"
    assert all(table.startswith("run/a.log") for table in upstream.tables())


def test_a_log_in_place_of_a_folder_of_logs(upstream: Upstream) -> None:
    """What was a folder of logs is a log now: the old tables make room."""
    upstream.decode()
    upstream.remove("run/a.log")
    upstream.put("run", ("/imu", [1]))
    assert counts(upstream.decode(decoders=[LineDecoder(suffix="")])) == (2, 1, 0)
    assert "run/%2Fimu.parquet" in upstream.tables()


def test_failures_are_rows_and_others_go_on(upstream: Upstream) -> None:
    """A log that is cut, and a topic that cannot be decoded: one failure each, with its advice."""
    upstream.put("cut.log", ("/imu", [1]), ("fault", None, "TRUNCATED"))
    upstream.put("run/a.log", ("/imu", [1]), ("fault", "/odd", "UNSUPPORTED_TYPE"))
    complete = upstream.put("b.log", ("/imu", [10, 20]))
    report = upstream.decode()
    assert counts(report) == (1, 0, 2)
    assert report.bytes_decoded == complete.size_bytes
    assert report.error_codes == {"TRUNCATED": 1, "UNSUPPORTED_TYPE": 1}
    found = {(each.relative_path, each.topic, each.code) for each in report.failures}
    assert found == {("cut.log", None, "TRUNCATED"), ("run/a.log", "/odd", "UNSUPPORTED_TYPE")}
    assert all(failure.advice for failure in report.failures)
    assert upstream.statuses()["cut.log", None] == "failed"
    assert upstream.statuses()["run/a.log", "/odd"] == "failed"
    assert upstream.statuses()["run/a.log", "/imu"] == "decoded"
    assert not any(table.startswith("cut.log") for table in upstream.tables())
    warned = [line for level, line in upstream.lines if level == logging.WARNING]
    assert len(warned) == 2
    error = report.error()
    assert error is not None
    assert len(error.exceptions) == 2


def test_what_fails_is_a_failure_in_every_run(upstream: Upstream) -> None:
    """A failed log is tried again; a topic that failed alone is not, for nothing has changed."""
    upstream.put("cut.log", ("/imu", [1]), ("fault", None, "TRUNCATED"))
    upstream.put("run/a.log", ("/imu", [1]), ("fault", "/odd", "UNSUPPORTED_TYPE"))
    first = upstream.decode()
    upstream.lines.clear()
    second = upstream.decode()
    assert (counts(second), second.error_codes) == ((0, 1, 2), first.error_codes)
    assert second.data_version == first.data_version is not None
    decoded = [line for level, line in upstream.lines if level == logging.DEBUG]
    assert [line.split()[1] for line in decoded] == ["ds_1/cut.log"]


def test_what_was_read_is_kept_if_asked_for(upstream: Upstream) -> None:
    """It is a failure all the same, and unchanged in the next run."""
    upstream.put("cut.log", ("/imu", [1]), ("/gps", [1]), ("fault", None, "TRUNCATED"))
    upstream.decode()
    report = upstream.decode(keep_partial=True)
    assert (counts(report), report.error_codes) == ((0, 2, 1), {"TRUNCATED": 1})
    assert upstream.statuses()["cut.log", "/imu"] == "partial"
    assert report.rows_by_topic["/imu"] == 6
    upstream.lines.clear()
    assert upstream.decode(keep_partial=True).error_codes == {"TRUNCATED": 1}
    assert [line for level, line in upstream.lines if level == logging.DEBUG] == []
    assert counts(upstream.decode()) == (0, 2, 1)
    assert upstream.statuses()["cut.log", None] == "failed"
    assert not any(table.startswith("cut.log") for table in upstream.tables())


def test_a_replaced_log_that_is_damaged_has_no_tables(upstream: Upstream) -> None:
    """Those of the version before would be taken for its own."""
    upstream.decode()
    upstream.put("b.log", ("fault", None, "CORRUPT"))
    upstream.decode()
    assert not any(table.startswith("b.log") for table in upstream.tables())
    assert upstream.statuses().get(("b.log", "/imu")) is None


def test_a_failure_of_this_machine_leaves_the_old_tables(upstream: Upstream) -> None:
    """They are outdated, and the log is tried again."""
    upstream.decode()
    log = upstream.put("b.log", ("/imu", [10, 20, 30]))
    content = log.path.read_bytes()
    log.path.unlink()
    report = upstream.decode()
    assert (report.error_codes, report.data_version) == ({"LOG_IO": 1}, None)
    assert upstream.statuses()["b.log", "/imu"] == "outdated"
    assert "b.log/%2Fimu.parquet" in upstream.tables()
    assert report.rows_by_topic["/imu"] == 3
    log.path.write_bytes(content)
    assert counts(upstream.decode()) == (1, 1, 0)


def test_a_log_without_messages_is_a_success(tmp_path: pathlib.Path) -> None:
    """It has a row of its own, and is not read again."""
    upstream = Upstream(tmp_path)
    upstream.put("empty.log")
    assert counts(upstream.decode()) == (1, 0, 0)
    assert upstream.statuses() == {("empty.log", None): "decoded"}
    assert counts(upstream.decode()) == (0, 1, 0)


def test_notes_are_counted(upstream: Upstream) -> None:
    """Such as bytes that a power loss has cut: no failure, and in the manifest."""
    upstream.put("b.log", ("/imu", [1]), ("note", 7))
    assert upstream.decode().notes == {"cut_bytes": 7}
    assert upstream.decode().notes == {"cut_bytes": 7}
    assert '"bytes cut"' in (upstream.rows()["b.log", None].notes or "")


def test_a_damaged_manifest_is_set_aside(upstream: Upstream) -> None:
    """Everything is decoded again, into the same folders."""
    upstream.decode()
    upstream.manifest.write_text("damaged")
    assert counts(upstream.decode()) == (2, 0, 0)
    (aside,) = upstream.manifest.parent.glob(".*damaged*")
    assert aside.read_text() == "damaged"


def test_a_lost_manifest_is_written_again(upstream: Upstream) -> None:
    """Tables are known by what stands in them; those of logs that are gone since then stay."""
    upstream.decode()
    upstream.manifest.unlink()
    assert counts(upstream.decode()) == (2, 0, 0)
    assert len(upstream.tables()) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"table": "ds_1/../../etc/x.parquet"},
        {"table": "ds_1/b.log/sub/x.parquet"},
        {"table": "/etc/x.parquet"},
        {"relative_path": "../b.log"},
        {"dataset_id": "ds_1/b.log"},
        {"status": "fine"},
        {"rows": -1},
        {"table": None},
        {"file_id": None},
    ],
)
def test_a_manifest_that_others_wrote_is_not_trusted(
    upstream: Upstream, change: dict[str, object]
) -> None:
    """A row that leads elsewhere, or that no run writes, is refused."""
    upstream.decode()
    table = pq.read_table(upstream.manifest)
    for name, value in change.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        values = [value, *table.column(index).to_pylist()[1:]]
        table = table.set_column(index, field, pa.array(values, field.type))
    pq.write_table(table, upstream.manifest)
    with pytest.raises(ManifestError, match="no run writes"):
        list(read_topics_manifest(upstream.manifest))
    assert counts(upstream.decode()) == (2, 0, 0)


def test_a_cancelled_run_keeps_what_is_complete(upstream: Upstream) -> None:
    """Complete logs are in the manifest, and are not decoded again."""
    cancellation = Cancellation()
    settings = dataclasses.replace(
        upstream.settings(processes=1),
        cancellation=cancellation,
        log=_cancel_after_one(cancellation),
    )
    with pytest.raises(SyncCancelledError):
        decode_partition(upstream.logs, settings)
    assert len({path for path, topic in upstream.statuses() if topic}) == 1
    assert counts(upstream.decode()) == (1, 1, 0)


def _cancel_after_one(cancellation: Cancellation) -> Callable[[int, str], None]:
    def log(_: int, line: str) -> None:
        if line.startswith("decoded"):
            cancellation.cancel()

    return log


def test_the_manifest_is_written_meanwhile(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed has not decoded for nothing."""
    monkeypatch.setattr(state, "WRITE_EVERY_SECONDS", -1.0)
    seen: list[int] = []

    def log(_: int, line: str) -> None:
        if line.startswith("decoded") and upstream.manifest.exists():
            seen.append(len({path for path, topic in upstream.statuses() if topic}))

    settings = dataclasses.replace(upstream.settings(processes=1), log=log)
    decode_partition(upstream.logs, settings)
    assert seen == [1]


def test_partitions_share_a_destination(tmp_path: pathlib.Path) -> None:
    """Each has its own manifest, and removes only what is its own."""
    first, second = Upstream(tmp_path), Upstream(tmp_path)
    second.manifest = manifest_path(second.destination, "robot_topics", "other")
    first.put("a.log", ("/imu", [1]))
    second.put("b.log", ("/imu", [1]))
    first.decode()
    second.decode()
    second.remove("b.log")
    second.decode()
    assert first.tables() == ["a.log/%2Fimu.parquet"]
    assert counts(first.decode()) == (0, 1, 0)


def test_no_logs_at_all(tmp_path: pathlib.Path) -> None:
    """An empty partition has an empty manifest."""
    upstream = Upstream(tmp_path)
    report = upstream.decode()
    assert (report.logs_total, report.rows, report.topics) == (0, 0, [])
    assert upstream.rows() == {}


def test_nothing_else_is_left_at_the_destination(upstream: Upstream) -> None:
    """No record of the run, no temporary file."""
    upstream.decode()
    found = {
        path.relative_to(upstream.destination).as_posix()
        for path in upstream.destination.rglob("*")
    }
    hidden = {path for path in found if "/." in path or path.startswith(".")}
    assert hidden == {".roboto", ".roboto/robot_topics", ".roboto/robot_topics/ds_1.parquet"}


def test_files_beside_a_log_are_part_of_it(upstream: Upstream) -> None:
    """The storage of rosbag2 is read by what its metadata.yaml says: another one decodes its log again."""
    upstream.put("bag/metadata.yaml", "compression: none")
    upstream.put("bag/a.log", ("/imu", [1]))
    upstream.decode()
    assert counts(upstream.decode()) == (0, 3, 0)
    upstream.put("bag/metadata.yaml", "compression: zstd")
    assert counts(upstream.decode()) == (1, 2, 0)
    upstream.remove("bag/metadata.yaml")
    assert counts(upstream.decode()) == (1, 2, 0)


def test_logs_are_decoded_side_by_side(upstream: Upstream) -> None:
    """In processes that several partitions may share; the result is the same as in this process."""
    first = upstream.decode()
    with DecodePool(2) as pool:
        settings = dataclasses.replace(upstream.settings(), pool=pool)
        for path in upstream.tables():
            (upstream.destination / "ds_1" / path).unlink()
        second = decode_partition(upstream.logs, settings)
    assert counts(second) == (2, 0, 0)
    assert second.data_version == first.data_version
    assert second.rows_by_topic == first.rows_by_topic


def test_a_process_that_dies_fails_its_log_alone(upstream: Upstream) -> None:
    """What it left is removed, and the tables that were there stay."""
    decoder = ProcessDecoder()
    upstream.put("a.log", "wait a moment")
    upstream.put("b.log", "print")
    upstream.decode(decoders=[decoder])
    upstream.put("b.log", "die")
    with DecodePool(2) as pool:
        settings = dataclasses.replace(upstream.settings(decoders=[decoder]), pool=pool)
        report = decode_partition(upstream.logs, settings)
    assert report.error_codes == {"PROCESS_DIED": 1}
    assert upstream.statuses()["b.log", "/imu"] == "outdated"
    assert [path.name for path in (upstream.destination / "ds_1").glob(".*")] == []
    assert report.data_version is None


def test_a_crash_of_a_single_log_ends_no_run(upstream: Upstream) -> None:
    """Libraries that are not Python decode it: it has a process of its own, even alone."""
    upstream.put("b.log", "crash")
    report = upstream.decode(decoders=[ProcessDecoder(suffix="b.log")])
    assert report.error_codes == {"DECODER_FAILED": 1}
    (failure,) = report.failures
    assert "signal 11 (SIGSEGV): a library crashed" in str(failure)


def test_what_a_killed_run_left_is_removed(upstream: Upstream) -> None:
    """Its temporary folder goes, and the next run decodes what it had not."""

    def run() -> None:
        upstream.put("b.log", "die with the run")
        upstream.decode(decoders=[ProcessDecoder()], processes=1)

    killed_in(run)
    assert len(list((upstream.destination / "ds_1").glob(".*"))) == 1
    upstream.put("b.log", "")
    assert counts(upstream.decode(decoders=[ProcessDecoder()])) == (2, 0, 0)
    assert list((upstream.destination / "ds_1").glob(".*")) == []


def test_an_interrupt_ends_what_runs(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and processes are ended, complete logs are in the manifest."""
    upstream.put("z.log", "wait" + " " * 1000)  # the largest is decoded first
    decoder = ProcessDecoder()
    add = state.PartitionState.add

    def add_and_interrupt(self: state.PartitionState, *given: Any) -> None:
        add(self, *given)
        raise KeyboardInterrupt

    monkeypatch.setattr(state.PartitionState, "add", add_and_interrupt)
    with DecodePool(2) as pool:
        settings = dataclasses.replace(upstream.settings(decoders=[decoder]), pool=pool)
        with pytest.raises(KeyboardInterrupt):
            decode_partition(upstream.logs, settings)
    decoded = {path for path, topic in upstream.statuses() if topic}
    assert len(decoded) == 1
    assert "z.log" not in decoded


def test_the_destination_of_the_logs_is_refused(upstream: Upstream) -> None:
    """Tables need a folder where the log is; nothing is touched."""
    settings = dataclasses.replace(
        upstream.settings(),
        destination=upstream.root / "logs",
        manifest=upstream.root / "m.parquet",
    )
    with pytest.raises(ConfigurationError, match="Choose another destination"):
        decode_partition(upstream.logs, settings)
    assert not settings.manifest.exists()


ASKED: list[str] = []


class AskedDecoder(LineDecoder):
    """Writes down which files it was asked about."""

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Return whether the name is one of its own."""
        ASKED.append(path.name)
        return super().claims(path, head)


def test_a_file_that_has_not_changed_is_not_opened(upstream: Upstream) -> None:
    """A dataset may have many files, most of them no logs; with other decoders, each is looked at again."""
    decoders = [AskedDecoder()]
    ASKED.clear()
    upstream.decode(decoders=decoders)
    assert sorted(ASKED) == ["a.log", "b.log", "readme.txt"]
    upstream.put("readme.txt", "another text")
    ASKED.clear()
    assert counts(upstream.decode(decoders=decoders)) == (0, 2, 0)
    assert ASKED == ["readme.txt"]
    ASKED.clear()
    upstream.decode(decoders=[AskedDecoder(suffix=".txt")])
    assert sorted(ASKED) == ["a.log", "b.log", "readme.txt"]
