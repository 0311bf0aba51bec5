"""One HEAD instead of a download: where a record changed and its object did not, or a manifest was damaged."""

from typing import TYPE_CHECKING

import pytest

from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Syncer


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of two files."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.bin", b"aaaa")
    local.add_file(dataset_id, "b.bin", b"bb")
    return dataset_id


def tag(local: LocalRoboto, dataset_id: str, path: str) -> int:
    """Add a tag to a file, as the SDK does; return the new version of its record."""
    from roboto import File
    from roboto.updates import MetadataChangeset

    changes = MetadataChangeset(put_tags=["checked"])
    file = File.from_path_and_dataset_id(path, dataset_id, roboto_client=local.client())
    return file.update(metadata_changeset=changes).version


def methods(local: LocalRoboto) -> list[str]:
    """Return the methods with which the store was asked since the last sync started."""
    return [each.method for each in local.requests.matching(service="s3")]


def test_a_tag_costs_one_head(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, engine: str
) -> None:
    """The record has another version and the object is the same: the bytes stay, and the manifest has the version."""
    syncer(dataset_id, engine=engine)
    version = tag(local, dataset_id, "a.bin")
    report = syncer(dataset_id, engine=engine)
    assert (methods(local), report.files_unchanged, report.failures) == (["HEAD"], 2, [])
    row = syncer.rows()["a.bin"]
    assert (row["version"], row["status"], row["verified"]) == (version, "unchanged", "crc64nvme")
    syncer(dataset_id, engine=engine)
    assert methods(local) == []


def test_another_content_of_the_same_size_is_fetched(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, engine: str
) -> None:
    """The ETag distinguishes them."""
    syncer(dataset_id, engine=engine)
    local.replace_file(dataset_id, "a.bin", b"AAAA")
    assert syncer(dataset_id, engine=engine).files_fetched == 1
    assert syncer.files()[f"{dataset_id}/a.bin"] == b"AAAA"


def test_a_head_that_fails_means_a_download(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, engine: str
) -> None:
    """Some identities may read objects and not ask for their headers."""
    syncer(dataset_id, engine=engine)
    tag(local, dataset_id, "a.bin")
    local.faults.add(faults.status(403, "AccessDenied"), service="s3", method="HEAD")
    report = syncer(dataset_id, engine=engine)
    assert (report.files_fetched, report.failures) == (1, [])


def test_a_local_file_that_changed_is_not_asked_about(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """What is on disk is not what the ETag belongs to."""
    syncer(dataset_id)
    tag(local, dataset_id, "a.bin")
    (syncer.destination / dataset_id / "a.bin").write_bytes(b"mine")
    syncer(dataset_id)
    assert (methods(local), syncer.files()[f"{dataset_id}/a.bin"]) == (["GET"], b"aaaa")


def test_a_damaged_manifest_is_rebuilt_from_what_is_on_disk(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, engine: str
) -> None:
    """A file whose bytes have the store's checksum is kept; one that was changed meanwhile is fetched."""
    syncer(dataset_id, engine=engine)
    before = syncer.rows()
    syncer.manifest.write_bytes(b"")
    (syncer.destination / dataset_id / "b.bin").write_bytes(b"BB")
    report = syncer(dataset_id, engine=engine)
    assert (sorted(methods(local)), report.files_unchanged) == (["GET", "HEAD", "HEAD"], 1)
    same = ("file_id", "version", "size_bytes", "mtime_ns", "uri", "etag", "checksum", "verified")
    after = syncer.rows()
    assert [after["a.bin"][name] for name in same] == [before["a.bin"][name] for name in same]
    assert syncer.files()[f"{dataset_id}/b.bin"] == b"bb"


def test_a_users_own_file_is_not_taken_for_ours(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """Without a damaged manifest nothing suggests that a file was delivered: it is fetched."""
    syncer(dataset_id)
    syncer.manifest.unlink()
    syncer(dataset_id)
    assert methods(local) == ["GET", "GET"]
