"""What happens just before a file is renamed into place."""

import os
import pathlib
from collections.abc import Iterator

import pytest

from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.inventory import PlannedFile
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.sync.progress import Progress
from roboto_dagster.sync.publish_log import PublishLog, read_publish_logs
from roboto_dagster.sync.publisher import Publisher

RECEIPT = Receipt(
    size_bytes=5, etag="e", checksum=None, verified="size", attempts=1, duration_seconds=0.1
)


class Lab:
    """A publisher, a planned file, and the temporary file that is to take its place."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.manifest = manifest_path(folder, "logs", "key")
        self.log = PublishLog(self.manifest, folder)
        self.log.open()
        self.lines: list[str] = []
        self.progress = Progress(lambda _, line: self.lines.append(line))
        self.progress.start(1, 5)
        self.publisher = Publisher(self.log, self.progress)
        self.target = folder / "ds_1" / "a"
        self.target.parent.mkdir()
        self.temporary = folder / "temporary"
        self.temporary.write_bytes(b"fresh")

    def planned(self) -> PlannedFile:
        """Return the file as a plan made now sees it."""
        remote = RemoteFile(
            file_id="fl_1",
            version=2,
            relative_path="a",
            size_bytes=5,
            uri="s3://b/a",
            association_id="ds_1",
        )
        on_disk = None
        if self.target.exists():
            status = self.target.stat()
            on_disk = (status.st_size, status.st_mtime_ns, status.st_ino)
        return PlannedFile(1, "ds_1", remote, on_disk)

    def publish(self, planned: PlannedFile) -> None:
        """Do what a store does once a file is verified."""
        in_place = self.target.lstat() if os.path.lexists(self.target) else None
        self.publisher.before_single_publish(planned, RECEIPT, self.temporary.stat(), in_place)
        self.temporary.replace(self.target)


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[Lab]:
    """An empty destination."""
    lab = Lab(tmp_path)
    yield lab
    lab.log.close(remove=False)


@pytest.mark.parametrize("before", [None, b"older"])
def test_facts_are_those_of_the_temporary_file(lab: Lab, before: bytes | None) -> None:
    """Not those of what is at the final path a moment later, which another run may have replaced."""
    if before is not None:
        lab.target.write_bytes(before)
    status = lab.temporary.stat()
    lab.publish(lab.planned())
    lab.target.write_bytes(b"by another run")
    published = lab.publisher.take(1)
    assert published == (RECEIPT, status.st_size, status.st_mtime_ns)
    (row,) = read_publish_logs(lab.manifest, lab.folder)
    assert (row.size_bytes, row.mtime_ns, row.version) == (status.st_size, status.st_mtime_ns, 2)


def replaced(path: pathlib.Path) -> None:
    """Put another file of the same size and time in the place of one."""
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("was_there", [False, True])
def test_a_file_that_came_meanwhile_is_not_replaced(lab: Lab, *, was_there: bool) -> None:
    """Neither a new one nor another one of the same size and time; no line claims anything."""
    if was_there:
        lab.target.write_bytes(b"older")
    planned = lab.planned()
    if was_there:
        replaced(lab.target)
    else:
        lab.target.write_bytes(b"newer")
    before = lab.target.read_bytes()
    with pytest.raises(FileExistsError, match="another run published this file"):
        lab.publish(planned)
    assert lab.target.read_bytes() == before
    assert (lab.publisher.take(1), lab.publisher.take_conflict(1)) == (None, True)
    assert lab.publisher.take_conflict(1) is False
    assert list(read_publish_logs(lab.manifest, lab.folder)) == []


def test_a_line_is_written_before_renames(lab: Lab) -> None:
    """Not for each file alone: a store calls it once for those that it renames together."""
    lab.publisher.before_publish(lab.planned(), RECEIPT, lab.temporary.stat(), None)
    assert list(read_publish_logs(lab.manifest, lab.folder)) == []
    lab.publisher.before_renames()
    assert len(list(read_publish_logs(lab.manifest, lab.folder))) == 1


def test_a_file_that_went_meanwhile_is_no_conflict(lab: Lab) -> None:
    """Whoever removed it does not have it any more."""
    lab.target.write_bytes(b"older")
    planned = lab.planned()
    lab.target.unlink()
    lab.publish(planned)
    assert lab.target.read_bytes() == b"fresh"


def test_a_link_in_its_place_is_replaced(lab: Lab) -> None:
    """As ever: the rename replaces the link, and never what it leads to."""
    lab.target.symlink_to(lab.folder / "elsewhere")
    lab.publish(lab.planned())
    assert (lab.target.is_symlink(), lab.target.read_bytes()) == (False, b"fresh")


def test_a_file_counts_when_it_is_complete(lab: Lab) -> None:
    """Progress does not wait until the session looks at it."""
    lab.publish(lab.planned())
    lab.progress.report()
    assert lab.lines[-1].startswith("1 of 1 files")
