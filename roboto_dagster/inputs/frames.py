"""Arrow data as frames of polars and relations of duckdb, where those are installed."""

import importlib
from typing import TYPE_CHECKING, Any

from roboto_dagster.errors import ConfigurationError

if (
    TYPE_CHECKING
):  # pyarrow would cost every import of the package; polars and duckdb are the user's
    import duckdb
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as pad

    ArrowData = pa.Table | pad.Dataset


def data_frame(source: "ArrowData") -> "pl.DataFrame":
    """Return data as a polars frame in memory.

    Args:
        source: The data.

    Raises:
        ConfigurationError: polars is not installed.
    """
    return lazy_frame(source).collect()


def lazy_frame(source: "ArrowData") -> "pl.LazyFrame":
    """Return data as a polars frame that is read when it is collected, as far as it is needed.

    Args:
        source: The data.

    Raises:
        ConfigurationError: polars is not installed.
    """
    import pyarrow.dataset as pad

    dataset = source if isinstance(source, pad.Dataset) else pad.dataset(source)
    frame: pl.LazyFrame = imported("polars").scan_pyarrow_dataset(dataset)
    return frame


def relation(
    source: "ArrowData", connection: "duckdb.DuckDBPyConnection | None" = None
) -> "duckdb.DuckDBPyRelation":
    """Return data as a duckdb relation that is read when it is executed, as far as it is needed.

    A relation has at least one column: of data without columns it is `path`, without rows.

    Args:
        source: The data.
        connection: Where it is to be queried. Default: duckdb's own connection, that of `duckdb.sql`.

    Raises:
        ConfigurationError: duckdb is not installed.
    """
    import pyarrow as pa

    database = connection or imported("duckdb")
    if not source.schema.names:
        source = pa.schema([("path", pa.string())]).empty_table()
    found: duckdb.DuckDBPyRelation = database.from_arrow(source)
    return found


def imported(name: str) -> Any:
    """Return a module of the user's choice.

    Args:
        name: Such as `polars`.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"{name} is not installed: pip install {name}, or load pyarrow.Table or pyarrow.dataset.Dataset instead."
        ) from error
