"""Reports bytes to the caller of one transfer, and can take them back."""

import logging

from roboto_dagster.fs.object_store import OnProgress

logger = logging.getLogger(__name__)


class ProgressReport:
    """Passes byte counts on; a callback that fails never breaks the transfer.

    Args:
        on_progress: The caller's callback, or None.
        source_uri: What is transferred, for the log.
    """

    __slots__ = ("_has_failed", "_on_progress", "_reported", "_source_uri")

    def __init__(self, on_progress: OnProgress | None, source_uri: str) -> None:
        self._on_progress = on_progress
        self._source_uri = source_uri
        self._reported = 0
        self._has_failed = False

    def add(self, count: int) -> None:
        """Report bytes; a negative number takes some back."""
        if self._on_progress is None or not count:
            return
        self._reported += count
        try:
            self._on_progress(count)
        except Exception:  # the border to the caller's code, which must not break a transfer
            if not self._has_failed:
                logger.exception("on_progress failed for %s", self._source_uri)
            self._has_failed = True

    def take_back(self) -> None:
        """Take all of them back."""
        self.add(-self._reported)


NO_PROGRESS = ProgressReport(None, "")
"""Of all transfers whose caller wants none."""


def progress_report(on_progress: OnProgress | None, source_uri: str) -> ProgressReport:
    """Return the report of one transfer.

    Args:
        on_progress: The caller's callback, or None.
        source_uri: What is transferred, for the log.
    """
    return NO_PROGRESS if on_progress is None else ProgressReport(on_progress, source_uri)
