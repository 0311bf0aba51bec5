"""A thread that calls a method every few seconds, for as long as its object lives."""

import contextlib
import threading
import weakref
from collections.abc import Callable

from roboto_dagster.disk import owner


class Heartbeat:
    """Starts with its making; ends with `stop`, or when the method's object is forgotten.

    Args:
        beat: A bound method; its `OSError`s are ignored.
    """

    def __init__(self, beat: Callable[[], object]) -> None:
        self._stopped = threading.Event()
        arguments = (weakref.WeakMethod(beat), self._stopped)
        thread = threading.Thread(target=_run, args=arguments, name="roboto-heartbeat", daemon=True)
        with contextlib.suppress(
            RuntimeError
        ):  # no more threads: a run of minutes does not need one
            thread.start()

    def stop(self) -> None:
        """End the thread; it is not waited for."""
        self._stopped.set()


def _run(reference: "weakref.WeakMethod[Callable[[], object]]", stopped: threading.Event) -> None:
    # Only a weak reference: after an interrupt nobody may be left to call `stop`.
    while not stopped.wait(owner.HEARTBEAT_SECONDS):
        beat = reference()
        if beat is None:
            return
        with contextlib.suppress(
            OSError
        ):  # a full disk, a lost mount: the files themselves report it
            beat()
        del beat
