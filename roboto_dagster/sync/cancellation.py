"""Ends syncs from another thread, in the way in which an interrupt ends one of this thread.

```
cancel ─┬─► downloads under way are cancelled ─► what is complete is kept, the manifest is written ─► SyncCancelledError
        └─► waits between attempts end, nothing new is started ─────────────────────────────┘
```
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from roboto_dagster.fs.download_session import DownloadSession

Item = TypeVar("Item")

_CHECK_EVERY = 500  # fewer than a page of the platform's listing holds


class SyncCancelledError(Exception):
    """A sync was cancelled; what is complete by then is kept."""

    def __str__(self) -> str:
        return "The sync was cancelled. What is complete is kept; the next run goes on from there."


class Cancellation:
    """Cancels the syncs that were given it, all at once and for good. Any thread may use it.

    Attributes:
        event: Set once they are cancelled.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._sessions: dict[int, DownloadSession] = {}

    def cancel(self) -> None:
        """Cancel them."""
        self.event.set()
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            session.cancel()

    def check(self) -> None:
        """Do nothing unless they are cancelled.

        Raises:
            SyncCancelledError: They are.
        """
        if self.event.is_set():
            raise SyncCancelledError

    def until_cancelled(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items until that is not wanted any more.

        Args:
            items: Such as files, as they are listed.

        Raises:
            SyncCancelledError: The syncs were cancelled.
        """
        for number, item in enumerate(items):
            if number % _CHECK_EVERY == 0:
                self.check()
            yield item

    @contextlib.contextmanager
    def covering(self, session: DownloadSession) -> Iterator[None]:
        """Cancel the downloads of a session, too, if that is asked for meanwhile.

        Args:
            session: Under way in this thread.
        """
        with self._lock:
            self._sessions[id(session)] = session
        try:
            self.check()
            yield
        finally:
            with self._lock:
                del self._sessions[id(session)]
