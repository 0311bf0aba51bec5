"""What a ULog holds besides topics, as topics of their own: logged texts, parameters and dropouts."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from roboto_dagster.topics.decoder import TopicBatch
from roboto_dagster.topics.fields import selected_fields
from roboto_dagster.topics.ulog.parser import UlogStream
from roboto_dagster.topics.ulog.table import UlogTable
from roboto_dagster.topics.ulog.time_base import TimeBase

LOGGED_MESSAGES, PARAMETERS, DROPOUTS = "logged_messages", "parameters", "dropouts"

_LEVELS = {
    ord("0"): "EMERGENCY",
    ord("1"): "ALERT",
    ord("2"): "CRITICAL",
    ord("3"): "ERROR",
    ord("4"): "WARNING",
    ord("5"): "NOTICE",
    ord("6"): "INFO",
    ord("7"): "DEBUG",
}
_DEFAULTS = {0: "system_default", 1: "setup_default"}


class Parameter(NamedTuple):
    """A parameter of the vehicle, and since when it has its value."""

    timestamp: int
    name: str
    value: Any
    origin: str


class _Column(NamedTuple):
    """A column of events: its type, and how it is taken from one."""

    type: "pa.DataType"
    value_of: Callable[[Any], Any]
    unit: str | None = None


_TIMESTAMP = _Column(pa.uint64(), lambda event: event.timestamp)
_COLUMNS: dict[str, dict[str, _Column]] = {
    LOGGED_MESSAGES: {
        "log_level": _Column(pa.uint8(), lambda text: text.level),
        "level": _Column(pa.string(), lambda text: _LEVELS.get(text.level, "UNKNOWN")),
        "tag": _Column(pa.uint16(), lambda text: text.tag),
        "message": _Column(pa.string(), lambda text: text.text),
    },
    PARAMETERS: {
        "name": _Column(pa.string(), lambda parameter: parameter.name),
        "value": _Column(pa.float64(), lambda parameter: _number(parameter.value)),
        "type": _Column(pa.string(), lambda parameter: _type_name(parameter.value)),
        "origin": _Column(pa.string(), lambda parameter: parameter.origin),
    },
    DROPOUTS: {"duration": _Column(pa.uint16(), lambda dropout: dropout.duration, "ms")},
}


class EventTable(UlogTable):
    """The table of one kind of events.

    Args:
        topic: `logged_messages`, `parameters` or `dropouts`.
        time_base: Of the log.
        paths: The columns to keep; None keeps all.

    Raises:
        UndecodableError: UNKNOWN_FIELD.
    """

    def __init__(self, topic: str, time_base: TimeBase, paths: Sequence[str] | None) -> None:
        self._columns = {"timestamp": _TIMESTAMP, **_COLUMNS[topic]}
        fields: list[Any] = []
        for name, column in self._columns.items():
            metadata = {"unit": column.unit} if column.unit else None
            fields.append(pa.field(name, column.type, metadata=metadata))
        definition = ";".join(f"{field.type} {field.name}" for field in fields)
        if paths is not None:
            kept = selected_fields(paths, self._columns, topic)
            self._columns = {name: self._columns[name] for name in kept}
            fields = [field for field in fields if field.name in kept]
        super().__init__(topic, topic, f"{topic}:{definition}", fields, time_base)

    def rows(self, events: Sequence[Any]) -> TopicBatch:
        """Return events as rows.

        Args:
            events: Each has a `timestamp`.

        Raises:
            UndecodableError: TIME_RANGE.
        """
        stamps = np.array([event.timestamp for event in events], np.uint64)
        arrays = [self._array(column, events) for column in self._columns.values()]
        return self.batch(stamps, arrays)

    def _array(self, column: _Column, events: Sequence[Any]) -> Any:
        values = [column.value_of(event) for event in events]
        if values and isinstance(values[0], bytes):
            return self.maker.texts(values)
        return pa.array(values, column.type)


def parameters_of(stream: UlogStream) -> list[Parameter]:
    """Return initial parameters, defaults and changes of a log that was read to its end."""
    start = stream.start_timestamp  # since when initial ones and defaults hold
    found = []
    for name, value in stream.initial_parameters.items():
        found.append(Parameter(start, name, value, "initial"))
    for kind, origin in _DEFAULTS.items():
        for name, value in stream.get_default_parameters(kind).items():
            found.append(Parameter(start, name, value, origin))
    for timestamp, name, value in stream.changed_parameters:
        found.append(Parameter(timestamp, name, value, "changed"))
    return found


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _type_name(value: object) -> str | None:
    return {int: "int32_t", float: "float"}.get(type(value))
