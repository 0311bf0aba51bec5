"""Topics as inputs of other assets: by annotation, by topic, from the logs of several partitions."""

import pathlib
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pad
import pyarrow.parquet as pq
import pytest

from roboto_dagster import (
    ConfigurationError,
    RobotoFilesIOManager,
    TopicData,
    TopicTables,
    dotted_columns,
    register_input_type,
)
from roboto_dagster.topic_assets.tables import RecordedTopic
from tests.topic_assets.lab import LOG, Topics
from tests.topic_assets.lines import log_of

IMU = {"topic": "/imu"}


class Loader:
    """Loads all partitions of the topics into an asset downstream."""

    def __init__(self, topics: Topics, **options: Any) -> None:
        self.topics = topics
        self.asset = topics.asset(**options)
        assert topics.run(self.asset).success

    def __call__(
        self, kind: Any, metadata: Any = None, *, key: str | None = None, **io: Any
    ) -> Any:
        """Return what an input of a type is."""
        found: list[Any] = []

        def downstream(topics: Any) -> None:
            found.append(topics)

        downstream.__annotations__["topics"] = kind
        asset = dg.asset(
            ins={"topics": dg.AssetIn(input_manager_key="files", metadata=metadata)},
            partitions_def=self.asset.partitions_def,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )(downstream)
        tags = {
            "dagster/asset_partition_range_start": self.topics.keys[0],
            "dagster/asset_partition_range_end": self.topics.keys[-1],
        }
        dg.materialize(
            [self.topics.logs, self.asset, asset],
            selection=[asset],
            partition_key=key,
            tags=tags if key is None else {},
            resources={
                **self.topics.resources,
                "files": RobotoFilesIOManager(**io),
            },
        )
        return found[0]


@pytest.fixture
def load(topics: Topics) -> Loader:
    """Topics of two partitions, materialized."""
    return Loader(topics)


def test_every_type_has_the_rows_of_all_logs(load: Loader) -> None:
    """In memory or not; with the partition, the dataset, the log and the topic of each row."""
    table = load(pa.Table, IMU)
    assert table.num_rows == 202
    assert table.column_names[-4:] == ["_partition", "_dataset_id", "_log", "_topic"]
    assert set(table["_partition"].to_pylist()) == set(load.topics.keys)
    assert set(table["_log"].to_pylist()) == {"drive.lines"}
    dataset = load(pad.Dataset, IMU)
    first = pad.field("_partition") == load.topics.keys[0]
    assert dataset.count_rows(filter=first) == 101
    assert load(pl.DataFrame, IMU).height == 202
    lazy = load(pl.LazyFrame, IMU).filter(pl.col("_partition") == load.topics.keys[1])
    assert lazy.select(pl.col("value").struct.field("x").max()).collect().item() == 100.0
    relation = load(duckdb.DuckDBPyRelation, IMU)
    assert relation.aggregate("count(*), max(value.x)").fetchall() == [(202, 100.0)]
    assert len(load(list[pathlib.Path])) == 4


def test_without_an_annotation_it_is_all_topics(load: Loader) -> None:
    """A mapping by topic."""
    tables = load(Any)
    assert isinstance(tables, TopicTables)
    assert list(tables) == ["/gps", "/imu"]
    assert [len(each) for each in tables.values()] == [4, 202]
    assert len(tables["/imu"].paths) == 2
    assert tables.matching("/*").topics == ("/gps", "/imu")
    assert tables.matching("**").table()["_topic"].to_pylist().count("/gps") == 4
    with pytest.raises(KeyError, match="the topics are /gps, /imu"):
        tables["/odom"]
    with pytest.raises(ConfigurationError, match="No topic matches"):
        tables.matching("/odom")
    table = load(TopicData, {"topic": ["/i*"]})
    assert table.topics == ("/imu",)


