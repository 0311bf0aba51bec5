"""What one evaluation of the sensor starts from: its cursor, and a client that fails within the time Dagster gives it."""

import dagster as dg

from roboto_dagster.resources import RobotoResource
from roboto_dagster.sensor.cursor import CursorError, SensorCursor

# Dagster gives a tick 60 seconds; with these one request of the API may fail for 20 of them.
_MAX_ATTEMPTS = 2
_MAX_TIMEOUT_SECONDS = 10.0


def read_cursor(context: dg.SensorEvaluationContext) -> SensorCursor:
    """Return the cursor of a context; one that cannot be read is replaced by a new one, with a warning.

    Args:
        context: Of the evaluation.
    """
    try:
        return SensorCursor.from_json(context.cursor)
    except CursorError as error:
        context.log.warning(
            f"The sensor's cursor cannot be read: {error}. It starts again and requests every dataset once more; files "
            "that have not changed cost nothing."
        )
        return SensorCursor()


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
