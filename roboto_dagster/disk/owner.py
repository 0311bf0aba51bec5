"""Who owns a temporary file: its name refers to the record of a run, and the record to a process.

```
.<target>-<token>-<serial>.part                  the file, while it is written
.<target>-<token>-<serial>.parts.part            the log of its parts, see `resume_log`
.<target>-<token>-<serial>-released[.parts].part left for the next attempt or run
```

A name alone proves nothing: anybody may have made a file of that form. A file counts as ours only if the destination has
a record with its token which names its folder (`run_record`), and as abandoned only if the record's process is.
"""

import functools
import hashlib
import itertools
import os
import pathlib
import re
import socket
from typing import Literal, NamedTuple

SUFFIX = ".part"

HEARTBEAT_SECONDS = 20.0
"""How often a living run touches its record."""

SILENT_AFTER_SECONDS = 180.0
"""A run whose process cannot be seen from here counts as alive if its record was touched within so many seconds."""

_MAX_PID = 2**31 - 1
_RELEASED = "-released"
_NAME = re.compile(
    rf"\.([0-9a-f]{{12}})-([0-9a-f]{{16}})-[0-9a-f]{{8}}({_RELEASED})?(\.parts)?\.part"
)
_START_TIME_FIELD = 19  # of /proc/<pid>/stat after the command name, see proc_pid_stat(5)
_GONE = ("Z", "X")  # killed, and perhaps never waited for

# Counted, not random: within a run that is enough, and it costs no system call for a small file.
_serial = itertools.count(int.from_bytes(os.urandom(2), "big") << 16)

Liveness = Literal["alive", "dead", "silent"]
"""`dead` is certain. `silent` is presumed: its process cannot be seen, and it did not touch its record for minutes."""


class TemporaryName(NamedTuple):
    """What the name of a temporary file consists of.

    Attributes:
        target: Hash of the final name.
        token: Of the run whose record proves the ownership.
        is_released: Whether its writer has closed it finally.
        is_log: Whether it is the log of a file's parts.
    """

    target: str
    token: str
    is_released: bool
    is_log: bool


def new_token() -> str:
    """Return a token for a run, which no other run anywhere has."""
    return os.urandom(8).hex()


def new_name(final_name: str, token: str) -> str:
    """Return a new temporary name.

    Args:
        final_name: The name under which the file will be published.
        token: Of the run that writes it.
    """
    return f".{target_of(final_name)}-{token}-{next(_serial) & 0xFFFFFFFF:08x}{SUFFIX}"


def released_name(temporary_name: str) -> str:
    """Return the name of a temporary file after its writer has closed it finally."""
    return temporary_name.removesuffix(SUFFIX).removesuffix(_RELEASED) + _RELEASED + SUFFIX


def target_of(final_name: str) -> str:
    """Return the hash by which a temporary name refers to its target."""
    return hashlib.blake2s(os.fsencode(final_name), digest_size=6).hexdigest()


def parse_name(name: str) -> TemporaryName | None:
    """Return the parts of a temporary name; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    target, token, released, log = match.groups()
    return TemporaryName(target, token, released is not None, log is not None)


class Owner(NamedTuple):
    """A process, named so that no other one has the same name.

    Attributes:
        host: The name of its host or container.
        boot_id: Of its kernel since the last start; empty where the system has none.
        pid_namespace: In which its number counts; empty where the system has none.
        pid: Its number.
        start: When it started, in the system's own unit; 0 where the system does not report it.
    """

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start: int


def this_process() -> Owner:
    """Return the owner of what this process writes."""
    return _process(os.getpid())


@functools.lru_cache(maxsize=2)
def _process(pid: int) -> Owner:
    state = _read_state("self")
    return Owner(socket.gethostname(), _boot_id(), _pid_namespace(), pid, state[1] if state else 0)


def parse_owner(fields: object) -> Owner | None:
    """Return the owner that a record names, or None if the record is damaged.

    Args:
        fields: What was read, of any type.
    """
    match fields:
        case {
            "host": str(host),
            "boot_id": str(boot_id),
            "pid_namespace": str(namespace),
            "pid": int(pid),
            "start": int(start),
        } if 0 < pid <= _MAX_PID and not isinstance(pid, bool):
            return Owner(host, boot_id, namespace, pid, start)
    return None


def liveness(owner: Owner, beat_age_seconds: float) -> Liveness:
    """Return whether a process may still write.

    Args:
        owner: The process.
        beat_age_seconds: How long ago it touched its record. A time far in the future is as good as none.
    """
    if _can_look_at(owner):
        is_running = _is_running(owner)
        if is_running is not None:
            return "alive" if is_running else "dead"
    return "alive" if abs(beat_age_seconds) < SILENT_AFTER_SECONDS else "silent"


def _can_look_at(owner: Owner) -> bool:
    """Return whether the owner's number means the same process here as there."""
    here = this_process()
    if os.name == "nt":  # there, signal 0 would not be harmless
        return False
    if not here.boot_id:
        return (owner.host, owner.boot_id) == (here.host, "")
    if not here.pid_namespace:
        return False
    return (owner.boot_id, owner.pid_namespace) == (here.boot_id, here.pid_namespace)


def _is_running(owner: Owner) -> bool | None:
    """Return whether the process runs; None if the system does not report it (hidepid, macOS)."""
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's: there is one of that number
        pass
    state = _read_state(str(owner.pid)) if _proc_numbers_are_ours() else None
    if state is None or not owner.start:
        return None
    # Numbers are used again; with its start a process is named uniquely.
    return state[0] not in _GONE and state[1] == owner.start


def _proc_numbers_are_ours() -> bool:
    """Return whether /proc counts processes as this one does; a new namespace may still see the old /proc."""
    try:
        return str(pathlib.Path("/proc/self").readlink()) == str(os.getpid())
    except OSError:
        return False


def _read_state(pid: str) -> tuple[str, int] | None:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return fields[0], int(fields[_START_TIME_FIELD])
    except (OSError, IndexError, ValueError):
        return None


@functools.lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _pid_namespace() -> str:
    try:
        return str(pathlib.Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
