"""Parquet files that are written in one step."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from roboto_dagster.disk.parquet_file import open_parquet, row_groups, table_of, write_parquet

FIELDS: "list[pa.Field[Any]]" = [pa.field("n", pa.int64()), pa.field("name", pa.string())]
SCHEMA = pa.schema(FIELDS, metadata={"k": "v"})


def tables(*batches: list[tuple[int, str]]) -> Iterator[pa.Table]:
    """Yield a table for each batch of rows."""
    return (table_of(rows, SCHEMA) for rows in batches)


def read(path: pathlib.Path) -> list[int | None]:
    """Return the first column."""
    with open_parquet(path) as file:
        found: list[int | None] = file.read(use_threads=False).column("n").to_pylist()
    return found


def test_rows_and_metadata_come_back(tmp_path: pathlib.Path) -> None:
    """All batches are rows of one file, which has the schema's metadata."""
    path = tmp_path / "a.parquet"
    write_parquet(path, SCHEMA, tables([(1, "a"), (2, "b")], [(3, "c")]), within=tmp_path)
    assert read(path) == [1, 2, 3]
    with open_parquet(path, tmp_path) as file:
        assert file.schema_arrow.metadata[b"k"] == b"v"


def test_no_rows_make_an_empty_file(tmp_path: pathlib.Path) -> None:
    """A file without rows has the columns of its schema."""
    write_parquet(tmp_path / "a.parquet", SCHEMA, tables([]))
    assert read(tmp_path / "a.parquet") == []


def test_no_column_has_a_dictionary(tmp_path: pathlib.Path) -> None:
    """Each thread that writes would keep a megabyte for them, and zstd makes smaller files without."""
    path = tmp_path / "a.parquet"
    write_parquet(path, SCHEMA, tables([(number, "a") for number in range(1000)]))
    with open_parquet(path) as file:
        group = file.metadata.row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
    assert [(each.has_dictionary_page, each.compression) for each in columns] == [
        (False, "ZSTD")
    ] * 2


def test_a_failure_leaves_what_was_there(tmp_path: pathlib.Path) -> None:
    """If the rows end with an error, the old file stays, and no temporary one."""
    path = tmp_path / "a.parquet"
    write_parquet(path, SCHEMA, tables([(1, "a")]))

    def broken() -> Iterator[pa.Table]:
        yield table_of([(2, "b")], SCHEMA)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write_parquet(path, SCHEMA, broken())
    assert read(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_no_link_is_followed(tmp_path: pathlib.Path) -> None:
    """A link in place of the file is not read."""
    write_parquet(tmp_path / "a.parquet", SCHEMA, tables([(1, "a")]))
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    with pytest.raises(OSError), open_parquet(tmp_path / "b.parquet", tmp_path):  # noqa: PT011 - ELOOP or its kin
        pass


def test_row_groups_are_chosen_by_their_statistics(tmp_path: pathlib.Path) -> None:
    """Only groups whose range may hold the value are named."""
    path = tmp_path / "a.parquet"
    write_parquet(path, SCHEMA, tables([(1, "a"), (2, "b")], [(5, "c"), (9, "d")]))
    with open_parquet(path) as file:
        assert row_groups(file, "n", lambda low, high: low <= 7 <= high) == [1]
        assert row_groups(file, "name", lambda low, _: low < "b") == [0]
