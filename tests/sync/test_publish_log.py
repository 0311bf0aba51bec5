"""The publish log: what it records, and that nothing in its place can stop a run."""

import concurrent.futures
import errno
import os
import pathlib
import threading
import time
from typing import Any

import pytest

from roboto_dagster.errors import ManifestError
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.inventory import PlannedFile
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.sync.publish_log import (
    ABANDONED_AGE_SECONDS,
    LOGS_FOLDER,
    PublishLog,
    read_folder_logs,
    read_publish_logs,
)

RECEIPT = Receipt(
    size_bytes=5,
    etag="e",
    checksum="crc32c:x",
    verified="crc32c",
    attempts=1,
    duration_seconds=0.1,
)
PLANNED = PlannedFile(
    1,
    "ds_1",
    RemoteFile(
        file_id="fl_1",
        version=3,
        relative_path="logs/a",
        size_bytes=5,
        uri="s3://b/k",
        association_id="ds_1",
    ),
)


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the manifest of a partition would be."""
    return manifest_path(tmp_path, "logs", "key")


@pytest.fixture
def log(manifest: pathlib.Path, tmp_path: pathlib.Path) -> PublishLog:
    """A log with one line."""
    log = PublishLog(manifest, tmp_path)
    log.open()
    log.note(PLANNED, RECEIPT, pathlib.Path(__file__).stat())
    log.write()
    return log


@pytest.fixture
def folder(manifest: pathlib.Path) -> pathlib.Path:
    """The folder of the logs."""
    folder = manifest.parent / LOGS_FOLDER
    folder.mkdir(parents=True)
    return folder


def age(folder: pathlib.Path, seconds: float) -> None:
    """Make every file of a folder so old."""
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_lines_of_several_files_are_written_together(
    manifest: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write for all that a thread has noted; each is a line of its own, and none is written twice."""
    log = PublishLog(manifest, tmp_path)
    log.open()
    written: list[bytes] = []
    write = os.write

    def spy(fd: int, data: bytes) -> int:
        written.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", spy)
    for _ in range(3):
        log.note(PLANNED, RECEIPT, pathlib.Path(__file__).stat())
    log.write()
    log.write()
    log.close(remove=False)
    assert [data.count(b"\n") for data in written] == [3]
    assert len(list(read_publish_logs(manifest, tmp_path))) == 3


