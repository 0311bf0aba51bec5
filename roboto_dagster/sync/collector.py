"""Keeps Python's garbage collector from looking at the same objects again and again during a sync.

A sync makes and drops some fifty objects a file, nearly all of which go as soon as nobody refers to them. With its
defaults, the collector looks at those of the files under way every 700 objects, thrice before they go, and every few
thousand files at everything: in a process with Dagster and the SDK, hundreds of thousands of objects that stay. Measured,
that was a fifth of the time that many small files took. So, meanwhile:

- objects that were there before are set aside (`gc.freeze`), as https://docs.python.org/3/library/gc.html#gc.freeze
  describes for other uses; what becomes garbage of them is collected afterwards;
- new ones are looked at after more of them have been made than the files under way take. At most so many wait for the
  collector, some ten MiB.

```
 first of the users ─► all objects set aside ─► … ─► new ones collected, what is left of them set aside, too ─► …
                                                                              last of the users ─► all given back
```
"""

import contextlib
import gc
import threading
from collections.abc import Iterator

_NEW_OBJECTS = 50_000
"""How many more objects are there when the collector looks at the new ones: twice what the files under way take."""


class _Collector:
    """How the collector works while syncs and steps are under way in this process, and how it did before."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # what is collected while it is held may end, too
        self._users = 0
        self._has_frozen = False
        self._thresholds: tuple[int, int, int] | None = None

    def start(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._freeze()
                self._raise_threshold()

    def _freeze(self) -> None:
        # Where somebody else has frozen objects, as a server does before it forks, they are left alone.
        if hasattr(gc, "freeze") and gc.get_freeze_count() == 0:
            gc.freeze()
            self._has_frozen = True

    def freeze_new(self) -> None:
        with self._lock:
            if self._has_frozen:
                gc.freeze()

    def _raise_threshold(self) -> None:
        new, *older = gc.get_threshold()
        if 0 < new < _NEW_OBJECTS:  # with 0, somebody has switched it off
            self._thresholds = (new, older[0], older[1])
            gc.set_threshold(_NEW_OBJECTS, *older)

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore()

    def _restore(self) -> None:
        thresholds, self._thresholds = self._thresholds, None
        # Unless somebody has set another one meanwhile.
        if thresholds is not None and gc.get_threshold()[0] == _NEW_OBJECTS:
            gc.set_threshold(*thresholds)
        if self._has_frozen:
            gc.unfreeze()
            self._has_frozen = False


_collector = _Collector()


@contextlib.contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Let the garbage collector look only at objects that are made from now on, and at those less often.

    Syncs and steps may overlap.
    """
    _collector.start()
    try:
        yield
    finally:
        _collector.end()


def collect_new_objects() -> None:
    """Collect what has become garbage since the last time; what is left is set aside, so that the next time is as short."""
    gc.collect()
    _collector.freeze_new()
