"""The data version of a sync: what changes it, and what does not."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from roboto import File

from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.testing import LocalRoboto

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.conftest import Syncer

Change = Callable[[LocalRoboto, str], Any]


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """Two small files, and one that arrives in ranges."""
    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "a.csv", b"one")
    local.add_file(dataset_id, "sub/b.csv", b"two")
    local.add_file(dataset_id, "big.bin", bytes(range(256)) * 80_000)
    return dataset_id


def file_of(local: LocalRoboto, dataset_id: str, path: str) -> File:
    """Return a file of the SDK."""
    return File.from_id(
        local.record(dataset_id, path)["file_id"], roboto_client=local.client(max_attempts=1)
    )


def _rename(local: LocalRoboto, dataset_id: str, path: str) -> None:
    file = file_of(local, dataset_id, "a.csv")
    file.rename_file(file.file_id, path)


CHANGES: dict[str, Change] = {
    "replaced": lambda local, dataset_id: local.replace_file(dataset_id, "a.csv", b"new"),
    "added": lambda local, dataset_id: local.add_file(dataset_id, "c.csv", b"x"),
    "removed": lambda local, dataset_id: local.remove_file(dataset_id, "a.csv"),
    "renamed": lambda local, dataset_id: _rename(local, dataset_id, "z.csv"),
    "moved": lambda local, dataset_id: _rename(local, dataset_id, "sub/a.csv"),
}


def test_a_sync_without_any_change_keeps_it(syncer: "Syncer", dataset_id: str) -> None:
    """Fetched or unchanged, the files are the same."""
    first = syncer(dataset_id).data_version
    second = syncer(dataset_id)
    assert (second.files_unchanged, second.data_version) == (3, first)
    assert first is not None


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_content_changes_it(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, change: Change
) -> None:
    """Whatever is delivered otherwise than before."""
    first = syncer(dataset_id).data_version
    change(local, dataset_id)
    second = syncer(dataset_id).data_version
    assert second not in (first, None)
    assert syncer(dataset_id).data_version == second


@pytest.mark.parametrize("on_missing", ["keep", "remove"])
def test_what_is_no_longer_listed_is_no_part_of_it(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str, on_missing: Any
) -> None:
    """Also where it is kept on disk: the version is that of a destination that never had it."""
    syncer(dataset_id)
    local.remove_file(dataset_id, "a.csv")
    options = SyncOptions(on_missing=on_missing)
    after = syncer(dataset_id, options=options).data_version
    fresh = syncer.destination.with_name("fresh")
    assert syncer(dataset_id, destination=fresh, manifest=fresh / "m").data_version == after


def test_an_edited_tag_keeps_it(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """The record has another version then, the bytes are the same."""
    first = syncer(dataset_id).data_version
    before = local.record(dataset_id, "a.csv")["version"]
    file_of(local, dataset_id, "a.csv").put_tags(["checked"])
    assert local.record(dataset_id, "a.csv")["version"] > before
    assert syncer(dataset_id).data_version == first


def test_a_change_and_its_reverse_are_the_same_version(
    syncer: "Syncer", local: LocalRoboto, dataset_id: str
) -> None:
    """It is a version of the content, not of its history."""
    first = syncer(dataset_id).data_version
    local.replace_file(dataset_id, "a.csv", b"new")
    assert syncer(dataset_id).data_version != first
    local.replace_file(dataset_id, "a.csv", b"one")
    assert syncer(dataset_id).data_version == first


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "SHA256", None])
def test_it_is_the_same_with_every_engine_verdict_and_destination(
    syncer: "Syncer", local: LocalRoboto, resources: dict[str, Any], algorithm: Any
) -> None:
    """Engines and `verify` decide how files come, not what they are; ETag-only objects included."""
    dataset_id = local.add_dataset("flight")
    local.add_file(dataset_id, "a.csv", b"one", checksum_algorithm=algorithm)
    local.add_file(
        dataset_id,
        "big.bin",
        bytes(range(256)) * 80_000,
        checksum_algorithm=algorithm,
        part_bytes=8 * 1024 * 1024,
        checksum_type="FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE",
    )
    versions = set()
    for engine in ("curl", "boto3"):
        for verify in ("auto", "size"):
            store = resources["object_store"].model_copy(
                update={"engine": engine, "verify": verify}
            )
            folder = syncer.destination / engine / verify
            report = syncer(
                dataset_id,
                destination=folder,
                manifest=folder / ".roboto" / "m.parquet",
                open_store=store.open_store,
            )
            versions.add(report.data_version)
    assert len(versions) == 1
    assert versions != {None}


def test_an_incomplete_sync_has_none(syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
    """Nothing is claimed of what is not there."""
    local.remove_object(dataset_id, "a.csv")
    assert syncer(dataset_id).data_version is None


def test_paths_cannot_be_mistaken_for_one_another(syncer: "Syncer", local: LocalRoboto) -> None:
    """The same texts, divided otherwise, are another version."""
    versions = set()
    for number, paths in enumerate((["ab", "c"], ["a", "bc"], ["abc"])):
        dataset_id = local.add_dataset(f"flight {number}")
        for path in paths:
            local.add_file(dataset_id, path, b"x")
        versions.add(syncer(dataset_id).data_version)
    assert len(versions) == 3
