"""Which relative paths are safe to write to, compare or remove: one rule for listings, manifests, logs and removal.

Paths are judged by the rules of every platform at once, so that a dataset that is accepted here is accepted anywhere.
Nothing here touches the disk; `tree.LocalTree` applies the rule to a folder without following links.
"""

import re
from collections.abc import Collection

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\..*)?", re.IGNORECASE
)
# Most paths, in one match: no drive, and no part that starts with three letters that could be those of a reserved name.
_MAY_BE_RESERVED = "(?![CPANLcpanl][ORUPorup][NXLMTnxlmt])"
_IN_NAMES = "[A-Za-z0-9_+=,@%()~!#$&-]"
_PLAIN = re.compile(
    rf"(?![A-Za-z]:){_MAY_BE_RESERVED}(?:{_IN_NAMES}+(?:[. :]|/{_MAY_BE_RESERVED}))*{_IN_NAMES}+"
)


def unsafe_reason(relative_path: object) -> str | None:
    """Return why a path must not be touched below a destination, or None if it is safe.

    Args:
        relative_path: A path whose parts are separated by `/`. It may come from a listing, a manifest or a log, so that
            it may be of any type.

    Returns:
        A short reason, for `UNSAFE_PATH`.
    """
    if not isinstance(relative_path, str):
        return "the path is no text"
    if len(relative_path) <= MAX_NAME_BYTES and _PLAIN.fullmatch(relative_path):
        return None  # none of the rules can apply to it
    return _unsafe_path(relative_path)


def are_plain(relative_paths: Collection[str]) -> bool:
    """Return whether all of many paths are safe, at a glance: False means that each has to be judged.

    Args:
        relative_paths: The paths, which are texts.
    """
    longest = max(map(len, relative_paths), default=0)
    return longest <= MAX_NAME_BYTES and all(map(_PLAIN.fullmatch, relative_paths))


def _unsafe_path(relative_path: str) -> str | None:
    if not relative_path or relative_path.startswith(("/", "\\")) or _DRIVE.match(relative_path):
        return "the path is empty or absolute"
    if "\\" in relative_path:
        return "the path contains a backslash, which separates folders on Windows"
    if _CONTROL.search(relative_path):
        return "the path contains a control character"
    try:
        path_bytes = relative_path.encode()
    except UnicodeEncodeError:
        return "the path is not valid Unicode"
    if len(path_bytes) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    return next(filter(None, map(_unsafe_name, relative_path.split("/"))), None)


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
