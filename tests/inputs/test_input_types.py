"""Which annotations are known, and what is registered."""

import collections.abc
import pathlib
import typing
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.dataset as pad
import pyarrow.parquet as pq
import pytest

from roboto_dagster import ConfigurationError, DatasetFiles, register_input_type
from roboto_dagster.delivered import DeliveredFile
from roboto_dagster.inputs.input_types import input_type


def files_at(*paths: pathlib.Path) -> DatasetFiles:
    """Files of one partition, without a manifest."""
    found = tuple(
        DeliveredFile(
            partition_key="p",
            dataset_id="ds_1",
            relative_path=path.name,
            path=path,
            file_id=path.name,
            version=1,
            size_bytes=1,
            checksum=None,
        )
        for path in paths
    )
    return DatasetFiles(partition_keys=("p",), manifests=(), files=found)


def value_of(annotation: Any, files: DatasetFiles, **metadata: Any) -> Any:
    """What an input of this annotation is loaded as."""
    context = dg.build_input_context(asset_key=dg.AssetKey("logs"), definition_metadata=metadata)
    return input_type(annotation).loader(files, context)


@pytest.mark.parametrize(
    "annotation",
    [
        list[pathlib.Path],
        typing.List[pathlib.Path],  # noqa: UP006 -- as people write it
        collections.abc.Sequence[pathlib.Path],
        typing.Iterable[pathlib.Path],
    ],
    ids=str,
)
def test_ways_to_write_a_list_of_paths(annotation: Any) -> None:
    """All of them are the list."""
    path = pathlib.Path("a.bin")
    assert value_of(annotation, files_at(path)) == [path]


@pytest.mark.parametrize(
    ("annotation", "by_key", "optional"),
    [
        (pa.Table, False, False),
        (pa.Table | None, False, True),
        (typing.Optional[pa.Table], False, True),  # noqa: UP045 -- as people write it
        (dict[str, pa.Table], True, False),
        (typing.Dict[str, pa.Table], True, False),  # noqa: UP006 -- as people write it
        (collections.abc.Mapping[str, pa.Table], True, False),
        (dict[str, pa.Table] | None, True, True),
        (dict[str, pa.Table | None], True, False),
        (Any, False, False),
    ],
    ids=str,
)
def test_what_is_made_of_a_type(annotation: Any, by_key: bool, optional: bool) -> None:  # noqa: FBT001
    """Values by key, and values that may be missing."""
    found = input_type(annotation)
    assert (found.by_key, found.optional) == (by_key, optional)


@pytest.mark.parametrize(
    "annotation", [str, dict[int, pa.Table], list[str], int | str, "x"], ids=str
)
def test_what_cannot_be_loaded(annotation: Any) -> None:
    """The error lists what can, and how to add to it."""
    with pytest.raises(
        ConfigurationError,
        match=r"DatasetFiles, pathlib.Path, .*polars.LazyFrame.*"
        r"duckdb.DuckDBPyRelation.*register_input_type",
    ):
        input_type(annotation)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list has the line that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "polars" else name)
    with pytest.raises(ConfigurationError, match=r"polars.LazyFrame \(pip install polars\)"):
        input_type(str)


def test_registered_as_a_function() -> None:
    """Its list is registered with it; and the error of other types names it."""

    class Own:
        pass

    register_input_type(Own, lambda files, _: len(files))
    assert value_of(Own, files_at(pathlib.Path("a"), pathlib.Path("b"))) == 2
    assert input_type(dict[str, Own]).by_key
    with pytest.raises(ConfigurationError, match=r"Own, or a dict"):
        input_type(str)


def test_the_last_registered_wins() -> None:
    """A loader can be replaced."""

    class Own:
        pass

    register_input_type(Own, lambda *_: 1)
    register_input_type(Own, lambda *_: 2)
    assert value_of(Own, files_at()) == 2


@pytest.mark.parametrize("annotation", [dict[str, int], int | None], ids=str)
def test_a_composed_type_is_not_registered(annotation: Any) -> None:
    """It is known by the type that it is made of."""
    with pytest.raises(ConfigurationError, match="is a form of another type: register that type"):
        register_input_type(annotation, lambda *_: 1)


def test_a_loader_is_a_function() -> None:
    """A slip is refused where it is made."""
    with pytest.raises(ConfigurationError, match=r"The loader of .*Own is no function: 'x'"):
        register_input_type(type("Own", (), {}), "x")  # type: ignore[call-overload]  # the slip


@pytest.fixture
def data(tmp_path: pathlib.Path) -> DatasetFiles:
    """One Parquet file of two rows."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1, 2]}), path)
    return files_at(path)


def test_content_can_be_chosen(data: DatasetFiles) -> None:
    """A table of the data, and a dataset of the manifest."""
    assert value_of(pa.Table, data, content="data").to_pydict() == {"x": [1, 2]}
    manifest = value_of(pad.Dataset, data, content="manifest")
    assert "relative_path" in manifest.schema.names


def test_content_that_does_not_exist(data: DatasetFiles) -> None:
    """A slip is an error with the choices."""
    with pytest.raises(ConfigurationError, match=r"content 'rows' cannot be loaded: .*'manifest'"):
        value_of(pa.Table, data, content="rows")


def test_frames_of_dataset_files(data: DatasetFiles) -> None:
    """Without an annotation the same is had by methods."""
    pytest.importorskip("polars")
    pytest.importorskip("duckdb")
    assert data.lazy_frame().collect()["x"].to_list() == [1, 2]
    assert data.relation("parquet").aggregate("sum(x)").fetchall() == [(3,)]


def test_many_partitions_are_not_all_named() -> None:
    """An error about thousands of partitions stays readable."""
    files = DatasetFiles(
        partition_keys=tuple("abcde"), manifests=(), files=files_at(pathlib.Path("a.bin")).files
    )
    with pytest.raises(ConfigurationError, match="The partitions a, b, c and 2 more have 1 file"):
        files.dataset()
