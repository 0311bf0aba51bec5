"""Renames verified files into place, those of a driver's turn together.

```
verified ─► receipt, look at its place, `before_publish` ─► `before_renames`, once for all ─► renamed ─► published
                                │ raises                           │ raises                     │ raises
                                └──────────► failed ◄──────────────┴────────────────────────────┘
```

Together, since what is done for each then stays in the processor's caches, and what a sync has to write before each
rename goes to the disk at once.
"""

import time
from collections.abc import Callable

from roboto_dagster.disk.temp_file import PartialFile
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.object_store import Receipt

_MOST_TOGETHER = 64
"""Of more, another program would have too long to put something in a file's place after it was looked at."""


class PublishQueue:
    """The verified files that wait for their rename.

    Args:
        published: Takes a file that is in its place.
        fail: Ends a file with a failure.
    """

    def __init__(
        self,
        published: Callable[[Download, Receipt], None],
        fail: Callable[[Download, Failure], None],
    ) -> None:
        self._published = published
        self._fail = fail
        self._waiting: list[tuple[Download, str]] = []

    def add(self, download: Download, verified: str) -> None:
        """Take a file in.

        Args:
            download: The file, verified.
            verified: The verdict on its content.
        """
        download.is_publishing = True  # a cancellation comes too late from here on
        self._waiting.append((download, verified))
        if len(self._waiting) >= _MOST_TOGETHER:
            self.publish_all()

    def publish_all(self) -> None:
        """Rename the files that wait into place."""
        waiting, self._waiting = self._waiting, []
        prepared = [(download, self._prepare(download, verified)) for download, verified in waiting]
        ready = [(download, receipt) for download, receipt in prepared if receipt is not None]
        calls = {download.before_renames for download, _ in ready}
        errors = {call: call and _error_of(call) for call in calls}
        for download, receipt in ready:
            error = errors[download.before_renames] or _error_of(_partial_of(download).publish)
            if error is not None:
                self._failed(download, error)
            else:
                download.is_publishing = False
                self._published(download, receipt)

    def _prepare(self, download: Download, verified: str) -> Receipt | None:
        try:
            return _prepare(download, verified, time.monotonic())
        except Exception as error:  # noqa: BLE001 - a disk, or the caller's `before_publish`
            self._failed(download, error)
            return None

    def _failed(self, download: Download, error: Exception) -> None:
        download.is_publishing = False
        self._fail(download, local_failure(download.file, error))


def _error_of(call: Callable[[], None]) -> Exception | None:
    """Call a function; return what it raised."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - a disk, or the caller's `before_renames`
        return error
    return None


def _prepare(download: Download, verified: str, now: float) -> Receipt:
    """Do what comes before the rename of a file, but for `before_renames`; return what is known of it."""
    partial, facts, started_at = _partial_of(download), download.facts, download.started_at
    receipt = Receipt(
        size_bytes=download.size or 0,
        etag=facts.etag,
        checksum=facts.checksum,
        verified=verified,
        attempts=download.attempts,
        duration_seconds=max(now - started_at, 0.0) if started_at >= 0 else 0.0,
        request_id=download.request_id,
    )
    if download.before_publish is not None:
        download.before_publish(receipt, *partial.look())
    return receipt


def publish(download: Download, verified: str, now: float) -> Receipt:
    """Rename one file into place.

    Args:
        download: The file, verified.
        verified: The verdict on its content.
        now: The driver's clock, in seconds.

    Returns:
        What is known of it.

    Raises:
        OSError: It cannot be published.
    """
    receipt = _prepare(download, verified, now)
    if download.before_renames is not None:
        download.before_renames()
    _partial_of(download).publish()
    return receipt


def _partial_of(download: Download) -> PartialFile:
    partial = download.content.partial
    if partial is None:
        raise ValueError("publish before open")
    return partial
