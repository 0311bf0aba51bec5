"""libcurl's multi interface, driven by our own wait for sockets."""

import time
from collections.abc import Iterator

import pycurl

from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.curl.poller import READ, WRITE, Poller, Waker, make_poller
from roboto_dagster.fs.curl.write_buffer import WriteBuffer

NEVER = float("inf")

_WANTED = {
    pycurl.POLL_IN: READ,
    pycurl.POLL_OUT: WRITE,
    pycurl.POLL_INOUT: READ | WRITE,
}


class Multi:
    """The transfers of one loop, and the sockets they wait for.

    libcurl is called only for sockets that have something.

    Args:
        waker: Ends a wait.
        max_connections: How many connections are kept open for later requests.
        buffer: Flushed after each socket.
        bandwidth: The bound on what all loops receive, or None.
    """

    def __init__(
        self,
        waker: Waker,
        max_connections: int,
        buffer: WriteBuffer,
        bandwidth: Bandwidth | None,
    ) -> None:
        self._bandwidth = bandwidth
        self._waker = waker
        self._buffer = buffer
        self.due = NEVER
        self._poller: Poller = make_poller()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max(max_connections, 4))
        self._poller.watch(waker.fd, READ)
        self.add = self._multi.add_handle
        self.remove = self._multi.remove_handle

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._poller.forget(fd)
        elif what in _WANTED:
            self._poller.watch(fd, _WANTED[what])

    def _on_timer(self, timeout_ms: int) -> None:
        self.due = NEVER if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Wait for sockets, the waker, or the time.

        Args:
            timeout_seconds: How long at most; None for as long as it takes.

        Returns:
            Sockets and what they are ready for.
        """
        return self._poller.wait(timeout_seconds)

    def perform(self, events: list[tuple[int, int]], now: float) -> None:
        """Have libcurl continue.

        Args:
            events: From `wait`.
            now: The loop's clock, in seconds.
        """
        socket_action, flush, waker_fd = (
            self._multi.socket_action,
            self._buffer.flush,
            self._waker.fd,
        )
        for fd, ready in events:
            if fd == waker_fd:
                self._waker.drain()
            else:
                socket_action(fd, ready)
                flush()
                if self._bandwidth is not None and self._bandwidth.is_owed:
                    break  # the others are reported again
        if self.due <= now:
            self.due = NEVER
            socket_action(pycurl.SOCKET_TIMEOUT, 0)
            flush()

    def ended(self) -> Iterator[tuple[pycurl.Curl, int, str]]:
        """Yield the handles that libcurl is done with, each with its `CURLcode` and a text."""
        while True:
            left, good, bad = self._multi.info_read()
            for curl in good:
                yield curl, 0, ""
            yield from bad
            if not left:
                return

    def close(self) -> None:
        """Free what it holds; no handle may be in it."""
        self._multi.close()
        self._poller.close()
