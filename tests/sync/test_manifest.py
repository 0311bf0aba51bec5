"""The manifest's format: its columns, its names, and what is made of a file that is none."""

import datetime as dt
import os
import pathlib
import tracemalloc
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.manifest import (
    file_name,
    iterate_columns,
    iterate_manifest,
    manifest_path,
    read_manifest,
    write_manifest,
)

COLUMNS = {
    "file_id": "string",
    "version": "int64",
    "relative_path": "string",
    "path": "string",
    "size_bytes": "int64",
    "mtime_ns": "int64",
    "uri": "string",
    "etag": "string",
    "checksum": "string",
    "verified": "string",
    "status": "string",
    "attempts": "int32",
    "duration_seconds": "double",
    "error_code": "string",
    "error": "string",
    "fetched_at": "timestamp[us, tz=UTC]",
    "dataset_id": "string",
}
FETCHED_AT = 1_700_000_000_000_000


def row(number: int = 1, **changes: Any) -> list[Any]:
    """Return a row of a file that was fetched."""
    values = {
        "file_id": f"fl_{number}",
        "version": 1,
        "relative_path": f"{number}.mcap",
        "path": f"/logs/ds_1/{number}.mcap",
        "size_bytes": 5,
        "mtime_ns": 1_700_000_000_000_000_001,
        "uri": f"s3://b/{number}",
        "etag": "e",
        "checksum": "crc32c:yZRlqg==",
        "verified": "crc32c",
        "status": "fetched",
        "attempts": 1,
        "duration_seconds": 0.5,
        "error_code": None,
        "error": None,
        "fetched_at": FETCHED_AT,
        "dataset_id": "ds_1",
    }
    return list({**values, **changes}.values())


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where a manifest lies."""
    return manifest_path(tmp_path, "logs", "ds_1")


def test_columns_are_those_that_were_promised(path: pathlib.Path) -> None:
    """Names, order and types, as readers in any language find them."""
    write_manifest(path, [[row()]])
    schema = pq.read_schema(path)
    assert {field.name: str(field.type) for field in schema} == COLUMNS
    assert schema.metadata[b"roboto_dagster.manifest_version"] == b"2"


def test_rows_come_back_as_they_were(path: pathlib.Path) -> None:
    """Nanoseconds stay exact, and times have a zone."""
    write_manifest(path, [[row()]])
    (found,) = read_manifest(path).to_pylist()
    assert found["mtime_ns"] == 1_700_000_000_000_000_001
    assert found["fetched_at"] == dt.datetime.fromtimestamp(FETCHED_AT / 1e6, dt.timezone.utc)


def test_an_empty_manifest_has_its_columns(path: pathlib.Path) -> None:
    """A dataset without files is a table without rows."""
    write_manifest(path, [])
    table = read_manifest(path)
    assert (table.num_rows, table.column_names) == (0, list(COLUMNS))


def test_the_folder_of_an_asset_is_one_dataset(tmp_path: pathlib.Path) -> None:
    """All partitions of an asset read as one table."""
    for number in (1, 2):
        write_manifest(manifest_path(tmp_path, "logs", f"ds_{number}"), [[row(number)]])
    folder = manifest_path(tmp_path, "logs", "ds_1").parent
    assert pyarrow.dataset.dataset(folder).to_table().num_rows == 2


def test_where_manifests_lie(tmp_path: pathlib.Path) -> None:
    """One folder an asset, one file a partition, below a hidden folder of the destination."""
    found = manifest_path(tmp_path, "robots/logs", "ds_1")
    assert found.relative_to(tmp_path).as_posix() == ".roboto/robots%2Flogs/ds_1.parquet"


@pytest.mark.parametrize(
    "key",
    ["ds_1", "a/b", "../x", ".", "..", "a b", "2026-01-01|ds_1", "é", "100%", "a\nb", "[a...b]"],
    ids=ascii,
)
def test_keys_become_file_names_reversibly(key: str) -> None:
    """Any key is one file name that is not hidden, and can be read back from it."""
    name = file_name(key)
    assert (urllib.parse.unquote(name), "/" in name, name[0] == ".") == (key, False, False)


def test_writing_replaces_in_one_step(path: pathlib.Path) -> None:
    """While a new manifest is written the old one is there, and nothing is left beside it."""
    write_manifest(path, [[row(1)]])

    def batches() -> Iterator[list[list[Any]]]:
        assert read_manifest(path).num_rows == 1
        yield [row(1), row(2)]

    write_manifest(path, batches())
    assert read_manifest(path).num_rows == 2
    assert [each.name for each in path.parent.iterdir()] == ["ds_1.parquet"]


def test_a_write_that_fails_leaves_the_old_one(path: pathlib.Path) -> None:
    """What goes wrong half-way changes nothing and leaves nothing."""
    write_manifest(path, [[row(1)]])

    def batches() -> Iterator[list[list[Any]]]:
        yield [row(2)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_manifest(path, batches())
    assert read_manifest(path)["file_id"].to_pylist() == ["fl_1"]
    assert [each.name for each in path.parent.iterdir()] == ["ds_1.parquet"]


def test_a_manifest_that_cannot_be_written_is_named(tmp_path: pathlib.Path) -> None:
    """A file where the folder should be is reported with the manifest's path."""
    (tmp_path / ".roboto").write_bytes(b"")
    path = manifest_path(tmp_path, "logs", "ds_1")
    with pytest.raises(ManifestError, match="cannot be written") as caught:
        write_manifest(path, [[row()]])
    assert str(path) in str(caught.value)


