"""How ticks of sensors and schedules ask the platform, and fail within the time that Dagster gives them."""

import dagster as dg

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.changes import ChangeQueries
from roboto_dagster.resources import RobotoResource

# Dagster gives a tick 60 seconds; with these one request of the API may fail for 20 of them.
_MAX_ATTEMPTS = 2
_MAX_TIMEOUT_SECONDS = 10.0


def change_queries(roboto: RobotoResource) -> ChangeQueries:
    """Return what asks the platform for changes, with limits by which a tick fails in time to report why.

    Args:
        roboto: As the user configured it.
    """
    client = _with_short_limits(roboto).get_client()
    return ChangeQueries(client=client, org_id=getattr(roboto, "org_id", None))


def skipped(error: PlatformError) -> dg.SkipReason:
    """Return why a tick does nothing, if the next one may do better.

    Args:
        error: Of the platform.

    Raises:
        PlatformError: It is permanent.
    """
    if not error.transient:
        raise error
    return dg.SkipReason(f"The next tick asks again; no change is lost. {error}")


def _with_short_limits(roboto: RobotoResource) -> RobotoResource:
    if not hasattr(roboto, "model_copy"):
        return roboto  # a stand-in in a test
    limits = {
        "max_attempts": min(roboto.max_attempts, _MAX_ATTEMPTS),
        "timeout_seconds": min(roboto.timeout_seconds, _MAX_TIMEOUT_SECONDS),
    }
    return roboto.model_copy(update=limits)
