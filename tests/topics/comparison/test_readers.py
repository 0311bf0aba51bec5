"""The Parquet files of decoded topics, read by pyarrow, polars and DuckDB: the same rows, of every type there is."""

import pathlib
from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.topics.logs import mcap_logs, protobuf, ros, ulog
from benchmarks.topics.logs.streams import Stream
from benchmarks.topics.tasks import log_task
from roboto_dagster.topics.log import decode_log
from tests.topics.comparison.reading import Row, decode, decoder_of, differences, rows_of
from tests.topics.comparison.test_ros import every_type

pytestmark = pytest.mark.slow

# Before 2.0 it reads nanoseconds with a zone as microseconds.
_DUCKDB_HAS_NANOSECONDS = int(duckdb.__version__.partition(".")[0]) >= 2


def tables_of(log: pathlib.Path, destination: pathlib.Path) -> list[pathlib.Path]:
    """Decode a log into Parquet files, and return them."""
    result = decode_log(log_task(log, destination, decoder_of(log)))
    assert list(result.faults) == []
    return sorted(destination.rglob("*.parquet"))


def assert_all_read_the_same(paths: Sequence[pathlib.Path]) -> None:
    """Compare the rows of polars and DuckDB with those of pyarrow."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    wrong: dict[str, Any] = {}
    for path in paths:
        arrow = pq.read_table(path)
        expected = rows_of(arrow)
        by_polars = rows_of(_as(pl.read_parquet(path).to_arrow(), arrow.schema))
        relation = connection.sql(f"SELECT * FROM read_parquet('{path}')")  # noqa: S608 - a path of the test's
        by_duckdb = rows_of(_as(relation.to_arrow_table(), arrow.schema))
        found = differences(by_polars, expected)
        found += differences(by_duckdb, expected if _DUCKDB_HAS_NANOSECONDS else _rounded(expected))
        if found:
            wrong[path.name] = found
    assert wrong == {}


def _rounded(rows: Sequence[Row]) -> list[Row]:
    """Return rows whose times are rounded down to microseconds."""
    return [
        row._replace(
            log_time=row.log_time and row.log_time // 1000 * 1000,
            publish_time=row.publish_time and row.publish_time // 1000 * 1000,
        )
        for row in rows
    ]


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return times with nanoseconds."""
    assert table.column_names == schema.names
    for name in ("log_time", "publish_time", "header_time"):
        if name in table.column_names:
            at = table.column_names.index(name)
            table = table.set_column(at, name, table.column(name).cast(schema.field(name).type))
    return table


@pytest.mark.parametrize("version", [1, 2])
def test_types_of_ros(tmp_path: pathlib.Path, version: ros.RosVersion) -> None:
    """Nested, arrays of arrays, texts, bytes, times, messages without fields."""
    log = mcap_logs.write_mcap(tmp_path / "a.mcap", every_type(version)[::3], 4)
    paths = tables_of(log, tmp_path / "tables")
    assert len(paths) == len(every_type(version)[::3])
    assert_all_read_the_same(paths)


def test_protobuf_and_json(tmp_path: pathlib.Path) -> None:
    """Maps, wrappers, absent messages, JSON."""
    streams: list[Stream] = [protobuf.protobuf_stream(), protobuf.json_stream()]
    log = mcap_logs.write_mcap(tmp_path / "a.mcap", streams, 60)
    assert_all_read_the_same(tables_of(log, tmp_path / "tables"))


def test_ulog(tmp_path: pathlib.Path) -> None:
    """Booleans, texts and arrays."""
    log = ulog.write_ulog(tmp_path / "a.ulg", 100)
    assert_all_read_the_same(tables_of(log, tmp_path / "tables"))


def test_the_tables_have_the_rows_that_were_decoded(tmp_path: pathlib.Path) -> None:
    """In their order, over several row groups; the topic is in the file's metadata."""
    log = mcap_logs.write_mcap(
        tmp_path / "a.mcap", [ros.ros_stream(2, "/a", "geometry_msgs/msg/PointStamped", 7)], 6_000
    )
    decoded = decode(log)
    for path in tables_of(log, tmp_path / "tables"):
        table = pq.read_table(path)
        topic = (table.schema.metadata or {})[b"roboto.topic"].decode()
        rows: list[Row] = decoded.rows(topic)
        assert differences(rows_of(table), rows) == []
