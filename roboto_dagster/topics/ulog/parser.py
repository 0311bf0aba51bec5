"""pyulog, made to hand over what it has read every few MiB, instead of keeping all rows to the end.

pyulog appends the rows of each subscription to a buffer, and converts all buffers at the end of the file.
Here it pauses between two messages, as if the file ended, after every `PART_BYTES`:

```
        ┌──────────── read messages ◄───────────┐
 open ──┤  PART_BYTES read: the file "ends"     │ continue
        └─► hand over buffers ──────────────────┘
                │ the file ends
                ▼
        hand over the rest; count the bytes that were cut
```

Synchronization, corruption and appended data stay pyulog's. The private names in use are tested by
`tests/topics/ulog/test_pyulog_contract.py`, and the dependency has an upper bound.
"""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from pyulog.core import ULog

from roboto_dagster.topics.ulog.ending import cut_bytes, position_of
from roboto_dagster.topics.ulog.layout import flat_size, has_timestamp
from roboto_dagster.topics.ulog.wrapping import printing_to_log, raising_value_error

PART_BYTES = 4 * 1024 * 1024
"""How many bytes of messages are read between two hand-overs."""
HANDED_OVER_BYTES = 1024 * 1024
"""Buffers of at least this size are handed over at a pause."""
HELD_BYTES = 64 * 1024 * 1024
"""How many bytes all buffers may hold together after a pause; above it, the largest are handed over too."""

_TEXT = struct.Struct("<BQ")
_TAGGED_TEXT = struct.Struct("<BxxQ")
_END = io.BytesIO()  # a file that has ended


class UlogRows(NamedTuple):
    """Rows of one topic: the bytes of its messages, one after the other."""

    topic: str
    subscription: Any  # pyulog's _MessageAddLogged
    data: bytearray


class LoggedText(NamedTuple):
    """A line that the firmware has logged."""

    timestamp: int
    level: int
    tag: int | None
    text: bytes


def topic_of(name: str, multi_id: int) -> str:
    """Return the topic of an instance of a message.

    Args:
        name: Name of the message's format.
        multi_id: Number of the instance; 0 is the first, and has no number in its topic.
    """
    return f"{name}/{multi_id}" if multi_id else name


class _Subscriptions(dict[int, Any]):
    """What is subscribed, by message id; an id that is used again hands its rows over first."""

    def __init__(self, stream: "UlogStream") -> None:
        super().__init__()
        self._stream = stream

    def __bool__(self) -> bool:
        """Return False: pyulog takes subscriptions out at each end of the file, also at a pause."""
        return False

    def __setitem__(self, msg_id: int, subscription: Any) -> None:
        replaced = self.pop(msg_id, None)
        if replaced is not None:
            self._stream.retire(replaced)
        if self._stream.accepts(subscription):
            super().__setitem__(msg_id, subscription)
        else:
            self._stream.ignore(msg_id)


