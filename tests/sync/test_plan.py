"""What the plan decides, from tables: which places are one, what is kept."""

import pytest

from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.plan import (
    KnownFile,
    is_directory_marker,
    is_same_record,
    place_of,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("a.mcap", "A.mcap", id="case"),
        pytest.param("Logs/a", "logs/a", id="case-of-a-folder"),
        pytest.param("\u00e9", "e\u0301", id="unicode-form"),
        pytest.param("\u00c9", "e\u0301", id="case-and-form"),
        pytest.param("\u212b", "\u00e5", id="angstrom"),
        pytest.param("\uac00", "\u1100\u1161", id="hangul"),
        pytest.param("STRASSE", "stra\u00dfe", id="sharp-s"),
    ],
)
def test_names_that_some_filesystem_takes_for_one(one: str, other: str) -> None:
    """Case and Unicode form fold together."""
    assert place_of(one) == place_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a", "b"), ("a/b", "ab"), ("a_b", "a%b"), ("1", "\u00b9"), ("e", "\u00e9")]
)
def test_other_names_have_other_places(one: str, other: str) -> None:
    """What differs otherwise is not taken for one."""
    assert place_of(one) != place_of(other)


REMOTE = RemoteFile(
    file_id="fl_1",
    version=3,
    relative_path="a",
    size_bytes=5,
    uri="s3://b/a",
    association_id="ds_1",
)
KNOWN = KnownFile(file_id="fl_1", version=3, size_bytes=5, mtime_ns=7)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(KNOWN, True, id="the-same"),
        pytest.param(
            KnownFile(file_id="fl_1", version=2, size_bytes=5, mtime_ns=7), False, id="older"
        ),
        pytest.param(
            KnownFile(file_id="fl_0", version=3, size_bytes=5, mtime_ns=7), False, id="another-file"
        ),
    ],
)
def test_a_record_is_the_same_by_id_and_version(known: KnownFile, *, expected: bool) -> None:
    """Another id or version is another record."""
    assert is_same_record(REMOTE, known) is expected


@pytest.mark.parametrize(
    ("path", "size_bytes", "expected"),
    [("logs/", 0, True), ("logs/", 1, False), ("logs", 0, False), ("/", 0, False)],
)
def test_an_empty_object_that_ends_in_a_slash_is_a_marker(
    path: str, size_bytes: int, *, expected: bool
) -> None:
    """S3 consoles make such objects to show an empty folder."""
    file = REMOTE._replace(relative_path=path, size_bytes=size_bytes)
    assert is_directory_marker(file) is expected