def test_a_thread_writes_what_it_has_noted_itself(
    manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """What another thread has noted is that one's to write: it has to know if that fails."""
    log = PublishLog(manifest, tmp_path)
    log.open()
    log.note(PLANNED, RECEIPT, pathlib.Path(__file__).stat())
    other = threading.Thread(target=log.write)
    other.start()
    other.join()
    assert list(read_publish_logs(manifest, tmp_path)) == []
    log.write()
    assert len(list(read_publish_logs(manifest, tmp_path))) == 1
    log.close(remove=False)


def test_a_line_of_which_only_a_part_fits_is_an_error(
    log: PublishLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up takes a part of what it is given: nothing may be renamed that has no line."""
    log.note(PLANNED, RECEIPT, pathlib.Path(__file__).stat())
    monkeypatch.setattr(os, "write", lambda _, data: len(data) - 1)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        log.write()
    log.close(remove=False)


def test_a_line_has_the_facts_of_the_temporary_file(
    log: PublishLog, manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Size and time are those of the file that is about to be renamed; the rest is the record's and the receipt's."""
    log.close(remove=False)
    (row,) = read_publish_logs(manifest, tmp_path)
    status = pathlib.Path(__file__).stat()
    assert (row.path, row.file_id, row.version) == ("ds_1/logs/a", "fl_1", 3)
    assert (row.size_bytes, row.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert (row.etag, row.checksum, row.verified) == ("e", "crc32c:x", "crc32c")


def test_a_complete_run_removes_its_log_alone(
    log: PublishLog, manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Another run of the partition may be under way, and needs its own."""
    other = PublishLog(manifest, tmp_path)
    other.open()
    log.close(remove=True)
    (left,) = (manifest.parent / LOGS_FOLDER).iterdir()
    assert left.name == other._name  # noqa: SLF001 - the one that has to stay
    other.close(remove=True)
    assert list(manifest.parent.iterdir()) == []


def test_the_log_of_a_killed_run_goes_once_it_is_old(
    log: PublishLog, manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A complete run has read its records; without a heartbeat for long it belongs to nobody."""
    age(manifest.parent / LOGS_FOLDER, ABANDONED_AGE_SECONDS + 1)
    other = PublishLog(manifest, tmp_path)
    other.open()
    other.close(remove=True)
    log.close(remove=False)
    assert list(manifest.parent.iterdir()) == []


def test_a_heartbeat_keeps_a_log(
    log: PublishLog, manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A run that waits for one big file publishes nothing for long, and is alive."""
    age(manifest.parent / LOGS_FOLDER, ABANDONED_AGE_SECONDS + 1)
    log.beat()
    other = PublishLog(manifest, tmp_path)
    other.open()
    other.close(remove=True)
    log.close(remove=False)
    assert len(list((manifest.parent / LOGS_FOLDER).iterdir())) == 1


def test_logs_of_other_partitions_are_not_read(
    log: PublishLog, manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Not even where one key starts with another; the asset's folder has all."""
    log.close(remove=False)
    others = [manifest_path(tmp_path, "logs", key) for key in ("ke", "key2", "key@x", "key.x")]
    assert [list(read_publish_logs(each, tmp_path)) for each in others] == [[]] * 4
    assert len(list(read_folder_logs(manifest.parent, tmp_path))) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json\n",
        b"\x00\x01\n",
        b"[[],[],[],[],[],[],[],[],[],[],[]]\n",
        b"[null,null,null,null,null,1,null,null,null,null,null]\n",
        b'["ds_1","../a","f",1,1,1,"u","e","c","v",1]\n',
        b'["ds_1","a","f",1,1,99999999999999999999999,"u","e","c","v",1]\n',
        b'["ds_1","\\ud800","f",1,1,1,"u","e","c","v",1]\n',
        b"[" * 100_000 + b"\n",
        b'{"a": 1}\n',
        b'["ds_1","a","f",1,1,1,"u","e","c","v"',
    ],
    ids=lambda content: repr(content[:30]),
)
def test_lines_that_are_none_of_ours_are_left_out(
    manifest: pathlib.Path, folder: pathlib.Path, tmp_path: pathlib.Path, content: bytes
) -> None:
    """What a kill has torn, or somebody has put there, is no fact; the lines after it are."""
    good = b'\n["ds_1","a","f",1,1,1,"u","e","c","v",1]\n'
    (folder / ".key@0.publish-log").write_bytes(content + good)
    assert [row.path for row in read_publish_logs(manifest, tmp_path)] == ["ds_1/a"]


def test_what_cannot_be_opened_is_reported(
    manifest: pathlib.Path, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A FIFO would hang whoever opened it, a link may lead anywhere."""
    os.mkfifo(folder / ".key@0.publish-log")
    (folder / ".key@1.publish-log").symlink_to("/dev/zero")
    found: list[str] = []
    rows = list(read_publish_logs(manifest, tmp_path, lambda path, _: found.append(path.name)))
    assert (rows, found) == ([], [".key@0.publish-log", ".key@1.publish-log"])


def test_a_log_of_an_earlier_release_is_read(
    manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """It had one name for all runs."""
    manifest.parent.mkdir(parents=True)
    line = b'["ds_1","a","f",1,1,1,"u","e","c","v",1]\n'
    manifest.with_name(".key.journal").write_bytes(line)
    assert len(list(read_publish_logs(manifest, tmp_path))) == 1


def test_the_log_of_an_earlier_release_goes_once_it_is_old(
    manifest: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A complete run has read its records."""
    manifest.parent.mkdir(parents=True)
    manifest.with_name(".key.journal").write_bytes(b"")
    age(manifest.parent, ABANDONED_AGE_SECONDS + 1)
    log = PublishLog(manifest, tmp_path)
    log.open()
    log.close(remove=True)
    assert list(manifest.parent.iterdir()) == []


def test_the_manifests_of_other_partitions_are_not_listed(
    manifest: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition costs the same beside ten thousand others."""
    manifest.parent.mkdir(parents=True)
    for number in range(100):
        manifest.with_name(f"{number}.parquet").write_bytes(b"")
    listed: list[str] = []
    listdir = os.listdir

    def counting(place: Any) -> list[str]:
        names = listdir(place)
        listed.extend(names)
        return names

    monkeypatch.setattr(os, "listdir", counting)
    log = PublishLog(manifest, tmp_path)
    log.open()
    log.note(PLANNED, RECEIPT, pathlib.Path(__file__).stat())
    log.write()
    assert len(list(read_publish_logs(manifest, tmp_path))) == 1
    log.close(remove=True)
    assert len(listed) == 1


def test_logs_are_made_while_others_end(manifest: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The last log takes the folder along, which others are about to use."""

    def open_and_close(number: int) -> None:
        own = manifest.with_name(f"key{number}.parquet")
        for _ in range(50):
            log = PublishLog(own, tmp_path)
            log.open()
            log.note(PLANNED, RECEIPT, pathlib.Path(__file__).stat())
            log.write()
            assert len(list(read_publish_logs(own, tmp_path))) == 1
            log.close(remove=True)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(open_and_close, range(4)))
    assert list(manifest.parent.iterdir()) == []


def test_a_log_that_cannot_be_made_is_named(manifest: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A file where the folder should be; nothing is fetched without a log."""
    (tmp_path / ".roboto").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"publish log .* cannot be written"):
        PublishLog(manifest, tmp_path).open()
