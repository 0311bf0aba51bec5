"""What a SIGKILL leaves on disk, what may befall it before the next run, and what that run has to find."""

import json
import os
import pathlib
import random
import shutil
from collections.abc import Collection
from typing import BinaryIO

from roboto_dagster.disk.abandoned import RUNS
from roboto_dagster.disk.owner import SILENT_AFTER_SECONDS, parse_name
from tests.simulation.ledger import bits
from tests.simulation.store import ModelStore

DEAD_PID = 2**31 - 1
"""A number that no process has: Linux gives none above 2**22."""

OWNERS = ("dead", "dead", "silent", "alive")
"""What the next run can find out about the killed one: as a process of another container, it may still live."""

_ELSEWHERE = "another container"
_LOG = ".parts.part"


def kill(folder: pathlib.Path, copy: pathlib.Path, owner: str) -> None:
    """Leaves in `copy` what a SIGKILL now would leave in a folder.

    Args:
        folder: Where a run writes.
        copy: A folder that does not exist yet.
        owner: One of `OWNERS`.
    """
    shutil.copytree(folder, copy, symlinks=True)
    for record in (copy / RUNS).glob("*"):
        first, *rest = record.read_text("utf-8").splitlines()
        fields = json.loads(first)
        if fields["pid"] == DEAD_PID or fields["host"] == _ELSEWHERE:  # of an earlier life
            continue
        fields |= (
            {"pid": DEAD_PID} if owner == "dead" else {"boot_id": _ELSEWHERE, "host": _ELSEWHERE}
        )
        record.write_text("\n".join([json.dumps(fields), *rest, ""]), encoding="utf-8")
        if owner == "silent":
            long_ago = record.stat().st_mtime - 2 * SILENT_AFTER_SECONDS
            os.utime(record, (long_ago, long_ago))


def damage(folder: pathlib.Path, dice: random.Random, foreign: Collection[str]) -> bool:
    """Damages one thing that is there for resuming; False if there is nothing.

    Args:
        folder: Where a killed run has written.
        dice: What is damaged, and how.
        foreign: Names of files of runs that may live, and are left alone.
    """
    # Not by name: those are drawn by the package, and no history could be repeated.
    logs = sorted(folder.glob(f".*{_LOG}"), key=lambda log: log.read_bytes())
    logs = [log for log in logs if log.name not in foreign]
    if not logs:
        return False
    log = dice.choice(logs)
    place = log if dice.random() < 0.3 else _file_of(log)
    data = place.read_bytes() if place.exists() else b""
    if not data:
        return False
    at = dice.randrange(len(data))
    kinds = [
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        data[:at],
        data + b'[0, 99999, "crc32c", "AAAAAA=="]\nnot JSON' * 10,
    ]
    if place == log:
        kinds.append(data.replace(b"[0, 64", b"[0, 65"))
    place.write_bytes(dice.choice(kinds))
    return True


class Writers:
    """Runs that were taken for dead, and still have their files open.

    Attributes:
        inodes: Of these files.
    """

    def __init__(self) -> None:
        self._files: list[BinaryIO] = []
        self.inodes: set[int] = set()

    def open(self, folder: pathlib.Path, names: Collection[str]) -> None:
        """Opens what a run writes to.

        Args:
            folder: Where it writes.
            names: Of its temporary files.
        """
        for name in sorted(names):
            if not name.endswith(_LOG):
                file = (folder / name).open("r+b")
                self._files.append(file)
                self.inodes.add(os.fstat(file.fileno()).st_ino)

    def write(self, data: bytes) -> None:
        """Writes to all of them.

        Args:
            data: From the beginning on.
        """
        for file in self._files:
            os.pwrite(file.fileno(), data, 0)

    def close(self) -> None:
        """Closes all of them."""
        for file in self._files:
            file.close()


def take_left(folder: pathlib.Path, names: Collection[str]) -> None:
    """Removes what can be resumed, as another run does that takes it.

    Args:
        folder: Where a run has written.
        names: Of the temporary files that it has left there.
    """
    for name in names:
        (folder / name).unlink(missing_ok=True)


def foreign_files(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns the temporary files in a folder that nobody has released, with their bytes."""
    names = [path.name for path in folder.glob(".*.part")]
    parsed = {name: parse_name(name) for name in names}
    return {
        name: (folder / name).read_bytes()
        for name, parts in parsed.items()
        if parts and not parts.is_released
    }


def logged(
    folder: pathlib.Path, store: ModelStore, foreign: Collection[str]
) -> dict[str, list[int]]:
    """Reads what can be resumed: for each file the bytes that a log names, and that are those of the current version.

    Args:
        folder: Where a run has written.
        store: Whose objects they are.
        foreign: Names of files of runs that may live, and are left alone.

    Returns:
        A set of bytes for each log of a file.
    """
    found: dict[str, list[int]] = {key: [] for key in store.objects}
    for log in folder.glob(f".*{_LOG}"):
        lines = [_parsed(line) for line in log.read_bytes().splitlines()]
        match lines and lines[0]:
            case [str(uri), int(size), str(etag)]:
                key = uri.rpartition("/")[2]
            case _:
                continue
        if key not in found or log.name in foreign:  # damaged, or somebody's
            continue
        history = store.objects[key]
        current = store.etag(history).get("etag", "").strip('"')
        if (size, etag) != (len(history.versions[-1]), current) or not _file_of(log).exists():
            continue
        found[key].append(_agreeing(lines[1:], _file_of(log).read_bytes(), history.versions[-1]))
    return found


def _agreeing(lines: list[object], data: bytes, version: bytes) -> int:
    longest: dict[int, int] = {}
    for line in lines:
        match line:
            case [int(start), int(stop), *_]:
                longest[start] = max(longest.get(start, 0), stop)
    agreeing = 0
    for start, stop in longest.items():
        if data[start:stop] == version[start:stop]:
            agreeing |= bits(start, min(stop, len(version)))
    return agreeing


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _file_of(log: pathlib.Path) -> pathlib.Path:
    return log.with_name(log.name.removesuffix(_LOG) + ".part")
