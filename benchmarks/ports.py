"""Ports of this machine for servers that take the number of theirs as an argument."""

import contextlib
import pathlib
import random
import socket

_FIRST = 20_000  # above those that browsers refuse to open
_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_END = 32_768


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all of them different.

    They lie below those that the system gives to connections, and to servers that ask for any port: until a server
    has started, which may take seconds, nobody gets its port by chance.

    Args:
        count: How many.
    """
    candidates = list(range(_FIRST, _end()))
    random.shuffle(candidates)
    with contextlib.ExitStack() as stack:
        return [_probe(stack, candidates) for _ in range(count)]


def _probe(stack: contextlib.ExitStack, candidates: list[int]) -> int:
    """Take the next candidate that is free, or any port if there is none; hold it until the stack is left."""
    while True:
        probe = stack.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", candidates.pop() if candidates else 0))
            return int(probe.getsockname()[1])


def _end() -> int:
    """Return the first port that the system gives away by itself."""
    with contextlib.suppress(OSError, ValueError):
        return int(_RANGE.read_text(encoding="ascii").split()[0])
    return _USUAL_END
