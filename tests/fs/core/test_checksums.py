"""What a store's headers report about the content, and the verdict on the bytes that came."""

import base64
import hashlib
import pathlib
import zlib

import pytest

from roboto_dagster.fs.core.checksums import (
    Algorithm,
    ChecksumMismatchError,
    CrcDigest,
    StoredChecksum,
    new_digest,
    stored_checksum,
    verdict,
    verify_file,
)
from roboto_dagster.fs.core.response import pinning_etag

CONTENT = b"a rosbag is a rosbag is a rosbag"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA256 = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
CRC32 = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()


def digest_of(algorithm: Algorithm, content: bytes = CONTENT) -> str:
    """Computes the checksum in the store's form."""
    digest = new_digest(algorithm)
    digest.update(content)
    return digest.text()


def test_the_strongest_checksum_is_taken() -> None:
    """Of several checksums, the one that covers most is used."""
    headers = {
        "etag": f'"{MD5}"',
        "x-amz-checksum-crc32": CRC32,
        "x-amz-checksum-crc64nvme": digest_of("crc64nvme"),
    }
    stored = stored_checksum(headers)
    assert StoredChecksum(algorithm="crc64nvme", value=digest_of("crc64nvme")) == stored


@pytest.mark.parametrize("algorithm", ["crc64nvme", "crc32c", "crc32", "sha256", "md5"])
def test_each_algorithm_agrees_with_the_published_check_value(algorithm: Algorithm) -> None:
    """The digests of `123456789` are the published check values."""
    published = {
        "crc64nvme": base64.b64encode(0xAE8B14860A799888.to_bytes(8, "big")).decode(),
        "crc32c": base64.b64encode(0xE3069283.to_bytes(4, "big")).decode(),
        "crc32": base64.b64encode(0xCBF43926.to_bytes(4, "big")).decode(),
        "sha256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        "md5": "25f9e794323b453885f5181f1b624d0b",
    }
    assert published[algorithm] == digest_of(algorithm, b"123456789")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-crc32": f"{CRC32}-3"},
        {"x-amz-checksum-crc32": CRC32, "etag": f'"{MD5}-3"'},
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-type": "SOMETHING_NEW"},
        {"x-amz-checksum-crc32": "not base64"},
        {"x-amz-checksum-crc32": SHA256},
        {"x-amz-checksum-crc128": CRC32},
        {"etag": f'"{MD5}-3"'},
        {"etag": f'"{"z" * 32}"'},
        {"etag": f'W/"{MD5}"'},
        {"etag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms"},
        {"etag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms:dsse"},
        {"etag": f'"{MD5}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"etag": f'"{MD5}"', "x-amz-storage-class": "EXPRESS_ONEZONE"},
        {},
    ],
    ids=lambda headers: ",".join(headers) or "nothing",
)
def test_what_is_not_the_complete_objects_checksum_is_not_taken_for_it(
    headers: dict[str, str],
) -> None:
    """Composite, unknown, garbled and encrypted values are no checksum of the bytes."""
    assert stored_checksum(headers) is None


def test_a_plain_upload_is_verified_by_its_etag() -> None:
    """The ETag of one unencrypted upload is its MD5."""
    stored = stored_checksum({"etag": f'"{MD5}"', "x-amz-server-side-encryption": "AES256"})
    assert StoredChecksum(algorithm="md5", value=MD5) == stored


def test_a_composite_checksum_leaves_the_etag_to_speak() -> None:
    """A checksum over parts is passed by, not the rest of the answer."""
    stored = stored_checksum(
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-type": "COMPOSITE", "etag": f'"{MD5}"'}
    )
    assert stored is not None
    assert stored.text == f"md5:{MD5}"


@pytest.mark.parametrize("algorithm", ["crc64nvme", "crc32c", "crc32"])
def test_ranges_that_arrive_in_any_order_make_one_checksum(algorithm: Algorithm) -> None:
    """The CRCs of neighbouring ranges combine into the complete object's."""
    left, right = CrcDigest(algorithm), CrcDigest(algorithm)
    right.update(CONTENT[10:])
    left.update(CONTENT[:10])
    left.append(right)
    assert digest_of(algorithm) == left.text()
    assert len(CONTENT) == left.size_bytes


def test_the_verdict_names_the_algorithm_that_matched() -> None:
    """A matching checksum is the verdict."""
    digest = new_digest("sha256")
    digest.update(CONTENT)
    assert verdict(StoredChecksum(algorithm="sha256", value=SHA256), digest) == "sha256"


def test_without_a_checksum_the_verdict_is_size() -> None:
    """A missing checksum is reported as such, and is no failure."""
    assert verdict(None, None) == "size"


def test_wrong_bytes_are_refused_with_both_checksums() -> None:
    """A flipped bit is an error that shows what was expected and what came."""
    digest = new_digest("crc32")
    digest.update(b"A" + CONTENT[1:])
    with pytest.raises(
        ChecksumMismatchError, match=f"crc32 of the bytes is .*, the store reports {CRC32}"
    ):
        verdict(StoredChecksum(algorithm="crc32", value=CRC32), digest)


def test_a_file_is_verified_by_reading_it_back(tmp_path: pathlib.Path) -> None:
    """Bytes that did not pass in order are checked on disk."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        assert verify_file(file.fileno(), StoredChecksum(algorithm="md5", value=MD5)) == "md5"
        assert verify_file(file.fileno(), None) == "size"
        with pytest.raises(ChecksumMismatchError):
            verify_file(file.fileno(), StoredChecksum(algorithm="sha256", value=CRC32))


def test_a_weak_etag_pins_nothing() -> None:
    """An ETag that If-Match can never satisfy is not used."""
    assert pinning_etag({"etag": 'W/"abc"'}) is None
    assert pinning_etag({"etag": '"abc"'}) == "abc"
