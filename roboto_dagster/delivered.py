"""What a partition holds on this disk, according to its manifest. For checks and for the IO manager.

Paths are made of the asset's destination anew, not taken from the manifest's column `path`, so that
a destination that is mounted elsewhere, or was moved, still reads.
"""

import dataclasses
import pathlib
import urllib.parse
from collections.abc import Iterator, Sequence

import dagster as dg

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.manifest import file_name, iterate_manifest

_COLUMNS = (
    "dataset_id",
    "relative_path",
    "file_id",
    "version",
    "size_bytes",
    "mtime_ns",
    "checksum",
    "status",
    "error_code",
)
# The plan refuses these before the first byte; an asset may be told to do without them.
_REFUSED_CODES = frozenset({"UNSAFE_PATH", "COLLISION", "BAD_RECORD"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredFile:
    """A row of a manifest.

    Attributes:
        partition_key: Its partition; the dataset's id where there are none.
        dataset_id: The dataset it belongs to.
        relative_path: Its path there.
        path: Where it is on this disk.
        file_id: The platform's id.
        version: Revision of its record.
        size_bytes: Its size when it was published.
        checksum: Its checksum as `algorithm:value`, where the store told one.
        error_code: Why it is not whole, or None.
    """

    partition_key: str
    dataset_id: str
    relative_path: str
    path: pathlib.Path
    file_id: str
    version: int
    size_bytes: int
    checksum: str | None
    error_code: str | None


def delivered_files(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Iterator[DeliveredFile]:
    """Yields the files of one partition, those that are not whole with an `error_code`.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.

    Raises:
        ManifestError: There is no manifest, or it cannot be read.
    """
    manifest = config.manifest(asset_key, partition_key)
    key = partition_key or str(config.dataset_id)
    for rows in iterate_manifest(manifest, _COLUMNS):
        for dataset_id, path, file_id, version, size, mtime_ns, checksum, status, code in rows:
            if status == "removed" or (config.may_lack_refused and code in _REFUSED_CODES):
                continue
            is_lost = status == "failed" or mtime_ns is None
            yield DeliveredFile(
                partition_key=key,
                dataset_id=dataset_id,
                relative_path=path,
                path=config.destination / dataset_id / path,
                file_id=file_id,
                version=version,
                size_bytes=size,
                checksum=checksum,
                error_code=(code or "UNEXPECTED") if is_lost else None,
            )


def whole_files(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Sequence[DeliveredFile]:
    """Returns the files of one partition, all of which are whole.

    Raises:
        ManifestError: The partition was never materialized, or is not whole.
    """
    files = list(delivered_files(config, asset_key, partition_key))
    lost = [file for file in files if file.error_code is not None]
    lost += [file for file in files if file.error_code is None and not file.path.is_file()]
    if lost:
        named = ", ".join(
            f"{each.relative_path} ({each.error_code or 'gone'})" for each in lost[:3]
        )
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        msg = (
            f"{asset_key.to_user_string()}, {lost[0].partition_key}: {len(lost)} of {len(files)} files are not whole on "
            f"disk: {named}{more}. Materialize it again before what depends on it."
        )
        raise ManifestError(msg)
    return files


def materialized_keys(config: DatasetAssetConfig, asset_key: dg.AssetKey) -> list[str]:
    """Returns the keys of all partitions that have a manifest."""
    folder = config.destination / ".roboto" / file_name(asset_key.to_user_string())
    return sorted(urllib.parse.unquote(path.stem) for path in folder.glob("[!.]*.parquet"))
