"""How many logs can be decoded side by side on this machine."""

import os
import pathlib
import sys

BYTES_PER_PROCESS = 512 * 1024 * 1024
"""What one process needs at most, with some room: decoding takes up to 400 MiB."""

MOST = 16
"""Beyond it the disk decides."""

_CGROUP = pathlib.Path("/sys/fs/cgroup")
_MEMORY = pathlib.Path("/proc/meminfo")


def affordable_processes(*, cgroup: pathlib.Path = _CGROUP, memory: pathlib.Path = _MEMORY) -> int:
    """Return how many processes have a processor and enough memory, by what the system and its container report.

    Args:
        cgroup: Where the limits of the container are.
        memory: Where the system reports its memory.
    """
    found = [MOST, _processors()]
    quota = _cpu_quota(cgroup)
    if quota is not None:
        found.append(quota)
    free = [each for each in (_system_bytes(memory), _container_bytes(cgroup)) if each is not None]
    found += [each // BYTES_PER_PROCESS for each in free]
    return max(1, min(found))


def are_addresses_limited() -> bool:
    """Return whether each process may have so many addresses only (`ulimit -v`)."""
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_quota(cgroup: pathlib.Path) -> int | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()[:2]
        return max(1, int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):  # `max`: no limit
        return None


def _container_bytes(cgroup: pathlib.Path) -> int | None:
    """Return what the container may still take; files in the page cache make room when it is needed."""
    try:
        limit = int((cgroup / "memory.max").read_text("ascii"))
        used = int((cgroup / "memory.current").read_text("ascii"))
        lines = (cgroup / "memory.stat").read_text("ascii").splitlines()
        cached = sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ",)))
    except (OSError, ValueError, IndexError):
        return None
    return max(0, limit - used + cached)


def _system_bytes(memory: pathlib.Path) -> int | None:
    try:
        lines = memory.read_text("ascii").splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