class UlogStream(ULog):  # type: ignore[misc]  # pyulog has no types
    """One log, read part by part.

    Args:
        stream: The log, opened for reading in binary mode.
        wanted: Which topics; asked at each subscription.

    Attributes:
        untimed: Topics whose rows have no time of their own, which are left out.
        cut_bytes: Bytes of an incomplete message at the end of the log, or of the part in front of
            appended data.
    """

    _read_file_header = printing_to_log(ULog._read_file_header)  # noqa: SLF001  # private: see the module
    _read_file_definitions = printing_to_log(ULog._read_file_definitions)  # noqa: SLF001
    _read_file_data = printing_to_log(ULog._read_file_data)  # noqa: SLF001

    def __init__(self, stream: BinaryIO, wanted: Callable[[str], bool]) -> None:
        super().__init__(None)
        self.untimed: list[str] = []
        self._texts: list[LoggedText] = []
        self.cut_bytes = 0
        self._stream = stream
        self._wanted = wanted
        self._read_bytes = 0
        self._retired: list[UlogRows] = []
        self._subscriptions = _Subscriptions(self)

    def read_definitions(self) -> bool:
        """Read header and definitions.

        Returns:
            Whether they are complete: False, if the log ends in the middle of them.

        Raises:
            pyulog.core.ULogException: The log is of no known version, or no ULog at all.
        """
        self._file_handle = self._stream
        self._read_file_header()
        self._last_timestamp = self._start_timestamp
        start = position_of(self._stream)
        self._read_file_definitions()
        end = position_of(self._stream)
        is_at_end = not self._stream.read(1)
        self._stream.seek(end)
        return not (is_at_end and cut_bytes(self._stream, start, end))

    def parts(self) -> Iterator[list[UlogRows]]:
        """Read the data, and hand over rows every few MiB; those of a topic in their order."""
        for limit in (*self._valid_offsets(), None):
            boundary = position_of(self._stream)
            while self._read_part(limit):
                boundary = position_of(self._stream)
                yield self._full_buffers()
            end = self._stream.seek(0, io.SEEK_END) if limit is None else self._stream.seek(limit)
            if not self._file_corrupt:
                self.cut_bytes += cut_bytes(self._stream, boundary, end)
        yield self._all_buffers()

    def take_texts(self) -> list[LoggedText]:
        """Return the lines that the firmware has logged since the last call."""
        taken, self._texts = self._texts, []
        return taken

    def _read_part(self, limit: int | None) -> bool:
        """Read to a pause, an offset, or the end; return whether it was a pause."""
        self._file_handle, self._read_bytes = self._stream, 0
        self._read_file_data(None, limit)
        return self._file_handle is _END

    def _valid_offsets(self) -> Iterator[int]:
        """Yield where appended data begins; an offset that leads back would read rows twice."""
        here = position_of(self._stream)
        size = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(here)
        for offset in self._appended_offsets if self.has_data_appended else ():
            if not here <= offset <= size:
                self._file_corrupt = True
                return
            yield offset
            here = offset

    def count(self, size: int) -> None:
        """Count bytes of a message that was read; when a part is full, the file seems to end."""
        self._read_bytes += size
        if self._read_bytes >= PART_BYTES:
            self._file_handle = _END

    def accepts(self, subscription: Any) -> bool:
        """Return whether rows of a subscription are collected."""
        topic = topic_of(subscription.message_name, subscription.multi_id)
        if not self._wanted(topic):
            return False
        if not has_timestamp(subscription):
            self.untimed.append(topic)
            return False
        return True

    def ignore(self, msg_id: int) -> None:
        """Skip messages of an id from now on."""
        self._filtered_message_ids.add(msg_id)

    def retire(self, subscription: Any) -> None:
        """Hand over what a subscription has collected."""
        if subscription.buffer:
            topic = topic_of(subscription.message_name, subscription.multi_id)
            self._retired.append(UlogRows(topic, subscription, subscription.buffer))
            subscription.buffer = bytearray()

    def _full_buffers(self) -> list[UlogRows]:
        held = 0
        for subscription in sorted(self._subscriptions.values(), key=lambda each: len(each.buffer)):
            held += len(subscription.buffer)
            if len(subscription.buffer) >= HANDED_OVER_BYTES or held > HELD_BYTES:
                self.retire(subscription)
        return self._take_retired()

    def _all_buffers(self) -> list[UlogRows]:
        for subscription in self._subscriptions.values():
            self.retire(subscription)
        return self._take_retired()

    def _take_retired(self) -> list[UlogRows]:
        self._logged_messages.clear()  # pyulog's; they are kept in `texts`
        self._logged_messages_tagged.clear()
        taken, self._retired = self._retired, []
        return taken

    # What pyulog calls for each message, by these names.

    class _MessageData(ULog._MessageData):  # type: ignore[misc]  # noqa: SLF001  # pyulog has no types
        _initialize = printing_to_log(ULog._MessageData.initialize)  # noqa: SLF001

        def initialize(
            self, data: bytes, header: Any, subscriptions: _Subscriptions, ulog_object: "UlogStream"
        ) -> bool:
            """Append a row, and pause if enough was read."""
            ulog_object.count(len(data))
            try:
                return bool(self._initialize(data, header, subscriptions, ulog_object))
            except struct.error as error:
                raise ValueError(str(error)) from None

    class _MessageFlagBits(ULog._MessageFlagBits):  # type: ignore[misc]  # noqa: SLF001
        __init__ = printing_to_log(ULog._MessageFlagBits.__init__)  # noqa: SLF001

    _MessageInfo = staticmethod(raising_value_error(ULog._MessageInfo))  # noqa: SLF001
    _MessageParameterDefault = staticmethod(raising_value_error(ULog._MessageParameterDefault))  # noqa: SLF001
    MessageDropout = staticmethod(raising_value_error(ULog.MessageDropout))

    def _MessageAddLogged(self, data: bytes, header: Any, formats: dict[str, Any]) -> Any:  # noqa: N802
        """Check a subscription before pyulog unfolds its format, which may be of any size or endless."""
        name = self.parse_string(data[3:])
        if len(data) < 4:
            raise ValueError("a subscription is too short")
        size = flat_size(formats, name)
        subscription = ULog._MessageAddLogged(data, header, formats)  # noqa: SLF001
        subscription.max_data_size = size  # with padding at its end, which some writers log
        return subscription

    def MessageLogging(self, data: bytes, _header: Any) -> LoggedText:  # noqa: N802
        """Keep a line as it is: pyulog drops bytes that are not UTF-8.

        Args:
            data: Of the message.
            _header: Of the message.
        """
        return self._keep_text(data, _TEXT, None)

    def MessageLoggingTagged(self, data: bytes, _header: Any) -> LoggedText:  # noqa: N802
        """Keep a line with a tag; both kinds stay in the order of the log.

        Args:
            data: Of the message.
            _header: Of the message.
        """
        if len(data) < _TAGGED_TEXT.size:
            raise ValueError("a logged line is too short")
        return self._keep_text(data, _TAGGED_TEXT, data[1] | data[2] << 8)

    def _keep_text(self, data: bytes, head: struct.Struct, tag: int | None) -> LoggedText:
        if len(data) < head.size:
            raise ValueError("a logged line is too short")
        level, timestamp = head.unpack_from(data)
        self.count(len(data))
        self._texts.append(LoggedText(timestamp, level, tag, data[head.size :]))
        return self._texts[-1]
