"""The waits of a client between requests, which another thread can end for good: a run that is cancelled waits for nothing.

```
 request ─► waits for its turn, or for its next attempt ─┬─ time is up ──► sent
                                                         └─ `end` ───────► WaitEndedError
```
"""

import threading


class WaitEndedError(OSError):
    """A request waited for its turn or for another attempt, and was not made any more."""

    def __str__(self) -> str:
        return "the request was given up, since the run was cancelled"


class Waits:
    """The waits of all threads of one client."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds.

        Raises:
            WaitEndedError: The waits were ended, now or before.
        """
        if self._ended.wait(seconds):
            raise WaitEndedError

    def end(self) -> None:
        """End all waits, those under way and those to come."""
        self._ended.set()


def end_waits(client: object) -> None:
    """End the waits of a client, if it is one whose waits can be ended.

    Args:
        client: One of ours, or a stand-in for it.
    """
    waits = getattr(client, "waits", None)
    if isinstance(waits, Waits):
        waits.end()
