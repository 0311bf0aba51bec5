"""What one asset has published of a log: distinguished from files of others, and removed."""

import contextlib
import os
import pathlib
from collections.abc import Collection, Mapping

from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.local_file import open_in
from roboto_dagster.disk.temp_folder import PUBLISHED_SUFFIX
from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.topics.tables.writer import METADATA_PREFIX


def table_metadata(asset: str, local_path: str) -> dict[str, str]:
    """Return the metadata by which a table is known as one of an asset's.

    Args:
        asset: Its key, as the name of the folder of its manifests.
        local_path: The folder of the log's tables, below the destination.
    """
    return {"asset": asset, "log": local_path}


def published_tables(
    destination: pathlib.Path, local_path: str, asset: str, recorded: Collection[str]
) -> list[str]:
    """Return the names of the files in the folder of a log that an asset has published.

    Args:
        destination: The folder that the user chose.
        local_path: The folder of the log's tables, below it.
        asset: As in `table_metadata`.
        recorded: What the manifest has; other files are opened, for a manifest may be lost.
    """
    try:
        with Folder.open(destination / local_path, destination, create=False) as folder:
            return [
                name
                for name in folder.names()
                if name in recorded or _is_table_of(folder, name, table_metadata(asset, local_path))
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_table_of(folder: Folder, name: str, wanted: Mapping[str, str]) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not name.endswith(PUBLISHED_SUFFIX):
        return False
    try:
        with os.fdopen(open_in(folder, name, os.O_RDONLY), "rb") as file:
            found = pq.read_metadata(file).metadata or {}
    except (OSError, ValueError, pa.ArrowException):  # a link, no Parquet: not ours
        return False
    return all(
        found.get(f"{METADATA_PREFIX}{key}".encode()) == text.encode()
        for key, text in wanted.items()
    )


def remove_tables(destination: pathlib.Path, local_path: str, names: Collection[str]) -> None:
    """Remove tables of a log, and the folders that this leaves empty.

    Args:
        destination: The folder that the user chose.
        local_path: The folder of the log's tables, below it.
        names: From `published_tables`.

    Raises:
        OSError: One cannot be removed.
    """
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        Folder.open(destination / local_path, destination, create=False) as folder,
    ):
        for name in names:
            folder.remove(name)
    remove_empty_folders(destination, local_path)


def remove_empty_folders(destination: pathlib.Path, local_path: str) -> None:
    """Remove the folder of a log and its parents as long as they are empty; that of the dataset stays.

    Args:
        destination: The folder that the user chose.
        local_path: The folder of the log's tables, below it.
    """
    with LocalTree(destination) as tree:
        parent = local_path
        while "/" in parent and tree.lstat(parent) is None:
            parent = parent.rpartition("/")[0]
        tree.remove_empty_folders(parent)
