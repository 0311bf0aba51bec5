"""Facts about published files, as a sync collects them from several places."""

import pytest

from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.known import KnownRow
from roboto_dagster.sync.known_files import KnownFiles

ROW = KnownRow("ds_1", "a", "fl_1", 2, 8, 1_000, "s3://b/a", "e", None, "size", None)


@pytest.mark.parametrize(
    ("mtime_ns", "version"),
    [
        pytest.param(1_000, 2, id="of the same file"),
        pytest.param(2_000, 1, id="of a file that was published later"),
    ],
)
def test_a_publish_log_replaces_only_facts_of_other_files(mtime_ns: int, version: int) -> None:
    """The manifest may know that a newer version of the record has the same content."""
    with Inventory() as inventory:
        known = KnownFiles(inventory)
        known.add([ROW])
        known.add_found([ROW._replace(version=1, mtime_ns=mtime_ns)])
        assert inventory.db.execute("SELECT version, mtime_ns FROM known").fetchall() == [
            (version, mtime_ns)
        ]


def test_facts_are_new_only_where_nothing_is_known() -> None:
    """Where something is, it is kept, and the caller looks at the disk."""
    with Inventory() as inventory:
        known = KnownFiles(inventory)
        assert known.add_new([ROW])
        assert not known.add_new([ROW._replace(version=3), ROW._replace(relative_path="b")])
        assert inventory.db.execute("SELECT relative_path, version FROM known").fetchall() == [
            ("a", 2),
            ("b", 2),
        ]
