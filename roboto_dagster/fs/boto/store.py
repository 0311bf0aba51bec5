"""S3 over boto3's transfer manager: the portable engine, and the one for uploads.

Each file has a thread that starts its transfer, waits, verifies what arrived and publishes it.
s3transfer splits big files into ranges pinned by ETag; what it does not check (a short 206, a 200
to a range) is checked here as answers arrive.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal

import boto3.s3.transfer
import botocore.exceptions
import s3transfer.futures
import s3transfer.subscribers
import tenacity
from typing_extensions import Self

from roboto_dagster.disk.temp_file import PartialFile, open_partial
from roboto_dagster.errors import ConfigurationError, DownloadError
from roboto_dagster.fs.boto.client import make_client
from roboto_dagster.fs.boto.errors import ObjectReplacedError, WrongRangeError, download_error
from roboto_dagster.fs.core.checksums import (
    NO_CHECKSUM,
    ChecksumMismatchError,
    stored_checksum,
    verify_file,
)
from roboto_dagster.fs.core.response import Head, pinning_etag
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import CredentialProvider, LiveCredentials
from roboto_dagster.fs.object_store import (
    BeforePublish,
    FutureLike,
    OnProgress,
    Receipt,
    Transfer,
)
from roboto_dagster.redaction import safe_cause
from roboto_dagster.types import DownloadableFile
from roboto_dagster.uri import split_s3_uri

logger = logging.getLogger(__name__)

_DEFAULT_CONNECTIONS = 16
_QUEUE_PER_THREAD = 4
_MOST_REFRESHES = 3
_FILES_PER_CONNECTION = 5
_OTHER_FILES = 40
_WHOLE = 200
_FIRST_ERROR = 300
_NO_SUCH_RANGE = 416
_MISMATCHES = ("CHECKSUM_MISMATCH", "SIZE_MISMATCH")


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class _Job:
    """One file to fetch."""

    file: DownloadableFile
    bucket: str
    key: str
    size_bytes: int | None
    within: pathlib.Path | None
    before_publish: BeforePublish | None
    progress: "_Progress"
    hang_up: Callable[[], None]
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    running: s3transfer.futures.TransferFuture | None = None

    def cancel(self) -> None:
        """Stops it, whether it waits, runs or sleeps between two tries."""
        self.cancelled.set()
        if self.running is not None:
            self.running.cancel()
            self.hang_up()


class BotoStore:
    """An `ObjectStore` over boto3; use it in a `with`.

    Args:
        broker: Keeps the credentials fresh.
        settings: See `S3Settings`.
    """

    def __init__(self, broker: CredentialCache, settings: S3Settings) -> None:
        self._broker = broker
        self._settings = settings
        self._connections = _affordable(settings.max_connections or _DEFAULT_CONNECTIONS)
        self._pid = os.getpid()
        self._closed = False
        self._lock = threading.Lock()
        self._answers = _Answers()
        self._running: dict[Transfer, _Job] = {}
        self._room = threading.BoundedSemaphore(self._connections * _QUEUE_PER_THREAD)
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
        self._manager: Any = None

    @classmethod
    def create(cls, credential_provider: CredentialProvider, **options: Any) -> "BotoStore":
        """Makes a store.

        Args:
            credential_provider: Called whenever fresh credentials are needed, from any thread.
            **options: The fields of `S3Settings`.
        """
        settings = S3Settings.from_options(options)
        return cls(CredentialCache(credential_provider, retry=settings.retry), settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        self._closed = True
        if exc_type is not None:
            self.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=False)
        if self._manager is not None:
            self._manager.shutdown(cancel=exc_type is not None)
            self._manager.client.close()
        self._broker.close()
        return False

    def cancel(self) -> None:
        """Ends every transfer under way with `CANCELLED`; what is published stays."""
        self._answers.unwanted.set()
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            job.cancel()

    def get(
        self,
        source_uri: str,
        destination: pathlib.Path,
        on_progress: OnProgress | None = None,
        *,
        size_bytes: int | None = None,
        within: pathlib.Path | None = None,
        before_publish: BeforePublish | None = None,
    ) -> Transfer:
        """Starts the download of one file; blocks while enough is queued.

        Args:
            source_uri: `s3://bucket/key`.
            destination: Where the file is published once it is whole and verified.
            on_progress: Told of bytes as they arrive; negative numbers take back what is fetched
                again.
            size_bytes: The size it must have, where it is known; 0 asks the store nothing.
            within: A parent of `destination` below which no link is followed.
            before_publish: Told of the verified file just before it is renamed into place.

        Returns:
            Its future, whose `receipt` is set when it is done.

        Raises:
            ConfigurationError: The store is closed, belongs to another process, or the URI is none
                of S3's.
        """
        self._check_usable()
        bucket, key = split_s3_uri(source_uri)
        file = DownloadableFile(
            bucket_name=bucket, source_uri=source_uri, destination_path=destination
        )
        job = _Job(
            file=file,
            bucket=bucket,
            key=key,
            size_bytes=size_bytes,
            within=within,
            before_publish=before_publish,
            progress=_Progress(on_progress),
            hang_up=functools.partial(self._answers.hang_up, bucket, key),
        )
        transfer = Transfer(on_cancel=lambda _: job.cancel())
        self._room.acquire()
        with self._lock:
            self._running[transfer] = job
        self._executor().submit(self._run, transfer, job)
        return transfer

    def put(
        self, source: pathlib.Path, destination_uri: str, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Starts the upload of a local file."""
        self._check_usable()
        bucket, key = split_s3_uri(destination_uri)
        subscribers = [_Subscriber(_Progress(on_progress), None)]
        future: FutureLike[None] = self._transfers().upload(
            str(source), bucket, key, subscribers=subscribers
        )
        return future

    def head(self, source_uri: str) -> Mapping[str, str]:
        """Return the headers of an object, names in lower case.

        Args:
            source_uri: `s3://bucket/key`.

        Raises:
            Exception: Whatever botocore raises: this is for callers who can do without.
        """
        self._check_usable()
        bucket, key = split_s3_uri(source_uri)
        client = self._transfers().client
        answer = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return {name.lower(): value for name, value in headers.items()}

    def _check_usable(self) -> None:
        if self._closed:
            msg = "This store is closed: its `with` has ended. Make a new one."
            raise ConfigurationError(msg)
        if os.getpid() != self._pid:
            msg = "This store was made in another process: connections do not survive a fork. Make one in this process."
            raise ConfigurationError(msg)

    def _executor(self) -> concurrent.futures.ThreadPoolExecutor:
        if self._threads is None:
            self._threads = concurrent.futures.ThreadPoolExecutor(self._connections, "roboto-boto3")
        return self._threads

    def _transfers(self) -> Any:
        """Returns boto3's transfer manager, made at the first need because that asks for
        credentials.
        """
        with self._lock:
            if self._manager is None:
                client = make_client(self._broker, self._settings, self._connections)
                self._answers.listen_to(client)
                self._manager = boto3.s3.transfer.create_transfer_manager(
                    client,
                    boto3.s3.transfer.TransferConfig(
                        multipart_threshold=self._settings.part_size_bytes + 1,
                        multipart_chunksize=self._settings.part_size_bytes,
                        max_concurrency=self._connections,
                        num_download_attempts=1,
                        preferred_transfer_client="classic",
                    ),
                )
            return self._manager

    def _run(self, transfer: Transfer, job: _Job) -> None:
        """Runs one job in a thread of the pool, to its very end."""
        try:
            outcome: Receipt | DownloadError = self._fetch_with_retries(job)
        except DownloadError as error:
            outcome = error
        except BaseException as error:  # noqa: BLE001 -- a thread of ours must never leave a caller waiting
            outcome = DownloadError(job.file, "UNEXPECTED", repr(error))
            outcome.__cause__ = safe_cause(error)
        if isinstance(outcome, DownloadError):
            _let_go(outcome)
        with self._lock:
            self._running.pop(transfer, None)
        self._room.release()
        if isinstance(outcome, DownloadError):
            transfer.fail(outcome)
        else:
            transfer.succeed(outcome)

    def _fetch_with_retries(self, job: _Job) -> Receipt:
        started = time.monotonic()
        tries = _Tries(self._broker)
        retry = self._settings.retry
        wait = retry.wait()
        retrying = retry.retrying().copy(
            wait=lambda state: max(wait(state), tries.retry_after_seconds),
            sleep=tenacity.sleep_using_event(job.cancelled),
            before_sleep=self._tell_of_retry,
        )
        try:
            receipt: Receipt = retrying(self._try, job, tries, started)
        except DownloadError as error:
            error.attempts = tries.count
            raise
        return receipt

    def _tell_of_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if self._settings.on_retry and isinstance(error, DownloadError) and state.next_action:
            self._settings.on_retry(error, state.next_action.sleep)
        if error is not None:
            _let_go(error)

    def _try(self, job: _Job, tries: "_Tries", started: float) -> Receipt:
        """Tries once; refused credentials are refreshed and the try repeated, once for each
        generation of them.
        """
        while True:
            tries.count += 1
            try:
                return self._fetch(job, tries, started)
            except Exception as error:
                job.progress.take_back()
                failure = download_error(job.file, error, tries.count)
                tries.retry_after_seconds = _retry_after_seconds(error)
                if tries.should_refresh(failure):
                    tries.count -= 1
                    continue
                if failure.code in _MISMATCHES:
                    failure.transient = tries.first_mismatch()
                if failure is error:
                    raise
                raise failure from safe_cause(error)

    def _fetch(self, job: _Job, tries: "_Tries", started: float) -> Receipt:
        if job.cancelled.is_set():
            raise DownloadError(job.file, "CANCELLED", "it was cancelled")
        partial = open_partial(
            job.file["destination_path"], job.within, durability=self._settings.durability
        )
        try:
            headers = self._transfer(job, partial, tries)
            verified = self._verify(job, partial, headers)
            status = os.fstat(partial.fd)
            receipt = _receipt(headers, status.st_size, verified, tries.count, started)
            if job.before_publish is not None:
                job.before_publish(receipt, status)
            partial.publish()
        finally:
            partial.discard()
        return receipt

    def _transfer(self, job: _Job, partial: PartialFile, tries: "_Tries") -> Mapping[str, str]:
        """Brings the bytes into the partial file; returns the headers that describe the whole
        object.
        """
        manager = self._transfers()
        tries.keys = self._broker.current()
        told_size = job.size_bytes
        if not self._answers.has_ranges:
            told_size = 1  # so small that s3transfer asks for no ranges; it minds nothing else
        elif told_size is not None and told_size > self._settings.part_size_bytes:
            told_size = None
        with os.fdopen(os.dup(partial.fd), "r+b") as target:
            job.running = manager.download(
                job.bucket,
                job.key,
                target,
                extra_args={"ChecksumMode": "ENABLED"},
                subscribers=[_Subscriber(job.progress, told_size)],
            )
            if job.cancelled.is_set():  # it was cancelled just before there was something to cancel
                job.cancel()
            job.running.result()
        self._broker.mark_accepted(tries.keys.generation)
        return self._answers.of(job.bucket, job.key)

    def _verify(self, job: _Job, partial: PartialFile, headers: Mapping[str, str]) -> str:
        """Checks size and content of what arrived; returns the verdict."""
        arrived = os.fstat(partial.fd).st_size
        told = int(headers.get("content-length", arrived))
        expected = told if job.size_bytes is None else job.size_bytes
        if arrived != told:
            reason = f"{arrived} of {told} bytes arrived"
            raise DownloadError(job.file, "CONNECTION", reason)
        if arrived != expected:
            reason = f"the object has {arrived} bytes, the record says {expected}"
            raise DownloadError(job.file, "SIZE_MISMATCH", reason)
        if self._settings.verify == "size" or arrived == 0:
            return "size"
        stored = stored_checksum(headers)
        if stored is None and self._settings.verify == "checksum":
            raise DownloadError(job.file, "CHECKSUM_MISMATCH", NO_CHECKSUM, False)
        try:
            return verify_file(partial.fd, stored)
        except ChecksumMismatchError as error:
            raise DownloadError(job.file, "CHECKSUM_MISMATCH", str(error)) from error


