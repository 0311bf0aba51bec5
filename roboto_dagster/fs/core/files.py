"""The files of one driver, from when they are taken in to when they end, well or badly."""

import concurrent.futures
import dataclasses
from collections.abc import Callable
from typing import Protocol, TypeVar

from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import CANCELLED, Failure, local_failure
from roboto_dagster.fs.core.scheduler import Scheduler
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.object_store import Receipt

T = TypeVar("T")

OUTAGE_CODES = frozenset({"CONNECTION", "STALLED", "THROTTLED", "SERVER_ERROR"})
"""What a store that is out of order fails with."""

# After these, the next run continues with the parts that came.
_RESUMABLE_CODES = OUTAGE_CODES | {
    "CANCELLED",
    "CREDENTIALS_EXPIRED",
    "CREDENTIALS_INVALID",
    "NO_SPACE",
}


class Driver(Protocol):
    """What the coordinator needs of what sends the requests."""

    def abort(self, download: Download) -> None:
        """End the requests of a file that are under way; each is `released`, and no more."""
        ...

    def run_in_worker(
        self, work: Callable[[], T], then: Callable[["concurrent.futures.Future[T]"], None], /
    ) -> None:
        """Run `work` in another thread, then `then` where the coordinator is called."""
        ...


class Files:
    """The files that have not ended.

    Args:
        state: What all drivers of the store share.
        scheduler: What waits to be requested.
        driver: Sends the requests.

    Attributes:
        open: The files.
        ended: How many files ended; the driver takes them out of the count as it reports them.
        at_work: How many jobs are with other threads, also of files that have ended meanwhile.
    """

    def __init__(self, state: StoreState, scheduler: Scheduler, driver: Driver) -> None:
        self._state = state
        self._scheduler = scheduler
        self._driver = driver
        self.open: set[Download] = set()
        self.ended = 0
        self.at_work = 0

    def add(self, download: Download) -> None:
        """Take a file in."""
        self.open.add(download)
        failure = self._state.disk_full or self._state.outage.failure
        if failure is not None:
            self.fail(download, failure)
        else:
            self._scheduler.add(download)

    def in_worker(
        self,
        download: Download,
        work: Callable[[], T],
        then: Callable[["concurrent.futures.Future[T]"], None],
    ) -> None:
        """Run work on a file's temporary file in another thread; the file stays open until then.

        Args:
            download: The file.
            work: What to do there.
            then: Called here with its outcome, unless the file has ended meanwhile.
        """

        def ended(done: "concurrent.futures.Future[T]") -> None:
            self.at_work -= 1
            download.content.worker_ended()
            if download.is_over:
                return
            try:
                then(done)
            except Exception as error:  # noqa: BLE001 - a bug or a disk: this file's matter alone
                self.fail_on(download, error)

        self.at_work += 1
        download.content.worker_started()
        try:
            self._driver.run_in_worker(work, ended)
        except BaseException:
            self.at_work -= 1
            download.content.worker_ended()
            raise

    def published(self, download: Download, receipt: Receipt) -> None:
        """End a file that is in its place.

        Args:
            download: The file.
            receipt: What is known of it.
        """
        download.end()
        self._forget(download)
        self._state.learn_file(receipt.size_bytes, receipt.verified)
        download.transfer.succeed(receipt)

    def fail(self, download: Download, failure: Failure) -> None:
        """End a file with a failure; nothing if it has ended, or is being published.

        Args:
            download: The file.
            failure: Why.
        """
        if download.is_over or download.is_publishing or download not in self.open:
            return
        self._driver.abort(download)
        download.discard(
            leave_parts=failure.code in _RESUMABLE_CODES, must_fit=failure.code == "NO_SPACE"
        )
        self._forget(download)
        advice = self._state.credentials.advice_for(failure.code)
        failure = dataclasses.replace(failure, advice=failure.advice or advice)
        download.transfer.fail(download.error(failure))
        if failure.code == "NO_SPACE" and self._state.disk_full is None:
            self._state.disk_full = failure
            self.fail_waiting(failure)

    def fail_on(self, download: Download, error: BaseException) -> None:
        """End a file with what was raised on this machine.

        Args:
            download: The file.
            error: What was raised.
        """
        self.fail(download, local_failure(download.file, error))

    def fail_waiting(self, failure: Failure) -> None:
        """End the files of which nothing was requested."""
        for download in self._scheduler.waiting():
            self.fail(download, failure)

    def _forget(self, download: Download) -> None:
        self.open.discard(download)
        self.ended += 1

    def cancel(self, is_meant: Callable[[Download], bool]) -> None:
        """End files with `CANCELLED`.

        Args:
            is_meant: Chooses them.
        """
        for download in [download for download in self.open if is_meant(download)]:
            self.fail(download, CANCELLED)
