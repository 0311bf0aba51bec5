"""The platform's records."""

from datetime import datetime, timezone

import pytest

from roboto_dagster.testing.server.catalog import Catalog
from roboto_dagster.testing.server.records import MissingRecordError, split_uri


@pytest.fixture
def catalog() -> Catalog:
    """An empty catalog in which it is always noon."""
    return Catalog(clock=lambda: datetime(2026, 5, 1, 12, tzinfo=timezone.utc))


def test_tags_and_fields_of_one_change(catalog: Catalog) -> None:
    """A tag that is put and removed at once is removed; a dot in a field's name leads inside."""
    catalog.add_dataset("ds_1", metadata={"pilot": {"age": 1}}, tags=["old"])
    changes = {
        "put_tags": ["new", "both"],
        "remove_tags": ["old", "both"],
        "put_fields": {"pilot.name": "Ada"},
    }
    record = catalog.update_dataset("ds_1", {"metadata_changeset": changes})
    assert record["tags"] == ["new"]
    assert record["metadata"] == {"pilot": {"age": 1, "name": "Ada"}}


def test_taken_ids_are_refused(catalog: Catalog) -> None:
    """A dataset or file id can be given once."""
    catalog.add_dataset("ds_1")
    catalog.add_file("ds_1", "a", file_id="fl_1")
    with pytest.raises(ValueError, match="ds_1"):
        catalog.add_dataset("ds_1")
    with pytest.raises(ValueError, match="fl_1"):
        catalog.add_file("ds_1", "b", file_id="fl_1")


def test_removing_a_dataset_removes_its_files(catalog: Catalog) -> None:
    """The files of a removed dataset are gone, those of others are not."""
    for dataset_id in ("ds_1", "ds_2"):
        catalog.add_dataset(dataset_id)
        catalog.add_file(dataset_id, "a", file_id=f"fl_{dataset_id}")
    catalog.remove_dataset("ds_1")
    assert [record["file_id"] for record in catalog.files()] == ["fl_ds_2"]


def test_missing_version(catalog: Catalog) -> None:
    """A version that a file never had is missing."""
    catalog.add_file("ds_1", "a", file_id="fl_1")
    with pytest.raises(MissingRecordError, match="version 2"):
        catalog.file("fl_1", 2)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a//b?c#d", ("bucket", "a//b?c#d")),
        ("s3://bucket//leading", ("bucket", "/leading")),
        ("roboto://file/fl_1?v=2", ("", "")),
        (None, ("", "")),
    ],
)
def test_split_uri(uri: object, expected: tuple[str, str]) -> None:
    """A key is everything after the bucket, to the letter."""
    assert split_uri(uri) == expected
