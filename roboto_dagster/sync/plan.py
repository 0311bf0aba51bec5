"""Decides what becomes of every file of a scope: fetch, keep or refuse. Touches neither network nor
disk.

Paths are judged by the rules of every platform at once, so that a dataset that arrives here arrives
anywhere.
"""

import dataclasses
import re
import unicodedata
from typing import Literal

from roboto_dagster.platform.files import RemoteFile

Action = Literal["fetch", "keep", "refuse"]

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\..*)?", re.IGNORECASE
)


_PLAIN = re.compile(r"(?:[A-Za-z0-9_-]+[./])*[A-Za-z0-9_-]+")
_MAY_BE_RESERVED = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com|lpt)", re.IGNORECASE)


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


def unsafe_reason(relative_path: str) -> str | None:
    """Tells why a path from the platform must not be written here, or None if it is safe.

    Args:
        relative_path: As the platform gives it; `/` separates its parts.
    """
    return None if _is_plain(relative_path) else _unsafe_path(relative_path)


def _unsafe_path(relative_path: str) -> str | None:
    if not relative_path or relative_path.startswith(("/", "\\")) or _DRIVE.match(relative_path):
        return "the path is empty or absolute"
    if "\\" in relative_path:
        return "the path holds a backslash, which separates folders on Windows"
    if _CONTROL.search(relative_path):
        return "the path holds a control character"
    try:
        path_bytes = relative_path.encode()
    except UnicodeEncodeError:
        return "the path is no valid Unicode"
    if len(path_bytes) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    return next(filter(None, map(_unsafe_name, relative_path.split("/"))), None)


def _is_plain(relative_path: str) -> bool:
    """Tells of most paths, with two looks, that none of the rules can apply to them."""
    return (
        len(relative_path) <= MAX_NAME_BYTES
        and _PLAIN.fullmatch(relative_path) is not None
        and _MAY_BE_RESERVED.search(relative_path) is None
    )


def _unsafe_name(name: str) -> str | None:
    if name in ("", ".", ".."):
        return f"the path has a part {name!r}"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"a name in it is longer than {MAX_NAME_BYTES} bytes"
    if name[-1] in ". ":
        return "a name in it ends with a dot or a space, which Windows drops"
    if _RESERVED.fullmatch(name):
        return f"the name {name!r} is reserved on Windows"
    return None


def place_of(relative_path: str) -> str:
    """Returns what names one place on any filesystem: case and Unicode form fold together.

    Two files of one place would overwrite each other on a case-insensitive or normalising
    filesystem.
    """
    if relative_path.isascii():
        return relative_path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", relative_path).casefold())
