"""What the plan decides, from tables: which places are one, what is kept."""

import pytest

from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.plan import KnownFile, LocalFile, decide, place_of


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
LOCAL = LocalFile(size_bytes=5, mtime_ns=7, is_regular=True)


@pytest.mark.parametrize(
    ("known", "local", "expected"),
    [
        pytest.param(KNOWN, LOCAL, "keep", id="nothing-changed"),
        pytest.param(None, LOCAL, "fetch", id="not-ours"),
        pytest.param(KNOWN, None, "fetch", id="deleted"),
        pytest.param(
            KNOWN, LocalFile(size_bytes=4, mtime_ns=7, is_regular=True), "fetch", id="shorter"
        ),
        pytest.param(
            KNOWN, LocalFile(size_bytes=5, mtime_ns=8, is_regular=True), "fetch", id="touched"
        ),
        pytest.param(
            KNOWN, LocalFile(size_bytes=5, mtime_ns=7, is_regular=False), "fetch", id="a-link"
        ),
        pytest.param(
            KnownFile(file_id="fl_1", version=2, size_bytes=5, mtime_ns=7),
            LOCAL,
            "fetch",
            id="older-version",
        ),
        pytest.param(
            KnownFile(file_id="fl_0", version=3, size_bytes=5, mtime_ns=7),
            LOCAL,
            "fetch",
            id="another-file",
        ),
    ],
)
def test_a_file_is_kept_only_if_nothing_changed(
    known: KnownFile | None, local: LocalFile | None, expected: str
) -> None:
    """The same record and the same file on disk, as the manifest has them, are kept."""
    assert decide(REMOTE, known, local) == expected
