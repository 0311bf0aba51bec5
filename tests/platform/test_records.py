"""What a record of a file has to be."""

from typing import Any

import pytest

from roboto_dagster.platform.records import RemoteFile, plain_file, problem_of

RECORD: dict[str, Any] = {
    "file_id": "fl_1",
    "version": 3,
    "relative_path": "a/b.mcap",
    "size": 5,
    "uri": "s3://bucket/key",
    "association_id": "ds_1",
    "fs_type": "file",
    "status": "available",
}
# Changes after which a record is still usable, and needs a closer look.
USABLE: list[dict[str, Any]] = [
    {"relative_path": "ä"},
    {"uri": "s3://bucket/ä"},
    {"uri": "gs://bucket/key"},
    {"uri": "s3://arn:aws:s3:us-east-1:123456789012:accesspoint:ap/key"},
    {"uri": "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/ap/key"},
    {"fs_type": "link"},
    {"status": "reserved"},
]
NO_TEXT: list[Any] = [None, [], {}, 1.5]
WRONG: list[dict[str, Any]] = [
    *({name: value} for name in RECORD for value in NO_TEXT if name != "status"),
    *({name: ""} for name in ("file_id", "relative_path", "uri", "association_id")),
    *({name: value} for name in ("version", "size") for value in [True, -1, 2**63, "1"]),
    *({name: "a b"} for name in ("file_id", "association_id", "uri")),
    {"file_id": "fl_1\n"},
    {"uri": "s3://bucket"},
    {"uri": "s3://bucket/"},
    {"uri": "s3:///key"},
    {"uri": "s3://-/key"},
    {"fs_type": "device"},
]


def test_a_plain_record_is_a_file() -> None:
    """Most records need no closer look."""
    assert problem_of(RECORD) is None
    assert plain_file(RECORD) == RemoteFile("fl_1", 3, "a/b.mcap", 5, "s3://bucket/key", "ds_1")


@pytest.mark.parametrize("change", WRONG, ids=repr)
def test_what_cannot_be_used_is_not_plain(change: dict[str, Any]) -> None:
    """The quick look lets nothing pass that the closer one finds."""
    record = {**RECORD, **change}
    assert problem_of(record) is not None
    assert plain_file(record) is None


@pytest.mark.parametrize("change", USABLE, ids=repr)
def test_what_is_unusual_is_not_plain(change: dict[str, Any]) -> None:
    """A usable record that is not as most are is left to the closer look."""
    record = {**RECORD, **change}
    assert problem_of(record) is None
    assert plain_file(record) is None


@pytest.mark.parametrize("name", RECORD)
def test_a_record_without_a_field_is_plain_if_it_has_a_default(name: str) -> None:
    """As in the platform's own SDK, what has no kind is a file, and what has no status is available."""
    file = plain_file({key: value for key, value in RECORD.items() if key != name})
    assert (file is not None) == (name in ("fs_type", "status"))


@pytest.mark.parametrize("value", [None, 1, "text", [], [RECORD]], ids=repr)
def test_what_is_no_record_is_not_plain(value: Any) -> None:
    """A page may hold anything."""
    assert plain_file(value) is None


def test_an_access_point_is_a_bucket() -> None:
    """Its ARN has a slash of its own, at which it must not be cut: credentials are asked for by its name."""
    arn = "arn:aws:s3:us-east-1:123456789012:accesspoint/ap"
    file = RemoteFile("fl_1", 1, "a", 1, f"s3://{arn}/a/b", "ds_1")
    assert file.bucket_name == arn
