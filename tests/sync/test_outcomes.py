"""Results of files: what the manifest will have, what is retried, what is counted."""

import pathlib

from roboto_dagster.errors import DownloadError, ErrorCode
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.sync.inventory import Inventory, Source
from roboto_dagster.sync.known import KnownRow
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.outcomes import FetchedFile, Outcomes
from roboto_dagster.types import DownloadableFile
from tests.sync.inventories import manifest_row, plan_fetches, remote

KNOWN = KnownRow(
    "ds_1", "a", "fl_old", 3, 5, 77, "s3://b/old", "e", "crc32c:x", "crc32c", 1_000_000
)


def planned_again(inventory: Inventory) -> None:
    """Plan to fetch a file that an earlier run had fetched in another version, of another id."""
    inventory.add_remote("ds_1", [remote("a", 9, version=3, uri="s3://b/new")])
    KnownFiles(inventory).add([KNOWN])
    plan_fetches(inventory)


def test_a_failed_file_keeps_the_last_good_facts(inventory: Inventory) -> None:
    """What lies on disk is the old version: id, version and all else in its row are that one's."""
    planned_again(inventory)
    file = DownloadableFile(
        bucket_name="b", source_uri="s3://b/a", destination_path=pathlib.Path("a")
    )
    Outcomes(inventory).note_failed([1], DownloadError(file, "STALLED", "slow", None, 2))
    row = manifest_row(inventory)
    kept = ("file_id", "version", "size_bytes", "mtime_ns", "uri", "etag", "checksum", "verified")
    assert tuple(row[name] for name in kept) == (*KNOWN[2:6], *KNOWN[6:10])
    assert (row["status"], row["error_code"], row["attempts"]) == ("failed", "STALLED", 2)


def test_a_fetched_file_has_its_own_facts(inventory: Inventory) -> None:
    """After a fetch the row is about the new version alone."""
    planned_again(inventory)
    receipt = Receipt(
        size_bytes=9,
        etag="new",
        checksum="md5:y",
        verified="md5",
        attempts=2,
        duration_seconds=0.5,
    )
    Outcomes(inventory).note_fetched([FetchedFile.of(1, receipt, 99, 2_000_000)])
    row = manifest_row(inventory)
    names = ("file_id", "size_bytes", "mtime_ns", "uri", "etag", "checksum", "status", "error")
    assert tuple(row[name] for name in names) == (
        *("fl_9", 9, 99, "s3://b/new", "new", "md5:y", "fetched", None),
    )


def test_many_fetched_files_are_noted_at_once(inventory: Inventory) -> None:
    """Each has its own facts, however many there are, and attempts add up."""
    inventory.add_remote("ds_1", [remote(f"f{number}", number) for number in range(1, 251)])
    inventory.plan_fetches((seq, None, False) for seq in range(1, 251))
    outcomes = Outcomes(inventory)
    receipts = [
        Receipt(
            size_bytes=seq,
            etag=f"e{seq}",
            checksum=None,
            verified="size",
            attempts=2,
            duration_seconds=0.5,
        )
        for seq in range(1, 251)
    ]
    for _ in range(2):
        outcomes.note_fetched(
            [FetchedFile.of(seq, each, 10 * seq, seq) for seq, each in enumerate(receipts, 1)]
        )
    found = inventory.db.execute("SELECT seq, disk_bytes, mtime_ns, etag, attempts FROM file")
    assert found.fetchall() == [(seq, seq, 10 * seq, f"e{seq}", 4) for seq in range(1, 251)]


def test_what_was_not_reached_is_not_claimed(inventory: Inventory) -> None:
    """A run that was interrupted reports the rest as not fetched."""
    planned_again(inventory)
    row = manifest_row(inventory)
    assert (row["status"], row["error_code"]) == ("failed", "CANCELLED")


def test_top_files_are_the_slowest_then_the_largest(inventory: Inventory) -> None:
    """What took long comes first, then what is big among the rest; what failed is not there."""
    inventory.add_remote("ds_1", [remote(path, number) for number, path in enumerate("abcd", 1)])
    inventory.plan_fetches((seq, None, False) for seq in (1, 2))
    receipt = Receipt(
        size_bytes=7, etag=None, checksum=None, verified="size", attempts=2, duration_seconds=1.5
    )
    Outcomes(inventory).note_fetched([FetchedFile.of(1, receipt, 0, 0)])
    assert Outcomes(inventory).top_files(2) == [
        ("a", "fetched", 7, 1.5, 2),
        ("d", "unchanged", 4, 0.0, 0),
    ]


def failure(code: ErrorCode, attempts: int = 1) -> DownloadError:
    """Return a failure with a code."""
    file = DownloadableFile(
        bucket_name="b", source_uri="s3://b/a", destination_path=pathlib.Path("a")
    )
    return DownloadError(file, code, "reason", None, attempts)


def test_what_is_transient_is_retried_until_its_attempts_are_used(inventory: Inventory) -> None:
    """Permanent failures, used-up attempts and outdated listings are not."""
    inventory.add_remote("ds_1", [remote(path, number) for number, path in enumerate("abcd", 1)])
    plan_fetches(inventory)
    outcomes = Outcomes(inventory)
    outcomes.note_failed([1], failure("STALLED"))
    outcomes.note_failed([2], failure("NOT_FOUND"))
    outcomes.note_failed([3], failure("STALLED", 2))
    outcomes.note_failed([3], failure("STALLED", 1))
    outcomes.note_changed(4, "outdated", may_retry=False)
    assert list(outcomes.to_retry(Source("ds_1", "b"), 3)) == [1]


def test_failures_are_counted_and_a_few_are_named(inventory: Inventory) -> None:
    """However many there are, they cost no memory."""
    inventory.add_remote("ds_1", [remote(path, number) for number, path in enumerate("abc", 1)])
    plan_fetches(inventory)
    outcomes = Outcomes(inventory)
    for number, code in ((1, "NOT_FOUND"), (2, "STALLED"), (3, "STALLED")):
        outcomes.note_failed([number], failure(code))  # type: ignore[arg-type]  # they are codes
    assert list(outcomes.error_codes().items()) == [("STALLED", 2), ("NOT_FOUND", 1)]
    assert (outcomes.is_retryable, len(list(outcomes.failures("failed", 2)))) == (True, 2)
