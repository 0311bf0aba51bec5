"""Waits for sockets, and for other threads."""

import contextlib
import select
import selectors
import socket
from typing import Protocol

# With fewer at a time, libcurl's timer comes between them and reads connections in vain.
_MOST_EVENTS = 256

READ = 1
WRITE = 2
"""The bits of libcurl's `CURL_CSELECT_*`."""


class Poller(Protocol):
    """A set of sockets to wait for."""

    def watch(self, fd: int, wanted: int) -> None:
        """Wait for this from now on, and for nothing else of that socket.

        Args:
            fd: The socket.
            wanted: `READ`, `WRITE`, or both.
        """
        ...

    def forget(self, fd: int) -> None:
        """Wait for it no more; it may be closed already."""
        ...

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return sockets and what they are ready for."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def make_poller() -> Poller:
    """Make the best there is on this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()


class EpollPoller:
    """Linux's epoll, without the records that `selectors` keeps: they cost a tenth of a request.

    libcurl forgets a socket after each answer, and watches it again for the next request a moment
    later. So sockets are taken out only before a wait that may last.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._masks = {READ: select.EPOLLIN, WRITE: select.EPOLLOUT}
        self._masks[READ | WRITE] = select.EPOLLIN | select.EPOLLOUT
        self._forgotten: set[int] = set()

    def watch(self, fd: int, wanted: int) -> None:
        """Wait for this from now on, and for nothing else of that socket.

        Args:
            fd: The socket.
            wanted: `READ`, `WRITE`, or both.
        """
        mask = self._masks[wanted]
        if fd in self._forgotten:
            self._forgotten.remove(fd)
            # In any case: it may be another socket by now, which has the number of one closed.
            try:
                self._epoll.modify(fd, mask)
            except FileNotFoundError:
                self._epoll.register(fd, mask)
            return
        try:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Wait for it no more; it may be closed already."""
        self._forgotten.add(fd)

    def _take_out_forgotten(self) -> None:
        while self._forgotten:
            with contextlib.suppress(OSError):  # closed, which took it out of the set
                self._epoll.unregister(self._forgotten.pop())

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return sockets and what they are ready for; with a timeout of 0, perhaps forgotten ones too."""
        if timeout_seconds != 0.0 and self._forgotten:
            self._take_out_forgotten()
        ready = self._epoll.poll(timeout_seconds, _MOST_EVENTS)
        # EPOLLIN is 1 and EPOLLOUT 4; errors and hang-ups are found by reading.
        return [(fd, (1 if event & ~4 else 0) | (2 if event & 4 else 0)) for fd, event in ready]

    def close(self) -> None:
        """Free what it holds."""
        self._epoll.close()


class SelectorPoller:
    """Any platform's selector."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, wanted: int) -> None:
        """Wait for this from now on, and for nothing else of that socket.

        Args:
            fd: The socket.
            wanted: `READ`, `WRITE`, or both.
        """
        events = (selectors.EVENT_READ if wanted & READ else 0) | (
            selectors.EVENT_WRITE if wanted & WRITE else 0
        )
        self.forget(fd)
        self._selector.register(fd, events)

    def forget(self, fd: int) -> None:
        """Wait for it no more; it may be closed already."""
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError, OSError):
            return

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return sockets and what they are ready for."""
        ready = self._selector.select(timeout_seconds)
        return [
            (
                key.fd,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in ready
        ]

    def close(self) -> None:
        """Free what it holds."""
        self._selector.close()


class Waker:
    """Lets other threads end a wait; a pair of sockets, since Windows waits for nothing else.

    Attributes:
        fd: What to watch.
    """

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self.fd = self._near.fileno()

    def wake(self) -> None:
        """End the wait, now or next time."""
        try:
            self._far.send(b"\0")
        except (
            BlockingIOError,
            OSError,
        ):  # it is awake, or has been closed
            return

    def drain(self) -> None:
        """Take the wake-ups in."""
        try:
            while len(self._near.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close both ends."""
        self._near.close()
        self._far.close()
