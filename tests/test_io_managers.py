"""What downstream assets get of delivered files, by annotation, in runs of Dagster."""

import pathlib
import types
from collections.abc import Callable
from typing import Any, Optional

import dagster as dg
import pyarrow as pa
import pyarrow.dataset as pad
import pyarrow.parquet as pq
import pytest

from roboto_dagster import (
    ConfigurationError,
    DatasetFiles,
    RobotoFilesIOManager,
    build_roboto_dataset_asset,
    register_input_type,
)
from roboto_dagster.testing import LocalRoboto, faults

pytestmark = pytest.mark.slow

Load = Callable[..., Any]


@pytest.fixture
def load(resources: dict[str, Any], tmp_path: pathlib.Path) -> Load:
    """Materializes datasets in one run, loads them in another, and returns what was loaded."""

    def run(
        annotation: Any,
        *dataset_ids: str,
        asked_for: tuple[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        materialize: bool = True,
        **manager: Any,
    ) -> Any:
        partitions = dg.StaticPartitionsDefinition(list(dataset_ids))
        policy = dg.BackfillPolicy.single_run()
        logs = build_roboto_dataset_asset(
            "logs", destination=tmp_path / "data", partitions_def=partitions, backfill_policy=policy
        )
        loaded = []

        def reader(logs: Any) -> None:
            loaded.append(logs)

        reader.__annotations__["logs"] = annotation
        reads = dg.asset(
            ins={"logs": dg.AssetIn(input_manager_key="files", metadata=metadata)},
            partitions_def=partitions,
            backfill_policy=policy,
        )(reader)
        everything = {**resources, "files": RobotoFilesIOManager(**manager)}
        ends = asked_for or (dataset_ids[0], dataset_ids[-1])
        start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
        tags = {start: ends[0], end: ends[1]}
        with dg.DagsterInstance.ephemeral() as instance:
            options: dict[str, Any] = {"instance": instance, "resources": everything, "tags": tags}
            if materialize:
                dg.materialize([logs], raise_on_error=False, **options)
            dg.materialize([logs, reads], selection=[reads], **options)
        return loaded[0]

    return run


def add(local: LocalRoboto, **files: bytes) -> str:
    """Add a dataset with files whose names are given with an underscore for the dot."""
    dataset_id = local.add_dataset()
    for name, data in files.items():
        local.add_file(dataset_id, name.replace("_", "."), data)
    return dataset_id


def test_paths(local: LocalRoboto, load: Load) -> None:
    """`list[pathlib.Path]` is the files of the partition."""
    (path,) = load(list[pathlib.Path], add(local, a_bin=b"hello"))
    assert path.read_bytes() == b"hello"


def test_manifest_as_a_table(local: LocalRoboto, load: Load) -> None:
    """`pyarrow.Table` is the manifest, a row a file."""
    table = load(pa.Table, add(local, a_bin=b"a", b_bin=b"bb"))
    assert sorted(table["size_bytes"].to_pylist()) == [1, 2]


def test_dataset_files_know_both(local: LocalRoboto, load: Load) -> None:
    """Our own type has paths, manifests, and patterns."""
    dataset_id = add(local, a_bin=b"a", b_txt=b"b")
    files = load(DatasetFiles, dataset_id)
    assert (files.partition_keys, len(files), files.table().num_rows) == ((dataset_id,), 2, 2)
    assert [path.name for path in files.matching("*.txt")] == ["b.txt"]


def test_data_of_parquet_files(local: LocalRoboto, load: Load, tmp_path: pathlib.Path) -> None:
    """`pyarrow.dataset.Dataset` reads the tables among the files, of all partitions asked for."""
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    ids = [add(local, t_parquet=data, a_bin=b"a"), add(local, t_parquet=data)]
    assert load(pad.Dataset, *ids).to_table().num_rows == 4


def test_format_can_be_chosen(local: LocalRoboto, load: Load) -> None:
    """Where files of several formats lie together, the input's metadata chooses which to read."""
    dataset_id = add(local, a_csv=b"x\n1\n2\n", b_arrow=b"not read")
    data = load(pad.Dataset, dataset_id, metadata={"format": "csv"})
    assert data.to_table().to_pydict() == {"x": [1, 2]}


def test_several_formats_are_an_error(local: LocalRoboto, load: Load) -> None:
    """Without a choice the error reports what there is and how to choose."""
    with pytest.raises(Exception, match="csv, ipc: narrow the asset's include_patterns"):
        load(pad.Dataset, add(local, a_csv=b"x\n1\n", b_arrow=b""))


def test_partitions_by_key(local: LocalRoboto, load: Load) -> None:
    """`dict[str, …]` has a value for each partition."""
    ids = [add(local, a_bin=b"a"), add(local, a_bin=b"a", b_bin=b"b")]
    loaded = load(dict[str, list[pathlib.Path]], *ids)
    assert {key: len(paths) for key, paths in loaded.items()} == {ids[0]: 1, ids[1]: 2}


def test_partitions_together(local: LocalRoboto, load: Load) -> None:
    """Without a `dict` several partitions are one value."""
    assert len(load(list[pathlib.Path], add(local, a_bin=b"a"), add(local, a_bin=b"a"))) == 2


def test_without_annotation(local: LocalRoboto, load: Load) -> None:
    """An input without annotation gets our own type."""
    assert isinstance(load(Any, add(local, a_bin=b"a")), DatasetFiles)


def test_moved_destination(local: LocalRoboto, load: Load, tmp_path: pathlib.Path) -> None:
    """Files that are mounted elsewhere are found by the IO manager's own destination."""
    dataset_id = add(local, a_bin=b"a")
    load(list[pathlib.Path], dataset_id)
    (tmp_path / "data").rename(tmp_path / "moved")
    folder = str(tmp_path / "moved")
    (path,) = load(list[pathlib.Path], dataset_id, materialize=False, destination=folder)
    assert path == tmp_path / "moved" / dataset_id / "a.bin"


def test_partition_that_is_not_complete(local: LocalRoboto, load: Load) -> None:
    """A partition with failed files is an error that names them, not a shorter list."""
    local.faults.add(faults.status(404), service="s3", key="*a.bin")
    with pytest.raises(
        Exception, match=r"1 of 2 files is not complete on disk: a.bin \(not delivered.*NOT_FOUND\)"
    ):
        load(list[pathlib.Path], add(local, a_bin=b"a", b_bin=b"b"))


def test_partition_that_was_never_materialized(local: LocalRoboto, load: Load) -> None:
    """The error reports what to do."""
    with pytest.raises(
        Exception, match=r"There is no manifest .*: materialize the partition first"
    ):
        load(list[pathlib.Path], add(local, a_bin=b"a"), materialize=False)


def test_file_that_is_gone(local: LocalRoboto, load: Load, tmp_path: pathlib.Path) -> None:
    """A file that somebody removed since is not handed on."""
    dataset_id = add(local, a_bin=b"a")
    load(list[pathlib.Path], dataset_id)
    (tmp_path / "data" / dataset_id / "a.bin").unlink()
    with pytest.raises(Exception, match=r"a.bin \(missing\)"):
        load(list[pathlib.Path], dataset_id, materialize=False)


def test_unknown_annotation(local: LocalRoboto, load: Load) -> None:
    """What cannot be loaded is refused with the list of what can."""
    with pytest.raises(Exception, match="cannot load str: annotate the input with"):
        load(str, add(local, a_bin=b"a"))


def test_one_dataset_without_partitions(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """An asset about one dataset may name the IO manager itself, and is loaded in the same run."""
    logs = build_roboto_dataset_asset(
        "logs",
        destination=tmp_path,
        dataset_id=add(local, a_bin=b"a"),
        io_manager_key="files",
    )

    @dg.asset
    def total(logs: list[pathlib.Path]) -> int:
        return sum(path.stat().st_size for path in logs)

    result = dg.materialize(
        [logs, total],
        resources={**resources, "files": RobotoFilesIOManager(), "io_manager": dg.mem_io_manager},
    )
    assert result.output_for_node("total") == 1


def test_nothing_is_stored() -> None:
    """An asset that would store a value by it gets an error."""

    @dg.asset(io_manager_key="files")
    def other() -> int:
        return 1

    with pytest.raises(Exception, match="RobotoFilesIOManager only loads files"):
        dg.materialize([other], resources={"files": RobotoFilesIOManager()})


# --- columns that differ ---


@pytest.mark.parametrize("turned", [False, True])
def test_columns_of_all_files(local: LocalRoboto, load: Load, *, turned: bool) -> None:
    """A column that only some files have is null for the others, whichever file comes first."""
    bodies = [b"x\n1\n", b"x,y\n2,9\n"]
    ids = [add(local, t_csv=body) for body in (reversed(bodies) if turned else bodies)]
    rows = load(pad.Dataset, *ids).to_table().sort_by("x").to_pydict()
    assert rows == {"x": [1, 2], "y": [None, 9]}


def test_numbers_of_two_widths_go_together(local: LocalRoboto, load: Load) -> None:
    """Whole numbers in one file and fractions in another are fractions."""
    ids = [add(local, t_csv=b"x\n1\n"), add(local, t_csv=b"x\n2.5\n")]
    assert sorted(load(pad.Dataset, *ids).to_table()["x"].to_pylist()) == [1.0, 2.5]


def test_categories_and_texts_go_together(
    local: LocalRoboto, load: Load, tmp_path: pathlib.Path
) -> None:
    """A column that one file holds as categories is text where another has text."""
    bodies = []
    for column in (pa.array(["a"]).dictionary_encode(), pa.array(["b"])):
        pq.write_table(pa.table({"x": column}), tmp_path / "t.parquet")
        bodies.append((tmp_path / "t.parquet").read_bytes())
    ids = [add(local, t_parquet=body) for body in bodies]
    assert sorted(load(pad.Dataset, *ids).to_table()["x"].to_pylist()) == ["a", "b"]


def test_types_that_do_not_go_together(local: LocalRoboto, load: Load) -> None:
    """The error names the column, its types and the files."""
    ids = [add(local, one_csv=b"x\n1\n"), add(local, two_csv=b"x\nabc\n")]
    with pytest.raises(Exception, match=r"column x is int64 in .*one.csv; string in .*two.csv"):
        load(pad.Dataset, *ids)


def test_a_file_that_is_no_table(local: LocalRoboto, load: Load) -> None:
    """An empty CSV file, or a Parquet file that is none, is named."""
    with pytest.raises(Exception, match=r"t.parquet cannot be read as parquet"):
        load(pad.Dataset, add(local, t_parquet=b"not parquet"))


def test_a_format_that_does_not_exist(local: LocalRoboto, load: Load) -> None:
    """A slip in the input's metadata is an error with the choices."""
    with pytest.raises(Exception, match=r"format 'json' cannot be read: .*parquet, csv"):
        load(pad.Dataset, add(local, a_csv=b"x\n1\n"), metadata={"format": "json"})


# --- nothing, and elsewhere ---


Elsewhere = Callable[..., Any]


@pytest.fixture
def elsewhere(tmp_path: pathlib.Path) -> Elsewhere:
    """Loads an asset that is known only by its key from another code location."""

    def run(spec: dg.AssetSpec, annotation: Any, key: str | None = None, **manager: Any) -> Any:
        loaded = []

        def reader(logs: Any) -> None:
            loaded.append(logs)

        reader.__annotations__["logs"] = annotation
        reads = dg.asset(
            ins={"logs": dg.AssetIn(key=spec.key, input_manager_key="files")},
            partitions_def=spec.partitions_def,
        )(reader)
        manager = {"destination": str(tmp_path / "data"), **manager}
        dg.materialize(
            [spec, reads],
            selection=[reads],
            resources={"files": RobotoFilesIOManager(**manager)},
            partition_key=key,
        )
        return loaded[0]

    return run


def deliver(
    resources: dict[str, Any], folder: pathlib.Path, key: str | None = None, **options: Any
) -> dg.AssetsDefinition:
    """Materialize the asset `logs`, and return it."""
    logs = build_roboto_dataset_asset("logs", destination=folder / "data", **options)
    assert dg.materialize([logs], resources=resources, partition_key=key).success
    return logs


def test_an_unpartitioned_asset_of_another_code_location(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path, elsewhere: Elsewhere
) -> None:
    """Its one manifest lists what it holds."""
    deliver(resources, tmp_path, dataset_id=add(local, a_bin=b"a"))
    (path,) = elsewhere(dg.AssetSpec("logs"), list[pathlib.Path])
    assert path.read_bytes() == b"a"


def test_a_partitioned_asset_of_another_code_location(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path, elsewhere: Elsewhere
) -> None:
    """With its partitions the one that is asked for is loaded; without, the error reports what is missing."""
    ids = [add(local, a_bin=b"a"), add(local, b_bin=b"b")]
    partitions = dg.StaticPartitionsDefinition(ids)
    for key in ids:
        deliver(resources, tmp_path, key, partitions_def=partitions)
    spec = dg.AssetSpec("logs", partitions_def=partitions)
    (path,) = elsewhere(spec, list[pathlib.Path], ids[1])
    assert path.name == "b.bin"
    with pytest.raises(Exception, match=r"logs has 2 partitions .*: give its AssetSpec the parti"):
        elsewhere(dg.AssetSpec("logs"), list[pathlib.Path])


def test_an_asset_that_never_was_elsewhere(elsewhere: Elsewhere) -> None:
    """No manifest is an error that names where it was looked for."""
    with pytest.raises(Exception, match=r"There is no manifest of logs below .*data"):
        elsewhere(dg.AssetSpec("logs"), list[pathlib.Path])


def test_paths_of_the_table_after_a_move(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path, elsewhere: Elsewhere
) -> None:
    """The table has the paths where the files are, not where they were."""
    deliver(resources, tmp_path, dataset_id=add(local, a_bin=b"a"))
    (tmp_path / "data").rename(tmp_path / "moved")
    table = elsewhere(dg.AssetSpec("logs"), pa.Table, destination=str(tmp_path / "moved"))
    (path,) = table["path"].to_pylist()
    assert pathlib.Path(path).read_bytes() == b"a"
    assert path.startswith(str(tmp_path / "moved"))


@pytest.mark.parametrize(
    ("annotation", "is_empty"),
    [
        (list[pathlib.Path], lambda value: value == []),
        (DatasetFiles, lambda value: len(value) == 0 and value.table().num_rows == 0),
        (pa.Table, lambda value: value.num_rows == 0 and "path" in value.schema.names),
        (pad.Dataset, lambda value: value.to_table().num_rows == 0),
        (Optional[pa.Table], lambda value: value is None),  # noqa: UP045 -- as people write it
        (dict[str, pa.Table], lambda value: value == {}),
    ],
    ids=["paths", "files", "table", "dataset", "optional", "tables"],
)
def test_no_partitions_are_an_empty_value(
    tmp_path: pathlib.Path, annotation: Any, is_empty: Callable[[Any], bool]
) -> None:
    """Before the sensor has found a dataset there is nothing to load, and that is no error."""
    loaded = []

    def reader(logs: Any) -> None:
        loaded.append(logs)

    reader.__annotations__["logs"] = annotation
    logs = build_roboto_dataset_asset(
        "logs", destination=tmp_path, partitions_def=dg.DynamicPartitionsDefinition(name="none")
    )
    reads = dg.asset(ins={"logs": dg.AssetIn(input_manager_key="files")})(reader)
    resources = {"files": RobotoFilesIOManager(), "roboto": None, "object_store": None}
    dg.materialize([logs, reads], selection=[reads], resources=resources)
    assert is_empty(loaded[0])


@pytest.mark.parametrize("annotation", [pa.Table, pad.Dataset, list[pathlib.Path]], ids=str)
def test_a_window_without_files_is_an_empty_value(
    resources: dict[str, Any], tmp_path: pathlib.Path, elsewhere: Elsewhere, annotation: Any
) -> None:
    """A day on which nothing was recorded is complete and empty."""
    days = dg.DailyPartitionsDefinition("2001-01-01", end_date="2001-01-03")
    deliver(resources, tmp_path, "2001-01-02", partitions_def=days)
    value = elsewhere(dg.AssetSpec("logs", partitions_def=days), annotation, "2001-01-02")
    rows = (
        value
        if isinstance(value, list)
        else value.to_table()
        if annotation is pad.Dataset
        else value
    )
    assert len(rows) == 0


# --- types of polars and duckdb, and of one's own ---


def test_the_only_path(local: LocalRoboto, load: Load) -> None:
    """`pathlib.Path` is the one file of a dataset."""
    assert load(pathlib.Path, add(local, a_bin=b"hello")).read_bytes() == b"hello"


def test_a_path_of_several_files(local: LocalRoboto, load: Load) -> None:
    """One path for two files is an error that says what to annotate."""
    with pytest.raises(Exception, match=r"has 2 files in 1 partition, and pathlib.Path stands for"):
        load(pathlib.Path, add(local, a_bin=b"a", b_bin=b"b"))


def test_a_lazy_frame_of_the_data(local: LocalRoboto, load: Load) -> None:
    """`polars.LazyFrame` reads the tables among the files, of all partitions, with all columns."""
    pl = pytest.importorskip("polars")
    frame = load(pl.LazyFrame, add(local, t_csv=b"x\n1\n"), add(local, t_csv=b"x,y\n2,9\n"))
    assert frame.filter(pl.col("x") > 1).collect().to_dicts() == [{"x": 2, "y": 9}]


def test_a_relation_of_the_data(local: LocalRoboto, load: Load) -> None:
    """`duckdb.DuckDBPyRelation` can be queried by SQL under the name of the argument."""
    duckdb = pytest.importorskip("duckdb")
    logs = load(duckdb.DuckDBPyRelation, add(local, t_csv=b"x\n1\n2\n"))
    assert logs.aggregate("sum(x)").fetchall() == [(3,)]
    assert duckdb.sql("SELECT max(x) FROM logs").fetchall() == [(2,)]


def test_frames_by_key(local: LocalRoboto, load: Load) -> None:
    """A frame a partition, as for every other type."""
    pl = pytest.importorskip("polars")
    ids = [add(local, t_csv=b"x\n1\n"), add(local, t_csv=b"x\n2\n")]
    loaded = load(types.GenericAlias(dict, (str, pl.LazyFrame)), *ids)
    assert {key: frame.collect()["x"].to_list() for key, frame in loaded.items()} == {
        ids[0]: [1],
        ids[1]: [2],
    }


def test_the_manifest_as_a_frame(local: LocalRoboto, load: Load) -> None:
    """`polars.DataFrame` is the manifest, whose paths are those of this disk."""
    pl = pytest.importorskip("polars")
    frame = load(pl.DataFrame, add(local, a_bin=b"a", b_bin=b"bb"))
    assert sorted(frame["size_bytes"].to_list()) == [1, 2]
    assert all(pathlib.Path(path).is_file() for path in frame["path"])


def test_a_type_of_ones_own(local: LocalRoboto, load: Load) -> None:
    """A registered loader gets the files and the context of the input."""

    class Recording:
        def __init__(self, paths: list[pathlib.Path], metadata: Any) -> None:
            self.paths, self.metadata = paths, metadata

    @register_input_type(Recording)
    def recording(files: DatasetFiles, context: dg.InputContext) -> Recording:
        return Recording(files.matching("*.mcap"), context.definition_metadata)

    loaded = load(Recording, add(local, a_mcap=b"a", b_txt=b"b"), metadata={"rate": 5})
    assert ([path.name for path in loaded.paths], loaded.metadata["rate"]) == (["a.mcap"], 5)


# --- partitions that are missing ---


ALLOW = {"allow_missing_partitions": True}


@pytest.mark.parametrize("options", [{"metadata": ALLOW}, ALLOW], ids=["input", "manager"])
def test_missing_partitions_are_left_out(
    local: LocalRoboto, load: Load, options: dict[str, Any]
) -> None:
    """A partition that was never synced is not in the `dict`, as of Dagster's own IO managers."""
    ids = [add(local, a_bin=b"a"), add(local, b_bin=b"b")]
    load(list[pathlib.Path], ids[0])
    loaded = load(dict[str, list[pathlib.Path]], *ids, materialize=False, **options)
    assert {key: len(paths) for key, paths in loaded.items()} == {ids[0]: 1}


def test_a_failed_partition_is_missing(local: LocalRoboto, load: Load) -> None:
    """A partition with a failed file is left out as a unit, and named."""
    local.faults.add(faults.status(404), service="s3", key="*broken.bin")
    ids = [add(local, a_bin=b"a"), add(local, broken_bin=b"b", c_bin=b"c")]
    files = load(DatasetFiles, *ids, metadata=ALLOW)
    assert (files.partition_keys, [path.name for path in files]) == ((ids[0],), ["a.bin"])
    assert files.missing_partition_keys == (ids[1],)


def test_lost_files_are_not_missing_partitions(
    local: LocalRoboto, load: Load, tmp_path: pathlib.Path
) -> None:
    """What was delivered and is damaged since stays an error: it would shrink a training set unseen."""
    dataset_id = add(local, a_bin=b"a")
    load(list[pathlib.Path], dataset_id)
    (tmp_path / "data" / dataset_id / "a.bin").unlink()
    with pytest.raises(Exception, match=r"a.bin \(missing\)"):
        load(list[pathlib.Path], dataset_id, materialize=False, metadata=ALLOW)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [(Optional[list[pathlib.Path]], None), (list[pathlib.Path], [])],  # noqa: UP045 -- as people write it
    ids=["optional", "plain"],
)
def test_nothing_but_missing_partitions(
    local: LocalRoboto, load: Load, annotation: Any, expected: Any
) -> None:
    """None where the annotation allows it, else an empty value."""
    dataset_id = add(local, a_bin=b"a")
    assert load(annotation, dataset_id, materialize=False, metadata=ALLOW) == expected


def test_optional_of_what_is_there(local: LocalRoboto, load: Load) -> None:
    """`… | None` is the value where there is one."""
    assert len(load(list[pathlib.Path] | None, add(local, a_bin=b"a"))) == 1


def test_the_input_has_precedence(local: LocalRoboto, load: Load) -> None:
    """An input may ask for all partitions, whatever the IO manager's field is."""
    with pytest.raises(Exception, match="There is no manifest"):
        load(
            list[pathlib.Path],
            add(local, a_bin=b"a"),
            materialize=False,
            metadata={"allow_missing_partitions": False},
            **ALLOW,
        )


def test_allow_missing_is_true_or_false(local: LocalRoboto, load: Load) -> None:
    """A text would count as true."""
    with pytest.raises(Exception, match="must be true or false, not 'no'"):
        load(Any, add(local, a_bin=b"a"), metadata={"allow_missing_partitions": "no"})


def test_an_asset_of_another_code_location_that_is_missing(elsewhere: Elsewhere) -> None:
    """Where not even the asset's folder is there, the value is empty, too."""
    assert elsewhere(dg.AssetSpec("logs"), list[pathlib.Path], **ALLOW) == []


def test_days_of_a_dataset_by_week(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A mapping of partitions decides which are loaded; the keys of two dimensions keep them."""
    dataset_id = add(local, a_bin=b"a")
    days = dg.DailyPartitionsDefinition("2001-01-01", end_date="2001-01-03")
    both = dg.MultiPartitionsDefinition(
        {"dataset": dg.StaticPartitionsDefinition([dataset_id]), "day": days}
    )
    logs = build_roboto_dataset_asset(
        "logs", destination=tmp_path, partitions_def=both, on_empty="allow"
    )
    loaded: list[Any] = []

    @dg.asset(
        ins={"logs": dg.AssetIn(input_manager_key="files", metadata=ALLOW)}, partitions_def=days
    )
    def daily(logs: dict[str, list[pathlib.Path]]) -> None:
        loaded.append(logs)

    key = dg.MultiPartitionKey({"dataset": dataset_id, "day": "2001-01-02"})
    everything = {**resources, "files": RobotoFilesIOManager()}
    dg.materialize([logs], resources=everything, partition_key=key)
    for day in days.get_partition_keys():
        dg.materialize([logs, daily], selection=[daily], resources=everything, partition_key=day)
    assert [list(each) for each in loaded] == [[], [key]]
    (loaded_key,) = loaded[1]
    assert loaded_key.keys_by_dimension["day"] == "2001-01-02"


# --- what is not as it was delivered ---


def test_a_file_of_another_size_is_not_handed_on(
    local: LocalRoboto, load: Load, tmp_path: pathlib.Path
) -> None:
    """Half a file is no input for whoever trains on it."""
    dataset_id = add(local, a_bin=b"1234")
    load(list[pathlib.Path], dataset_id)
    (tmp_path / "data" / dataset_id / "a.bin").write_bytes(b"12")
    with pytest.raises(Exception, match=r"a.bin \(2 bytes on disk, 4 delivered\)"):
        load(list[pathlib.Path], dataset_id, materialize=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"destination": "s3://bucket/x"}, "not a URL"),
        ({"destination": ""}, "destination is empty"),
        ({"destination": 5}, "destination must be a valid string"),
        ({"destinaton": "data"}, "no field 'destinaton': did you mean destination"),
    ],
    ids=str,
)
def test_settings_that_cannot_work(settings: dict[str, Any], message: str) -> None:
    """They are refused where the IO manager is defined."""
    with pytest.raises(ConfigurationError, match=message):
        RobotoFilesIOManager(**settings)


def test_destination_from_the_environment(
    local: LocalRoboto,
    resources: dict[str, Any],
    tmp_path: pathlib.Path,
    elsewhere: Elsewhere,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable is read in the run, and its value is checked there."""
    deliver(resources, tmp_path, dataset_id=add(local, a_bin=b"a"))
    monkeypatch.setenv("FILES", str(tmp_path / "data"))
    (path,) = elsewhere(dg.AssetSpec("logs"), list[pathlib.Path], destination=dg.EnvVar("FILES"))
    assert path.read_bytes() == b"a"


def test_the_io_manager_alone(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """It can be called with contexts of a unit test, as Dagster documents it."""
    logs = deliver(resources, tmp_path, dataset_id=add(local, a_bin=b"a"))
    metadata = logs.metadata_by_key[logs.key]
    upstream = dg.build_output_context(asset_key=logs.key, definition_metadata=metadata)
    context = dg.build_input_context(asset_key=logs.key, upstream_output=upstream)
    assert len(RobotoFilesIOManager().load_input(context)) == 1
