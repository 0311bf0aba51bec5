"""Whose a temporary file is, told by its name alone: locks are faked by some network filesystems.

```
.<target>-<host>-<process>-<start>-<random>.part
```

A name holds a hash of the final name, and the host, process and start of the process that writes it. So a later run can
tell a file that is being written from one whose process died, and find the one that was for the same target.
"""

import functools
import hashlib
import itertools
import os
import pathlib
import re
import socket
import time
from typing import NamedTuple

SUFFIX = ".part"

FOREIGN_AGE_SECONDS = 24 * 3600.0
"""A file of another host counts as given up when it was not written to for so long."""

# Counted, not random: within a process that is enough, and it costs no system call for a small file.
_serial = itertools.count(int.from_bytes(os.urandom(2), "big") << 16)
_NOBODY = 0
_NAME = re.compile(
    r"\.([0-9a-f]{12})-([0-9a-f]{8})-([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]{8})(?:\.parts)?\.part"
)
_START_TIME_FIELD = 19  # of /proc/<pid>/stat after the command name, see proc_pid_stat(5)


class Temporary(NamedTuple):
    """What the name of a temporary file tells.

    Attributes:
        target: Hash of the final name.
        host: Hash of the host's name.
        pid: The process that writes it.
        start: When that process started, in the system's own unit; 0 where it is not told.
    """

    target: str
    host: str
    pid: int
    start: int


def new_name(final_name: str) -> str:
    """Returns a fresh temporary name, owned by this process, for a file of this final name."""
    pid = os.getpid()
    return _name_of(final_name, _owner(pid, _own_start(pid)))


def released_name(final_name: str) -> str:
    """Returns a fresh temporary name that no living process owns, for what the next run may go on with."""
    return _name_of(final_name, _owner(_NOBODY, os.getpid()))


def _name_of(final_name: str, owner: str) -> str:
    return f".{target_of(final_name)}-{owner}-{next(_serial) & 0xFFFFFFFF:08x}{SUFFIX}"


@functools.lru_cache(maxsize=2)
def _owner(pid: int, start: int) -> str:
    return f"{_host()}-{pid:x}-{start:x}"


def target_of(final_name: str) -> str:
    """Returns the hash by which a temporary name tells its target."""
    return hashlib.blake2s(os.fsencode(final_name), digest_size=6).hexdigest()


def parse_name(name: str) -> Temporary | None:
    """Takes a temporary name apart; None for any other name, such as a user's own."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    target, host, pid, start, _ = match.groups()
    return Temporary(target, host, int(pid, 16), int(start, 16))


def is_alive(temporary: Temporary, modified_at: float, now: float | None = None) -> bool:
    """Tells whether a temporary file may still be written to.

    Args:
        temporary: From its name.
        modified_at: Its modification time, seconds since the epoch.
        now: The time, seconds since the epoch.
    """
    if temporary.pid == _NOBODY:
        return False
    if temporary.host != _host() or os.name == "nt":  # there, signal 0 would not be harmless
        return (time.time() if now is None else now) - modified_at < FOREIGN_AGE_SECONDS
    return _is_running(temporary.pid) and _start_of(temporary.pid) == temporary.start


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's, or the platform cannot tell
        return True
    return True


@functools.lru_cache(maxsize=1)
def _host() -> str:
    return hashlib.blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()


def _start_of(pid: int) -> int:
    """Process ids are used again; with its start a process has a name of its own. Linux tells it."""
    if pid == os.getpid():
        return _own_start(pid)
    return _read_start(pid)


@functools.lru_cache(maxsize=2)
def _own_start(pid: int) -> int:
    return _read_start(pid)


def _read_start(pid: int) -> int:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[_START_TIME_FIELD])
