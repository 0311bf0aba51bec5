"""The loops of one store: started with its first file, ended with it, whatever interrupts that.

```
 made (no thread, no descriptor) ─► start ─► running ─► stop ─► ended: join
                                     └ interrupted: stopped, and ended by `join`
```
"""

import threading
import weakref
from collections.abc import Callable

from roboto_dagster.fs.core.scheduler import BULK_BYTES
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.curl.limits import Connections
from roboto_dagster.fs.curl.loop import CurlLoop

_BYTES_IN_FLIGHT = 512 * MIB
# What a request costs besides its bytes, when files are shared out to the loops.
_REQUEST_COSTS_BYTES = 256 * 1024


class Loops:
    """Starts loops, shares files out to them, and ends them.

    A signal handler that raises may interrupt any line: what runs by then is known here, and is
    ended by `end`; if even that is not reached, it ends once nobody holds this object any more.

    Args:
        state: What the loops share.
        on_ended: Called with how many files ended, after they did.
    """

    def __init__(self, state: StoreState, on_ended: Callable[[int], None]) -> None:
        count = state.drivers
        connections = Connections(state.throttle, count)
        self._state = state
        self._lock = threading.Lock()
        self._is_started = False
        self._shares = [0.0] * count
        self._loops = [
            CurlLoop(
                state,
                connections,
                index,
                bytes_in_flight=_BYTES_IN_FLIGHT // count,
                on_ended=on_ended,
            )
            for index in range(count)
        ]
        weakref.finalize(self, _stop, self._loops).atexit = False

    def choose(self, size_bytes: int | None) -> CurlLoop:
        """Return the loop for a file: large files are shared out, small ones go to the first.

        A small file is mostly Python, which two threads cannot run at once: measured, a second loop
        makes 5,000 small files slower by a third, and large ones faster by as much.

        Args:
            size_bytes: The file's size, or None for one as large as the others lately.
        """
        if not self._is_started:
            self._start()
        size = self._state.typical_bytes if size_bytes is None else size_bytes
        shares = self._shares
        chosen = 0 if size < BULK_BYTES else shares.index(min(shares))
        shares[chosen] += _REQUEST_COSTS_BYTES + size
        return self._loops[chosen]

    def _start(self) -> None:
        with self._lock:
            if self._is_started:
                return
            try:
                for loop in self._loops:
                    loop.start()
                self._is_started = True
            except BaseException:
                _stop(self._loops)
                raise

    def cancel(self) -> None:
        """End every file under way."""
        for loop in self._loops:
            loop.cancel_all()

    def end(self, *, cancel: bool) -> None:
        """Wait for all files, and end the loops.

        Args:
            cancel: Whether to end the files too.
        """
        if cancel:
            self.cancel()
        _stop(self._loops)
        for loop in self._loops:
            loop.join()


def _stop(loops: list[CurlLoop]) -> None:
    for loop in loops:
        loop.stop()
