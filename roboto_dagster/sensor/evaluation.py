"""What one evaluation of the sensor starts from: its cursor."""

import dagster as dg

from roboto_dagster.sensor.cursor import CursorError, SensorCursor


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
