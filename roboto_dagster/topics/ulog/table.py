"""Rows of one ULog topic as batches of its table, with their times in UTC."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from roboto_dagster.text import count
from roboto_dagster.topics.decoder import TopicBatch, TopicNote
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.message_table import definition_metadata, schema_id, schema_of
from roboto_dagster.topics.payloads import Columns
from roboto_dagster.topics.ulog.arrays import ArrayMaker, fields_of
from roboto_dagster.topics.ulog.layout import definition_text, layout_of, selected
from roboto_dagster.topics.ulog.time_base import TimeBase

_TIME = pa.timestamp("ns", "UTC")
_MAX_TIME_US = (2**63 - 1) // 1000


class UlogTable:
    """One table of a log.

    Attributes:
        unstamped: How many rows have no time.
        maker: Counts texts that were not UTF-8.

    Args:
        topic: Verbatim.
        type_name: Of the messages.
        definition: Their format as a text.
        fields: Their columns; one is called `timestamp`.
        time_base: Of the log.
    """

    def __init__(
        self,
        topic: str,
        type_name: str,
        definition: str,
        fields: list[Any],
        time_base: TimeBase,
    ) -> None:
        self.topic = topic
        self.unstamped = 0
        self.maker = ArrayMaker()
        self._type_name = type_name
        self._offset_us = time_base.offset_us
        about = ("ulog", "ulog", type_name, definition.encode())
        self._schema_id = schema_id(*about)
        self._metadata = {
            **definition_metadata(*about),
            "time_base": time_base.name,
            "time_base_source": time_base.source,
            "time_offset_us": str(time_base.offset_us),
        }
        self._schema = schema_of(Columns(rows=0, fields=fields, arrays=[]))

    def batch(self, timestamps: Any, arrays: list[Any]) -> TopicBatch:
        """Return rows with their times.

        Args:
            timestamps: In microseconds since boot; a numpy array of uint64.
            arrays: One a field.

        Raises:
            UndecodableError: TIME_RANGE.
        """
        rows = len(timestamps)
        times = [self._times(timestamps), pa.nulls(rows, _TIME), pa.nulls(rows, pa.uint32())]
        return TopicBatch(
            topic=self.topic,
            type_name=self._type_name,
            schema_id=self._schema_id,
            rows=pa.RecordBatch.from_arrays([*times, *arrays], schema=self._schema),
            metadata=self._metadata,
        )

    def notes(self) -> Iterator[TopicNote]:
        """Yield what is worth knowing about the rows."""
        if self.unstamped:
            text = f"{count(self.unstamped, 'row')} never stamped: log_time is null there"
            yield self._note("unstamped_rows", self.unstamped, text)
        if self.maker.replaced:
            text = f"{count(self.maker.replaced, 'text')} not in UTF-8: such bytes are replaced by U+FFFD"
            yield self._note("replaced_characters", self.maker.replaced, text)

    def _note(self, kind: str, number: int, text: str) -> TopicNote:
        return TopicNote(topic=self.topic, kind=kind, count=number, text=text)

    def _times(self, timestamps: Any) -> Any:
        """Return UTC; a stamp of 0 means never stamped."""
        unstamped = timestamps == 0
        self.unstamped += int(unstamped.sum())
        latest = int(timestamps.max(initial=0))
        if latest + max(self._offset_us, 0) > _MAX_TIME_US:
            raise UndecodableError("TIME_RANGE", f"a row is stamped with {latest} µs")
        nanoseconds = (timestamps.astype(np.int64) + self._offset_us) * 1000
        return pa.array(nanoseconds, pa.int64(), mask=unstamped).cast(_TIME)


class TopicTable(UlogTable):
    """The table of a subscribed topic.

    Args:
        topic: Verbatim.
        name: Of the format of its messages.
        formats: pyulog's, by name.
        time_base: Of the log.
        paths: The fields to keep, nested ones with dots; None keeps all.

    Raises:
        UndecodableError: UNKNOWN_FIELD.
    """

    def __init__(
        self,
        topic: str,
        name: str,
        formats: Mapping[str, Any],
        time_base: TimeBase,
        paths: Sequence[str] | None,
    ) -> None:
        layout = layout_of(formats, name)
        self._timestamp = next(each.key for each in layout.members if each.name == "timestamp")
        self._layout = layout if paths is None else selected(layout, paths, name)
        definition = definition_text(formats, name)
        super().__init__(topic, name, definition, fields_of(self._layout), time_base)

    def rows(self, data: bytearray) -> TopicBatch:
        """Return rows of messages that stand one after the other.

        Raises:
            UndecodableError: TIME_RANGE.
        """
        rows = np.frombuffer(data, self._layout.dtype)
        return self.batch(rows[self._timestamp], self.maker.arrays(rows, self._layout))
