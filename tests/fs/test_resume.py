"""A big file is resumed from the parts that an earlier run left, and from nothing else; by both engines."""

import json
import os
import pathlib
import random
import threading
import time
from typing import Any

import pytest

from roboto_dagster.disk.cleanup import RESUMABLE_AGE_SECONDS, reclaim
from roboto_dagster.disk.owner import SILENT_AFTER_SECONDS
from roboto_dagster.disk.run_record import hold
from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.testing import LocalRoboto, faults

pytestmark = pytest.mark.slow

PART = 64 * 1024
PARTS = 8
DATA = random.Random(1).randbytes(PARTS * PART)  # noqa: S311 - any bytes do


class Flight:
    """A dataset with one big file, fetched with small parts by one connection at a time."""

    def __init__(
        self, local: LocalRoboto, folder: pathlib.Path, checksum: Any, engine: str
    ) -> None:
        from roboto import Association

        self.local = local
        self.folder = folder
        self.engine = engine
        self.dataset_id = local.add_dataset("flight")
        local.add_file(self.dataset_id, "big.bin", DATA, checksum_algorithm=checksum)
        session = DownloadSession([], Association.dataset(self.dataset_id), local.client())
        self._provider: CredentialProvider = session.credential_provider

    def fetch(self, until_bytes: int | None = None) -> bytes:
        """Fetch it, or cancel it once so many bytes have come."""
        arrived, enough = [0], threading.Event()

        def count(number: int) -> None:
            arrived[0] += number
            if until_bytes is not None and arrived[0] >= until_bytes:
                enough.set()

        uri = self.local.record(self.dataset_id, "big.bin")["uri"]
        options: dict[str, Any] = {
            "endpoint_url": self.local.s3_url,
            "part_size_bytes": PART,
            "max_connections": 1,
        }
        self.local.requests.clear()
        store: Any = StoreRegistry.get_store_for_uri(
            uri, self._provider, engine=self.engine, **options
        )
        with store:
            transfer = store.get(uri, self.folder / "big.bin", count, within=self.folder)
            if until_bytes is not None:
                assert enough.wait(60)
                transfer.cancel()
            transfer.result()
        return (self.folder / "big.bin").read_bytes()

    def interrupt(self) -> pathlib.Path:
        """End a fetch in its middle, and return what is left of the file."""
        stall = faults.stall(after_bytes=5 * PART, seconds=60)
        self.local.faults.add(stall, service="s3", key="*big.bin", times=1)
        with pytest.raises(DownloadError, match="CANCELLED"):
            self.fetch(until_bytes=5 * PART)
        (left,) = (path for path in self.folder.glob(".*.part") if ".parts." not in path.name)
        return left

    def files(self) -> list[str]:
        """Return the names of all files in the folder, and of the records of runs."""
        records = self.folder / ".roboto" / ".runs"
        return [
            path.name for path in (*self.folder.iterdir(), *records.glob("*")) if path.is_file()
        ]

    def ranges(self) -> list[str | None]:
        """Return the ranges that were requested from the store."""
        return [each.range for each in self.local.requests if each.service == "s3"]


@pytest.fixture(params=["CRC64NVME", "SHA256", None])
def flight(
    request: pytest.FixtureRequest, local: LocalRoboto, tmp_path: pathlib.Path, engine: str
) -> Flight:
    """A big file with a checksum that combines, with one that does not, and with none."""
    return Flight(local, tmp_path, request.param, engine)


def test_a_later_run_fetches_only_what_is_missing(flight: Flight) -> None:
    """Parts that an interrupted run logged are not requested again."""
    flight.interrupt()
    assert flight.fetch() == DATA
    ranges = flight.ranges()
    assert ranges[0] is None  # the initial stream reports version and checksum, and is cut
    starts = [int(each.removeprefix("bytes=").split("-")[0]) for each in ranges if each]
    assert min(starts, default=len(DATA)) >= PART
    assert flight.files() == ["big.bin"]


def test_a_part_that_was_altered_meanwhile_is_fetched_again(flight: Flight) -> None:
    """A byte that flipped on disk is found by the part's checksum."""
    left = flight.interrupt()
    with left.open("r+b") as file:
        file.seek(PART + 7)
        file.write(bytes([DATA[PART + 7] ^ 1]))
    assert flight.fetch() == DATA


def test_parts_of_another_version_are_not_used(flight: Flight) -> None:
    """After the object was replaced nothing of the old version is in the file."""
    flight.interrupt()
    other = DATA[::-1]
    flight.local.replace_file(flight.dataset_id, "big.bin", other)
    assert flight.fetch() == other


def test_a_garbled_log_is_ignored(flight: Flight) -> None:
    """A log that a crash has torn costs the parts, nothing else."""
    flight.interrupt()
    (log,) = flight.folder.glob(".*.parts.part")
    log.write_bytes(log.read_bytes()[: -len(log.read_bytes()) // 2] + b"\x00garbage")
    assert flight.fetch() == DATA
    assert flight.files() == ["big.bin"]


def test_parts_that_can_be_resumed_are_not_reclaimed(flight: Flight) -> None:
    """Cleaning up after dead runs leaves parts that the next one can use, for a week."""
    left = flight.interrupt()
    with hold(flight.folder, "any") as record:
        assert reclaim(record).files_removed == 0
        assert left.exists()
        in_a_week = time.time() + RESUMABLE_AGE_SECONDS + 60
        assert reclaim(record, now=in_a_week).files_removed == 2
    assert flight.files() == []


def test_parts_of_a_run_that_cannot_be_looked_at_are_copied(flight: Flight) -> None:
    """Another container's run that has been silent for minutes may still have its file open: it keeps that one."""
    left = written_elsewhere(flight.folder, flight.interrupt())
    with left.open("rb") as held:  # as long as it is open its number is not used again
        inode = os.fstat(held.fileno()).st_ino
        assert flight.fetch() == DATA
        assert os.fstat(held.fileno()).st_nlink == 0
    starts = [int(each.removeprefix("bytes=").split("-")[0]) for each in flight.ranges() if each]
    assert min(starts, default=len(DATA)) >= PART
    assert (flight.folder / "big.bin").stat().st_ino != inode
    assert flight.files() == ["big.bin"]


def test_parts_that_do_not_match_are_not_copied(flight: Flight) -> None:
    """A byte that flipped in another container's file stays out of ours."""
    left = written_elsewhere(flight.folder, flight.interrupt())
    with left.open("r+b") as file:
        file.seek(PART + 7)
        file.write(bytes([DATA[PART + 7] ^ 1]))
    assert flight.fetch() == DATA
    assert flight.files() == ["big.bin"]


def written_elsewhere(folder: pathlib.Path, left: pathlib.Path) -> pathlib.Path:
    """Make what a run left look as if it was killed minutes ago, in another container, while it wrote."""
    (record,) = (folder / ".roboto" / ".runs").iterdir()
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    lines[0] |= {"host": "another", "pid_namespace": "pid:[1]"}
    lines = [line for line in lines if "ended" not in line]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(record, (time.time() - SILENT_AFTER_SECONDS - 60,) * 2)
    file = left.with_name(left.name.replace("-released", ""))
    for path in (left, left.with_name(left.name.removesuffix(".part") + ".parts.part")):
        path.rename(path.with_name(path.name.replace("-released", "")))
    return file
