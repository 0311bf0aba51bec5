"""Ports of this machine, for the servers that tests start."""

import contextlib
import socket

from benchmarks.ports import free_ports

__all__ = ["can_connect", "free_port", "free_ports"]


def can_connect(port: int) -> bool:
    """Report whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    return free_ports(1)[0]
