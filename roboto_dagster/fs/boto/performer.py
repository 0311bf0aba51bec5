"""Carries one request out: signs, sends, has the head judged, reads the body. In the calling thread.

```
 sign ─► send ─► head ─┬─ 2xx ─► accepted ─► read, write, read, write … ─► complete, or its shortfall
                       │              └─ refused ─► Failure
                       └─ any other ─► error body ─► Failure
```
"""

import time
from collections.abc import Callable

from roboto_dagster.fs.boto.errors import failure_of, network_failure
from roboto_dagster.fs.boto.exchange import Exchange
from roboto_dagster.fs.boto.monitor import Monitor
from roboto_dagster.fs.boto.sender import Sender
from roboto_dagster.fs.core.answers import shortfall
from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.failure import Failure, local_failure
from roboto_dagster.fs.core.response import Head

_LONGEST_PAUSE_SECONDS = 0.05


class Performer:
    """Carries requests out, for any number of threads.

    Args:
        sender: Makes and sends the requests.
        monitor: What the coordinator is called under.
        is_active: Reports, under the monitor, whether a request is still wanted.
        settle: Does, under the monitor, what follows from an accepted head.
        bandwidth: The bound on what all threads receive, or None.
    """

    def __init__(
        self,
        sender: Sender,
        monitor: Monitor,
        is_active: Callable[[Exchange], bool],
        settle: Callable[[], None],
        bandwidth: Bandwidth | None,
    ) -> None:
        self._bandwidth = bandwidth
        self._sender = sender
        self._monitor = monitor
        self._is_active = is_active
        self._settle = settle

    def perform(self, exchange: Exchange) -> Failure | None:
        """Sends a request and reads its answer, to the end of either.

        Args:
            exchange: The request, not sent.

        Returns:
            Why it failed; None if all its bytes have come, or they are not wanted any more.
        """
        file = exchange.ranged.download.file
        try:
            request, session = self._sender.prepare(exchange.tenant.state, exchange.ranged)
        except Exception as error:  # noqa: BLE001 - whatever a record or a configuration causes
            return failure_of(error, file)
        try:
            head = exchange.send(session, request)
            if not 200 <= head.status < 300:
                return self._refused(exchange, head)
            return self._accept(exchange, head) or self._receive(exchange)
        except Exception as error:  # noqa: BLE001 - whatever a network causes
            return exchange.failure or _on_connection(exchange, network_failure(error, file))
        finally:
            exchange.close()

    def _refused(self, exchange: Exchange, head: Head) -> Failure:
        credentials = exchange.ranged.credentials
        expired = credentials is not None and credentials.expires_at <= time.time()
        body = exchange.error_body()
        return exchange.failure or failure_of_answer(head, body, credentials_expired=expired)

    def _accept(self, exchange: Exchange, head: Head) -> Failure | None:
        ranged = exchange.ranged
        with self._monitor:
            if not self._is_active(exchange):  # aborted
                return None
            try:
                failure = exchange.tenant.on_head(ranged, head)
            except Exception as error:  # noqa: BLE001 - a disk, or a path that cannot be
                failure = local_failure(ranged.download.file, error)
            self._settle()
        return failure

    def _receive(self, exchange: Exchange) -> Failure | None:
        """Reads the body until it ends, or no more of it is wanted."""
        ranged = exchange.ranged
        while not ranged.is_complete:
            if self._bandwidth is not None:
                self._hold(exchange, self._bandwidth)
            data = exchange.read()
            if self._bandwidth is not None:
                self._bandwidth.take(len(data))
            if exchange.failure is not None:  # shut down: what ends here is not the body
                return exchange.failure
            with self._monitor:
                if not self._is_active(exchange):  # aborted
                    return None
                try:
                    is_over = not data or not ranged.write(data)
                except Exception as error:  # noqa: BLE001 - a disk
                    return local_failure(ranged.download.file, error)
                if is_over:
                    return shortfall(ranged)
        return None

    @staticmethod
    def _hold(exchange: Exchange, bandwidth: Bandwidth) -> None:
        """Wait until something may be read, or the request is ended."""
        while pause := bandwidth.pause_seconds(time.monotonic()):
            if exchange.is_shut_down:
                return
            time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
            exchange.watch_from(time.monotonic())  # it is not the store that delivers nothing


def _on_connection(exchange: Exchange, failure: Failure) -> Failure:
    """Has a request repeated at once whose connection had been closed while it was idle."""
    if failure.code == "CONNECTION" and exchange.is_on_old_connection and not exchange.has_head:
        return Failure(
            code=failure.code, reason=failure.reason, remedy="replay", cause=failure.cause
        )
    return failure
