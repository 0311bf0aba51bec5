"""Keeps Python's garbage collector from looking at all objects of the process again and again during a sync.

A sync makes and drops some twenty objects a file, of which those under way outlive the collector's young generations. So
it looks at everything every few thousand files, and in a process with Dagster and the SDK that is hundreds of thousands
of objects that stay: measured, a fifth of the time that 60,000 small files took. Objects that were there before are set
aside meanwhile (`gc.freeze`), as https://docs.python.org/3/library/gc.html#gc.freeze describes for other uses. What
becomes garbage of them is collected afterwards.
"""

import contextlib
import gc
import threading
from collections.abc import Iterator


class _OlderObjects:
    """The objects that are older than the first of the syncs under way in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._syncs = 0
        self._is_frozen = False

    def set_aside(self) -> None:
        with self._lock:
            self._syncs += 1
            # Where somebody else has frozen objects, as a server does before it forks, they are left alone.
            if self._syncs == 1 and hasattr(gc, "freeze") and gc.get_freeze_count() == 0:
                gc.freeze()
                self._is_frozen = True

    def give_back(self) -> None:
        with self._lock:
            self._syncs -= 1
            if self._syncs == 0 and self._is_frozen:
                gc.unfreeze()
                self._is_frozen = False


_older_objects = _OlderObjects()


@contextlib.contextmanager
def only_new_objects_collected() -> Iterator[None]:
    """Let the garbage collector look only at objects that are made from now on. Syncs may overlap."""
    _older_objects.set_aside()
    try:
        yield
    finally:
        _older_objects.give_back()
