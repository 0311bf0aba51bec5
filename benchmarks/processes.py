"""Programs that others started, and the CPU time that they took, from `/proc`."""

import contextlib
import os
import pathlib
from collections.abc import Iterable


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of some processes and of those that they have started and that still run.

    Args:
        pids: The processes. What the system does not report counts as 0.
    """
    return sum(_cpu_seconds(pid) + cpu_seconds(children(pid)) for pid in pids)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run; none where the system does not report them."""
    found: list[int] = []
    for each in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):  # a file a thread
        with contextlib.suppress(OSError):
            found += map(int, each.read_text(encoding="ascii").split())
    return found


def _cpu_seconds(pid: int) -> float:
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return 0.0
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
