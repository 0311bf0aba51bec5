"""Verified files are renamed into place, several together: no socket, no thread."""

import os
import pathlib
from collections.abc import Callable

import pytest

from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.publishing import PublishQueue
from roboto_dagster.fs.object_store import Receipt, Transfer


class Lab:
    """A queue, and what it did, in order."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.events: list[str] = []
        self.queue = PublishQueue(self._published, self._fail)

    def _published(self, download: Download, receipt: Receipt) -> None:
        assert (self.folder / download.key).read_bytes() == b"data"
        assert receipt.verified == "crc32c"
        assert not download.is_publishing
        self.events.append(f"published {download.key}")

    def _fail(self, download: Download, failure: Failure) -> None:
        assert not download.is_publishing
        download.discard()
        self.events.append(f"failed {download.key} {failure.code}")

    def before_renames(self) -> None:
        """Note that it was called, and that nothing is in place."""
        assert all(path.name.startswith(".") for path in self.folder.iterdir())
        self.events.append("before renames")

    def add(
        self,
        name: str,
        before_publish: Callable[[str], None] = lambda _: None,
        before_renames: Callable[[], None] | None = None,
    ) -> Download:
        """Have a file published."""

        def asked(*_: object) -> None:
            self.events.append(f"before publish {name}")
            before_publish(name)

        download = Download(
            Transfer(lambda _: None),
            f"s3://bucket/{name}",
            "bucket",
            name,
            self.folder / name,
            within=None,
            before_publish=asked,
            before_renames=before_renames,
            expected_size=4,
            on_progress=None,
            part_size=100,
            verify="auto",
        )
        download.content.divide(4, None, in_ranges=True)
        download.open(open_partial(self.folder / name))
        download.content.write(b"data", 0)
        self.queue.add(download, "crc32c")
        return download


@pytest.fixture
def together(tmp_path: pathlib.Path) -> Lab:
    """A queue whose files wait."""
    return Lab(tmp_path)


def test_files_wait_for_each_other(together: Lab) -> None:
    """All are asked about, then what precedes renames is done once, then all are renamed."""
    downloads = [together.add(name, before_renames=together.before_renames) for name in "ab"]
    assert together.events == []
    assert all(each.is_publishing for each in downloads)
    together.queue.publish_all()
    assert together.events == [
        *("before publish a", "before publish b", "before renames", "published a", "published b"),
    ]
    together.queue.publish_all()
    assert len(together.events) == 5


def test_what_is_wrong_with_one_file_is_its_own_matter(together: Lab) -> None:
    """The others are renamed."""

    def refuse(name: str) -> None:
        if name == "b":
            raise FileExistsError

    for name in "abc":
        together.add(name, refuse, together.before_renames)
    together.queue.publish_all()
    assert [each for each in together.events if each.startswith(("pub", "fail"))] == [
        *("failed b LOCAL_IO", "published a", "published c"),
    ]


def test_without_what_precedes_renames_nothing_is_renamed(together: Lab) -> None:
    """A publish log that cannot be written fails its own files, and no other sync's."""

    def cannot_write() -> None:
        raise OSError(28, os.strerror(28))

    together.add("a", before_renames=cannot_write)
    together.add("b")
    together.add("c", before_renames=cannot_write)
    together.queue.publish_all()
    assert together.events[3:] == ["failed a NO_SPACE", "published b", "failed c NO_SPACE"]
    assert [path.name for path in together.folder.iterdir()] == ["b"]


def test_not_too_many_wait(together: Lab) -> None:
    """Else what is in a file's place could change for long after it was looked at."""
    for number in range(70):
        together.add(f"f{number}")
    assert 0 < len([each for each in together.events if each.startswith("published")]) < 70


def test_the_errors_name_the_file(tmp_path: pathlib.Path) -> None:
    """Also where several are renamed together."""
    failures: list[DownloadError] = []
    lab = Lab(tmp_path)
    lab.queue = PublishQueue(
        lambda *_: None,
        lambda download, failure: failures.append(download.error(failure)),
    )

    def refuse(_: str) -> None:
        raise FileExistsError(17, "in the way")

    download = lab.add("a", refuse)
    lab.queue.publish_all()
    assert failures[0].file["source_uri"] == "s3://bucket/a"
    download.discard()
