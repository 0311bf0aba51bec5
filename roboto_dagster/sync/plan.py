"""Decides what becomes of every file of a scope: fetch, keep or refuse. Touches neither network nor
disk.

Paths are judged by `disk.paths`.
"""

import dataclasses
import unicodedata
from typing import Literal

from roboto_dagster.platform.files import RemoteFile

Action = Literal["fetch", "keep", "refuse"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """What the last manifest says of a file that was whole then.

    Attributes:
        file_id: The platform's id.
        version: Revision of the record that was fetched.
        size_bytes: Size on disk when it was published.
        mtime_ns: Modification time on disk when it was published.
    """

    file_id: str
    version: int
    size_bytes: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """What lies at the destination now.

    Attributes:
        size_bytes: Its size.
        mtime_ns: Its modification time.
        is_regular: Whether it is a plain file, neither link, folder nor device.
    """

    size_bytes: int
    mtime_ns: int
    is_regular: bool


def decide(remote: RemoteFile, known: KnownFile | None, local: LocalFile | None) -> Action:
    """Decides about one file with a safe path.

    Args:
        remote: The file as listed now.
        known: What the last manifest says, if the file was whole then.
        local: What lies there now, if anything.

    Returns:
        `keep` only if neither the record nor the local file has changed since it was published.
    """
    if known is None or local is None or not local.is_regular:
        return "fetch"
    same_record = (remote.file_id, remote.version) == (known.file_id, known.version)
    same_content = (local.size_bytes, local.mtime_ns) == (known.size_bytes, known.mtime_ns)
    return "keep" if same_record and same_content else "fetch"


def place_of(relative_path: str) -> str:
    """Returns what names one place on any filesystem: case and Unicode form fold together.

    Two files of one place would overwrite each other on a case-insensitive or normalising
    filesystem.
    """
    if relative_path.isascii():
        return relative_path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", relative_path).casefold())
