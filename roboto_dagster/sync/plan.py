"""Decides about every file of a scope: fetch or keep. Touches neither network nor disk.

Paths are judged by `disk.paths`; what is refused is in `inventory.Inventory.refuse`.
"""

import dataclasses
import unicodedata
from typing import Literal, NamedTuple

from roboto_dagster.platform.files import RemoteFile

Action = Literal["fetch", "keep", "refuse", "skip", "block"]
"""What is planned for a listed file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """What the last manifest records about a file that was complete then.

    Attributes:
        file_id: The platform's id.
        version: Revision of the record that was fetched.
        size_bytes: Size on disk when it was published.
        mtime_ns: Modification time on disk when it was published, in ns since the epoch.
    """

    file_id: str
    version: int
    size_bytes: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """What is at the destination now.

    Attributes:
        size_bytes: Its size.
        mtime_ns: Its modification time, in ns since the epoch.
        is_regular: Whether it is a plain file, neither link, folder nor device.
        is_folder: Whether it is a folder.
        inode: Its number on its filesystem; only to compare within one run.
    """

    size_bytes: int
    mtime_ns: int
    is_regular: bool = True
    is_folder: bool = False
    inode: int = 0


class Undecided(NamedTuple):
    """A listed file that was neither refused nor skipped, beside what is known of it.

    Attributes:
        seq: Its number in the inventory.
        path: Its path below the destination.
        size_bytes: Its size when it was published; None if nothing is known of it.
        mtime_ns: Its modification time when it was published, in ns since the epoch.
        is_same_record: Whether the platform still lists the very record that was fetched.
    """

    seq: int
    path: str
    size_bytes: int | None
    mtime_ns: int | None
    is_same_record: bool | None


def is_same_record(remote: RemoteFile, known: KnownFile) -> bool:
    """Return whether the platform still lists the very record that was fetched.

    Args:
        remote: The file as listed now.
        known: From the last manifest.
    """
    return (remote.file_id, remote.version) == (known.file_id, known.version)


def is_directory_marker(file: RemoteFile) -> bool:
    """Return whether a file is an empty object `folder/`, as S3 consoles make it to show an empty folder."""
    return file.size_bytes == 0 and file.relative_path.endswith("/") and file.relative_path != "/"


def place_of(relative_path: str) -> str:
    """Return what names one place on any filesystem: case and Unicode form fold together.

    Two files of one place would overwrite each other on a case-insensitive or normalising
    filesystem.
    """
    if relative_path.isascii():
        return relative_path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", relative_path).casefold())
