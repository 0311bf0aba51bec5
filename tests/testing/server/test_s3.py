"""The S3 server: exact keys, ranges, conditions, checksums, and what moto answers behind it."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError
from roboto import File, RobotoClient

from roboto_dagster.testing import LocalRoboto

BUCKET = "roboto-managed"
DATA = bytes(range(256)) * 40

AWKWARD_KEYS = [
    "a space",
    "hash#tag",
    "what?",
    "this&that",
    "one+one",
    "100%",
    "%20",
    "~home",
    "semi;colon",
    "quote'\"",
    "[brackets]{}()",
    "back\\slash",
    "tab\there",
    "new\nline",
    "<xml>&amp;",
    "naïve/日本/🤖.log",
    "double//slash",
    "/leading",
    "trailing/",
    "dots/../and/./more",
    "=,:@!$*|^`",
]


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_awkward_keys(
    local: LocalRoboto, dataset_id: str, s3: Callable[..., Any], key: str
) -> None:
    """A key is served exactly as it is, and logged as it is."""
    local.add_file(dataset_id, "file", key.encode(), key=key)
    answer = s3(dataset_id).get_object(Bucket=BUCKET, Key=key)
    assert answer["Body"].read() == key.encode()
    assert local.requests.count(service="s3", key=key.replace("[", "[[]")) == 1


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_awkward_keys_in_signed_urls(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any], key: str
) -> None:
    """A signed URL works for any key."""
    local.add_file(dataset_id, "file", key.encode(), key=key)
    assert get(dataset_id, "file").body == key.encode()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", "bytes 0-0/10240"),
        ("bytes=100-199", "bytes 100-199/10240"),
        ("bytes=10000-", "bytes 10000-10239/10240"),
        ("bytes=10000-99999", "bytes 10000-10239/10240"),
        ("bytes=-40", "bytes 10200-10239/10240"),
    ],
)
def test_ranges(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any], asked: str, expected: str
) -> None:
    """A range is answered with 206, its bytes, and where they lie."""
    local.add_file(dataset_id, "a", DATA)
    answer = get(dataset_id, "a", Range=asked)
    start, stop = map(int, expected.removeprefix("bytes ").partition("/")[0].split("-"))
    assert (answer.status, answer.headers["content-range"]) == (206, expected)
    assert answer.body == DATA[start : stop + 1]


def test_range_beyond_the_end(local: LocalRoboto, dataset_id: str, get: Callable[..., Any]) -> None:
    """A range that starts after the end is 416 with the object's size."""
    local.add_file(dataset_id, "a", DATA)
    answer = get(dataset_id, "a", Range="bytes=10240-")
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */10240")
    assert b"<Code>InvalidRange</Code>" in answer.body


@pytest.mark.parametrize("asked", ["bytes=x-y", "bytes=-", "bytes=0-1,3-4", "items=0-1"])
def test_malformed_range_is_ignored(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any], asked: str
) -> None:
    """A range that cannot be read is no range."""
    local.add_file(dataset_id, "a", DATA)
    assert get(dataset_id, "a", Range=asked).status == 200


def test_range_of_an_empty_object(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any]
) -> None:
    """An empty object has no range, but can be read."""
    local.add_file(dataset_id, "a", b"")
    assert get(dataset_id, "a", Range="bytes=0-").status == 416
    assert get(dataset_id, "a").headers["content-length"] == "0"


def test_if_match(local: LocalRoboto, dataset_id: str, get: Callable[..., Any]) -> None:
    """If-Match holds for the object's ETag, and fails with 412 once it is replaced."""
    local.add_file(dataset_id, "a", b"old")
    etag = get(dataset_id, "a").headers["etag"]
    assert get(dataset_id, "a", If_Match=etag).status == 200
    local.replace_file(dataset_id, "a", b"new")
    assert get(dataset_id, "a", If_Match=etag).status == 412


def test_not_modified(local: LocalRoboto, dataset_id: str, get: Callable[..., Any]) -> None:
    """If-None-Match and If-Modified-Since spare the body."""
    local.add_file(dataset_id, "a", b"old")
    first = get(dataset_id, "a")
    assert get(dataset_id, "a", If_None_Match=first.headers["etag"]).status == 304
    since = first.headers["last-modified"]
    assert get(dataset_id, "a", If_Modified_Since=since).status == 304
    assert get(dataset_id, "a", If_Unmodified_Since=since).status == 200


def test_etag_is_the_md5(local: LocalRoboto, dataset_id: str, get: Callable[..., Any]) -> None:
    """The ETag of an object put in one request is the MD5 of its bytes."""
    local.add_file(dataset_id, "a", DATA)
    md5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    assert get(dataset_id, "a").headers["etag"] == f'"{md5}"'


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"])
def test_checksum_is_returned_when_asked(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any], algorithm: Any
) -> None:
    """The checksum comes with the complete object if it is asked for, and not with a part of it."""
    local.add_file(dataset_id, "a", DATA, checksum_algorithm=algorithm)
    name = f"x-amz-checksum-{algorithm.lower()}"
    answer = get(dataset_id, "a", x_amz_checksum_mode="ENABLED")
    assert answer.headers[name] == _checksum(algorithm, DATA)
    assert answer.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert name not in get(dataset_id, "a").headers
    partial = get(dataset_id, "a", x_amz_checksum_mode="ENABLED", Range="bytes=0-9")
    assert name not in partial.headers


