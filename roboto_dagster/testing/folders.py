"""Serves folders of this disk as datasets of a `LocalRoboto`."""

from collections.abc import Sequence
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from roboto_dagster.testing.contents import ChecksumAlgorithm, LocalContents


def add_folder(
    local: LocalContents,
    folder: Path,
    *,
    dataset_id: str | None,
    name: str | None,
    checksum_algorithm: ChecksumAlgorithm | None,
) -> str:
    """Add a folder as a dataset; see `LocalRoboto.add_folder`.

    Args:
        local: The platform.
        folder: The folder.
        dataset_id: The dataset's id; None for one that is made of its name.
        name: The dataset's name; None for the folder's.
        checksum_algorithm: As in `LocalRoboto.add_file`.

    Returns:
        The dataset's id.
    """
    folder = folder.resolve()
    dataset_id = local.add_dataset(
        name or folder.name,
        dataset_id=dataset_id or _stable_id("ds", name or folder.name),
        created=_modified(folder),
    )
    for path in sorted(folder.rglob("*")):
        relative_path = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative_path.parts):
            _add_path(local, dataset_id, relative_path.as_posix(), path, checksum_algorithm)
    return dataset_id


def add_folders(local: LocalContents, folder: Path) -> None:
    """Add each sub-folder as a dataset, and loose files as one more.

    Args:
        local: The platform.
        folder: The folder that holds them.

    Raises:
        NotADirectoryError: It is not a folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is not a folder: give LocalRoboto a folder of datasets."
        )
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in visible:
        if path.is_dir():
            add_folder(local, path, dataset_id=None, name=None, checksum_algorithm="CRC64NVME")
    loose = [path for path in visible if path.is_file()]
    if loose:
        _add_loose_files(local, folder, loose)


def _add_loose_files(local: LocalContents, folder: Path, paths: Sequence[Path]) -> None:
    name = folder.resolve().name
    dataset_id = local.add_dataset(
        name, dataset_id=_stable_id("ds", f"{name}/"), created=_modified(folder)
    )
    for path in paths:
        _add_path(local, dataset_id, path.name, path, "CRC64NVME")


def _add_path(
    local: LocalContents,
    dataset_id: str,
    relative_path: str,
    path: Path,
    checksum_algorithm: ChecksumAlgorithm | None,
) -> None:
    local.add_file(
        dataset_id,
        relative_path,
        path.resolve(),
        checksum_algorithm=checksum_algorithm,
        file_id=_stable_id("fl", f"{dataset_id}/{relative_path}"),
        created=_modified(path),
    )


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)


def _stable_id(prefix: str, name: str) -> str:
    return f"{prefix}_{sha256(name.encode()).hexdigest()[:16]}"
