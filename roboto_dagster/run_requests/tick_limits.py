"""A client for ticks of sensors and schedules, which fails within the time that Dagster gives them."""

from roboto_dagster.resources import RobotoResource

# Dagster gives a tick 60 seconds; with these one request of the API may fail for 20 of them.
_MAX_ATTEMPTS = 2
_MAX_TIMEOUT_SECONDS = 10.0


def with_short_limits(roboto: RobotoResource) -> RobotoResource:
    """Return the resource with limits by which a tick fails in time to report why.

    Args:
        roboto: As the user configured it.
    """
    if not hasattr(roboto, "model_copy"):
        return roboto  # a stand-in in a test
    limits = {
        "max_attempts": min(roboto.max_attempts, _MAX_ATTEMPTS),
        "timeout_seconds": min(roboto.timeout_seconds, _MAX_TIMEOUT_SECONDS),
    }
    return roboto.model_copy(update=limits)