def test_one_table_needs_one_topic(load: Loader) -> None:
    """The message shows how to name it."""
    with pytest.raises(ConfigurationError, match=r'AssetIn\(metadata=\{"topic": "/imu"\}\)'):
        load(pl.DataFrame)
    with pytest.raises(ConfigurationError, match="topic in the metadata"):
        load(pl.DataFrame, {"topic": 3})


def test_nested_columns_may_be_dotted(load: Loader) -> None:
    """In every type that has columns."""
    dotted = {**IMU, "columns": "dotted"}
    names = ["log_time", "publish_time", "sequence", "value.x", "value.y"]
    assert load(pa.Table, dotted).column_names[:5] == names
    assert load(pl.LazyFrame, dotted).collect_schema().names()[:5] == names
    assert load(duckdb.DuckDBPyRelation, dotted).columns[:5] == names
    columns = dotted_columns(load(pad.Dataset, IMU).schema)
    assert load(pad.Dataset, IMU).to_table(columns={"x": columns["value.x"]}).column_names == ["x"]
    with pytest.raises(ConfigurationError, match=r"or a pyarrow\.Table"):
        load(pad.Dataset, dotted)
    with pytest.raises(ConfigurationError, match="'nested' or 'dotted'"):
        load(pa.Table, {**IMU, "columns": "flat"})


def test_partitions_may_be_loaded_by_key(load: Loader) -> None:
    """As of dataset assets."""
    found = load(dict[str, pl.DataFrame], IMU)
    assert {key: frame.height for key, frame in found.items()} == dict.fromkeys(
        load.topics.keys, 101
    )
    assert load(pl.DataFrame, IMU, key=load.topics.keys[0]).height == 101


def test_a_failed_partition_is_not_loaded(load: Loader) -> None:
    """Or is left out, if that is allowed."""
    load.topics.local.replace_file(load.topics.keys[0], "drive.lines", LOG + b"! CORRUPT cut\n")
    load.topics.sync()
    assert not load.topics.run(load.asset).success
    with pytest.raises(Exception, match="could not be decoded by the last run"):
        load(pl.DataFrame, IMU)
    frame = load(pl.DataFrame, IMU, allow_missing_partitions=True)
    assert set(frame["_partition"]) == {load.topics.keys[1]}


def test_a_lost_table_is_named(load: Loader) -> None:
    """It would be missing rows without an error."""
    lost = load.topics.folder / load.topics.keys[0] / "drive.lines" / "%2Fimu.parquet"
    lost.unlink()
    with pytest.raises(Exception, match=r"1 of 1 table.*drive.lines /imu"):
        load(pl.DataFrame, IMU)
    with pytest.raises(Exception, match=r"1 of 2 tables .*drive.lines /imu"):
        load(TopicTables)


def test_a_lost_table_of_another_topic(load: Loader) -> None:
    """It is not needed, and does not keep an asset from what it has asked for."""
    (load.topics.folder / load.topics.keys[0] / "drive.lines" / "%2Fimu.parquet").unlink()
    assert len(load(pl.DataFrame, {"topic": "/gps"})) == 4
    with pytest.raises(Exception, match=r"1 of 2 tables .*drive.lines /imu"):
        load(TopicTables, {"topic": "/gps"})  # has all of them


def test_a_type_of_ones_own(load: Loader) -> None:
    """Its loader gets the tables."""

    class Trajectory(list[float]):
        """Of a test."""

    @register_input_type(Trajectory)
    def load_trajectory(tables: TopicTables, context: dg.InputContext) -> Trajectory:  # noqa: ARG001
        return Trajectory(dotted_columns(tables["/gps"].table())["value.x"].to_pylist())

    assert load(Trajectory) == [0.0, 1.0, 0.0, 1.0]


