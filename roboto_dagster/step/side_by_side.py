"""Work on many keys in a few threads; the results come in the order of the keys, as long as none takes very long.

```
keys ─► short queue ─► at most `limit` threads ─► results, each kept until it is its turn ─► one consumer
             ▲                                          │
             ├── refilled, unless enough results wait for the consumer: threads may not outrun it, or memory
             │   would grow with the number of keys
             └── refilled in any case while the consumer waits for a key that takes long: it holds no other back

a key for which the consumer has waited `patience_seconds`: the results behind it come before it, or the kill of a run that
hangs at one key would cost the records of all others

an interrupt, or an error of the work: the queue is cancelled, what runs is asked to stop and waited for;
`finished` has what was complete by then
```

Threads return results; whatever is logged, recorded or raised is the consumer's, in its own thread, which is
the only one that a signal interrupts.
"""

import collections
import concurrent.futures
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, TypeVar

from typing_extensions import Self

Key = TypeVar("Key")
Result = TypeVar("Result")

MAX_WAITING = 64
"""So many results may wait for a consumer that is busy."""


class SideBySide(Generic[Key, Result]):
    """Works on keys while it is iterated; use it in a `with`.

    Args:
        keys: In the order in which their results are wanted.
        work: Does the work of one key, in any thread. An error of it is raised at the key's turn.
        limit: How many threads work at once, at most.
        on_cancel: Asks what runs to stop.
        on_idle: Called while the next result is waited for, every `idle_seconds` or more often. Default: nothing.
        idle_seconds: How long to wait between two calls of it, at most. Default 0.5.
        patience_seconds: How long the results of others wait for that of one key. Default 10.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        work: Callable[[Key], Result],
        limit: int,
        *,
        on_cancel: Callable[[], None],
        on_idle: Callable[[], None] = lambda: None,
        idle_seconds: float = 0.5,
        patience_seconds: float = 10.0,
    ) -> None:
        self._work = work
        self._keys = iter(keys)
        self._on_cancel = on_cancel
        self._on_idle = on_idle
        self._idle_seconds = idle_seconds
        self._patience_seconds = patience_seconds
        self._late: set[concurrent.futures.Future[Result]] = set()
        threads = max(1, min(limit, len(keys)))
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, "roboto-partition")
        self._max_unfinished = 2 * threads  # one more for each thread, while the consumer is busy
        self._pending: collections.deque[tuple[Key, concurrent.futures.Future[Result]]] = (
            collections.deque()
        )
        self._unfinished: set[concurrent.futures.Future[Result]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A second signal may come while the threads are waited for; it must find them asked to stop.
        self._pool.shutdown(wait=False, cancel_futures=True)
        if error is not None:
            self._on_cancel()
        self._pool.shutdown(wait=True)

    def __iter__(self) -> Iterator[tuple[Key, Result]]:
        self._refill()
        while self._pending:
            self._bring_to_front()
            key, future = self._pending[0]
            yield key, future.result()
            del future  # and with it the result
            self._pending.popleft()  # not before: the consumer may have been interrupted
            self._refill()

    def finished(self) -> Iterator[tuple[Key, Result]]:
        """Yield the results of work that has ended well from the last one on that was yielded, which the consumer
        may not have come to the end of.
        """
        while self._pending:
            key, future = self._pending.popleft()
            if future.done() and not future.cancelled() and future.exception() is None:
                yield key, future.result()

    def _bring_to_front(self) -> None:
        """Wait for the next result, and put it first: that of the first key, but for those that are late."""
        waited_for, until = None, 0.0
        while True:
            number, future = self._in_turn()
            if future is not None and future.done():
                break
            if future is not waited_for:
                waited_for, until = future, time.monotonic() + self._patience_seconds
            if future is not None and time.monotonic() >= until:
                self._late.add(future)
                continue
            concurrent.futures.wait(
                self._unfinished, self._idle_seconds, concurrent.futures.FIRST_COMPLETED
            )
            self._refill()
            self._on_idle()
        self._late.discard(future)
        pending = self._pending[number]
        del self._pending[number]
        self._pending.appendleft(pending)

    def _in_turn(self) -> "tuple[int, concurrent.futures.Future[Result] | None]":
        """Return the first key that has a result or is not late: its number, and None where all are late."""
        for number, (_, future) in enumerate(self._pending):
            if future.done() or future not in self._late:
                return number, future
        return 0, None

    def _refill(self) -> None:
        """Give the threads work, unless the consumer has enough to do."""
        self._unfinished = {each for each in self._unfinished if not each.done()}
        waiting = len(self._pending) - len(self._unfinished)
        if waiting >= MAX_WAITING:
            _, following = self._in_turn()
            if following is not None and following.done():
                return
        for key in itertools.islice(self._keys, self._max_unfinished - len(self._unfinished)):
            future = self._pool.submit(self._work, key)
            self._unfinished.add(future)
            self._pending.append((key, future))
