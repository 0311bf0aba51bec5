"""What stores share that are used side by side: threads, connections, bytes in flight.

```
 open ─► get: engines are made as stores need them ─► … ─► closed: all files ended, threads joined
```
"""

import os
import threading
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Literal, TypeVar

from typing_extensions import Self

from roboto_dagster.errors import ConfigurationError

EngineT = TypeVar("EngineT")


class SharedEngine:
    """Event loops and connections that any number of S3 stores use at the same time; use it in a `with`.

    Each store keeps credentials, failures and throttling of its own: what holds one up, holds no
    other up. Only where several are throttled, and a tenth of all answers ask for it, all of them use
    fewer connections together. The bounds of the settings, such as `max_connections`, are on all stores together.
    Nothing is started before the first file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._is_closed = False
        self._engines: dict[tuple[Callable[..., Any], Hashable], Any] = {}

    def get(self, make: Callable[..., EngineT], settings: Hashable) -> EngineT:
        """Return the engine of stores with these settings; for stores.

        Args:
            make: Makes one, given the settings and `is_shared`.
            settings: The settings, without what is each store's own.

        Raises:
            ConfigurationError: It is closed, or belongs to another process.
        """
        if self._is_closed or os.getpid() != self._pid:
            raise ConfigurationError(
                "This SharedEngine is closed, or was made in another process: "
                "open stores inside its `with`, in the process that made it."
            )
        with self._lock:
            engine: EngineT | None = self._engines.get((make, settings))
            if engine is None:
                engine = self._engines[make, settings] = make(settings, is_shared=True)
        return engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        if os.getpid() != self._pid:
            return False
        try:
            self._is_closed = True
            self._end(cancel=exc_type is not None)
        except BaseException:  # a signal while waiting for the transfers
            self._end(cancel=True)
            raise
        return False

    def _end(self, *, cancel: bool) -> None:
        for engine in list(self._engines.values()):
            engine.end(cancel=cancel)
