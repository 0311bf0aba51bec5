"""Carries out what `recovery` decides after a failed request."""

import dataclasses
import logging

from roboto_dagster.fs.core.answers import can_continue
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.files import OUTAGE_CODES, Driver, Files
from roboto_dagster.fs.core.recovery import (
    MAX_REPLAYS,
    AdjustClock,
    GiveUp,
    RefreshCredentials,
    Relocate,
    Restart,
    RestartAsOneStream,
    Retry,
    next_action,
)
from roboto_dagster.fs.core.scheduler import Scheduler
from roboto_dagster.fs.core.store_state import StoreState

logger = logging.getLogger(__name__)


class Retries:
    """Has requests sent again, files started again, or files end.

    Args:
        state: What all drivers of the store share.
        scheduler: What waits to be requested.
        driver: Sends the requests.
        files: The files that have not ended.
    """

    def __init__(
        self, state: StoreState, scheduler: Scheduler, driver: Driver, files: Files
    ) -> None:
        self._state = state
        self._settings = state.settings
        self._scheduler = scheduler
        self._driver = driver
        self._files = files

    def failed(
        self, request: RangeRequest, failure: Failure, *, connections: int, now: float
    ) -> None:
        """Take a request that failed.

        Args:
            request: The request, released.
            failure: Why it failed.
            connections: How many other requests of the driver are under way.
            now: The driver's clock, in seconds.
        """
        download = request.download
        download.request_id = failure.request_id or download.request_id
        self._state.outage.failed(is_answer=failure.code not in OUTAGE_CODES)
        if failure.remedy == "denied" and self._may_have_expired(request):
            failure = dataclasses.replace(failure, remedy="replay")
        match next_action(download, request, failure, self._settings.retry, now):
            case GiveUp(is_exhausted):
                self._give_up(request, failure, now, is_exhausted=is_exhausted)
            case Restart():
                download.changes += 1
                download.refused_ranges_of = None if request.is_initial else download.facts
                self.restart(download, failure)
            case RestartAsOneStream(for_all):
                download.one_stream = True
                self._state.one_stream |= for_all
                self.restart(download, failure)
            case Retry(after_seconds):
                self._adapt_limits(failure, after_seconds, connections, now)
                self._retry(request, failure, after_seconds, now)
            case action:
                self._learn(action, request, failure)
                request.replays += 1
                self._scheduler.again(self._continued(request))

    def _may_have_expired(self, request: RangeRequest) -> bool:
        """Return whether a denied request deserves fresh credentials, which are then fetched."""
        credentials = request.credentials
        if credentials is None or request.replays >= MAX_REPLAYS:
            return False
        return self._state.credentials.suspect(credentials.generation)

    def _learn(self, action: object, request: RangeRequest, failure: Failure) -> None:
        """Take in what a replay needs."""
        match action:
            case AdjustClock(server_time):
                self._state.learn_time(server_time)
            case Relocate(region):
                self._state.endpoints.learn_region(request.download.bucket, region)
            case RefreshCredentials() if request.credentials is not None:
                self._state.credentials.mark_rejected(
                    request.credentials.generation, failure.code, failure.reason
                )

    def _retry(self, request: RangeRequest, failure: Failure, pause: float, now: float) -> None:
        download = request.download
        self._report_retry(download, failure, pause)
        request.attempts += 1
        download.most_attempts = max(download.most_attempts, request.attempts)
        self._scheduler.later(self._continued(request), now + pause)

    def _continued(self, request: RangeRequest) -> RangeRequest:
        """Return what is left of a request; all of it where that would risk a mixture."""
        if request.position == request.start:
            return request
        if can_continue(request):
            request.is_initial = False
            return request
        again = request.download.restart(is_counted=False)  # it is as an attempt
        again.attempts, again.replays = request.attempts, request.replays
        again.first_attempt_at = request.first_attempt_at
        return again

    def restart(self, download: Download, failure: Failure) -> None:
        """Start a file again.

        Args:
            download: The file.
            failure: Why.
        """
        self._report_retry(download, failure, 0.0)
        self._driver.abort(download)
        self._scheduler.again(download.restart())

    def _adapt_limits(self, failure: Failure, pause: float, connections: int, now: float) -> None:
        """Use fewer connections where the store, or this machine, asks for it."""
        if failure.code in ("THROTTLED", "STALLED"):
            everybody = pause if failure.retry_after_seconds else 0.0
            self._state.throttle.slow_down(now, everybody)
            if failure.code == "THROTTLED" and self._state.shared is not None:
                self._state.shared.throttled(self._state, now)
        elif failure.code == "LOCAL_IO":  # too many open files
            self._state.throttle.shrink_to(connections * self._state.drivers * 3 // 4)

    def _give_up(
        self, request: RangeRequest, failure: Failure, now: float, *, is_exhausted: bool
    ) -> None:
        self._files.fail(request.download, failure)
        outage = self._state.outage
        nobody_answered = outage.last_success_at < request.first_attempt_at
        if is_exhausted and failure.code in OUTAGE_CODES and nobody_answered:
            # In all that time: those still waiting would wear it out again.
            outage.give_up(failure, request.first_attempt_at, now)
            self._files.fail_waiting(failure)

    def _report_retry(self, download: Download, failure: Failure, pause: float) -> None:
        on_retry = self._settings.on_retry
        logger.debug("%s: %s, next attempt in %.2f s", download.source_uri, failure.reason, pause)
        if on_retry is not None:
            try:
                on_retry(download.error(failure), pause)
            except Exception:  # the border to the caller's code
                logger.exception("on_retry failed")