def test_topics_of_another_code_location(load: Loader) -> None:
    """It is known by its key alone; the destination is that of the IO manager."""
    found: list[int] = []

    @dg.asset(ins={"topics": dg.AssetIn(input_manager_key="files", metadata=IMU)})
    def downstream(topics: pl.DataFrame) -> None:
        found.append(topics.height)

    outside = dg.AssetSpec("topics", partitions_def=load.asset.partitions_def)
    files = RobotoFilesIOManager(destination=str(load.topics.folder))
    dg.materialize([outside, downstream], selection=[downstream], resources={"files": files})
    assert found == [202]


def recorded(topic: str, type_name: str, path: pathlib.Path, table: pa.Table) -> RecordedTopic:
    """Write a table, and return what a manifest records of it."""
    pq.write_table(table, path)
    return RecordedTopic(
        partition_key="ds_a",
        dataset_id="ds_a",
        relative_path=path.stem,
        topic=topic,
        type_name=type_name,
        path=path,
        size_bytes=path.stat().st_size,
        rows=table.num_rows,
        first_ns=None,
        last_ns=None,
        max_gap_ns=None,
        steps_back=0,
        null_times=0,
    )


def test_logs_of_two_versions_of_a_message_go_together(tmp_path: pathlib.Path) -> None:
    """A field that only one has is null for the other, also within a nested message."""
    old = pa.table({"pose": [{"x": 1.0}]})
    new = pa.table({"pose": [{"x": 2.0, "y": 3.0}]})
    rows = (
        recorded("/odom", "Odom", tmp_path / "old", old),
        recorded("/odom", "Odom", tmp_path / "new", new),
    )
    found = TopicTables(partition_keys=("ds_a",), rows=rows)["/odom"].table()
    assert found["pose"].to_pylist() == [{"x": 1.0, "y": None}, {"x": 2.0, "y": 3.0}]
    assert found["_log"].to_pylist() == ["old", "new"]


def test_types_that_do_not_go_together_are_taken_one_by_one(tmp_path: pathlib.Path) -> None:
    """The message names the column, and how to choose."""
    rows = (
        recorded("/state", "Number", tmp_path / "a", pa.table({"state": [1]})),
        recorded("/state", "Text", tmp_path / "b", pa.table({"state": [["on"]]})),
    )
    found = TopicTables(partition_keys=("ds_a",), rows=rows)["/state"]
    with pytest.raises(ConfigurationError, match=r"column state is .* by TopicData\.of_type"):
        found.table()
    assert found.types == ["Number", "Text"]
    assert found.of_type("Text").table()["state"].to_pylist() == [["on"]]
    with pytest.raises(ConfigurationError, match="its types are Number, Text"):
        found.of_type("Other")


def test_a_topic_that_only_some_partitions_have(load: Loader) -> None:
    """Their rows are loaded; where none has it, the message says what there is."""
    first, second = load.topics.keys
    load.topics.local.replace_file(first, "drive.lines", log_of({"/odom": 10}))
    load.topics.sync()
    assert load.topics.run(load.asset).success
    assert load(pl.DataFrame, IMU)["_partition"].unique().to_list() == [second]
    assert list(load(dict[str, pl.DataFrame], IMU)) == [second]
    assert load(pl.DataFrame | None, IMU, key=first) is None
    expected = rf"No topic matches /imu in topics, {first}: the topics are /odom\. Correct"
    for kind in (pl.DataFrame, dict[str, pl.DataFrame]):
        with pytest.raises(ConfigurationError, match=expected):
            load(kind, IMU, key=first)


def test_what_could_not_be_decoded_is_named_with_a_missing_topic(topics: Topics) -> None:
    """A skipped failure may be why it is missing."""
    topics.local.replace_file(topics.keys[0], "drive.lines", b"!/imu MISSING_DEFINITION none\n")
    topics.sync()
    load = Loader(topics, on_failure="skip")
    with pytest.raises(
        ConfigurationError, match=r"it has no topics\. Logs or topics could not be decoded: 1"
    ):
        load(pl.DataFrame, IMU, key=topics.keys[0])
