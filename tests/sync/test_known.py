"""Rows of manifests and logs: what is on a disk that others write to is checked before it is used."""

from typing import Any

import pytest

from roboto_dagster.sync.known import KNOWN_COLUMNS, KnownRow, known_row, known_rows

ROW = KnownRow("ds_1", "logs/a", "fl_1", 1, 5, 7, "s3://b/k", "e", "crc32c:x", "crc32c", 9)


def test_a_row_of_ours_is_taken() -> None:
    """As it was written, also where the store gave neither ETag nor checksum."""
    bare = ROW._replace(etag=None, checksum=None, verified=None, fetched_at=None)
    assert (known_row(list(ROW)), known_row(bare)) == (ROW, bare)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset_id": "../ds_1"},
        {"dataset_id": ".."},
        {"dataset_id": None},
        {"dataset_id": ["ds_1"]},
        {"relative_path": "../../victim"},
        {"relative_path": "/etc/passwd"},
        {"relative_path": "a/../../b"},
        {"relative_path": "a\0b"},
        {"relative_path": ""},
        {"relative_path": None},
        {"relative_path": "a\ud800"},
        {"file_id": {}},
        {"file_id": "\ud800"},
        {"version": "1"},
        {"version": 1.5},
        {"version": True},
        {"size_bytes": -1},
        {"size_bytes": 2**63},
        {"mtime_ns": None},
        {"mtime_ns": [1]},
        {"uri": 1},
        {"etag": 1},
        {"checksum": []},
        {"verified": True},
        {"fetched_at": "now"},
    ],
    ids=str,
)
def test_a_row_that_is_none_of_ours_is_left_out(changes: dict[str, Any]) -> None:
    """A path that leaves the destination, or a value of another type."""
    assert known_row(list({**ROW._asdict(), **changes}.values())) is None


@pytest.mark.parametrize("length", [0, 1, len(KNOWN_COLUMNS) - 1, len(KNOWN_COLUMNS) + 1])
def test_a_row_of_another_length_is_left_out(length: int) -> None:
    """Columns are distinguished by their place."""
    assert known_row([*ROW, 1][:length]) is None


def columns(*rows: KnownRow) -> list[list[Any]]:
    """Return rows as the manifest's columns."""
    return [list(values) for values in zip(*rows, strict=True)]


def test_rows_of_a_manifest_are_taken_many_at_a_time() -> None:
    """As they were written, in their order, also those without what a store need not give."""
    bare = ROW._replace(relative_path="b", etag=None, checksum=None, verified=None, fetched_at=None)
    unusual = ROW._replace(relative_path="ä b")
    assert list(known_rows(columns(ROW, bare))) == [ROW, bare]
    assert list(known_rows(columns(ROW, unusual, bare))) == [ROW, unusual, bare]
    assert list(known_rows([[] for _ in KNOWN_COLUMNS])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset_id": ".."},
        {"dataset_id": None},
        {"relative_path": "../../victim"},
        {"relative_path": "a/con.txt"},
        {"relative_path": "a" * 300},
        {"relative_path": None},
        {"version": -1},
        {"size_bytes": -1},
        {"mtime_ns": -1},
        {"mtime_ns": None},
        {"fetched_at": -1},
        {"uri": None},
    ],
    ids=str,
)
def test_one_bad_row_of_a_manifest_hides_no_other(changes: dict[str, Any]) -> None:
    """It is left out, and the rows around it are taken."""
    other = ROW._replace(relative_path="b")
    assert list(known_rows(columns(ROW, ROW._replace(**changes), other))) == [ROW, other]