def _affordable(connections: int) -> int:
    """Bounds connections by the files that this process may open: each takes a socket, its file and
    its folder, some of them twice.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return connections
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return connections
    return max(min(connections, (open_files - _OTHER_FILES) // _FILES_PER_CONNECTION), 1)


def _receipt(
    headers: Mapping[str, str], size_bytes: int, verified: str, attempts: int, started: float
) -> Receipt:
    stored = stored_checksum(headers)
    return Receipt(
        size_bytes=size_bytes,
        etag=pinning_etag(headers),
        checksum=stored.text if stored else None,
        verified=verified,
        attempts=attempts,
        duration_seconds=time.monotonic() - started,
        request_id=headers.get("x-amz-request-id"),
    )


def _let_go(error: BaseException | None) -> None:
    """Frees what the frames of an error hold: connections, folders, buffers. An error lives long, in
    reports and in cycles that only the garbage collector ends; its traceback can still be printed.
    """
    if error is None or error.__traceback__ is None:
        return
    traceback.clear_frames(error.__traceback__)
    for link in (error.__cause__, error.__context__):
        _let_go(link)


def _retry_after_seconds(error: BaseException) -> float:
    """Returns how long the store asks to wait."""
    if not isinstance(error, botocore.exceptions.ClientError):
        return 0.0
    metadata = error.response.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    return Head(metadata.get("HTTPStatusCode", 0), headers).retry_after_seconds


class _Tries:
    """What one file has been through: how often it was tried, with which keys."""

    def __init__(self, broker: CredentialCache) -> None:
        self.count = 0
        self.retry_after_seconds = 0.0
        self.keys: LiveCredentials | None = None
        self._broker = broker
        self._refreshed_generation = -1
        self._refreshes = 0
        self._mismatches = 0

    def should_refresh(self, failure: DownloadError) -> bool:
        """Tells the broker of refused keys; whether to repeat at once with the next ones, which
        counts as no try.
        """
        if self.keys is None or not isinstance(failure.__cause__ or failure, Exception):
            return False
        refused = failure.code in ("CREDENTIALS_EXPIRED", "CREDENTIALS_INVALID")
        if not refused or self.keys.generation == self._refreshed_generation:
            return False
        if self._refreshes == _MOST_REFRESHES:  # a store that now accepts them and now does not
            return False
        self._refreshes += 1
        self._refreshed_generation = self.keys.generation
        self._broker.mark_rejected(self.keys.generation, failure.code, failure.reason)
        self.keys = None
        return True

    def first_mismatch(self) -> bool:
        """Counts a wrong checksum or size, which a proxy may have made; the first deserves another
        fetch, the second is the truth.
        """
        self._mismatches += 1
        return self._mismatches == 1


class _Answers:
    """What the store's last answers told of whole objects; s3transfer keeps it to itself."""

    _KEPT = 1024

    def __init__(self) -> None:
        self.has_ranges = True  # until an answer ignores one, or tells no version of the object
        self._headers: collections.OrderedDict[tuple[str, str], Mapping[str, str]] = (
            collections.OrderedDict()
        )
        self._streams: weakref.WeakKeyDictionary[Any, tuple[str, str]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self.unwanted = threading.Event()  # once set, answers that still come are not read

    def listen_to(self, client: Any) -> None:
        """Has every answer of this client pass by."""
        events = client.meta.events
        for operation in ("HeadObject", "GetObject"):
            events.register(f"provide-client-params.s3.{operation}", self._remember_request)
            events.register(f"after-call.s3.{operation}", self._read_answer)

    def of(self, bucket: str, key: str) -> Mapping[str, str]:
        """Returns the headers that describe a whole object, or none."""
        return self._headers.get((bucket, key), {})

    def hang_up(self, bucket: str, key: str) -> None:
        """Wakes whoever reads this object: s3transfer looks for a cancellation only between two
        chunks, which on a slow line is too late.
        """
        with self._lock:
            streams = [each for each, owner in self._streams.items() if owner == (bucket, key)]
        for stream in streams:
            _shut_down(stream)

    def _remember_request(
        self, params: Mapping[str, Any], context: dict[str, Any], **_: object
    ) -> None:
        context["roboto_dagster"] = (
            params["Bucket"],
            params["Key"],
            params.get("Range"),
            params.get("IfMatch"),
        )

    def _read_answer(
        self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object
    ) -> None:
        metadata = parsed["ResponseMetadata"]
        status = metadata["HTTPStatusCode"]
        if status == _NO_SUCH_RANGE:  # s3transfer would take it for an empty part: a hole
            raise ObjectReplacedError(error="the object ends before the range that was asked for")
        if status >= _FIRST_ERROR:
            return
        bucket, key, byte_range, etag = context["roboto_dagster"]
        headers = metadata["HTTPHeaders"]
        stream = getattr(parsed.get("Body"), "_raw_stream", None)
        if stream is not None:
            with self._lock:
                self._streams[stream] = bucket, key
            if self.unwanted.is_set():
                _shut_down(stream)
        if byte_range is not None:
            if not headers.get("content-range" if status == _WHOLE else "etag"):
                self.has_ranges = False
            try:
                _check_range(status, headers, byte_range, etag)
            except botocore.exceptions.ResponseStreamingError:
                parsed["Body"].close()  # nobody will read it: without this its connection is lost
                raise
            return
        self._headers[bucket, key] = headers
        if len(self._headers) > self._KEPT:
            self._headers.popitem(last=False)


def _shut_down(stream: Any) -> None:
    """Ends a stream that another thread may be reading."""
    # An older urllib3 cannot; a stream that was read to its end has no connection any more.
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
        stream.shutdown()


def _check_range(
    status: int, headers: Mapping[str, str], byte_range: str, etag: str | None
) -> None:
    """Refuses an answer that is not the range that was asked for: spliced in, it would be silent
    corruption.

    Raises:
        WrongRangeError: It is another one, or not all of it.
        ObjectReplacedError: It is of another version.
    """
    first, _, last = byte_range.removeprefix("bytes=").partition("-")
    answered = headers.get("content-range", "").removeprefix("bytes ")
    span, _, size = answered.partition("/")
    stop = int(last or int(size or 0) - 1) + 1
    length = headers.get("content-length")
    # Whatever the status: rclone sends 200 with ranges that are right.
    if span != f"{first}-{stop - 1}":
        problem = f"asked for {byte_range}, answered {status} with {answered or 'no range'}"
        raise WrongRangeError(error=problem)
    if length is not None and length != str(stop - int(first)):
        raise WrongRangeError(error=f"asked for {byte_range}, answered with {length} bytes")
    if etag is not None and headers.get("etag") != etag:
        raise ObjectReplacedError(error="another version of the object than the one begun")


class _Progress:
    """Passes byte counts on, can take them back, and never lets a caller's bug break a transfer."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._counted = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Counts bytes, negative ones too."""
        with self._lock:
            self._counted += count
        if self._on_progress is None or count == 0:
            return
        try:
            self._on_progress(count)
        except Exception:
            logger.exception("The progress callback failed; the transfer goes on without it.")
            self._on_progress = None

    def take_back(self) -> None:
        """Takes back all that was counted, since it is fetched again."""
        self.add(-self._counted)


class _Subscriber(s3transfer.subscribers.BaseSubscriber):
    """Tells s3transfer what is known of a file, and hears of its progress."""

    def __init__(self, progress: _Progress, size_bytes: int | None) -> None:
        self._progress = progress
        self._size_bytes = size_bytes

    def on_queued(self, future: s3transfer.futures.TransferFuture, **_: object) -> None:
        if self._size_bytes is not None:
            # With a size and any ETag s3transfer asks no HEAD; a single GET does not use the ETag.
            future.meta.provide_transfer_size(self._size_bytes)
            future.meta.provide_object_etag("")

    def on_progress(
        self,
        future: s3transfer.futures.TransferFuture,  # noqa: ARG002 - the interface
        bytes_transferred: int,
        **_: object,
    ) -> None:
        self._progress.add(bytes_transferred)