def _checksum(algorithm: str, data: bytes) -> str:
    digests: dict[str, Callable[[], bytes]] = {
        "CRC64NVME": lambda: checksums.crc64nvme(data).to_bytes(8, "big"),
        "CRC32C": lambda: checksums.crc32c(data).to_bytes(4, "big"),
        "CRC32": lambda: checksums.crc32(data).to_bytes(4, "big"),
        "SHA256": lambda: hashlib.sha256(data).digest(),
        "SHA1": lambda: hashlib.sha1(data, usedforsecurity=False).digest(),
    }
    return base64.b64encode(digests[algorithm]()).decode()


def test_object_without_checksum(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any]
) -> None:
    """An object can be without a checksum, as old ones are."""
    local.add_file(dataset_id, "a", DATA, checksum_algorithm=None)
    headers = get(dataset_id, "a", x_amz_checksum_mode="ENABLED").headers
    assert not [name for name in headers if name.startswith("x-amz-checksum")]


def test_multipart_object_with_composite_checksum(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any]
) -> None:
    """An object uploaded in parts has an ETag and a checksum that are made of the parts'."""
    local.add_file(
        dataset_id,
        "a",
        DATA,
        checksum_algorithm="CRC32C",
        part_bytes=4096,
        checksum_type="COMPOSITE",
    )
    headers = get(dataset_id, "a", x_amz_checksum_mode="ENABLED").headers
    parts = [checksums.crc32c(DATA[at : at + 4096]).to_bytes(4, "big") for at in (0, 4096, 8192)]
    assert headers["x-amz-checksum-crc32c"] == f"{_checksum('CRC32C', b''.join(parts))}-3"
    assert headers["x-amz-checksum-type"] == "COMPOSITE"
    assert headers["etag"].endswith('-3"')


def test_multipart_object_with_checksum_of_the_complete_object(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any]
) -> None:
    """An object uploaded in parts may have a checksum of the complete object."""
    local.add_file(dataset_id, "a", DATA, part_bytes=4096)
    headers = get(dataset_id, "a", x_amz_checksum_mode="ENABLED").headers
    assert headers["x-amz-checksum-crc64nvme"] == _checksum("CRC64NVME", DATA)
    assert headers["x-amz-checksum-type"] == "FULL_OBJECT"


def test_file_on_disk_is_served_where_it_lies(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any], tmp_path: Path
) -> None:
    """A path is served from disk, in one answer and in ranges."""
    (tmp_path / "big").write_bytes(DATA * 30)
    local.add_file(dataset_id, "a", tmp_path / "big")
    assert get(dataset_id, "a").body == DATA * 30
    assert get(dataset_id, "a", Range="bytes=100000-299999").body == (DATA * 30)[100_000:300_000]


def test_head_object(local: LocalRoboto, dataset_id: str, s3: Callable[..., Any]) -> None:
    """HEAD returns size, ETag, time and checksum, and has no body."""
    local.add_file(dataset_id, "a", DATA, key="a", checksum_algorithm="SHA256")
    answer = s3(dataset_id).head_object(Bucket=BUCKET, Key="a", ChecksumMode="ENABLED")
    assert answer["ContentLength"] == len(DATA)
    assert answer["ChecksumSHA256"] == _checksum("SHA256", DATA)


def test_head_of_a_missing_object(
    dataset_id: str, s3: Callable[..., Any], local: LocalRoboto
) -> None:
    """HEAD of nothing is 404, and the connection stays usable."""
    local.add_file(dataset_id, "a", DATA, key="a")
    client = s3(dataset_id)
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=BUCKET, Key=f"og_local/{dataset_id}/b")
    assert client.head_object(Bucket=BUCKET, Key="a")["ContentLength"] == len(DATA)


def test_listing_goes_to_moto(local: LocalRoboto, dataset_id: str, s3: Callable[..., Any]) -> None:
    """A bucket can be listed, which moto answers."""
    for key in ("x/1", "x/2", "y"):
        local.add_file(dataset_id, key, DATA, key=key)
    found = s3(dataset_id).list_objects_v2(Bucket=BUCKET, Prefix="x/")
    assert [one["Key"] for one in found["Contents"]] == ["x/1", "x/2"]


def test_response_header_overrides(
    local: LocalRoboto, client: RobotoClient, dataset_id: str, fetch: Callable[..., Any]
) -> None:
    """A signed URL can name the file that a browser saves."""
    file_id = local.add_file(dataset_id, "a", DATA)
    file = File.from_id(file_id, roboto_client=client)
    url = file.get_signed_url(override_content_disposition='attachment; filename="b.log"')
    assert fetch(url).headers["content-disposition"] == 'attachment; filename="b.log"'


def test_memory_stays_flat_for_big_objects(
    local: LocalRoboto, dataset_id: str, get: Callable[..., Any], tmp_path: Path
) -> None:
    """A range of a huge, sparse file is read without reading the rest."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    local.add_file(dataset_id, "a", tmp_path / "huge", checksum_algorithm=None)
    assert get(dataset_id, "a", Range="bytes=67108863-").body == b"\0"
