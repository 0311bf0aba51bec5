"""The requests of one loop: those under way, and the handles that wait for the next ones."""

import pycurl

from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.curl.multi import Multi
from roboto_dagster.fs.curl.request import CurlRequest
from roboto_dagster.fs.curl.write_buffer import WriteBuffer
from roboto_dagster.fs.engine.tenant import Tenant


class ActiveRequests:
    """What libcurl is at.

    Args:
        settings: The engine's settings.
        multi: Carries the requests out.
        buffer: Gathers what arrives.
        bandwidth: The bound on what all loops receive, or None.
    """

    def __init__(
        self,
        settings: S3Settings,
        multi: Multi,
        buffer: WriteBuffer,
        bandwidth: Bandwidth | None,
    ) -> None:
        self._bandwidth = bandwidth
        self._settings = settings
        self._multi = multi
        self._buffer = buffer
        self._active: dict[pycurl.Curl, CurlRequest] = {}
        self._idle: list[CurlRequest] = []
        self._watched_at = 0.0

    def __len__(self) -> int:
        return len(self._active)

    def get(self, curl: pycurl.Curl) -> CurlRequest | None:
        """Return the request of a handle; None if it is not under way any more."""
        return self._active.get(curl)

    def start(self, tenant: Tenant, ranged: RangeRequest, now: float) -> None:
        """Send a request.

        Args:
            tenant: Whose request it is.
            ranged: What to fetch.
            now: The loop's clock, in seconds.

        Raises:
            UnicodeError: The key is not valid Unicode.
            ConfigurationError: The bucket's endpoint cannot be resolved.
        """
        credentials = ranged.credentials
        region = credentials.region if credentials else ""
        state, idle = tenant.state, self._idle
        endpoint = state.endpoints.get(ranged.download.bucket, region)
        request = idle.pop() if idle else self._make()
        request.tenant = tenant
        try:
            request.start(ranged, endpoint, state.skew_seconds, now)
            # Sent at the next turn: what libcurl ends here would be noticed only after a wait.
            self._multi.add(request.curl)
        except BaseException:
            request.close()
            raise
        self._active[request.curl] = request

    def _make(self) -> CurlRequest:
        return CurlRequest(self._settings, self._buffer, self._bandwidth)

    def release(self, request: CurlRequest) -> RangeRequest | None:
        """Take a request out of libcurl, and its handle back; return what it fetched."""
        del self._active[request.curl]
        self._multi.remove(request.curl)
        ranged, request.range = request.range, None
        self._idle.append(request)
        return ranged

    def of(self, download: Download) -> list[CurlRequest]:
        """Return the requests of a file."""
        return [
            request
            for request in self._active.values()
            if request.range is not None and request.range.download is download
        ]

    # Stalls

    @property
    def _watch_interval(self) -> float:
        return min(max(self._settings.stall_timeout_seconds / 5, 0.02), 1.0)

    @property
    def watch_due(self) -> float:
        """When the requests are to be checked next."""
        return self._watched_at + self._watch_interval if self._active else float("inf")

    def to_be_ended(self, now: float) -> list[tuple[CurlRequest, Failure]]:
        """Return the requests that receive nothing, or do not end, and why to end them.

        Args:
            now: The loop's clock, in seconds.
        """
        interval = self._watch_interval
        pause = now - self._watched_at
        if pause < interval:
            return []
        self._watched_at = now
        if pause > 5 * interval + 1:  # the loop itself stood still: nobody could deliver anything
            for request in self._active.values():
                request.watch_from(now)
            return []
        limit = self._settings.stall_timeout_seconds
        reasons = [(request, request.why_to_end(now, limit)) for request in self._active.values()]
        return [(request, failure) for request, failure in reasons if failure is not None]

    def close(self) -> None:
        """Free all handles."""
        for request in self._active.values():
            self._multi.remove(request.curl)
        for request in [*self._active.values(), *self._idle]:
            request.close()
        self._active.clear()
        self._idle.clear()
