"""Damaged files of ours are renamed, never deleted."""

import itertools
import os
import pathlib

from roboto_dagster.disk.folder import Folder
from roboto_dagster.errors import ManifestError


def set_aside(path: pathlib.Path, within: pathlib.Path) -> pathlib.Path:
    """Rename a damaged file of ours, so that nothing is lost and the next run is not bothered by it.

    Args:
        path: A manifest or a publish log, or whatever is in its place.
        within: A parent of it below which no link is followed.

    Returns:
        Its new path, beside the old one.

    Raises:
        ManifestError: It cannot be renamed.
    """
    try:
        with Folder.open(path.parent, within, create=False) as folder:
            name = _free_name(folder, path.name.lstrip("."))
            os.rename(
                folder.name_of(path.name),
                folder.name_of(name),
                src_dir_fd=folder.fd,
                dst_dir_fd=folder.fd,
            )
    except OSError as error:
        raise ManifestError(
            f"{path} is damaged and cannot be set aside: {error.strerror or error}. Move it away, then run it again."
        ) from error
    return path.with_name(name)


def _free_name(folder: Folder, name: str) -> str:
    for number in itertools.count(1):
        candidate = f".{name}.damaged-{number}"
        try:
            folder.lstat(candidate)
        except FileNotFoundError:
            return candidate
    raise AssertionError  # `count` never ends
