"""One ULog from its header to its end: tables of the topics, of the logged texts, parameters and dropouts.

```
header ─► definitions ─► first part ─► time base ─► all parts: rows, logged texts ─► parameters, dropouts ─► what was wrong
   │           │                                                                                        │
 UNSUPPORTED_  TRUNCATED                                                             CORRUPT, or a note of cut bytes
 VERSION, …
```
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pyulog.core import (
    ULogException,
    ULogIncompatibleFlagException,
)

from roboto_dagster.text import count
from roboto_dagster.topics.decoder import Found, TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.topic_filter import TopicFilter
from roboto_dagster.topics.ulog.events import (
    DROPOUTS,
    LOGGED_MESSAGES,
    PARAMETERS,
    EventTable,
    parameters_of,
)
from roboto_dagster.topics.ulog.information import information_text
from roboto_dagster.topics.ulog.parser import UlogStream
from roboto_dagster.topics.ulog.subscriptions import UlogRows
from roboto_dagster.topics.ulog.table import TopicTable, UlogTable
from roboto_dagster.topics.ulog.time_base import time_base_of

_BUFFER_BYTES = 1024 * 1024


def read_ulog(path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
    """Decode a log.

    Args:
        path: The log.
        topics: Which topics, and which fields of them.

    Yields:
        Rows, and what was wrong.
    """
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        stream = UlogStream(file, topics.includes)
        fault = _definitions_fault(stream)
        if fault is not None:
            yield fault
        else:
            yield from _Log(stream, path, topics).found()


def _definitions_fault(stream: UlogStream) -> TopicFault | None:
    try:
        code = stream.read_definitions()
    except ULogIncompatibleFlagException:
        return _fault("UNSUPPORTED_VERSION", "the log has a flag of a later version of ULog")
    except ULogException as error:
        is_short = "too short" in str(error)
        return _fault("TRUNCATED" if is_short else "CORRUPT", str(error).rstrip("."))
    if code is None:
        return None
    is_cut = code == "TRUNCATED"
    return _fault(
        code,
        "the log ends within its definitions"
        if is_cut
        else "the definitions of the log are damaged",
    )


def _fault(code: str, reason: str) -> TopicFault:
    return TopicFault(topic=None, code=code, reason=reason)


class _Log:
    """A log whose definitions were read."""

    def __init__(self, stream: UlogStream, path: pathlib.Path, topics: TopicFilter) -> None:
        self._stream = stream
        self._parts = stream.parts()
        self._first = next(self._parts)  # its stamps are needed for the time base
        self._time_base = time_base_of(stream, path)
        information = information_text(stream.msg_info_dict)
        self._metadata = {"information": information} if information else {}
        self._topics = topics
        self._tables: dict[str, UlogTable] = {}
        self._failed: set[str] = set()

    def found(self) -> Iterator[Found]:
        """Yield everything, and at the end what was wrong."""
        for part in itertools.chain([self._first], self._parts):
            for rows in part:
                yield from self._batch(rows.topic, partial(self._topic_rows, rows))
            yield from self._event_rows(LOGGED_MESSAGES, self._stream.take_texts())
            yield from self._untimed()
        yield from self._event_rows(PARAMETERS, parameters_of(self._stream))
        yield from self._event_rows(DROPOUTS, self._stream.dropouts)
        yield from self._notes()
        if self._stream.file_corruption:
            yield _fault("CORRUPT", "messages of the log are damaged or missing")

    def _batch(self, topic: str, make: Callable[[], TopicBatch]) -> Iterator[Found]:
        if topic in self._failed:
            return
        try:
            batch = make()
            yield dataclasses.replace(batch, metadata={**batch.metadata, **self._metadata})
        except UndecodableError as error:
            yield self._failure(topic, error.code, error.reason)

    def _failure(self, topic: str, code: str, reason: str) -> TopicFault:
        self._failed.add(topic)
        return TopicFault(topic=topic, code=code, reason=reason)

    def _topic_rows(self, rows: UlogRows) -> TopicBatch:
        table = self._tables.get(rows.topic)
        if not isinstance(table, TopicTable):
            formats, paths = self._stream.message_formats, self._topics.fields_of(rows.topic)
            table = TopicTable(rows.topic, rows.name, formats, self._time_base, paths)
            self._tables[rows.topic] = table
        return table.rows(rows.data)

    def _event_rows(self, topic: str, events: Sequence[Any]) -> Iterator[Found]:
        """Yield a batch of what is no topic in the log."""
        if events and self._topics.includes(topic):
            yield from self._batch(topic, partial(self._event_batch, topic, events))

    def _event_batch(self, topic: str, events: Sequence[Any]) -> TopicBatch:
        table = self._tables.get(topic)
        if not isinstance(table, EventTable):
            table = EventTable(topic, self._time_base, self._topics.fields_of(topic))
            self._tables[topic] = table
        return table.rows(events)

    def _untimed(self) -> Iterator[TopicFault]:
        for topic in self._stream.take_untimed():
            if topic not in self._failed:
                yield self._failure(topic, "NO_TIMESTAMP", "the messages have no 64-bit timestamp")

    def _notes(self) -> Iterator[TopicNote]:
        for table in self._tables.values():
            yield from table.notes()
        lost = self._stream.dropouts
        if lost:
            text = f"the logger could not write {count(len(lost), 'time')}, {sum(each.duration for each in lost)} ms in all"
            yield TopicNote(topic=None, kind="dropouts", count=len(lost), text=text)
        cut = self._stream.cut_bytes
        if cut:
            text = (
                f"the log ends within a message, of which {count(cut, 'byte')} had to be left out"
            )
            yield TopicNote(topic=None, kind="cut_bytes", count=cut, text=text)
