"""Which runs left a record at a destination and do not write any more; records are untrusted."""

import json
import os
import pathlib
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from roboto_dagster.disk import owner
from roboto_dagster.disk.folder import Folder
from roboto_dagster.disk.local_file import open_in
from roboto_dagster.disk.paths import unsafe_reason

RUNS = pathlib.PurePath(".roboto", ".runs")
"""The folder of the records, relative to a destination."""

MAX_RECORD_BYTES = 256 * 1024 * 1024
"""A larger record is ignored; a line for each of two million folders is shorter."""

_NAME = re.compile(r"([0-9a-f]{16})\.jsonl")


class AbandonedRun(NamedTuple):
    """A run that ended without cleaning up.

    Attributes:
        token: By which its files are named.
        is_certain: Whether it is certainly dead; otherwise it is presumed so, and may still have its files open.
        scopes: What it wrote.
        folders: Where, relative to the destination.
    """

    token: str
    is_certain: bool
    scopes: frozenset[str]
    folders: tuple[str, ...]


def record_name(token: str) -> str:
    """Return the name of a run's record."""
    return f"{token}.jsonl"


def find_abandoned(folder: Folder, now: float, living: Collection[str]) -> list[AbandonedRun]:
    """Return the runs that left a record and do not write any more.

    Args:
        folder: The folder of the records.
        now: The time by the clock of its filesystem, in seconds since the epoch.
        living: Tokens of the runs of this process.

    Raises:
        OSError: It cannot be listed.
    """
    matches = list(filter(None, map(_NAME.fullmatch, folder.names())))
    tokens = [each.group(1) for each in matches if each.group(1) not in living]
    found = [_read(folder, token, now) for token in tokens]
    return [run for run in found if run is not None]


def _read(folder: Folder, token: str, now: float) -> AbandonedRun | None:
    """Read a record; None if its run may still write, or if it cannot be read."""
    try:
        fd = open_in(folder, record_name(token), os.O_RDONLY, max_bytes=MAX_RECORD_BYTES)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        return _parse_record(token, file, now - os.fstat(fd).st_mtime)


def _parse_record(token: str, lines: Iterator[bytes], age_seconds: float) -> AbandonedRun | None:
    process = owner.parse_owner(_parse(next(lines, b"")))
    if process is None:  # killed before it had written a line, or damaged: it proves nothing
        is_silent = abs(age_seconds) >= owner.SILENT_AFTER_SECONDS
        return (
            AbandonedRun(token, is_certain=False, scopes=frozenset(), folders=())
            if is_silent
            else None
        )
    scopes: set[str] = set()
    folders: dict[str, None] = {}
    has_ended = False
    for line in lines:
        match _parse(line):
            case {"scope": str(scope)}:
                scopes.add(scope)
            case {"folder": str(folder)} if not folder or unsafe_reason(folder) is None:
                folders[folder] = None
            case {"ended": True}:
                has_ended = True
    state = "dead" if has_ended else owner.liveness(process, age_seconds)
    if state == "alive":
        return None
    return AbandonedRun(token, state == "dead", frozenset(scopes), tuple(folders))


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
