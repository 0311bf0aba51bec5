"""The thread that drives libcurl's multi interface: starts requests, hears of their ends, goes on.

Each file belongs to one loop, so nothing here needs a lock but the door by which others come in.
Sockets are watched by `poller.py`; libcurl is called only for those that have something.
"""

import concurrent.futures
import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import pycurl

from roboto_dagster.disk.folder import FolderCache
from roboto_dagster.disk.resume_log import Part
from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import PlatformError, from_os_error
from roboto_dagster.fs.core.checksums import ChecksumMismatchError, CrcDigest, verdict, verify_file
from roboto_dagster.fs.core.download import Download, Piece
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.resume import check_parts
from roboto_dagster.fs.core.scheduler import Scheduler
from roboto_dagster.fs.credentials import CredentialsError, LiveCredentials
from roboto_dagster.fs.curl.errors import Failure, from_answer, from_curl
from roboto_dagster.fs.curl.limits import StoreState
from roboto_dagster.fs.curl.poller import READ, WRITE, Poller, Waker, make_poller
from roboto_dagster.fs.curl.request import Request, quote_key
from roboto_dagster.fs.curl.write_buffer import WriteBuffer
from roboto_dagster.fs.object_store import Transfer

logger = logging.getLogger(__name__)

CANCELLED = Failure(code="CANCELLED", reason="the transfer was cancelled", remedy="fail")

_REPLAYS = 3
_OUTAGE_CODES = frozenset({"CONNECTION", "STALLED", "THROTTLED", "SERVER_ERROR"})
# What may heal by itself: then the next run goes on with the parts that came.
_MAY_GO_ON = _OUTAGE_CODES | {"CANCELLED", "CREDENTIALS_EXPIRED", "CREDENTIALS_INVALID", "NO_SPACE"}
_NEVER = float("inf")
_LOOK_AGAIN_SECONDS = 0.01
_T = TypeVar("_T")
_WANTED = {
    pycurl.POLL_IN: READ,
    pycurl.POLL_OUT: WRITE,
    pycurl.POLL_INOUT: READ | WRITE,
}


