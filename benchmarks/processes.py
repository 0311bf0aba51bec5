"""The CPU time of programs that others started, from `/proc`."""

import os
import pathlib
from collections.abc import Iterable


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of some processes and of those that they have started and that still run.

    Args:
        pids: The processes. What the system does not report counts as 0.
    """
    return sum(_cpu_seconds(pid) + cpu_seconds(_children(pid)) for pid in pids)


def _cpu_seconds(pid: int) -> float:
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return 0.0
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    try:
        lists = list(pathlib.Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for each in lists for child in each.read_text(encoding="ascii").split()]
    except OSError:
        return []
