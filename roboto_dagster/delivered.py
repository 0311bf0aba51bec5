"""What a partition has on this disk, according to its manifest. For checks and for the IO manager.

Paths are made of the asset's destination, not taken from the manifest's column `path`, so that a
destination that is mounted elsewhere, or was moved, still reads.
"""

import dataclasses
import pathlib
import stat
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.asset_config import AssetFolder, DatasetAssetConfig
from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import ManifestError, MissingPartitionError
from roboto_dagster.platform.scope import is_dataset_id
from roboto_dagster.sync.manifest import file_name, iterate_manifest
from roboto_dagster.sync.publish_log import read_publish_logs
from roboto_dagster.text import count, one_line, some

# What manifests and the logs of runs both record, under the names of `DeliveredFile`.
_FACTS = ("dataset_id", "relative_path", "file_id", "version", "size_bytes", "checksum")
_COLUMNS = (*_FACTS, "mtime_ns", "status", "error_code")
# A manifest remembers what was removed, and what earlier runs left that is not listed any more.
_OF_EARLIER_RUNS = frozenset({"removed", "not_listed"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredFile:
    """A file of a partition, as a manifest or the log of a run records it.

    Attributes:
        partition_key: Its partition; the dataset's id where there are none.
        dataset_id: The dataset it belongs to.
        relative_path: Its path there.
        path: Where it is on this disk.
        file_id: The platform's id.
        version: Revision of its record.
        size_bytes: Its size when it was published.
        checksum: Its checksum as `algorithm:value`, where the store has sent one.
        error_code: Why it could not be delivered, or None.
        skipped: Whether the partition is complete without it.
    """

    partition_key: str
    dataset_id: str
    relative_path: str
    path: pathlib.Path
    file_id: str
    version: int
    size_bytes: int
    checksum: str | None
    error_code: str | None = None
    skipped: bool = False

    @property
    def local_path(self) -> str:
        """Its path below the destination."""
        return f"{self.dataset_id}/{self.relative_path}"


def recorded_files(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Iterator[DeliveredFile]:
    """Yield every file that the last sync of a partition has seen: delivered, failed or skipped.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.

    Raises:
        ManifestError: There is no manifest, or it cannot be read.
    """
    manifest = config.manifest(asset_key, partition_key)
    key = config.key_of(asset_key, partition_key)
    for rows in iterate_manifest(manifest, _COLUMNS):
        for *facts, mtime_ns, status, code in rows:
            if status in _OF_EARLIER_RUNS:
                continue
            is_skipped = status == "skipped"
            is_failed = status == "failed" or mtime_ns is None
            if not (is_skipped or is_failed):  # an unsafe path may well have failed
                _check_path(manifest, *facts[:2])
            file = _file(config, key, facts)
            error_code = (code or "UNEXPECTED") if is_failed else None
            yield dataclasses.replace(file, error_code=error_code, skipped=is_skipped)


def delivered_files(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Iterator[DeliveredFile]:
    """Yield the files that have to be on disk; those that could not be delivered have an `error_code`.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.

    Raises:
        ManifestError: There is no manifest, or it cannot be read.
    """
    return (each for each in recorded_files(config, asset_key, partition_key) if not each.skipped)


def published_since(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Mapping[str, DeliveredFile]:
    """Return what a run has published since the manifest was written, by path below the destination.

    There is something while a run is under way, and after one that was killed.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.
    """
    manifest = config.manifest(asset_key, partition_key)
    key = config.key_of(asset_key, partition_key)
    found: dict[str, DeliveredFile] = {}
    for row in read_publish_logs(manifest, config.destination):
        found[row.path] = _file(config, key, [getattr(row, name) for name in _FACTS])
    return found


def complete_files(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Sequence[DeliveredFile]:
    """Return the files of one partition, all of which are on disk.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.

    Raises:
        MissingPartitionError: The partition was never materialized, or its last sync failed.
        ManifestError: A file that was delivered is missing, or of another size.
    """
    files = list(delivered_files(config, asset_key, partition_key))
    since = published_since(config, asset_key, partition_key)
    with LocalTree(config.destination) as tree:
        lost = [(file, why) for file in files if (why := problem_on_disk(tree, file, since))]
    if lost:
        is_failed = any(file.error_code is not None for file, _ in lost)
        kind = MissingPartitionError if is_failed else ManifestError
        raise kind(_incomplete(asset_key, len(files), lost))
    return files


def problem_on_disk(
    tree: LocalTree, file: DeliveredFile, since: Mapping[str, DeliveredFile]
) -> str | None:
    """Return why a file is not on disk as it was delivered, or None if it is.

    Args:
        tree: Of the destination.
        file: The file.
        since: From `published_since`: a file that matches it is right as well.
    """
    newer = since.get(file.local_path)
    if file.error_code is not None and newer is None:
        return f"not delivered by the last sync: {file.error_code}"
    status = tree.lstat(file.local_path)
    if status is None:
        return "missing"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    expected = [each.size_bytes for each in (file, newer) if each and each.error_code is None]
    if status.st_size not in expected:
        return f"{count(status.st_size, 'byte')} on disk, {expected[0]} delivered"
    return None


def materialized_keys(config: AssetFolder, asset_key: dg.AssetKey) -> list[str]:
    """Return the keys of all partitions that have a manifest.

    Args:
        config: The asset's.
        asset_key: The asset's.
    """
    folder = config.destination / ".roboto" / file_name(asset_key.to_user_string())
    return sorted(urllib.parse.unquote(path.stem) for path in folder.glob("[!.]*.parquet"))


def _file(config: DatasetAssetConfig, partition_key: str, facts: Sequence[Any]) -> DeliveredFile:
    dataset_id, relative_path, *_ = facts
    return DeliveredFile(
        partition_key=partition_key,
        path=config.destination / str(dataset_id) / str(relative_path),
        **dict(zip(_FACTS, facts, strict=True)),
    )


def _check_path(manifest: pathlib.Path, dataset_id: object, relative_path: object) -> None:
    """Fail if a manifest leads out of its destination: others may write to the disk, too."""
    reason = unsafe_reason(relative_path)
    if reason is None and not (isinstance(dataset_id, str) and is_dataset_id(dataset_id)):
        reason = f"{dataset_id!r} is no dataset id"
    if reason is not None:
        raise ManifestError(
            f"The manifest {manifest} has the path {one_line(relative_path)}, which no sync writes: {reason}. Materialize "
            "the partition again to replace the manifest."
        )


def _incomplete(
    asset_key: dg.AssetKey, total: int, lost: Sequence[tuple[DeliveredFile, str]]
) -> str:
    verb = "is" if len(lost) == 1 else "are"
    named = some([f"{file.relative_path} ({why})" for file, why in lost], 3)
    return (
        f"{asset_key.to_user_string()}, {lost[0][0].partition_key}: {len(lost)} of {count(total, 'file')} {verb} not complete "
        f"on disk: {named}. Materialize the partition again before what depends on it."
    )