class CurlLoop:
    """One loop and its thread.

    Args:
        state: What the loops of the store share.
        index: The loop's number among them.
        bytes_in_flight: Bound on the bytes asked at once in large pieces.
        on_ended: Told how many files ended, after they did.
    """

    def __init__(
        self,
        state: StoreState,
        index: int,
        *,
        bytes_in_flight: int,
        on_ended: Callable[[int], None],
    ) -> None:
        self._state = state
        self._index = index
        self._settings = state.settings
        self._on_ended = on_ended
        self._scheduler = Scheduler(bytes_in_flight, state.settings.part_size_bytes)
        self._downloads: set[Download] = set()
        self._active: dict[pycurl.Curl, Request] = {}
        self._idle: list[Request] = []
        self._buffer = WriteBuffer()
        self._folders = FolderCache(state.folders_kept)
        self._readers: concurrent.futures.ThreadPoolExecutor | None = None
        self._curl_due = _NEVER
        self._watched_at = 0.0
        self._ended_count = 0
        self._now = 0.0
        # The door.
        self._lock = threading.Lock()
        self._arrivals: deque[Download] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._is_waiting = False
        self._is_short = False
        self._is_stopping = False
        self._is_over = False
        self._has_ended = threading.Event()
        self._bell = Waker()
        self._thread = threading.Thread(target=self._run, name="roboto-curl", daemon=True)

    # The door: for other threads

    def start(self) -> None:
        """Starts the thread."""
        self._state.broker.subscribe(self._wake)
        self._thread.start()

    def submit(self, download: Download) -> None:
        """Hands a file over."""
        with self._lock:
            if not self._is_over:
                self._arrivals.append(download)
                if self._is_waiting:
                    self._is_waiting = False  # once is enough: each ring takes the GIL from us
                    self._bell.ring()
                return
        self._refuse(download)

    def call(self, function: Callable[[], None]) -> None:
        """Has the loop call a function."""
        self._calls.append(function)
        self._bell.ring()

    def cancel(self, transfer: Transfer) -> None:
        """Ends one file."""
        self.call(lambda: self._cancel(lambda download: download.transfer is transfer))

    def cancel_all(self) -> None:
        """Ends all files."""
        self.call(lambda: self._cancel(lambda _: True))

    def stop(self) -> None:
        """Has the thread end once its last file has."""
        self._is_stopping = True
        self._wake()

    def join(self) -> None:
        """Waits for the thread; a signal handler that raises ends the wait."""
        # Not `Thread.join`: interrupted, it takes the thread for ended (CPython 3.10 to 3.12).
        while not self._has_ended.wait(0.5):
            pass
        self._thread.join()

    def _wake(self) -> None:
        self._bell.ring()

    # The thread

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # the thread's border: nobody may wait for ever
            logger.exception("The transfer loop broke")
            self._end_all(error)
        finally:
            self._state.broker.unsubscribe(self._wake)
            self._bell.close()
            self._has_ended.set()

    def _loop(self) -> None:
        self._poller: Poller = make_poller()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max(self._state.throttle.most, 4))
        self._poller.watch(self._bell.fd, READ)
        try:
            while not self._is_done():
                self._turn()
        finally:
            self._close()

    def _is_done(self) -> bool:
        if not self._is_stopping or self._downloads or self._arrivals or self._calls:
            return False
        with self._lock:
            self._is_over = not self._arrivals and not self._calls
        return self._is_over

    def _turn(self) -> None:
        events = self._wait()
        now = self._now = time.monotonic()
        socket_action, flush = self._multi.socket_action, self._buffer.flush
        for fd, ready in events:
            if fd == self._bell.fd:
                self._bell.hush()
            else:
                socket_action(fd, ready)
                flush()
        if self._curl_due <= now:
            self._curl_due = _NEVER
            socket_action(pycurl.SOCKET_TIMEOUT, 0)
            flush()
        self._collect()
        self._admit()
        self._launch()
        self._watch()
        self._tell_ended()

    def _wait(self) -> list[tuple[int, int]]:
        due = min(self._curl_due, self._scheduler.next_due)
        if self._active:
            due = min(due, self._watched_at + self._watch_interval)
        elif self._is_short:  # all connections are with the other loops, or the keys on their way
            due = min(due, self._now + _LOOK_AGAIN_SECONDS)
        if self._now < self._state.throttle.not_before:
            due = min(due, self._state.throttle.not_before)
        timeout = None if due == _NEVER else max(due - time.monotonic(), 0.0)
        self._is_waiting = True  # before looking: who comes after that rings the bell
        if self._arrivals or self._calls:
            timeout = 0.0
        events = self._poller.wait(timeout)
        self._is_waiting = False
        return events

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._poller.forget(fd)
        elif what in _WANTED:
            self._poller.watch(fd, _WANTED[what])

    def _on_timer(self, timeout_ms: int) -> None:
        self._curl_due = _NEVER if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    # Coming in

    def _admit(self) -> None:
        while self._arrivals:
            download = self._arrivals.popleft()
            self._downloads.add(download)
            download.one_stream = self._state.ignores_ranges
            if download.expected_size == 0:
                self._publish_empty(download)
            else:
                self._scheduler.add(download)
        while self._calls:
            self._calls.popleft()()
        if self._state.disk_full is not None:
            for download in self._scheduler.waiting():
                self._fail(download, self._state.disk_full)

    # Going out

    def _launch(self) -> None:
        if self._now < self._state.throttle.not_before:
            return
        keys: LiveCredentials | None = None
        connections = self._state.connections
        while len(self._active) < connections.room(self._index):
            piece = self._scheduler.next(self._now)
            if piece is None:
                break
            keys = keys or self._keys_for(piece)
            if keys is None:
                break
            # Sent at the next turn: what libcurl ends here would be heard of only after a wait.
            self._begin(piece, keys)
        self._is_short = self._scheduler.has_waiting
        connections.want(self._index, more=self._is_short)

    def _keys_for(self, piece: Piece) -> LiveCredentials | None:
        """Reads the keys; without any, nothing is begun before the broker's bell rings."""
        try:
            keys = self._state.broker.get_nowait()
        except PlatformError as error:
            self._fail_for_credentials(piece, error)
            return None
        if keys is None:
            self._scheduler.ended(piece)
            self._scheduler.again(piece)
        return keys

    def _fail_for_credentials(self, piece: Piece | None, error: PlatformError) -> None:
        failure = credentials_failure(error)
        while piece is not None:
            self._scheduler.ended(piece)
            self._fail(piece.download, failure)
            piece = self._scheduler.next(self._now)

    def _begin(self, piece: Piece, keys: LiveCredentials) -> None:
        download = piece.download
        if piece.first_try_at < 0:
            piece.first_try_at = self._now
        if download.began_at < 0:
            download.began_at = self._now
        endpoint = self._state.endpoints.get(download.bucket, keys.region)
        url = f"{endpoint.base_url}/{quote_key(download.key)}"
        request = self._idle.pop() if self._idle else self._new_request()
        request.begin(piece, keys, endpoint, url, self._state.skew_seconds)
        request.watch_from(self._now)
        self._active[request.curl] = request
        self._state.connections.use(self._index, len(self._active))
        self._multi.add_handle(request.curl)

    def _new_request(self) -> Request:
        return Request(self._settings, self._judge, self._buffer)

    def _judge(self, piece: Piece, head: Head) -> Failure | None:
        """Called as the head of an answer is there; makes the file ready for its body."""
        download = piece.download
        is_first = download.size is None
        failure = download.refuse(piece, head)
        if failure is not None:
            return failure
        left = self._open(download) if download.partial is None else []
        if left:
            self._check_parts(download, left)
        elif is_first and download.has_more:
            self._scheduler.add_ranges(download)
        return None

    def _open(self, download: Download) -> list[Part]:
        """Opens the temporary file; returns what a dead run left of this version."""
        return download.open(
            open_partial(
                download.destination, download.within, self._folders, self._settings.durability
            )
        )

    def _check_parts(self, download: Download, left: list[Part]) -> None:
        """Reads back what a dead run left, on another thread; meanwhile the front goes on."""
        fd, epoch = -1 if download.partial is None else download.partial.fd, download.epoch

        def go_on(checking: "concurrent.futures.Future[dict[Part, CrcDigest]]") -> None:
            if download.is_over or download.epoch != epoch:
                return
            if checking.exception() is None and download.go_on_with(checking.result()):
                self._finish(download)
            else:
                download.is_checking = False
                self._scheduler.add_ranges(download)

        checking = self._reading(check_parts, fd, left)
        checking.add_done_callback(lambda done: self.call(lambda: go_on(done)))

    # Coming back

    def _collect(self) -> None:
        while True:
            left, good, bad = self._multi.info_read()
            for curl in good:
                self._ended(curl, 0, "")
            for curl, number, message in bad:
                self._ended(curl, number, message)
            if not left:
                return

    def _ended(self, curl: pycurl.Curl, number: int, message: str) -> None:
        request = self._active.get(curl)
        if request is None or request.piece is None:  # aborted with another piece of its file
            return
        piece = request.piece
        try:
            failure = self._failure_of(request, piece, number, message)
            self._release(request)
            if failure is None:
                self._piece_ended(piece, request)
            else:
                self._recover(piece, failure, request)
        except Exception as error:  # noqa: BLE001 - a bug or a disk: this file's matter alone
            self._fail(piece.download, _local_failure(piece.download, error))

    def _failure_of(
        self, request: Request, piece: Piece, number: int, message: str
    ) -> Failure | None:
        if request.head is None and request.has_head and not number:
            request.read_head()  # an answer without a body
        if request.local_error is not None:
            return _local_failure(piece.download, request.local_error)
        if request.failure is not None:
            return request.failure
        if request.is_accepted and piece.is_whole:
            return None  # even if the connection broke then, or was cut by us
        if request.head is not None and request.head.status >= 300:
            keys = request.keys
            are_over = keys is not None and keys.expires_at <= time.time()
            return from_answer(request.head, bytes(request.body), keys_are_over=are_over)
        if number:
            return _failure_of_curl(request, piece.download, number, message)
        return piece.download.shortfall(piece)

    def _release(self, request: Request) -> None:
        """Takes the request out of libcurl, and its handle back."""
        del self._active[request.curl]
        self._state.connections.use(self._index, len(self._active))
        self._multi.remove_handle(request.curl)
        if request.piece is not None:
            self._scheduler.ended(request.piece)
        self._idle.append(request)

    def _piece_ended(self, piece: Piece, request: Request) -> None:
        request.forget()
        state = self._state
        state.last_success_at = self._now
        if state.throttle.limit < state.throttle.most:
            state.throttle.succeeded()
        if request.keys is not None:
            state.broker.mark_accepted(request.keys.generation)
        if not piece.is_stale and piece.download.piece_ended(piece):
            self._finish(piece.download)

    # When a request failed

    def _recover(self, piece: Piece, failure: Failure, request: Request) -> None:
        is_silent = not request.has_head and failure.code == "CONNECTION"
        on_old_connection = is_silent and request.was_on_old_connection
        generation = request.keys.generation if request.keys else -1
        request.forget()
        if piece.is_stale:
            return
        piece.download.request_id = failure.request_id or piece.download.request_id
        if failure.remedy == "fail":
            self._fail(piece.download, failure)
        elif on_old_connection:
            self._replay(piece, failure)
        elif failure.remedy == "credentials":
            self._state.broker.mark_rejected(generation)
            self._replay(piece, failure)
        elif failure.remedy == "region":
            self._ask_elsewhere(piece, failure)
        elif failure.remedy == "clock":
            self._state.skew_seconds = float(failure.hint) - time.time()
            self._replay(piece, failure)
        elif failure.remedy == "restart":
            self._restart_changed(piece.download, failure)
        elif failure.remedy == "one_stream":
            self._restart_as_one_stream(piece.download, failure)
        else:
            self._retry(piece, failure, request.received)

    def _replay(self, piece: Piece, failure: Failure) -> None:
        """Asks again at once, uncounted; but not for ever."""
        piece.replays += 1
        if piece.replays > _REPLAYS:
            self._fail(piece.download, failure)
        else:
            self._scheduler.again(self._continued(piece))

    def _ask_elsewhere(self, piece: Piece, failure: Failure) -> None:
        self._state.endpoints.learn_region(piece.download.bucket, failure.hint)
        self._replay(piece, failure)

    def _restart_changed(self, download: Download, failure: Failure) -> None:
        download.changes += 1
        if download.changes > 1:
            self._fail(download, failure)
        else:
            self._restart(download, failure)

    def _restart_as_one_stream(self, download: Download, failure: Failure) -> None:
        if download.one_stream:
            self._fail(download, failure)
        else:
            download.one_stream = self._state.ignores_ranges = True
            self._restart(download, failure)

    def _restart(self, download: Download, failure: Failure) -> None:
        self._tell_retry(download, failure, 0.0)
        self._abort(download)
        self._scheduler.again(download.begin_anew())

    def _retry(self, piece: Piece, failure: Failure, received: int) -> None:
        download, now = piece.download, self._now
        self._mind_the_store(failure)
        pause = self._settings.retry.pause_seconds(piece.tries, now - piece.first_try_at)
        if pause is None:
            self._give_up(piece, failure)
            return
        pause = max(pause, failure.retry_after_seconds)
        self._tell_retry(download, failure, pause)
        if (
            received < self._settings.part_size_bytes
        ):  # a broken try that brought much is no failure
            piece.tries += 1
            download.most_tries = max(download.most_tries, piece.tries)
        self._scheduler.later(self._continued(piece), now + pause)

    def _continued(self, piece: Piece) -> Piece:
        """Returns what is left of a piece; all of it where that would risk a mixture."""
        if piece.position == piece.start:
            return piece
        if piece.download.can_continue(piece):
            piece.is_plain = False
            return piece
        anew = piece.download.begin_anew()
        piece.download.restarts -= 1  # a try, which is counted as such
        anew.tries, anew.first_try_at, anew.replays = piece.tries, piece.first_try_at, piece.replays
        return anew

    def _mind_the_store(self, failure: Failure) -> None:
        if failure.code in ("THROTTLED", "STALLED"):
            self._state.throttle.slow_down(self._now, failure.retry_after_seconds)
        elif failure.code == "LOCAL_IO":  # too many open files
            self._state.throttle.shrink_to(len(self._active) * self._state.loops * 3 // 4)

    def _give_up(self, piece: Piece, failure: Failure) -> None:
        self._fail(piece.download, failure)
        if failure.code in _OUTAGE_CODES and self._state.last_success_at < piece.first_try_at:
            # Nobody was answered in all that time: those still waiting would wear it out again.
            for download in self._scheduler.waiting():
                self._fail(download, failure)

    def _tell_retry(self, download: Download, failure: Failure, pause: float) -> None:
        on_retry = self._settings.on_retry
        logger.debug("%s: %s, next try in %.2f s", download.source_uri, failure.reason, pause)
        if on_retry is not None:
            try:
                on_retry(download.error(failure), pause)
            except Exception:  # the border to the caller's code
                logger.exception("on_retry failed")

    # When a file ends

    def _finish(self, download: Download) -> None:
        if download.must_be_read_back:
            self._read_back(download)
            return
        try:
            verified = verdict(download.stored, download.digest)
        except ChecksumMismatchError as error:
            self._mismatch(download, error)
        else:
            self._publish(download, verified)

    def _read_back(self, download: Download) -> None:
        """Verifies on another thread: the loop would stand still for as long as reading takes."""
        partial, stored = download.partial, download.stored
        fd = -1 if partial is None else partial.fd
        epoch = download.epoch
        reading = self._reading(verify_file, fd, stored, lambda: download.epoch == epoch)
        reading.add_done_callback(lambda done: self.call(lambda: self._was_read(download, done)))

    def _reading(
        self, function: Callable[..., _T], *arguments: object
    ) -> "concurrent.futures.Future[_T]":
        if self._readers is None:
            self._readers = concurrent.futures.ThreadPoolExecutor(1, "roboto-verify")
        return self._readers.submit(function, *arguments)

    def _was_read(self, download: Download, done: "concurrent.futures.Future[str]") -> None:
        error = done.exception()
        if download.is_over:
            download.discard()
        elif error is None:
            self._publish(download, done.result())
        elif isinstance(error, ChecksumMismatchError):
            self._mismatch(download, error)
        else:
            self._fail(download, _local_failure(download, error))

    def _mismatch(self, download: Download, error: ChecksumMismatchError) -> None:
        failure = Failure(
            code="CHECKSUM_MISMATCH",
            reason=str(error),
            request_id=download.request_id,
            cause=error,
        )
        download.mismatches += 1
        if download.mismatches > 1:
            self._fail(download, failure)
        else:
            self._restart(download, failure)

    def _publish_empty(self, download: Download) -> None:
        try:
            self._open(download)
        except OSError as error:
            self._fail(download, _local_failure(download, error))
        else:
            self._publish(download, "size")

    def _publish(self, download: Download, verified: str) -> None:
        try:
            receipt = download.publish(verified, time.monotonic())
        except Exception as error:  # noqa: BLE001 - a disk, or the caller's `before_publish`
            self._fail(download, _local_failure(download, error))
        else:
            download.is_over = True
            self._forget(download)
            self._state.typical_bytes += ((download.size or 0) - self._state.typical_bytes) / 8
            download.transfer.succeed(receipt)

    def _fail(self, download: Download, failure: Failure) -> None:
        if download.is_over or download not in self._downloads:
            return
        self._abort(download)
        download.discard(leave_parts=failure.code in _MAY_GO_ON)
        self._forget(download)
        if failure.code == "NO_SPACE":
            self._state.disk_full = failure
        download.transfer.fail(download.error(failure))

    def _forget(self, download: Download) -> None:
        self._downloads.discard(download)
        self._ended_count += 1

    def _abort(self, download: Download) -> None:
        """Ends the requests of a file."""
        for request in list(self._active.values()):
            if request.piece is not None and request.piece.download is download:
                self._release(request)
                request.forget()

    def _cancel(self, is_meant: Callable[[Download], bool]) -> None:
        for download in [download for download in self._downloads if is_meant(download)]:
            self._fail(download, CANCELLED)

    def _tell_ended(self) -> None:
        if self._ended_count:
            count, self._ended_count = self._ended_count, 0
            self._on_ended(count)

    # Stalls

    @property
    def _watch_interval(self) -> float:
        return min(max(self._settings.stall_timeout_seconds / 5, 0.02), 1.0)

    def _watch(self) -> None:
        """Ends requests that bring nothing, or next to nothing, for too long."""
        now, interval = self._now, self._watch_interval
        pause = now - self._watched_at
        if pause < interval:
            return
        self._watched_at = now
        if pause > 5 * interval + 1:  # the loop itself stood still: nobody could bring anything
            for request in self._active.values():
                request.watch_from(now)
            return
        for request in list(self._active.values()):
            if request.is_stalled(now, self._settings.stall_timeout_seconds):
                self._end_stalled(request)

    def _end_stalled(self, request: Request) -> None:
        piece = request.piece
        if piece is None:  # aborted with another piece of its file
            return
        seconds = self._settings.stall_timeout_seconds
        failure = Failure(code="STALLED", reason=f"next to no bytes came for {seconds:g} seconds")
        self._release(request)
        self._recover(piece, failure, request)

    # The end

    def _end_all(self, error: BaseException) -> None:
        """Ends every file after the loop broke."""
        with self._lock:
            self._is_over = True
            outstanding = [*self._downloads, *self._arrivals]
            self._arrivals.clear()
        failure = Failure(
            code="UNEXPECTED",
            reason=f"the transfer loop broke: {type(error).__name__}",
            remedy="fail",
            cause=error,
        )
        for download in outstanding:
            download.discard()
            if not download.transfer.done():
                download.transfer.fail(download.error(failure))
        self._on_ended(len(outstanding) + self._ended_count)

    def _refuse(self, download: Download) -> None:
        failure = Failure(code="CANCELLED", reason="the store was closed meanwhile", remedy="fail")
        download.transfer.fail(download.error(failure))
        self._on_ended(1)

    def _close(self) -> None:
        if self._readers is not None:
            self._readers.shutdown(wait=False)
        for request in [*self._active.values(), *self._idle]:
            if request.curl in self._active:
                self._multi.remove_handle(request.curl)
            request.close()
        self._active.clear()
        self._idle.clear()
        self._multi.close()
        self._poller.close()
        self._tell_ended()


def credentials_failure(error: PlatformError) -> Failure:
    """Says of a file that there are no credentials to fetch it with."""
    code = error.code if isinstance(error, CredentialsError) else "CREDENTIALS_INVALID"
    return Failure(
        code=code, reason=str(error), remedy="fail", transient=error.transient, cause=error
    )


def _failure_of_curl(request: Request, download: Download, number: int, message: str) -> Failure:
    local = request.curl.getinfo(pycurl.OS_ERRNO)
    if local in (errno.EMFILE, errno.ENFILE):  # no socket could be made
        return _local_failure(download, OSError(local, os.strerror(local)))
    return from_curl(number, message, request.proxy)


def _local_failure(download: Download, error: BaseException) -> Failure:
    """Translates what went wrong on this machine."""
    if isinstance(error, OSError):
        told = from_os_error(download.error(CANCELLED).file, error)
        return Failure(
            code=told.code,
            reason=told.reason,
            remedy="retry" if told.transient else "fail",
            transient=told.transient,
            cause=error,
        )
    reason = f"an unforeseen {type(error).__name__}"
    return Failure(code="UNEXPECTED", reason=reason, remedy="fail", cause=error)
