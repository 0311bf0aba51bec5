"""Arrow data as frames of polars and relations of duckdb."""

import sys

import pyarrow as pa
import pyarrow.dataset as pad
import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.inputs.frames import data_frame, lazy_frame, relation

DATA = pa.table({"x": [1, 2]})
NOTHING = pa.schema([]).empty_table()


@pytest.mark.parametrize("source", [DATA, pad.dataset(DATA)], ids=["table", "dataset"])
def test_frames_of_polars(source: pa.Table | pad.Dataset) -> None:
    """Both kinds of frames hold the rows."""
    pytest.importorskip("polars")
    assert data_frame(source)["x"].to_list() == [1, 2]
    assert lazy_frame(source).collect()["x"].to_list() == [1, 2]


def test_a_frame_of_nothing() -> None:
    """Data without columns is an empty frame."""
    pytest.importorskip("polars")
    assert data_frame(NOTHING).shape == (0, 0)


@pytest.mark.parametrize("source", [DATA, pad.dataset(DATA)], ids=["table", "dataset"])
def test_a_relation_in_a_connection_of_ones_own(source: pa.Table | pad.Dataset) -> None:
    """It belongs to that connection."""
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        found = relation(source, connection).aggregate("sum(x)")
        assert found.fetchall() == [(3,)]


def test_a_relation_of_nothing() -> None:
    """There is no relation without columns in duckdb: it has one, and no rows."""
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        found = relation(NOTHING, connection)
        assert (found.columns, found.fetchall()) == (["path"], [])


@pytest.mark.parametrize(
    ("make", "package"), [(lazy_frame, "polars"), (data_frame, "polars"), (relation, "duckdb")]
)
def test_what_is_not_installed(make: object, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the line that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigurationError, match=f"{package} is not installed: pip install {package}"
    ):
        make(DATA)  # type: ignore[operator]  # one of the three
