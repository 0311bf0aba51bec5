"""What a client waits for, which another thread can end for good: a run that is cancelled waits for nothing.

```
 request ─► waits for its turn, or for its next attempt ─┬─ time is up ──► sent ─► waits for the answer ─┬──► answer
                                                         │                                               │
                                                         └─ `end` ────────► WaitEndedError ◄─────────────┘
```
"""

import contextlib
import socket
import threading
import weakref


class WaitEndedError(OSError):
    """A request waited for its turn, for another attempt or for its answer, and is not made any more."""

    def __str__(self) -> str:
        return "the request was given up, since the run was cancelled"


class Waits:
    """The waits of all threads of one client."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._sockets = weakref.WeakSet[socket.socket]()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds.

        Raises:
            WaitEndedError: The waits were ended, now or before.
        """
        if self._ended.wait(seconds):
            raise WaitEndedError

    def check(self) -> None:
        """Do nothing unless the waits were ended.

        Raises:
            WaitEndedError: They were.
        """
        if self._ended.is_set():
            raise WaitEndedError

    def cover(self, connection: object) -> None:
        """Let `end` end what is waited for on a connection, too.

        Args:
            connection: A socket; anything else, such as TLS within TLS, keeps to its own timeouts.
        """
        if not isinstance(connection, socket.socket):
            return
        with self._lock:
            self._sockets.add(connection)
        if self._ended.is_set():
            _shut_down(connection)

    def end(self) -> None:
        """End all waits, those under way and those to come."""
        self._ended.set()
        with self._lock:
            connections = list(self._sockets)
        for each in connections:
            _shut_down(each)


def end_waits(client: object) -> None:
    """End the waits of a client, if it is one whose waits can be ended.

    Args:
        client: One of ours, or a stand-in for it.
    """
    waits = getattr(client, "waits", None)
    if isinstance(waits, Waits):
        waits.end()


def _shut_down(connection: socket.socket) -> None:
    """Wake the thread that reads a connection; it closes it."""
    with contextlib.suppress(OSError):  # closed meanwhile
        # Not the method of a TLS socket, which would take the session away from the thread that uses it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
