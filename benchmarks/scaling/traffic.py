"""Counts requests and connections in the log of nginx."""

import dataclasses
import pathlib
import time
from collections import defaultdict
from collections.abc import Collection

LOG_FORMAT = "$server_port $connection"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one server was asked.

    Attributes:
        requests: How many requests it has answered.
        connections: On how many connections they came.
    """

    requests: int
    connections: int


class TrafficLog:
    """The log of a running nginx, from the last call of `start` on.

    Args:
        path: Its file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._offset = 0

    def start(self) -> None:
        """Forget what was logged so far."""
        self._offset = self._settled_size()

    def of(self, ports: Collection[int]) -> Traffic:
        """Count what was asked since `start`.

        Args:
            ports: Of the server.
        """
        self._settled_size()
        requests, connections = 0, defaultdict[int, set[str]](set)
        with self._path.open(encoding="ascii") as file:
            file.seek(self._offset)
            for line in file:
                port, connection = line.split()
                if int(port) in ports:
                    requests += 1
                    connections[int(port)].add(connection)
        return Traffic(requests=requests, connections=sum(map(len, connections.values())))

    def _settled_size(self) -> int:
        """Wait until no request that has been answered is still to be logged; return the size."""
        size = -1
        while (now := self._path.stat().st_size) != size:
            size = now
            time.sleep(0.05)
        return size
