"""A bare libcurl multi loop: `python -m benchmarks.contenders.bare JOB THREADS`.

The bound of what libcurl does from Python: it signs, fetches and writes, and checks nothing; no
retries, no temporary names, no verdict. Files belong to one thread each.
"""

import os
import pathlib
import select
import sys
import threading
import time
from collections import deque
from typing import Any

import pycurl

from benchmarks.contenders.job import ACCESS_KEY, PART_BYTES, SECRET_KEY, Job, run
from benchmarks.shapes import BUCKET

_HEADERS = ["x-amz-content-sha256: UNSIGNED-PAYLOAD"]
_EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


class File:
    """One file, open while any range of it is missing."""

    __slots__ = ("descriptor", "left", "path", "url")

    def __init__(self, url: str, path: pathlib.Path, ranges: int) -> None:
        self.url = url
        self.path = path
        self.left = ranges
        self.descriptor = -1

    def open(self) -> int:
        """Returns its descriptor."""
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o666)
        return self.descriptor

    def range_ended(self) -> None:
        """Closes it after its last range."""
        self.left -= 1
        if not self.left:
            os.close(self.descriptor)


class Handle:
    """An easy handle, used again and again."""

    __slots__ = ("curl", "descriptor", "file", "offset")

    def __init__(self, ca_bundle: str) -> None:
        self.file: File | None = None
        self.descriptor = -1
        self.offset = 0
        curl = self.curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.AWS_SIGV4, "aws:amz:us-east-1:s3")
        curl.setopt(pycurl.USERPWD, f"{ACCESS_KEY}:{SECRET_KEY}")
        curl.setopt(pycurl.HTTPHEADER, _HEADERS)
        curl.setopt(pycurl.CAINFO, ca_bundle)
        curl.setopt(pycurl.BUFFERSIZE, 512 * 1024)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.FAILONERROR, 1)
        curl.setopt(pycurl.WRITEFUNCTION, self._write)

    def start_range(self, file: File, start: int, size: int) -> None:
        """Points it at a range."""
        self.file, self.offset, self.descriptor = file, start, file.open()
        self.curl.setopt(pycurl.URL, file.url)
        if size > PART_BYTES:
            self.curl.setopt(pycurl.RANGE, f"{start}-{min(start + PART_BYTES, size) - 1}")

    def _write(self, data: bytes) -> None:
        os.pwrite(self.descriptor, data, self.offset)
        self.offset += len(data)


class Loop:
    """One multi handle, driven by its sockets."""

    def __init__(
        self, ranges: "deque[tuple[File, int, int]]", connections: int, ca_bundle: str
    ) -> None:
        self._ranges = ranges
        self._connections = connections
        self._ca_bundle = ca_bundle
        self._idle: list[Handle] = []
        self._active: dict[pycurl.Curl, Handle] = {}
        self._due: float | None = None
        self._epoll = select.epoll()
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_MAXCONNECTS, connections)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self.error: Exception | None = None

    def run(self) -> None:
        """Fetches all ranges."""
        try:
            self._start()
            while self._active:
                self._turn()
        except Exception as error:  # noqa: BLE001 - the thread's border
            self.error = error

    def _turn(self) -> None:
        timeout = -1.0 if self._due is None else max(0.0, self._due - time.monotonic())
        for descriptor, event in self._epoll.poll(timeout, 256):
            self._multi.socket_action(
                descriptor, (1 if event & ~4 else 0) | (2 if event & 4 else 0)
            )
        # After the wait: what a timer ends must be collected before the next one.
        if self._due is not None and self._due <= time.monotonic():
            self._due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        more = True
        while more:
            more = self._collect()
        self._start()

    def _collect(self) -> bool:
        left, good, bad = self._multi.info_read()
        if bad:
            raise OSError(bad[0][2])
        for curl in good:
            handle = self._active.pop(curl)
            self._multi.remove_handle(curl)
            if handle.file is not None:
                handle.file.range_ended()
            self._idle.append(handle)
        return bool(left)

    def _start(self) -> None:
        while self._ranges and len(self._active) < self._connections:
            handle = self._idle.pop() if self._idle else Handle(self._ca_bundle)
            handle.start_range(*self._ranges.popleft())
            self._active[handle.curl] = handle
            self._multi.add_handle(handle.curl)

    def _on_socket(self, what: int, descriptor: int, _multi: Any, _data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                return
        else:
            try:
                self._epoll.register(descriptor, _EVENTS[what])
            except FileExistsError:
                self._epoll.modify(descriptor, _EVENTS[what])

    def _on_timer(self, timeout_ms: int) -> None:
        self._due = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000


def fetch(job: Job) -> None:
    """Fetches everything with so many loops."""
    threads = int(sys.argv[2])
    connections = (32 if job.shape.size_bytes > PART_BYTES else 256) // threads
    queues: list[deque[tuple[File, int, int]]] = [deque() for _ in range(threads)]
    for number, path in enumerate(job.shape.paths()):
        queues[number % threads].extend(_ranges(job, path))
    loops = [Loop(queue, connections, job.ca_bundle) for queue in queues]
    others = [threading.Thread(target=loop.run) for loop in loops[1:]]
    for other in others:
        other.start()
    loops[0].run()
    for other in others:
        other.join()
    for loop in loops:
        if loop.error is not None:
            raise loop.error


def _ranges(job: Job, path: str) -> "list[tuple[File, int, int]]":
    target = pathlib.Path(job.destination, path)
    if not target.parent.exists():
        target.parent.mkdir(parents=True)
    starts = range(0, job.shape.size_bytes, PART_BYTES)
    file = File(f"{job.url}/{BUCKET}/{job.shape.name}/{path}", target, len(starts))
    return [(file, start, job.shape.size_bytes) for start in starts]


if __name__ == "__main__":
    run(fetch)