def test_rows_are_streamed(path: pathlib.Path) -> None:
    """Reading a few columns of many rows takes them batch by batch."""
    write_manifest(path, [[row(number) for number in range(1000)]] * 25)
    tracemalloc.start()
    sizes = [len(rows) for rows in iterate_manifest(path, ["file_id", "version"])]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (sum(sizes), max(sizes) <= 10_000, peak < 10_000_000) == (25_000, True, True)


@pytest.mark.parametrize(
    "read", [read_manifest, lambda path: list(iterate_manifest(path, ["uri"]))]
)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "There is no manifest at .*: materialize the partition", id="missing"),
        pytest.param(b"", "cannot be read.*sets it aside", id="empty"),
        pytest.param(b"garbage " * 100, "cannot be read.*sets it aside", id="garbage"),
        pytest.param("foreign", "is no manifest of a version", id="another-parquet"),
        pytest.param("fifo", "is a FIFO, not a regular file", id="fifo"),
        pytest.param("link", "is a symbolic link", id="link"),
        pytest.param("folder", "is a folder", id="folder"),
        pytest.param("columns", "has no column size_bytes of type int64", id="other-columns"),
        pytest.param("broken", "cannot be read.*sets it aside", id="broken-inside"),
    ],
)
def test_what_is_no_manifest_is_named(
    path: pathlib.Path, read: Any, content: bytes | str | None, message: str
) -> None:
    """Whatever is there, it is one error with the path and what happens next."""
    path.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "foreign":
        pq.write_table(pa.table({"uri": ["s3://b/k"]}), path)
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "link":
        path.symlink_to("elsewhere.parquet")
    elif content == "folder":
        path.mkdir()
    elif content == "columns":
        write_manifest(path, [[row()]])
        table = pq.read_table(path)
        index = table.column_names.index("size_bytes")
        pq.write_table(table.set_column(index, "size_bytes", pa.array(["5"])), path)
    elif content == "broken":
        write_manifest(path, [[row(number) for number in range(5000)]])
        data = bytearray(path.read_bytes())
        footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        data[4:footer] = bytes(byte ^ 1 for byte in data[4:footer])  # all but the footer
        path.write_bytes(data)
    with pytest.raises(ManifestError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_manifest_of_the_first_version_is_read(path: pathlib.Path) -> None:
    """Its columns are the same; version 2 only has more statuses."""
    write_manifest(path, [[row()]])
    table = pq.read_table(path)
    old = {**(table.schema.metadata or {}), b"roboto_dagster.manifest_version": b"1"}
    pq.write_table(table.replace_schema_metadata(old), path)
    assert read_manifest(path).num_rows == 1


def test_only_row_groups_that_may_hold_a_dataset_are_read(path: pathlib.Path) -> None:
    """A manifest of other datasets costs its footer alone."""
    write_manifest(path, [[row()]])
    rows = [
        list(iterate_columns(path, ["file_id"], dataset_ids=[dataset_id]))
        for dataset_id in ("ds_0", "ds_1", "ds_2")
    ]
    assert rows == [[], [[["fl_1"]]], []]
