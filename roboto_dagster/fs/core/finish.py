"""Ends a file whose bytes have all arrived: verdict, read back where needed, publish.

```
complete ─► digest known ──────────────┬─► matches ──► publish: rename into place
         └► read back, in a worker ────┘  └► differs ─► restart once, then CHECKSUM_MISMATCH
```

An ETag that looks like an MD5 need not be one (a server's own hash). It is taken for none if the
same bytes came twice, from a server that neither sends S3's request ids, and so makes no claim to
S3's rules for ETags, nor has been seen to have MD5s for ETags: the verdict is `size`.
"""

import concurrent.futures
import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from roboto_dagster.fs.core.checksums import ChecksumMismatchError, verdict, verify_file
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.publishing import PublishQueue, publish
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.object_store import Receipt

logger = logging.getLogger(__name__)

T = TypeVar("T")


class InWorker(Protocol):
    """Runs work on a file in another thread; see `Coordinator.in_worker`."""

    def __call__(
        self,
        download: Download,
        work: Callable[[], T],
        then: Callable[["concurrent.futures.Future[T]"], None],
        /,
    ) -> None:
        """Start it."""
        ...


class Finisher:
    """Ends files well, or has them started again.

    Args:
        in_worker: Runs what takes long in another thread.
        state: What is learnt about the store.
        restart: Starts a file again after a wrong checksum.
        fail: Ends a file with a failure.
        published: Takes a file that is in its place.

    Attributes:
        queue: The files that wait to be renamed.
    """

    def __init__(
        self,
        in_worker: InWorker,
        state: StoreState,
        *,
        restart: Callable[[Download, Failure], None],
        fail: Callable[[Download, Failure], None],
        published: Callable[[Download, Receipt], None],
    ) -> None:
        self._in_worker = in_worker
        self._state = state
        self._is_durable = state.settings.durability != "none"
        self._restart = restart
        self._fail = fail
        self._published = published
        self.queue = PublishQueue(published, fail)

    def finish(self, download: Download) -> None:
        """End a file whose bytes have all arrived."""
        if download.content.must_be_read_back:
            self._read_back(download)
            return
        try:
            verified = verdict(download.facts.stored, download.content.digests.complete)
        except ChecksumMismatchError as error:
            self._mismatch(download, error)
        else:
            self._publish(download, verified)

    def _read_back(self, download: Download) -> None:
        """Verify in a worker: the driver would stand still for as long as reading takes."""
        partial, stored, generation = (
            download.content.partial,
            download.facts.stored,
            download.generation,
        )
        fd = -1 if partial is None else partial.fd
        self._in_worker(
            download,
            lambda: verify_file(fd, stored, lambda: download.generation == generation),
            lambda done: self._was_read(download, done),
        )

    def _was_read(self, download: Download, done: "concurrent.futures.Future[str]") -> None:
        error = done.exception()
        if error is None:
            self._publish(download, done.result())
        elif isinstance(error, ChecksumMismatchError):
            self._mismatch(download, error)
        else:
            self._fail(download, local_failure(download.file, error))

    def _mismatch(self, download: Download, error: ChecksumMismatchError) -> None:
        if self._is_no_md5(download, error):
            logger.info("%s: its ETag is not the MD5 of its content", download.source_uri)
            download.facts = download.facts._replace(stored=None)
            self._publish(download, "size")
            return
        failure = Failure(
            code="CHECKSUM_MISMATCH",
            reason=str(error),
            request_id=download.request_id,
            cause=error,
        )
        if download.mismatched is not None:
            self._fail(download, failure)
        else:
            download.mismatched = error.computed
            # Ranges that are wrong in the same way each time look like an ETag that is no MD5.
            download.one_stream |= self._may_be_no_md5(download, error)
            self._restart(download, failure)

    def _is_no_md5(self, download: Download, error: ChecksumMismatchError) -> bool:
        return (
            error.computed == download.mismatched
            and download.one_stream
            and self._may_be_no_md5(download, error)
        )

    def _may_be_no_md5(self, download: Download, error: ChecksumMismatchError) -> bool:
        return (
            error.stored.algorithm == "md5"
            and not self._state.etags_are_md5
            and download.request_id is None
            and self._state.settings.verify == "auto"
        )

    def _publish(self, download: Download, verified: str) -> None:
        if not self._is_durable:
            self.queue.add(download, verified)
            return
        download.is_publishing = True  # a cancellation comes too late from here on
        self._in_worker(
            download,
            lambda: publish(download, verified, time.monotonic()),
            lambda done: self._was_published(download, done),
        )

    def _was_published(
        self, download: Download, done: "concurrent.futures.Future[Receipt]"
    ) -> None:
        download.is_publishing = False
        error = done.exception()
        if error is None:
            self._published(download, done.result())
        else:
            self._fail(download, local_failure(download.file, error))
