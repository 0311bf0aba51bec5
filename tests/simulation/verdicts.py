"""What has to be true of one file once it has its outcome."""

from roboto_dagster.fs.core.settings import Verify
from tests.simulation.driver import ATTEMPTS, PART_BYTES, ModelTransfer
from tests.simulation.store import History, ModelStore, checksum_of

_TRANSIENT = ("500", "502", "503", "cut", "endless", "broken", "page", "shifted")
_OUTAGE = {"CONNECTION", "STALLED", "THROTTLED", "SERVER_ERROR"}
_CREDENTIALS = {"CREDENTIALS_EXPIRED", "CREDENTIALS_INVALID"}


def check_file(
    store: ModelStore,
    transfer: ModelTransfer,
    old: bytes | None,
    expected_size: int | None,
    verify: Verify,
) -> None:
    """Checks one file.

    Args:
        store: What answered.
        transfer: The file, which has ended.
        old: What lay in its place before, or None.
        expected_size: What its record says.
        verify: How its content was to be checked.
    """
    history = store.objects[transfer.file]
    on_disk = transfer.place.read_bytes() if transfer.place.exists() else None
    if transfer.error is None:
        assert on_disk is not None, "a success without a file"
        _check_published(store, transfer, on_disk, old)
        assert transfer.receipt is not None
        is_checked = transfer.receipt.verified != "size"
        assert is_checked or verify != "checksum", "published without a checksum"
        assert not is_checked or verify != "size"
        assert expected_size in (None, len(on_disk)), "the file has not the size of its record"
    else:
        assert on_disk == old, "a failure has changed what lay there"
        _check_failure(store, transfer, history, verify)
    longest = max(map(len, history.versions))
    assert history.requests <= _most_requests(longest), "requests are bounded"


def _check_published(
    store: ModelStore, transfer: ModelTransfer, data: bytes, old: bytes | None
) -> None:
    receipt, before = transfer.receipt, transfer.before
    assert receipt is not None
    assert not transfer.is_refused, "published against the caller's will"
    assert before is not None, "published without a word before"
    assert before[0] == receipt
    assert before[2] == old, "published before it was announced"
    assert receipt.size_bytes == len(data) == before[1].st_size
    assert transfer.place.stat().st_ino == before[1].st_ino, "another file was announced"
    is_seen = receipt.verified != "size" or not store.objects[transfer.file].events["flipped"]
    if is_seen:
        assert data in store.objects[transfer.file].versions, "the published bytes are no version"
    assert receipt.verified in ("crc64nvme", "md5", "size")
    if receipt.verified != "size":
        expected = checksum_of(receipt.verified, data)
        assert receipt.checksum == f"{receipt.verified}:{expected}", "the verdict is not honest"
    assert transfer.progress_bytes == len(data), "the progress is not the size"
    assert receipt.attempts >= 1


def _check_failure(
    store: ModelStore, transfer: ModelTransfer, history: History, verify: Verify
) -> None:
    """Checks that a file failed for what happened to it."""
    assert transfer.error is not None
    code, events = transfer.error.code, history.events
    if transfer.is_refused and transfer.before is not None:
        assert code == "LOCAL_IO", f"the caller refused it: {transfer.error}"
        return
    causes = {
        "NOT_FOUND": events["404"],
        "ACCESS_DENIED": events["403"] or (store.rules.expired_as == "403" and store.rejections),
        # An ETag that only looks like an MD5 is known by the same bytes coming twice.
        "CHECKSUM_MISMATCH": events["flipped"]
        or verify == "checksum"
        or (store.rules.etags == "hex" and len(history.versions) > 1),
        "CHANGED": len(history.versions) > 1 or events["412"] or not store.rules.serves_ranges,
        "SIZE_MISMATCH": len(history.versions) > 1 or events["page"] or store.rules.misfortune,
        "CANCELLED": True,
        **dict.fromkeys(_CREDENTIALS, store.rejections or store.rules.provider),
        **dict.fromkeys(_OUTAGE, store.count(*_TRANSIENT) or not store.rules.identifies(verify)),
    }
    assert causes.get(code), f"it failed for nothing: {transfer.error}"
    may_be_seen_as_none = not store.rules.identifies(verify) and not all(history.versions)
    may_be_unchecked = verify == "checksum" and code == "CHECKSUM_MISMATCH"
    if code != "CANCELLED" and not may_be_unchecked and not may_be_seen_as_none:
        assert not _has_to_arrive(store, history), f"it had to arrive: {transfer.error}"


def _has_to_arrive(store: ModelStore, history: History) -> bool:
    """Returns whether so little went wrong that the policy rides it out."""
    rules = store.rules
    if rules.is_calm:
        return True
    is_final = history.events["403"] + history.events["404"] + history.events["flipped"]
    is_doubted = len(history.versions) > 1 or history.events["412"] or history.events["page"]
    if rules.lengths == "chunked":  # twice the same wrong size is taken for the truth
        is_doubted |= history.events["cut"] + history.events["endless"] > 1
    # A denial without a reason is worth fresh credentials once; an expiry that is named, more often.
    rejections = 2
    if rules.expired_as == "403":
        rejections = 0 if store.count("403") else 1
    has_credentials = store.rejections <= rejections and not rules.provider and not rules.denied
    is_ridden_out = store.count(*_TRANSIENT) + history.events["412"] < ATTEMPTS
    return has_credentials and is_ridden_out and not is_final and not is_doubted


def _most_requests(size_bytes: int) -> int:
    ranges = size_bytes // PART_BYTES + 2
    attempts, replays, starts, lives = ATTEMPTS, 3, 4, 3
    return ranges * (attempts + replays) * starts * lives
